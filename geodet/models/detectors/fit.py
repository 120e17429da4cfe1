"""Do the parts of a detector fit each other? Asked at construction, answered with both names."""

from collections.abc import Mapping

from geodet.errors import CompositionError
from geodet.models.features import Backbone, FeatureSpec
from geodet.models.heads import RPN, BoxHead, MaskHead
from geodet.models.preprocess import Preprocess

__all__ = ["check_box_head", "check_mask_head", "check_preprocess", "check_rpn"]


def check_preprocess(preprocess: Preprocess, backbone: Backbone) -> None:
    """Raise CompositionError unless the backbone can read what Preprocess makes."""
    name = type(backbone).__name__
    if preprocess.num_channels != backbone.in_channels:
        raise CompositionError(
            f"Preprocess gives {preprocess.num_channels} channels, {name} expects "
            f"{backbone.in_channels}"
        )
    if preprocess.size_divisor % backbone.size_divisor:
        raise CompositionError(
            f"Preprocess pads to multiples of {preprocess.size_divisor}, {name} needs multiples "
            f"of {backbone.size_divisor}; give Preprocess size_divisor={backbone.size_divisor}"
        )


def check_rpn(proposals: RPN, backbone: Backbone) -> None:
    """Raise CompositionError unless RPN's levels exist with its channels and strides."""
    strides = dict(zip(proposals.levels, proposals.anchors.strides, strict=True))
    _check_levels("RPN", strides, proposals.head.in_channels, backbone)


def check_box_head(box_head: BoxHead, backbone: Backbone) -> None:
    """Raise CompositionError unless the pooled levels exist with the head's channels."""
    _check_levels("BoxHead", box_head.pooler.strides, box_head.features.in_channels, backbone)


def check_mask_head(mask_head: MaskHead, box_head: BoxHead, backbone: Backbone) -> None:
    """Raise CompositionError unless levels, channels and classes fit."""
    _check_levels("MaskHead", mask_head.pooler.strides, mask_head.in_channels, backbone)
    if mask_head.num_classes != box_head.num_classes:
        raise CompositionError(
            f"MaskHead has num_classes={mask_head.num_classes}, BoxHead has "
            f"num_classes={box_head.num_classes}"
        )


def _check_levels(
    reader: str, strides: Mapping[str, int], channels: int, backbone: Backbone
) -> None:
    maker = type(backbone).__name__
    specs: Mapping[str, FeatureSpec] = backbone.feature_specs
    missing = [name for name in strides if name not in specs]
    if missing:
        raise CompositionError(
            f"{reader} reads {list(strides)}, {maker} gives {list(specs)}: "
            f"{', '.join(missing)} missing"
        )
    for name, stride in strides.items():
        if specs[name].channels != channels:
            raise CompositionError(
                f"{reader} expects {channels} channels at {name!r}, {maker} gives "
                f"{specs[name].channels}"
            )
        if specs[name].stride != stride:
            raise CompositionError(
                f"{reader} expects stride {stride} at {name!r}, {maker} gives {specs[name].stride}"
            )
