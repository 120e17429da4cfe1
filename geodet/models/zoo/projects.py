"""PointRend, for masks and for classes of pixels, and TridentNet."""

from geodet.models.detectors import (
    RCNN,
    SemanticSegmentor,
    TridentNet,
    point_rend_mask_rcnn_fpn,
    point_rend_semantic_fpn,
    tridentnet_c4,
)
from geodet.models.zoo.pixels import msra_pixels, resnext_pixels

__all__ = [
    "point_rend_mask_rcnn_r50_fpn",
    "point_rend_mask_rcnn_r50_fpn_cityscapes",
    "point_rend_mask_rcnn_r101_fpn",
    "point_rend_mask_rcnn_x101_fpn",
    "point_rend_semantic_r101_fpn_cityscapes",
    "tridentnet_r50_c4",
    "tridentnet_r101_c4",
]


def point_rend_mask_rcnn_r50_fpn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN with masks of 224 x 224 by PointRend, ResNet-50."""
    return point_rend_mask_rcnn_fpn(
        num_classes=num_classes, preprocess=msra_pixels(), depth=50, stride_in_1x1=True
    )


def point_rend_mask_rcnn_r101_fpn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN with masks of 224 x 224 by PointRend, ResNet-101."""
    return point_rend_mask_rcnn_fpn(
        num_classes=num_classes, preprocess=msra_pixels(), depth=101, stride_in_1x1=True
    )


def point_rend_mask_rcnn_x101_fpn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN with masks of 224 x 224 by PointRend, ResNeXt-101 of 32 groups of 8 channels."""
    return point_rend_mask_rcnn_fpn(
        num_classes=num_classes,
        preprocess=resnext_pixels(),
        depth=101,
        groups=32,
        width_per_group=8,
        stride_in_1x1=False,
    )


def point_rend_mask_rcnn_r50_fpn_cityscapes(*, num_classes: int = 8) -> RCNN:
    """Mask R-CNN with PointRend, ResNet-50, images of Cityscapes at their full size."""
    return point_rend_mask_rcnn_fpn(
        num_classes=num_classes,
        preprocess=msra_pixels(short_edge=1024, max_long_edge=2048),
        depth=50,
        stride_in_1x1=True,
    )


def point_rend_semantic_r101_fpn_cityscapes(*, num_classes: int = 19) -> SemanticSegmentor:
    """Semantic FPN with PointRend, ResNet-101, images of Cityscapes at their full size."""
    return point_rend_semantic_fpn(
        num_classes=num_classes,
        preprocess=msra_pixels(short_edge=1024, max_long_edge=2048),
        depth=101,
        stride_in_1x1=True,
    )


def tridentnet_r50_c4(*, num_classes: int = 80) -> TridentNet:
    """TridentNet on res4 of a ResNet-50 in three branches, predicting from the middle one."""
    return tridentnet_c4(num_classes=num_classes, preprocess=msra_pixels(size_divisor=1), depth=50)


def tridentnet_r101_c4(*, num_classes: int = 80) -> TridentNet:
    """TridentNet on res4 of a ResNet-101 in three branches, predicting from the middle one."""
    return tridentnet_c4(num_classes=num_classes, preprocess=msra_pixels(size_divisor=1), depth=101)
