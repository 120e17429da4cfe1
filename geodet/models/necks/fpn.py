"""Feature pyramid network.

Reference: Lin et al. 2017 (arXiv 1612.03144).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.features import Backbone, FeatureSpec, check_divisible, check_feature_maps
from geodet.models.layers import ConvNorm, NormFactory, fill_c2_xavier

__all__ = ["FPN", "LastLevelMaxPool", "LastLevelP6P7", "TopBlock"]


class TopBlock(nn.Module, ABC):
    """Abstract: makes coarser maps on top of a pyramid.

    Attributes:
        source: name of the map it reads: a pyramid level, or a map of the backbone below.
        in_channels: channels it expects of it; None takes any.
        num_levels: how many maps it makes, each of twice the stride of the one before.
    """

    source: str
    in_channels: int | None
    num_levels: int

    @abstractmethod
    def out_channels(self, source_channels: int) -> int:
        """Channels of the maps made, given those of the source."""

    @abstractmethod
    def forward(self, features: Tensor) -> list[Tensor]:
        """[b, c, h, w] -> maps [b, c', ceil(h / 2**i), ceil(w / 2**i)], i from 1."""


class LastLevelMaxPool(TopBlock):
    """One more level: every second cell of the coarsest level.

    Args:
        source: the level it reads.
    """

    def __init__(self, source: str = "p5") -> None:
        super().__init__()
        self.source = source
        self.in_channels = None
        self.num_levels = 1

    def out_channels(self, source_channels: int) -> int:
        """The source's own."""
        return source_channels

    def forward(self, features: Tensor) -> list[Tensor]:
        """[b, c, h, w] -> one map [b, c, ceil(h / 2), ceil(w / 2)]."""
        return [functional.max_pool2d(features, kernel_size=1, stride=2)]


class LastLevelP6P7(TopBlock):
    """Two more levels by convolutions of stride 2, as in RetinaNet.

    Args:
        in_channels: channels of the source.
        channels: channels of both levels.
        source: "res5", or a pyramid level such as "p5".
    """

    def __init__(self, in_channels: int, channels: int, *, source: str = "res5") -> None:
        super().__init__()
        self.source = source
        self.in_channels = in_channels
        self.num_levels = 2
        self.p6 = nn.Conv2d(in_channels, channels, 3, stride=2, padding=1)
        self.p7 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        for layer in (self.p6, self.p7):
            fill_c2_xavier(layer)

    def out_channels(self, source_channels: int) -> int:
        """Its own, whatever the source has."""
        return self.p6.out_channels

    def forward(self, features: Tensor) -> list[Tensor]:
        """[b, in_channels, h, w] -> maps of 1/2 and 1/4 of the size."""
        p6 = self.p6(features)
        return [p6, self.p7(functional.relu(p6))]


class FPN(Backbone):
    """Top-down pyramid over a backbone; level `pN` has stride 2**N.

    Args:
        bottom_up: gives the maps below.
        in_features: its maps to use, finest first, each of twice the stride of the one before.
        channels: channels of every level.
        norm: after each lateral and output convolution; None gives them biases.
        fuse: "sum" adds the upsampled level above to the lateral, "avg" takes their mean.
        top: makes coarser levels.
    Raises:
        CompositionError: a map is missing, strides do not double, `top` does not fit, or `fuse`
            is neither.
    """

    def __init__(
        self,
        bottom_up: Backbone,
        *,
        in_features: Sequence[str] = ("res2", "res3", "res4", "res5"),
        channels: int = 256,
        norm: NormFactory | None = None,
        fuse: Literal["sum", "avg"] = "sum",
        top: TopBlock | None = None,
    ) -> None:
        super().__init__()
        if fuse not in ("sum", "avg"):
            raise CompositionError(f'FPN: expected fuse "sum" or "avg", got {fuse!r}')
        specs = _specs_below(bottom_up, in_features)
        self.bottom_up = bottom_up
        self.in_features = tuple(in_features)
        self.in_channels = bottom_up.in_channels
        self.top = top
        self.fuse = fuse
        self._level_numbers = [spec.stride.bit_length() - 1 for spec in specs]
        self.laterals = nn.ModuleDict()
        self.outputs = nn.ModuleDict()
        for number, spec in zip(self._level_numbers, specs, strict=True):
            lateral = ConvNorm(spec.channels, channels, 1, norm=norm)
            output = ConvNorm(channels, channels, 3, norm=norm)
            fill_c2_xavier(lateral)
            fill_c2_xavier(output)
            self.laterals[str(number)] = lateral
            self.outputs[str(number)] = output
        levels = {
            f"p{number}": FeatureSpec(channels=channels, stride=spec.stride)
            for number, spec in zip(self._level_numbers, specs, strict=True)
        }
        self.feature_specs = {**levels, **_top_specs(top, bottom_up, levels)}
        # Nearest upsampling by 2 meets the next map only when every map divides evenly.
        self.size_divisor = max(specs[-1].stride, bottom_up.size_divisor)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute every level, and check its size against the padded input.

        Args:
            images: [b, c, H, W], H and W multiples of `size_divisor`.
        Returns:
            "p2" and so on -> [b, channels, ceil(H / stride), ceil(W / stride)].
        Raises:
            ShapeError: H or W is no multiple, or the backbone's maps are not as declared.
        Empty: b = 0 gives maps with b = 0.
        """
        check_divisible(images, self.size_divisor)
        # Convolutions keep this layout from map to map, and are faster in it.
        below = self.bottom_up(images.contiguous(memory_format=torch.channels_last))
        check_feature_maps(below, self.bottom_up.feature_specs, images.shape[-2:])
        levels: dict[str, Tensor] = {}
        merged: Tensor | None = None
        for number, name in zip(
            reversed(self._level_numbers), reversed(self.in_features), strict=True
        ):
            lateral = self.laterals[str(number)](below[name])
            if merged is not None:
                lateral = _add_upsampled(lateral, merged)
                if self.fuse == "avg":
                    lateral = lateral / 2
            merged = lateral
            levels[f"p{number}"] = self.outputs[str(number)](merged)
        made = dict(reversed(levels.items()))
        if self.top is not None:
            source = made[self.top.source] if self.top.source in made else below[self.top.source]
            extra = list(self.feature_specs)[len(made) :]
            made.update(zip(extra, self.top(source), strict=True))
        check_feature_maps(made, self.feature_specs, images.shape[-2:])
        return made


def _add_upsampled(lateral: Tensor, above: Tensor) -> Tensor:
    """[b, c, h, w] plus [b, c, h / 2, w / 2] with every cell repeated 2 x 2.

    Where no gradient is needed `lateral` itself is written, each cell of `above` read where it
    is used: 16 times as fast as upsampling it first (channels_last, 256 x 200 x 304), but with a
    gradient 8 times as slow. The results are the same bit for bit.
    """
    if torch.is_grad_enabled() and (lateral.requires_grad or above.requires_grad):
        return lateral + functional.interpolate(above, scale_factor=2.0, mode="nearest")
    height, width = above.shape[-2:]
    cells = lateral.unflatten(3, (width, 2)).unflatten(2, (height, 2))  # [b, c, h/2, 2, w/2, 2]
    cells.add_(above[:, :, :, None, :, None])
    return lateral


def _specs_below(bottom_up: Backbone, in_features: Sequence[str]) -> list[FeatureSpec]:
    available = bottom_up.feature_specs
    missing = [name for name in in_features if name not in available]
    if missing or not in_features:
        raise CompositionError(
            f"FPN reads {list(in_features)}, {type(bottom_up).__name__} gives {list(available)}; "
            "set in_features or the backbone's out_features"
        )
    specs = [available[name] for name in in_features]
    strides = [spec.stride for spec in specs]
    doubled = [strides[0] * 2**i for i in range(len(strides))]
    if strides != doubled or strides[0] & (strides[0] - 1):
        raise CompositionError(
            f"FPN needs strides that are powers of 2 and double from map to map, "
            f"{type(bottom_up).__name__} gives {dict(zip(in_features, strides, strict=True))}"
        )
    return specs


def _top_specs(
    top: TopBlock | None, bottom_up: Backbone, levels: Mapping[str, FeatureSpec]
) -> dict[str, FeatureSpec]:
    if top is None:
        return {}
    known = {**bottom_up.feature_specs, **levels}
    name = type(top).__name__
    if top.source not in known:
        raise CompositionError(f"{name} reads {top.source!r}, FPN has {list(known)}")
    source = known[top.source]
    if top.in_channels is not None and top.in_channels != source.channels:
        raise CompositionError(
            f"{name} expects {top.in_channels} channels of {top.source!r}, which has "
            f"{source.channels}"
        )
    coarsest = max(spec.stride for spec in levels.values())
    if source.stride != coarsest:
        raise CompositionError(
            f"{name} reads {top.source!r} of stride {source.stride}; its levels must follow the "
            f"coarsest one, of stride {coarsest}"
        )
    channels = top.out_channels(source.channels)
    strides = [source.stride * 2 ** (i + 1) for i in range(top.num_levels)]
    return {
        f"p{stride.bit_length() - 1}": FeatureSpec(channels=channels, stride=stride)
        for stride in strides
    }
