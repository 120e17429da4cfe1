"""Pyramid from the single map of a plain backbone.

Reference: Li et al. 2022 (arXiv 2203.16527), section 3.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from geodet.errors import CompositionError
from geodet.models.features import Backbone, FeatureSpec, check_divisible, check_feature_maps
from geodet.models.layers import ConvNorm, LayerNorm2d, NormFactory
from geodet.models.necks.fpn import TopBlock

__all__ = ["SimpleFeaturePyramid"]


class SimpleFeaturePyramid(Backbone):
    """Every level straight from one map: finer ones by deconvolutions, coarser ones by pooling.

    Args:
        bottom_up: gives the map.
        in_feature: its name.
        channels: channels of every level.
        scales: of the levels relative to the map, finest first: of 4, 2, 1 and 0.5, each half
            of the one before.
        norm: after each convolution, and between the deconvolutions of scale 4; None gives the
            convolutions biases.
        top: makes coarser levels from one of these.
    Raises:
        CompositionError: the map is missing, scales are none of these, or `top` does not fit.
    """

    def __init__(
        self,
        bottom_up: Backbone,
        *,
        in_feature: str = "last_feat",
        channels: int = 256,
        scales: Sequence[float] = (4.0, 2.0, 1.0, 0.5),
        norm: NormFactory | None = LayerNorm2d,
        top: TopBlock | None = None,
    ) -> None:
        super().__init__()
        spec = _spec_below(bottom_up, in_feature)
        _check_scales(scales, spec)
        self.bottom_up = bottom_up
        self.in_feature = in_feature
        self.in_channels = bottom_up.in_channels
        self.levels = nn.ModuleDict()
        specs: dict[str, FeatureSpec] = {}
        for scale in scales:
            stride = int(spec.stride / scale)
            number = stride.bit_length() - 1
            self.levels[str(number)] = _level(spec.channels, channels, scale, norm)
            specs[f"p{number}"] = FeatureSpec(channels, stride)
        self.top = top
        self.feature_specs = {**specs, **_top_specs(top, specs)}
        coarsest = max(level.stride for level in specs.values())
        self.size_divisor = max(coarsest, bottom_up.size_divisor)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute every level, and check its size against the padded input.

        Args:
            images: [b, c, H, W], H and W multiples of `size_divisor`.
        Returns:
            "p2" and so on -> [b, channels, ceil(H / stride), ceil(W / stride)].
        Raises:
            ShapeError: H or W is no multiple, or the backbone's map is not as declared.
        Empty: b = 0 gives maps with b = 0.
        """
        check_divisible(images, self.size_divisor)
        below = self.bottom_up(images)
        check_feature_maps(below, self.bottom_up.feature_specs, images.shape[-2:])
        maps = {
            f"p{number}": level(below[self.in_feature]) for number, level in self.levels.items()
        }
        if self.top is not None:
            extra = list(self.feature_specs)[len(maps) :]
            maps.update(zip(extra, self.top(maps[self.top.source]), strict=True))
        check_feature_maps(maps, self.feature_specs, images.shape[-2:])
        return maps


def _level(
    in_channels: int, channels: int, scale: float, norm: NormFactory | None
) -> nn.Sequential:
    layers: list[nn.Module] = []
    if scale == 4.0:
        half = in_channels // 2
        layers += [nn.ConvTranspose2d(in_channels, half, 2, stride=2)]
        layers += [nn.Identity() if norm is None else norm(half), nn.GELU()]
        layers += [nn.ConvTranspose2d(half, in_channels // 4, 2, stride=2)]
        in_channels //= 4
    elif scale == 2.0:
        layers += [nn.ConvTranspose2d(in_channels, in_channels // 2, 2, stride=2)]
        in_channels //= 2
    elif scale == 0.5:
        layers += [nn.MaxPool2d(2)]
    layers += [ConvNorm(in_channels, channels, 1, norm=norm)]
    layers += [ConvNorm(channels, channels, 3, norm=norm)]
    return nn.Sequential(*layers)


def _spec_below(bottom_up: Backbone, in_feature: str) -> FeatureSpec:
    name, specs = type(bottom_up).__name__, bottom_up.feature_specs
    if in_feature not in specs:
        raise CompositionError(
            f"SimpleFeaturePyramid reads {in_feature!r}, {name} gives {list(specs)}"
        )
    spec = specs[in_feature]
    if spec.stride & (spec.stride - 1):
        raise CompositionError(
            f"SimpleFeaturePyramid needs a stride that is a power of 2, {name} gives "
            f"{in_feature!r} of stride {spec.stride}"
        )
    return spec


def _check_scales(scales: Sequence[float], spec: FeatureSpec) -> None:
    halved = [scales[0] / 2**i for i in range(len(scales))] if scales else []
    if not scales or list(scales) != halved or not 4.0 >= scales[0] >= scales[-1] >= 0.5:
        raise CompositionError(
            "SimpleFeaturePyramid: expected scales of 4, 2, 1 and 0.5, each half of the one "
            f"before, got {list(scales)}"
        )
    if spec.stride % scales[0]:
        raise CompositionError(
            f"SimpleFeaturePyramid: a map of stride {spec.stride} cannot be made "
            f"{scales[0]:g} times finer"
        )


def _top_specs(top: TopBlock | None, levels: dict[str, FeatureSpec]) -> dict[str, FeatureSpec]:
    if top is None:
        return {}
    name, coarsest = type(top).__name__, list(levels)[-1]
    source = levels[coarsest]
    if top.source != coarsest:
        raise CompositionError(
            f"{name} reads {top.source!r}; its levels must follow the coarsest one of "
            f"SimpleFeaturePyramid, {coarsest!r}"
        )
    if top.in_channels is not None and top.in_channels != source.channels:
        raise CompositionError(
            f"{name} expects {top.in_channels} channels of {coarsest!r}, which has "
            f"{source.channels}"
        )
    channels = top.out_channels(source.channels)
    strides = [source.stride * 2 ** (i + 1) for i in range(top.num_levels)]
    return {f"p{stride.bit_length() - 1}": FeatureSpec(channels, stride) for stride in strides}
