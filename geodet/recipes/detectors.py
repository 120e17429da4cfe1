"""Recipes of detectors: every number that a family function takes, as data."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import attrs
from torch import nn

from geodet.models.box_kinds import ROTATED, UPRIGHT
from geodet.models.detectors import (
    FCOS,
    RCNN,
    RetinaNet,
    fcos_fpn,
    retinanet_fpn,
    rotated_retinanet_fpn,
)
from geodet.models.features import Backbone
from geodet.models.heads import KeypointHead, MaskHead, PointRendMaskHead
from geodet.recipes.backbones import PreprocessRecipe, ResNetFpnRecipe
from geodet.recipes.facts import DataFacts, Output
from geodet.recipes.fields import fraction, number, whole
from geodet.recipes.heads import (
    BoxHeadRecipe,
    KeypointHeadRecipe,
    MaskHeadRecipe,
    PointRendRecipe,
    RegionPlace,
    RpnRecipe,
)
from geodet.recipes.transformer_backbones import MvitFpnRecipe, SwinFpnRecipe, VitDetRecipe

__all__ = [
    "BackboneRecipe",
    "DetectorRecipe",
    "FasterRcnnRecipe",
    "FcosRecipe",
    "KeypointRcnnRecipe",
    "MaskRcnnRecipe",
    "RcnnRecipe",
    "RetinaNetRecipe",
]

_CANONICAL_SIZE = 224.0

BackboneRecipe: TypeAlias = ResNetFpnRecipe | VitDetRecipe | SwinFpnRecipe | MvitFpnRecipe

_HeadT = TypeVar("_HeadT")


@attrs.frozen(kw_only=True)
class DetectorRecipe(ABC):
    """Abstract: what all detectors on a pyramid have.

    Args:
        backbone: the feature extractor.
        num_classes: None takes it from the data; a number is checked against them.
        preprocess: the network's input.
        mask_head: adds masks of the detected boxes.
        keypoint_head: adds keypoints of the detected boxes.
    """

    backbone: BackboneRecipe
    num_classes: int | None = attrs.field(default=None, validator=whole(optional=True))
    preprocess: PreprocessRecipe = attrs.field(factory=PreprocessRecipe)
    mask_head: MaskHeadRecipe | PointRendRecipe | None = None
    keypoint_head: KeypointHeadRecipe | None = None

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What the model predicts, and so what it needs of the data."""
        found: list[Output] = ["rotated_boxes" if self.has_rotated_boxes else "boxes"]
        if self.mask_head is not None:
            found.append("masks")
        if self.keypoint_head is not None:
            found.append("keypoints")
        return tuple(found)

    @property
    def has_rotated_boxes(self) -> bool:
        """Whether its boxes are rotated."""
        return False

    @abstractmethod
    def build(self, facts: DataFacts) -> nn.Module:
        """Return the detector with fresh weights."""

    def load_initial_weights(self, model: nn.Module) -> None:
        """Load what the backbone starts from; see `ResNetFpnRecipe.load_initial_weights`."""
        self.backbone.load_initial_weights(model.get_submodule("backbone"))

    def _place(self, facts: DataFacts, canonical_size: float = _CANONICAL_SIZE) -> RegionPlace:
        return RegionPlace(
            num_classes=facts.num_classes,
            kind=ROTATED if self.has_rotated_boxes else UPRIGHT,
            canonical_size=canonical_size,
            skeleton=facts.skeleton,
        )

    def _masks(self, backbone: Backbone, place: RegionPlace) -> MaskHead | PointRendMaskHead | None:
        return None if self.mask_head is None else self.mask_head.build(backbone, place)

    def _keypoints(self, backbone: Backbone, place: RegionPlace) -> KeypointHead | None:
        return None if self.keypoint_head is None else self.keypoint_head.build(backbone, place)


@attrs.frozen(kw_only=True)
class RcnnRecipe(DetectorRecipe):
    """A detector in two stages on a pyramid of p2 to p6: Faster R-CNN, and Mask R-CNN with masks.

    Args:
        rotated: boxes are rotated.
        rpn: the first stage.
        box_head: the second.
    """

    rotated: bool = False
    rpn: RpnRecipe = attrs.field(factory=RpnRecipe)
    box_head: BoxHeadRecipe = attrs.field(factory=BoxHeadRecipe)

    @property
    def has_rotated_boxes(self) -> bool:
        """Whether its boxes are rotated."""
        return self.rotated

    def build(self, facts: DataFacts) -> RCNN:
        """Return the detector with fresh weights."""
        backbone = self.backbone.build()
        place = self._place(facts, self.box_head.canonical_size)
        return RCNN(
            preprocess=self.preprocess.build(facts),
            backbone=backbone,
            proposals=self.rpn.build(backbone, place.kind),
            box_head=self.box_head.build(backbone, place),
            mask_head=self._masks(backbone, place),
            keypoint_head=self._keypoints(backbone, place),
        )


FasterRcnnRecipe = RcnnRecipe
MaskRcnnRecipe = functools.partial(RcnnRecipe, mask_head=MaskHeadRecipe())
KeypointRcnnRecipe = functools.partial(RcnnRecipe, keypoint_head=KeypointHeadRecipe())


@attrs.frozen(kw_only=True)
class RetinaNetRecipe(DetectorRecipe):
    """A detector in one stage on a pyramid of p3 to p7, by anchors and the focal loss.

    Args:
        rotated: boxes are rotated.
        anchor_sizes: one per level p3..p7, pixels.
        octave_scales: every size is multiplied by each.
        aspect_ratios: height / width.
        angles: of rotated anchors, degrees counter-clockwise.
        head_convs: 3x3 convolutions of each tower.
        score_threshold: detections below it are dropped.
        candidates_per_level: best anchors of a level that become boxes.
        nms_threshold: IoU of suppression between detections of a class.
        max_detections: most detections of an image.
    """

    rotated: bool = False
    anchor_sizes: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)
    octave_scales: tuple[float, ...] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    angles: tuple[float, ...] = (-90.0, -60.0, -30.0, 0.0, 30.0, 60.0)
    head_convs: int = attrs.field(default=4, validator=whole())
    score_threshold: float = attrs.field(default=0.05, validator=fraction)
    candidates_per_level: int = attrs.field(default=1000, validator=whole())
    nms_threshold: float = attrs.field(default=0.5, validator=fraction)
    max_detections: int = attrs.field(default=100, validator=whole())

    @property
    def has_rotated_boxes(self) -> bool:
        """Whether its boxes are rotated."""
        return self.rotated

    def build(self, facts: DataFacts) -> RetinaNet:
        """Return the detector with fresh weights."""
        family = (
            functools.partial(rotated_retinanet_fpn, angles=self.angles)
            if self.rotated
            else retinanet_fpn
        )
        backbone = self.backbone.build_p3_to_p7(top_source="res5")
        place = self._place(facts)
        return family(
            num_classes=facts.num_classes,
            preprocess=self.preprocess.build(facts),
            backbone=backbone,
            anchor_sizes=self.anchor_sizes,
            octave_scales=self.octave_scales,
            aspect_ratios=self.aspect_ratios,
            head_convs=self.head_convs,
            score_threshold=self.score_threshold,
            candidates_per_level=self.candidates_per_level,
            nms_threshold=self.nms_threshold,
            max_detections=self.max_detections,
            mask_head=_given(self._masks(backbone, place)),
            keypoint_head=_given(self._keypoints(backbone, place)),
        )


@attrs.frozen(kw_only=True)
class FcosRecipe(DetectorRecipe):
    """A detector in one stage on a pyramid of p3 to p7, without anchors.

    Args:
        head_convs: 3x3 convolutions of each tower.
        centre_radius: cells up to this many strides from an object's centre learn it.
        score_threshold: detections below it are dropped.
        candidates_per_level: best cells of a level that become boxes.
        nms_threshold: IoU of suppression between detections of a class.
        max_detections: most detections of an image.
    """

    head_convs: int = attrs.field(default=4, validator=whole())
    centre_radius: float = attrs.field(default=1.5, validator=number())
    score_threshold: float = attrs.field(default=0.2, validator=fraction)
    candidates_per_level: int = attrs.field(default=1000, validator=whole())
    nms_threshold: float = attrs.field(default=0.6, validator=fraction)
    max_detections: int = attrs.field(default=100, validator=whole())

    def build(self, facts: DataFacts) -> FCOS:
        """Return the detector with fresh weights."""
        backbone = self.backbone.build_p3_to_p7(top_source="p5")
        place = self._place(facts)
        return fcos_fpn(
            num_classes=facts.num_classes,
            preprocess=self.preprocess.build(facts),
            backbone=backbone,
            head_convs=self.head_convs,
            centre_radius=self.centre_radius,
            score_threshold=self.score_threshold,
            candidates_per_level=self.candidates_per_level,
            nms_threshold=self.nms_threshold,
            max_detections=self.max_detections,
            mask_head=_given(self._masks(backbone, place)),
            keypoint_head=_given(self._keypoints(backbone, place)),
        )


def _given(head: _HeadT | None) -> Callable[[Backbone], _HeadT] | None:
    """A factory of a head that is there already."""
    return None if head is None else lambda _backbone: head
