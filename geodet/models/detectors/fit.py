"""Do the parts of a detector fit each other? Asked at construction, answered with both names."""

from collections.abc import Mapping

from geodet.errors import CompositionError
from geodet.models.box_kinds import AnyBoxKind
from geodet.models.features import Backbone, FeatureSpec
from geodet.models.heads import BoxHead, FirstStage, RegionHead, SecondStage
from geodet.models.preprocess import Preprocess
from geodet.structures import Keypoints, Masks

__all__ = [
    "check_dense_head",
    "check_dense_region_head",
    "check_first_stage",
    "check_preprocess",
    "check_region_head",
    "check_second_stage",
]


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


def check_first_stage(proposals: FirstStage, backbone: Backbone) -> None:
    """Raise CompositionError unless the levels it reads exist with its channels and strides."""
    name = type(proposals).__name__
    _check_levels(name, proposals.strides, proposals.in_channels, backbone)


def check_second_stage(box_head: SecondStage, proposals: FirstStage, backbone: Backbone) -> None:
    """Raise CompositionError unless levels and channels fit, and proposals are of its kind."""
    name = type(box_head).__name__
    _check_levels(name, box_head.strides, box_head.in_channels, backbone)
    if box_head.kind != proposals.kind:
        raise CompositionError(
            f"{type(proposals).__name__} proposes {proposals.kind.structure.__name__}, {name} "
            f"takes {box_head.kind.structure.__name__}; give both coders of one kind"
        )


def check_region_head(
    head: RegionHead[Masks] | RegionHead[Keypoints], box_head: SecondStage, backbone: Backbone
) -> None:
    """Raise CompositionError unless levels, channels, classes and the kind of boxes fit."""
    name, boxes = type(head).__name__, type(box_head).__name__
    if head.pooler is None:
        if isinstance(box_head, BoxHead) and box_head.refine_regions:
            raise CompositionError(
                f"{name} without pooler reads maps of the proposals, but refine_regions of {boxes} "
                "trains it in other boxes; give it a pooler, or set refine_regions=False"
            )
        wanted, given = (head.in_channels, head.in_side), (box_head.map_channels, box_head.map_side)
        if wanted != given:
            raise CompositionError(
                f"{name} without pooler reads {wanted[0]} channels of {wanted[1]} x {wanted[1]}, "
                f"{boxes} makes {given[0]} channels of {given[1]} x {given[1]}"
            )
    else:
        _check_levels(name, head.strides, head.in_channels, backbone)
    if head.kind != box_head.kind:
        raise CompositionError(
            f"{name} reads {head.kind.structure.__name__}, {boxes} gives "
            f"{box_head.kind.structure.__name__}; give its RoiPooler, or itself, the same kind"
        )
    if head.num_classes not in (None, box_head.num_classes):
        raise CompositionError(
            f"{name} has num_classes={head.num_classes}, {boxes} has "
            f"num_classes={box_head.num_classes}"
        )


def check_dense_head(
    reader: str, strides: Mapping[str, int], channels: int, backbone: Backbone
) -> None:
    """Raise CompositionError unless the levels that `reader` reads exist as it expects them."""
    _check_levels(reader, strides, channels, backbone)


def check_dense_region_head(
    detector: str,
    head: RegionHead[Masks] | RegionHead[Keypoints],
    kind: AnyBoxKind,
    num_classes: int,
    backbone: Backbone,
) -> None:
    """Raise CompositionError unless the head pools for itself, and pools what `detector` finds."""
    name = type(head).__name__
    if head.pooler is None:
        raise CompositionError(
            f"{name} has no pooler and reads the maps of a box head, {detector} has no box head; "
            f"give {name} a RoiPooler"
        )
    _check_levels(name, head.strides, head.in_channels, backbone)
    if head.pooler.kind != kind:
        raise CompositionError(
            f"{name} pools {head.pooler.kind.structure.__name__}, {detector} finds "
            f"{kind.structure.__name__}; give its RoiPooler the same kind"
        )
    if head.num_classes not in (None, num_classes):
        raise CompositionError(
            f"{name} has num_classes={head.num_classes}, {detector} has num_classes={num_classes}"
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
