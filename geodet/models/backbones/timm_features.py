"""Any feature extractor of timm as a backbone; timm is imported when one is made."""

import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from geodet.errors import CompositionError, MissingDependencyError
from geodet.models.features import Backbone, FeatureSpec, check_feature_maps

__all__ = ["TimmBackbone", "timm_backbone"]


class TimmBackbone(Backbone):
    """A model of timm made with `features_only=True`; its maps are named after their strides.

    The map of stride 4 is "res2", of 8 "res3" and so on, so that a pyramid finds what it looks for.

    Args:
        model: with `feature_info`; returns a list of maps, one for each entry.
        in_channels: channels of the images it takes.
    Raises:
        CompositionError: two maps of one stride, or a stride that is no power of 2.
    """

    def __init__(self, model: nn.Module, *, in_channels: int) -> None:
        super().__init__()
        info: Any = model.feature_info
        specs = {}
        for channels, stride in zip(info.channels(), info.reduction(), strict=True):
            name = f"res{stride.bit_length() - 1}"
            if stride & (stride - 1) or name in specs:
                raise CompositionError(
                    f"TimmBackbone: expected maps of different strides, powers of 2, "
                    f"{type(model).__name__} gives strides {list(info.reduction())}"
                )
            specs[name] = FeatureSpec(channels=channels, stride=stride)
        self.model = model
        self.in_channels = in_channels
        self.feature_specs = specs
        # Some round map sizes down and some up; where the coarsest stride divides, all agree.
        self.size_divisor = max(spec.stride for spec in specs.values())
        self._channels_last = str(getattr(model, "output_fmt", "NCHW")).endswith("NHWC")

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the maps, and check their sizes: timm only says what their strides should be.

        Args:
            images: [b, in_channels, H, W], H and W multiples of `size_divisor`.
        Returns:
            Name -> [b, channels, H / stride, W / stride].
        Raises:
            ShapeError: a map is not as declared; names it.
        Empty: as the model has it; most give maps with b = 0.
        """
        maps = self.model(images)
        if self._channels_last:
            maps = [features.permute(0, 3, 1, 2) for features in maps]
        named = dict(zip(self.feature_specs, maps, strict=True))
        check_feature_maps(named, self.feature_specs, images.shape[-2:])
        return named


def timm_backbone(
    name: str,
    *,
    strides: Sequence[int] = (4, 8, 16, 32),
    in_channels: int = 3,
    pretrained: bool = False,
    freeze_batch_norms: bool = False,
    options: Mapping[str, object] | None = None,
) -> TimmBackbone:
    """Make a backbone of a model of timm.

    Args:
        name: as `timm.create_model` knows it, such as "resnet50d" or "convnext_tiny.in12k".
        strides: of the maps wanted, finest first; layers after the last are not built. Where
            several maps have one stride, the last of them is taken.
        in_channels: channels of the images.
        pretrained: timm downloads the weights it has.
        freeze_batch_norms: they become constants, as small batches need it.
        options: more keywords for `timm.create_model`, such as {"drop_path_rate": 0.1}.
    Raises:
        MissingDependencyError: timm is not installed.
        CompositionError: timm does not know the model, the model gives no maps, or none of a
            stride asked for.
    """
    timm = _import_timm()
    known = {"features_only": True, "in_chans": in_channels, **(options or {})}
    with torch.device("meta"):  # only to ask which maps there are
        reductions = _create(timm, name, {**known, "pretrained": False}).feature_info
    indices = _indices(name, strides, reductions)
    model = _create(timm, name, {**known, "pretrained": pretrained, "out_indices": indices})
    if freeze_batch_norms:
        model = timm.layers.freeze_batch_norm_2d(model)
    return TimmBackbone(model, in_channels=in_channels)


def _import_timm() -> ModuleType:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise MissingDependencyError(
            f"timm_backbone: timm could not be imported ({error}); install it with "
            "`pip install timm`"
        ) from error


def _create(timm: ModuleType, name: str, options: Mapping[str, object]) -> Any:
    try:
        return timm.create_model(name, **options)
    # What timm raises for unknown names, for models that give no maps, and for unknown options.
    except (RuntimeError, NotImplementedError, AssertionError, TypeError) as error:
        raise CompositionError(
            f"timm_backbone: timm cannot make {name!r} with {dict(options)}: {error}"
        ) from error


def _indices(name: str, strides: Sequence[int], info: Any) -> tuple[int, ...]:
    """Which maps have the strides asked for; `info` is the model's feature_info."""
    last = dict(zip(info.reduction(), info.out_indices, strict=True))
    missing = [stride for stride in strides if stride not in last]
    if missing or not strides or list(strides) != sorted(set(strides)):
        raise CompositionError(
            f"timm_backbone: expected growing strides among those of {name!r}, "
            f"{list(last)}, got {list(strides)}"
        )
    return tuple(last[stride] for stride in strides)
