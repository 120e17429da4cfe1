"""Mask head: a soft mask inside every detected box.

Reference: He et al. 2017 (arXiv 1703.06870).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.heads.pooler import RoiPooler
from geodet.models.layers import ConvNorm, NormFactory, fill_c2_msra, fill_normal

__all__ = ["MaskHead"]


class MaskHead(nn.Module):
    """3x3 convolutions, upsampling by 2, one map of logits per class.

    Letters: r regions, s = `side`, the cells of a mask along both sides.

    Args:
        pooler: regions to tensors.
        in_channels: channels of the maps pooled from.
        conv_channels: channels of each convolution; the upsampling keeps the last.
        num_classes: classes without background.
        norm: after the convolutions; not after the upsampling.
        class_agnostic: one mask per region instead of one per class.
    Raises:
        CompositionError: no convolution.
    """

    def __init__(
        self,
        *,
        pooler: RoiPooler,
        in_channels: int,
        num_classes: int,
        conv_channels: Sequence[int] = (256, 256, 256, 256),
        norm: NormFactory | None = None,
        class_agnostic: bool = False,
    ) -> None:
        super().__init__()
        if not conv_channels:
            raise CompositionError("MaskHead: expected at least one entry in conv_channels")
        self.pooler = pooler
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.class_agnostic = class_agnostic
        self.side = 2 * pooler.output_side
        self.convs = nn.Sequential()
        for channels in conv_channels:
            conv = ConvNorm(in_channels, channels, 3, norm=norm, activation=functional.relu_)
            fill_c2_msra(conv)
            self.convs.append(conv)
            in_channels = channels
        self.deconv = nn.ConvTranspose2d(in_channels, in_channels, 2, stride=2)
        self.predictor = nn.Conv2d(in_channels, 1 if class_agnostic else num_classes, 1)
        fill_c2_msra(self.deconv)
        fill_normal(self.predictor, std=0.001)

    def forward(self, features: Mapping[str, Tensor], rois: Tensor) -> Tensor:
        """Predict for every region.

        Args:
            features: name -> [b, in_channels, h, w].
            rois: [r, 5] image index and xyxy.
        Returns:
            Logits [r, classes, s, s], or [r, 1, s, s] when class-agnostic.
        Empty: r = 0 gives r = 0.
        """
        upsampled = functional.relu_(self.deconv(self.convs(self.pooler(features, rois))))
        logits: Tensor = self.predictor(upsampled)
        return logits

    def losses(self, logits: Tensor, labels: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Binary cross-entropy of each region's own class.

        Args:
            logits: of `forward`, of foreground regions only.
            labels: [r] int64 class.
            targets: [r, s, s] bool.
        Returns:
            "masks": the mean over regions and cells.
        Empty: r = 0 gives 0 with gradients of 0 for every parameter, so that distributed
            training, which waits for all of them, goes on.
        """
        if len(logits) == 0:
            return {"masks": logits.sum() * 0.0}
        chosen = self._of_class(logits, labels)
        return {
            "masks": functional.binary_cross_entropy_with_logits(chosen.float(), targets.float())
        }

    def select(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Probabilities of each region's own class.

        Args:
            logits: of `forward`.
            labels: [r] int64 class.
        Returns:
            [r, s, s] in [0, 1].
        Empty: r = 0 gives r = 0.
        """
        return self._of_class(logits, labels).float().sigmoid()

    def _of_class(self, logits: Tensor, labels: Tensor) -> Tensor:
        rows = torch.arange(len(labels), device=labels.device)
        return logits[rows, torch.zeros_like(labels) if self.class_agnostic else labels]
