"""Recipes of detectors: every number that a family function takes, as data."""

from pathlib import Path
from typing import ClassVar, Literal

import attrs
from torch import nn

from geodet.errors import RecipeError
from geodet.models.detectors import (
    RCNN,
    fpn_box_head,
    fpn_mask_head,
    fpn_rpn,
    resnet_fpn,
)
from geodet.models.heads import RPN, BoxHead
from geodet.models.layers import FrozenBatchNorm2d, NormFactory, group_norm
from geodet.models.necks import FPN
from geodet.models.preprocess import Preprocess
from geodet.recipes.fields import fraction, number, whole, wholes
from geodet.weights import load_weights, read_tensors

__all__ = [
    "BoxHeadRecipe",
    "FasterRcnnRecipe",
    "MaskHeadRecipe",
    "MaskRcnnRecipe",
    "ModelRecipe",
    "PreprocessRecipe",
    "ResNetFpnRecipe",
    "RpnRecipe",
]


@attrs.frozen(kw_only=True)
class PreprocessRecipe:
    """How images become the network's input. The default is RGB with the statistics of ImageNet.

    Args:
        channel_order: what the network takes; images are stored as RGB.
        mean: per channel in that order, in units of 0..255.
        std: likewise.
    """

    channel_order: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, ...] = (123.675, 116.28, 103.53)
    std: tuple[float, ...] = (58.395, 57.12, 57.375)

    def build(self) -> Preprocess:
        """Return the module."""
        return Preprocess(
            channel_order=self.channel_order, mean=self.mean, std=self.std, size_divisor=32
        )


@attrs.frozen(kw_only=True)
class ResNetFpnRecipe:
    """A residual network under a feature pyramid of p2 to p6.

    Args:
        depth: number of layers.
        width: channels of the stem; the stages scale with it.
        groups: of ResNeXt.
        width_per_group: of ResNeXt.
        fpn_channels: channels of every pyramid level.
        norm: of the ResNet. "frozen" learns nothing, so it needs `weights`.
        freeze_at: leading parts of the ResNet that do not train (stem is 1); needs `weights`.
        weights: safetensors file of the ResNet alone to start training from.
    """

    depth: Literal[18, 34, 50, 101, 152] = 50
    width: int = attrs.field(default=64, validator=whole())
    groups: int = attrs.field(default=1, validator=whole())
    width_per_group: int = attrs.field(default=64, validator=whole())
    fpn_channels: int = attrs.field(default=256, validator=whole())
    norm: Literal["batch", "group", "frozen"] = "group"
    freeze_at: int = attrs.field(default=0, validator=whole(at_least=0))
    weights: Path | None = None

    def build(self) -> FPN:
        """Return the module with fresh weights."""
        norms: dict[str, NormFactory] = {
            "batch": nn.BatchNorm2d,
            "group": group_norm(),
            "frozen": FrozenBatchNorm2d,
        }
        return resnet_fpn(
            depth=self.depth,
            width=self.width,
            groups=self.groups,
            width_per_group=self.width_per_group,
            norm=norms[self.norm],
            freeze_at=self.freeze_at,
            fpn_channels=self.fpn_channels,
        )

    def load_initial_weights(self, backbone: nn.Module) -> None:
        """Load `weights` into the ResNet, to start training from.

        Raises:
            RecipeError: there are none, although parts of the network will not train.
            CheckpointError: the file does not fit.
        """
        if self.weights is not None:
            trunk = backbone.get_submodule("bottom_up")
            load_weights(trunk, read_tensors(self.weights), source=str(self.weights))
        elif self.norm == "frozen" or self.freeze_at > 0:
            raise RecipeError(
                f"model.backbone.weights: needed, because norm={self.norm!r} and "
                f"freeze_at={self.freeze_at} keep parts of the network as they start; name a "
                "file, or set norm to 'group' and freeze_at to 0"
            )


@attrs.frozen(kw_only=True)
class RpnRecipe:
    """The region proposal network.

    Args:
        anchor_sizes: one per level p2..p6, pixels.
        aspect_ratios: height / width.
        samples_per_image: anchors that count in the losses.
        train_before_nms: proposals of a level kept before suppression, in training.
        train_after_nms: proposals of an image kept after it, in training.
        test_before_nms: as above, in prediction.
        test_after_nms: as above, in prediction.
        nms_threshold: IoU of suppression.
    """

    anchor_sizes: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    samples_per_image: int = attrs.field(default=256, validator=whole())
    train_before_nms: int = attrs.field(default=2000, validator=whole())
    train_after_nms: int = attrs.field(default=1000, validator=whole())
    test_before_nms: int = attrs.field(default=1000, validator=whole())
    test_after_nms: int = attrs.field(default=1000, validator=whole())
    nms_threshold: float = attrs.field(default=0.7, validator=fraction)

    def build(self, backbone: FPN) -> RPN:
        """Return the module for a backbone."""
        return fpn_rpn(
            backbone,
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
    """

    fc_features: tuple[int, ...] = attrs.field(default=(1024, 1024), validator=wholes())
    samples_per_image: int = attrs.field(default=512, validator=whole())
    score_threshold: float = attrs.field(default=0.05, validator=fraction)
    nms_threshold: float = attrs.field(default=0.5, validator=fraction)
    max_detections: int = attrs.field(default=100, validator=whole())
    canonical_size: float = attrs.field(default=224.0, validator=number())

    def build(self, backbone: FPN, num_classes: int) -> BoxHead:
        """Return the module for a backbone."""
        return fpn_box_head(
            backbone,
            num_classes=num_classes,
            fc_features=self.fc_features,
            samples_per_image=self.samples_per_image,
            score_threshold=self.score_threshold,
            nms_threshold=self.nms_threshold,
            max_detections=self.max_detections,
            canonical_size=self.canonical_size,
        )


@attrs.frozen(kw_only=True)
class MaskHeadRecipe:
    """The mask branch: 28 x 28 masks of the detected boxes.

    Args:
        conv_channels: widths of its convolutions.
    """

    conv_channels: tuple[int, ...] = attrs.field(default=(256, 256, 256, 256), validator=wholes())


@attrs.frozen(kw_only=True)
class FasterRcnnRecipe:
    """Faster R-CNN on a pyramid: boxes.

    Args:
        backbone: the feature extractor.
        num_classes: None takes it from the data; a number is checked against them.
        preprocess: the network's input.
        rpn: the first stage.
        box_head: the second.
    """

    iou_types: ClassVar[tuple[str, ...]] = ("boxes",)

    backbone: ResNetFpnRecipe
    num_classes: int | None = attrs.field(default=None, validator=whole(optional=True))
    preprocess: PreprocessRecipe = PreprocessRecipe()
    rpn: RpnRecipe = RpnRecipe()
    box_head: BoxHeadRecipe = BoxHeadRecipe()

    def build(self, num_classes: int) -> RCNN:
        """Return the detector with fresh weights."""
        backbone = self.backbone.build()
        return RCNN(
            preprocess=self.preprocess.build(),
            backbone=backbone,
            proposals=self.rpn.build(backbone),
            box_head=self.box_head.build(backbone, num_classes),
        )


@attrs.frozen(kw_only=True)
class MaskRcnnRecipe:
    """Mask R-CNN on a pyramid: boxes and masks.

    Args:
        backbone: the feature extractor.
        num_classes: None takes it from the data; a number is checked against them.
        preprocess: the network's input.
        rpn: the first stage.
        box_head: the second.
        mask_head: the mask branch.
    """

    iou_types: ClassVar[tuple[str, ...]] = ("boxes", "masks")

    backbone: ResNetFpnRecipe
    num_classes: int | None = attrs.field(default=None, validator=whole(optional=True))
    preprocess: PreprocessRecipe = PreprocessRecipe()
    rpn: RpnRecipe = RpnRecipe()
    box_head: BoxHeadRecipe = BoxHeadRecipe()
    mask_head: MaskHeadRecipe = MaskHeadRecipe()

    def build(self, num_classes: int) -> RCNN:
        """Return the detector with fresh weights."""
        backbone = self.backbone.build()
        return RCNN(
            preprocess=self.preprocess.build(),
            backbone=backbone,
            proposals=self.rpn.build(backbone),
            box_head=self.box_head.build(backbone, num_classes),
            mask_head=fpn_mask_head(
                backbone,
                num_classes=num_classes,
                conv_channels=self.mask_head.conv_channels,
                canonical_size=self.box_head.canonical_size,
            ),
        )


ModelRecipe = FasterRcnnRecipe | MaskRcnnRecipe
