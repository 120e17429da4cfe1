"""Mask head: a soft mask inside every detected box.

Reference: He et al. 2017 (arXiv 1703.06870).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.box_kinds import AnyBoxKind
from geodet.models.heads.mask_targets import mask_targets
from geodet.models.heads.pooler import RoiPooler
from geodet.models.heads.region_head import RegionHead, Regions
from geodet.models.layers import ConvNorm, NormFactory, fill_c2_msra, fill_normal
from geodet.structures import Boxes, ImageSize, Masks, RoiMasks, RotatedBoxes

__all__ = ["MaskHead"]


class MaskHead(RegionHead[Masks]):
    """Final: 3x3 convolutions, upsampling by 2, one map of logits per class.

    Letters: r regions, s = `side`, the cells of a mask along both sides.

    Args:
        pooler: regions to tensors; None reads the maps of the box head instead.
        in_channels: channels of what it reads.
        in_side: cells of what it reads along both sides; None is the pooler's.
        conv_channels: channels of each convolution.
        upsampled_channels: channels after the upsampling; None is those of the last convolution.
        num_classes: classes without background.
        norm: after the convolutions; not after the upsampling.
        class_agnostic: one mask per region instead of one per class.
        kind: of the boxes; None is the pooler's, or upright without one.
    Raises:
        CompositionError: neither convolutions nor upsampled_channels, or pooler, in_side and kind
            do not fit each other.
    """

    def __init__(
        self,
        *,
        pooler: RoiPooler | None,
        in_channels: int,
        num_classes: int,
        in_side: int | None = None,
        conv_channels: Sequence[int] = (256, 256, 256, 256),
        upsampled_channels: int | None = None,
        norm: NormFactory | None = None,
        class_agnostic: bool = False,
        kind: AnyBoxKind | None = None,
    ) -> None:
        super().__init__()
        if upsampled_channels is None:
            if not conv_channels:
                raise CompositionError(
                    "MaskHead: expected at least one entry in conv_channels, or upsampled_channels"
                )
            upsampled_channels = conv_channels[-1]
        self._set_pooler(pooler, in_side, kind)
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.class_agnostic = class_agnostic
        self.side = 2 * self.in_side
        self.convs = nn.Sequential()
        for channels in conv_channels:
            conv = ConvNorm(in_channels, channels, 3, norm=norm, activation=functional.relu_)
            fill_c2_msra(conv)
            self.convs.append(conv)
            in_channels = channels
        self.deconv = nn.ConvTranspose2d(in_channels, upsampled_channels, 2, stride=2)
        self.predictor = nn.Conv2d(upsampled_channels, 1 if class_agnostic else num_classes, 1)
        fill_c2_msra(self.deconv)
        fill_normal(self.predictor, std=0.001)

    def forward(self, maps: Tensor) -> Tensor:
        """Predict for every region.

        Args:
            maps: [r, in_channels, in_side, in_side].
        Returns:
            Logits [r, classes, s, s], or [r, 1, s, s] when class-agnostic.
        Empty: r = 0 gives r = 0.
        """
        upsampled = functional.relu_(self.deconv(self.convs(maps)))
        logits: Tensor = self.predictor(upsampled)
        return logits

    def losses(
        self, regions: Regions, truth: Sequence[Masks | None], rows: Tensor
    ) -> dict[str, Tensor]:
        """Binary cross-entropy of each region's own class, as "masks": the mean over all cells.

        Args and Empty: see `RegionHead`.
        """
        logits = self(self.read(regions))
        wanted = mask_targets(truth, rows, regions.rois, self.side, kind=self.kind)
        return {"masks": self.loss_of(logits, regions.labels, wanted)}

    def predict(self, regions: Regions) -> Tensor:
        """Probabilities [r, s, s] of each region's own class."""
        return self.select(self(self.read(regions)), regions.labels)

    def column(self, predicted: Tensor, boxes: Boxes | RotatedBoxes, size: ImageSize) -> RoiMasks:
        """Soft masks in their boxes."""
        return RoiMasks(predicted, boxes=boxes, image_size=size)

    def loss_of(self, logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        """Mean binary cross-entropy of logits [r, classes, s, s] at labels [r] int64.

        Args:
            logits: of `forward`.
            labels: [r] int64 class.
            targets: [r, s, s] bool.
        Empty: r = 0 gives 0 with gradients of 0.
        """
        if len(logits) == 0:
            return logits.sum() * 0.0
        chosen = self._of_class(logits, labels)
        return functional.binary_cross_entropy_with_logits(chosen.float(), targets.float())

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
