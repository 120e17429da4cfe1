"""Semantic and panoptic segmentation on a pyramid, with COCO's 80 things and 53 kinds of stuff."""

from geodet.models.detectors import PanopticFPN, SemanticSegmentor, panoptic_fpn, semantic_fpn
from geodet.models.zoo.pixels import msra_pixels
from geodet.models.zoo.rcnn_fpn import mask_rcnn_r50_fpn, mask_rcnn_r101_fpn
from geodet.structures import SceneLabels

__all__ = ["panoptic_fpn_r50", "panoptic_fpn_r101", "semantic_fpn_r50", "semantic_fpn_r101"]


def panoptic_fpn_r50(*, num_things: int = 80, num_stuff: int = 53) -> PanopticFPN:
    """Panoptic FPN, ResNet-50."""
    labels = SceneLabels.with_things_as_one(num_things=num_things, num_stuff=num_stuff)
    return panoptic_fpn(mask_rcnn_r50_fpn(num_classes=num_things), labels=labels)


def panoptic_fpn_r101(*, num_things: int = 80, num_stuff: int = 53) -> PanopticFPN:
    """Panoptic FPN, ResNet-101."""
    labels = SceneLabels.with_things_as_one(num_things=num_things, num_stuff=num_stuff)
    return panoptic_fpn(mask_rcnn_r101_fpn(num_classes=num_things), labels=labels)


def semantic_fpn_r50(*, num_classes: int = 54) -> SemanticSegmentor:
    """Semantic FPN, ResNet-50; Detectron2 has it without published weights."""
    return semantic_fpn(
        num_classes=num_classes, preprocess=msra_pixels(), depth=50, stride_in_1x1=True
    )


def semantic_fpn_r101(*, num_classes: int = 54) -> SemanticSegmentor:
    """Semantic FPN, ResNet-101; Detectron2 has it without published weights."""
    return semantic_fpn(
        num_classes=num_classes, preprocess=msra_pixels(), depth=101, stride_in_1x1=True
    )
