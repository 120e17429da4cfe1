"""The semantic head of Panoptic FPN: every level of a pyramid, brought to one resolution.

Reference: Kirillov et al. 2019 (arXiv 1901.02446), section 3.
"""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.features import FeatureSpec
from geodet.models.heads.semantic import SemanticHead
from geodet.models.layers import ConvNorm, NormFactory, fill_c2_msra, group_norm
from geodet.models.losses.pixels import PixelCrossEntropy, PixelLoss

__all__ = ["SemanticFPNHead"]


class SemanticFPNHead(SemanticHead):
    """Each level: 3x3 convolution, norm, ReLU, enlarged by 2, until its stride is the common one.

    The finest level, and any other whose stride is the common one, has one convolution and stays
    as large as it is. The sum of all levels goes through a 1x1 convolution.

    Args:
        specs: levels that it reads, finest first.
        num_classes: classes of the semantic map.
        channels: of every convolution.
        norm: after every convolution; None gives them biases.
        stride: the common stride, that of the finest level.
        loss: of the pixels; None is the mean cross-entropy.
        loss_weight: what it is multiplied with.
    Raises:
        CompositionError: a level's stride is not the common one times a power of 2.
    """

    def __init__(
        self,
        specs: Mapping[str, FeatureSpec],
        *,
        num_classes: int,
        channels: int = 128,
        norm: NormFactory | None = group_norm(),  # noqa: B008 (a factory without state)
        stride: int = 4,
        loss: PixelLoss | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(
            specs,
            stride=stride,
            num_classes=num_classes,
            loss=PixelCrossEntropy() if loss is None else loss,
            loss_weight=loss_weight,
        )
        self.levels = nn.ModuleDict(
            {name: _level(name, spec, channels, norm, stride) for name, spec in specs.items()}
        )
        self.predictor = nn.Conv2d(channels, num_classes, 1)
        fill_c2_msra(self.predictor)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Score every cell of the common stride.

        Args:
            features: name -> [b, channels, H / its stride, W / its stride], H and W multiples of
                the coarsest stride.
        Returns:
            Logits [b, num_classes, H / stride, W / stride].
        Empty: b = 0 gives b = 0.
        """
        maps = [level(features[name]) for name, level in self.levels.items()]
        merged: Tensor = maps[0]
        for other in maps[1:]:
            merged = merged + other
        logits: Tensor = self.predictor(merged)
        return logits


class _Twice(nn.Module):
    """Enlarge by 2, bilinear."""

    def forward(self, features: Tensor) -> Tensor:
        """[b, c, h, w] -> [b, c, 2 h, 2 w]."""
        return functional.interpolate(
            features, scale_factor=2.0, mode="bilinear", align_corners=False
        )


def _level(
    name: str, spec: FeatureSpec, channels: int, norm: NormFactory | None, stride: int
) -> nn.Sequential:
    ratio = spec.stride // stride
    if ratio * stride != spec.stride or ratio & (ratio - 1) or ratio == 0:
        raise CompositionError(
            f"SemanticFPNHead: expected strides of {stride} times a power of 2, {name!r} has "
            f"{spec.stride}"
        )
    level = nn.Sequential()
    in_channels = spec.channels
    for _ in range(max(1, ratio.bit_length() - 1)):
        conv = ConvNorm(in_channels, channels, 3, norm=norm, activation=functional.relu_)
        fill_c2_msra(conv)
        level.append(conv)
        if ratio > 1:
            level.append(_Twice())
        in_channels = channels
    return level
