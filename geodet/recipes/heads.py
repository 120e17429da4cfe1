"""Recipes of the parts behind a pyramid: proposals, boxes, masks, keypoints, pixels."""

from typing import Any

import attrs

from geodet.errors import RecipeError
from geodet.models.box_coding import BoxCoder, RotatedBoxCoder
from geodet.models.box_kinds import ROTATED, AnyBoxKind
from geodet.models.detectors import (
    fpn_box_head,
    fpn_cascade_head,
    fpn_keypoint_head,
    fpn_mask_head,
    fpn_point_rend_head,
    fpn_rpn,
)
from geodet.models.features import Backbone
from geodet.models.heads import (
    RPN,
    BoxHead,
    CascadeBoxHead,
    KeypointHead,
    MaskHead,
    PointRendMaskHead,
)
from geodet.models.losses import SmoothL1
from geodet.recipes.fields import fraction, number, whole, wholes
from geodet.structures import Skeleton

__all__ = [
    "BoxHeadRecipe",
    "KeypointHeadRecipe",
    "MaskHeadRecipe",
    "PointRendRecipe",
    "RegionPlace",
    "RpnRecipe",
    "SemanticHeadRecipe",
]


@attrs.frozen(kw_only=True)
class RpnRecipe:
    """The region proposal network.

    Args:
        anchor_sizes: one per level p2..p6, pixels.
        aspect_ratios: height / width.
        angles: of anchors for rotated boxes, degrees counter-clockwise; upright ones have none.
        samples_per_image: anchors that count in the losses.
        train_before_nms: proposals of a level kept before suppression, in training.
        train_after_nms: proposals of an image kept after it, in training.
        test_before_nms: as above, in prediction.
        test_after_nms: as above, in prediction.
        nms_threshold: IoU of suppression.
    """

    anchor_sizes: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    angles: tuple[float, ...] = (-90.0, -60.0, -30.0, 0.0, 30.0, 60.0)
    samples_per_image: int = attrs.field(default=256, validator=whole())
    train_before_nms: int = attrs.field(default=2000, validator=whole())
    train_after_nms: int = attrs.field(default=1000, validator=whole())
    test_before_nms: int = attrs.field(default=1000, validator=whole())
    test_after_nms: int = attrs.field(default=1000, validator=whole())
    nms_threshold: float = attrs.field(default=0.7, validator=fraction)

    def build(self, backbone: Backbone, kind: AnyBoxKind) -> RPN:
        """Return the module for a backbone and boxes of a kind."""
        rotated = kind == ROTATED
        return fpn_rpn(
            backbone,
            angles=self.angles if rotated else None,
            coder=RotatedBoxCoder() if rotated else None,
            anchor_sizes=self.anchor_sizes,
            aspect_ratios=self.aspect_ratios,
            samples_per_image=self.samples_per_image,
            train_proposals=(self.train_before_nms, self.train_after_nms),
            test_proposals=(self.test_before_nms, self.test_after_nms),
            nms_threshold=self.nms_threshold,
        )


@attrs.frozen(kw_only=True)
class BoxHeadRecipe:
    """The second stage: classes and boxes of the proposals.

    Args:
        fc_features: widths of the fully connected layers.
        samples_per_image: regions that count in the losses.
        score_threshold: detections below it are dropped.
        nms_threshold: IoU of suppression between detections of a class.
        max_detections: most detections of an image.
        canonical_size: side in pixels of a region that belongs on p4.
        smooth_l1_beta: below it the box loss is quadratic; 0 is L1.
        cascade_ious: None is one stage. Otherwise a stage for each overlap, from which its
            regions are foreground; every stage starts from the boxes of the one before it.
    """

    fc_features: tuple[int, ...] = attrs.field(default=(1024, 1024), validator=wholes())
    samples_per_image: int = attrs.field(default=512, validator=whole())
    score_threshold: float = attrs.field(default=0.05, validator=fraction)
    nms_threshold: float = attrs.field(default=0.5, validator=fraction)
    max_detections: int = attrs.field(default=100, validator=whole())
    canonical_size: float = attrs.field(default=224.0, validator=number())
    smooth_l1_beta: float = attrs.field(default=0.0, validator=number(or_equal=True))
    cascade_ious: tuple[float, ...] | None = None

    def build(self, backbone: Backbone, place: "RegionPlace") -> BoxHead | CascadeBoxHead:
        """Return the module for a backbone and its place behind it."""
        common: dict[str, Any] = {
            "num_classes": place.num_classes,
            "fc_features": self.fc_features,
            "samples_per_image": self.samples_per_image,
            "score_threshold": self.score_threshold,
            "nms_threshold": self.nms_threshold,
            "max_detections": self.max_detections,
            "canonical_size": self.canonical_size,
            "box_loss": SmoothL1(self.smooth_l1_beta) if self.smooth_l1_beta else None,
        }
        if self.cascade_ious is None:
            return fpn_box_head(
                backbone,
                coder=_coder(place.kind, 1),
                # As many samples as a turned region would need cost too much.
                sampling_ratio=2 if place.kind == ROTATED else 0,
                **common,
            )
        coders = [_coder(place.kind, stage) for stage in range(1, len(self.cascade_ious) + 1)]
        return fpn_cascade_head(backbone, ious=self.cascade_ious, coders=coders, **common)


def _coder(kind: AnyBoxKind, stage: int) -> BoxCoder | RotatedBoxCoder:
    """Offsets weigh more from stage to stage, as boxes need to move less and less."""
    if kind == ROTATED:
        return RotatedBoxCoder((10.0 * stage, 10.0 * stage, 5.0 * stage, 5.0 * stage, 1.0 * stage))
    return BoxCoder((10.0 * stage, 10.0 * stage, 5.0 * stage, 5.0 * stage))


@attrs.frozen(kw_only=True)
class MaskHeadRecipe:
    """The mask branch: 28 x 28 masks of the detected boxes.

    Args:
        conv_channels: widths of its convolutions.
    """

    conv_channels: tuple[int, ...] = attrs.field(default=(256, 256, 256, 256), validator=wholes())

    def build(self, backbone: Backbone, place: "RegionPlace") -> MaskHead:
        """Return the module for a backbone and its place behind it."""
        return fpn_mask_head(
            backbone,
            num_classes=place.num_classes,
            conv_channels=self.conv_channels,
            canonical_size=place.canonical_size,
            kind=place.kind,
        )


@attrs.frozen(kw_only=True)
class PointRendRecipe:
    """The mask branch of PointRend: a coarse mask, refined point by point where it is uncertain.

    Args:
        coarse_side: cells of the coarse mask along both sides.
        coarse_channels: of its convolution.
        coarse_features: widths of its fully connected layers.
        point_channels: widths of the layers that look at points.
        train_points: of each region, in training.
        subdivision_steps: doublings of the coarse side.
        subdivision_points: refined in each doubling.
    """

    coarse_side: int = attrs.field(default=7, validator=whole())
    coarse_channels: int = attrs.field(default=256, validator=whole())
    coarse_features: tuple[int, ...] = attrs.field(default=(1024, 1024), validator=wholes())
    point_channels: tuple[int, ...] = attrs.field(default=(256, 256, 256), validator=wholes())
    train_points: int = attrs.field(default=196, validator=whole())
    subdivision_steps: int = attrs.field(default=5, validator=whole())
    subdivision_points: int = attrs.field(default=784, validator=whole())

    def build(self, backbone: Backbone, place: "RegionPlace") -> PointRendMaskHead:
        """Return the module for a backbone and its place behind it."""
        return fpn_point_rend_head(
            backbone,
            num_classes=place.num_classes,
            coarse_side=self.coarse_side,
            coarse_channels=self.coarse_channels,
            coarse_features=self.coarse_features,
            point_channels=self.point_channels,
            train_points=self.train_points,
            subdivision_steps=self.subdivision_steps,
            subdivision_points=self.subdivision_points,
            kind=place.kind,
        )


@attrs.frozen(kw_only=True)
class KeypointHeadRecipe:
    """The keypoint branch: heatmaps of 56 x 56 over the detected boxes.

    Args:
        conv_channels: widths of its convolutions.
        loss_weight: factor of its loss.
    """

    conv_channels: tuple[int, ...] = attrs.field(default=(512,) * 8, validator=wholes())
    loss_weight: float = attrs.field(default=1.0, validator=number())

    def build(self, backbone: Backbone, place: "RegionPlace") -> KeypointHead:
        """Return the module for a backbone and its place behind it.

        Raises:
            RecipeError: the data have no keypoints.
        """
        if place.skeleton is None:
            raise RecipeError("model.keypoint_head: the data have no keypoints to learn")
        return fpn_keypoint_head(
            backbone,
            skeleton=place.skeleton,
            conv_channels=self.conv_channels,
            loss_weight=self.loss_weight,
            canonical_size=place.canonical_size,
            kind=place.kind,
        )


@attrs.frozen(kw_only=True)
class SemanticHeadRecipe:
    """The semantic branch on p2 to p5.

    Args:
        channels: of its convolutions.
        loss_weight: factor of its loss.
    """

    channels: int = attrs.field(default=128, validator=whole())
    loss_weight: float = attrs.field(default=1.0, validator=number())


@attrs.frozen(kw_only=True)
class RegionPlace:
    """What a detector tells the heads that look into its boxes.

    Args:
        num_classes: classes of objects.
        kind: of the boxes.
        canonical_size: side in pixels of a region that belongs on p4.
        skeleton: of the data's keypoints.
    """

    num_classes: int
    kind: AnyBoxKind
    canonical_size: float
    skeleton: Skeleton | None
