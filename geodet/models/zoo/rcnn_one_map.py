"""Named sizes on one map of stride 16: C4 and DC5."""

from geodet.models.detectors import (
    RCNN,
    faster_rcnn_c4,
    faster_rcnn_dc5,
    mask_rcnn_c4,
    mask_rcnn_dc5,
)
from geodet.models.layers import FrozenBatchNorm2d
from geodet.models.preprocess import Preprocess

__all__ = [
    "faster_rcnn_r50_c4",
    "faster_rcnn_r50_dc5",
    "faster_rcnn_r101_c4",
    "faster_rcnn_r101_dc5",
    "mask_rcnn_r50_c4",
    "mask_rcnn_r50_dc5",
    "mask_rcnn_r101_c4",
    "mask_rcnn_r101_dc5",
]


def faster_rcnn_r50_c4(*, num_classes: int = 80) -> RCNN:
    """Faster R-CNN, ResNet-50, as Detectron2's `faster_rcnn_R_50_C4`."""
    return faster_rcnn_c4(
        num_classes=num_classes,
        preprocess=Preprocess(
            channel_order="bgr",
            mean=(103.53, 116.28, 123.675),
            std=(1.0, 1.0, 1.0),
            size_divisor=1,
            short_edge=800,
            max_long_edge=1333,
        ),
        depth=50,
        width=64,
        stride_in_1x1=True,
        norm=FrozenBatchNorm2d,
        freeze_at=2,
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_samples=256,
        train_proposals=(12000, 2000),
        test_proposals=(6000, 1000),
        box_samples=512,
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def faster_rcnn_r101_c4(*, num_classes: int = 80) -> RCNN:
    """Faster R-CNN, ResNet-101, as Detectron2's `faster_rcnn_R_101_C4`."""
    return faster_rcnn_c4(
        num_classes=num_classes,
        preprocess=Preprocess(
            channel_order="bgr",
            mean=(103.53, 116.28, 123.675),
            std=(1.0, 1.0, 1.0),
            size_divisor=1,
            short_edge=800,
            max_long_edge=1333,
        ),
        depth=101,
        width=64,
        stride_in_1x1=True,
        norm=FrozenBatchNorm2d,
        freeze_at=2,
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_samples=256,
        train_proposals=(12000, 2000),
        test_proposals=(6000, 1000),
        box_samples=512,
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def mask_rcnn_r50_c4(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-50, as Detectron2's `mask_rcnn_R_50_C4`."""
    return mask_rcnn_c4(
        num_classes=num_classes,
        preprocess=Preprocess(
            channel_order="bgr",
            mean=(103.53, 116.28, 123.675),
            std=(1.0, 1.0, 1.0),
            size_divisor=1,
            short_edge=800,
            max_long_edge=1333,
        ),
        depth=50,
        width=64,
        stride_in_1x1=True,
        norm=FrozenBatchNorm2d,
        freeze_at=2,
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_samples=256,
        train_proposals=(12000, 2000),
        test_proposals=(6000, 1000),
        box_samples=512,
        mask_channels=256,
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def mask_rcnn_r101_c4(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-101, as Detectron2's `mask_rcnn_R_101_C4`."""
    return mask_rcnn_c4(
        num_classes=num_classes,
        preprocess=Preprocess(
            channel_order="bgr",
            mean=(103.53, 116.28, 123.675),
            std=(1.0, 1.0, 1.0),
            size_divisor=1,
            short_edge=800,
            max_long_edge=1333,
        ),
        depth=101,
        width=64,
        stride_in_1x1=True,
        norm=FrozenBatchNorm2d,
        freeze_at=2,
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_samples=256,
        train_proposals=(12000, 2000),
        test_proposals=(6000, 1000),
        box_samples=512,
        mask_channels=256,
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def faster_rcnn_r50_dc5(*, num_classes: int = 80) -> RCNN:
    """Faster R-CNN, ResNet-50, as Detectron2's `faster_rcnn_R_50_DC5`."""
    return faster_rcnn_dc5(
        num_classes=num_classes,
        preprocess=Preprocess(
            channel_order="bgr",
            mean=(103.53, 116.28, 123.675),
            std=(1.0, 1.0, 1.0),
            size_divisor=1,
            short_edge=800,
            max_long_edge=1333,
        ),
        depth=50,
        width=64,
        stride_in_1x1=True,
        norm=FrozenBatchNorm2d,
        freeze_at=2,
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_samples=256,
        train_proposals=(12000, 2000),
        test_proposals=(6000, 1000),
        box_samples=512,
        box_features=(1024, 1024),
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def faster_rcnn_r101_dc5(*, num_classes: int = 80) -> RCNN:
    """Faster R-CNN, ResNet-101, as Detectron2's `faster_rcnn_R_101_DC5`."""
    return faster_rcnn_dc5(
        num_classes=num_classes,
        preprocess=Preprocess(
            channel_order="bgr",
            mean=(103.53, 116.28, 123.675),
            std=(1.0, 1.0, 1.0),
            size_divisor=1,
            short_edge=800,
            max_long_edge=1333,
        ),
        depth=101,
        width=64,
        stride_in_1x1=True,
        norm=FrozenBatchNorm2d,
        freeze_at=2,
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_samples=256,
        train_proposals=(12000, 2000),
        test_proposals=(6000, 1000),
        box_samples=512,
        box_features=(1024, 1024),
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def mask_rcnn_r50_dc5(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-50, as Detectron2's `mask_rcnn_R_50_DC5`."""
    return mask_rcnn_dc5(
        num_classes=num_classes,
        preprocess=Preprocess(
            channel_order="bgr",
            mean=(103.53, 116.28, 123.675),
            std=(1.0, 1.0, 1.0),
            size_divisor=1,
            short_edge=800,
            max_long_edge=1333,
        ),
        depth=50,
        width=64,
        stride_in_1x1=True,
        norm=FrozenBatchNorm2d,
        freeze_at=2,
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_samples=256,
        train_proposals=(12000, 2000),
        test_proposals=(6000, 1000),
        box_samples=512,
        box_features=(1024, 1024),
        mask_convs=(256, 256, 256, 256),
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def mask_rcnn_r101_dc5(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-101, as Detectron2's `mask_rcnn_R_101_DC5`."""
    return mask_rcnn_dc5(
        num_classes=num_classes,
        preprocess=Preprocess(
            channel_order="bgr",
            mean=(103.53, 116.28, 123.675),
            std=(1.0, 1.0, 1.0),
            size_divisor=1,
            short_edge=800,
            max_long_edge=1333,
        ),
        depth=101,
        width=64,
        stride_in_1x1=True,
        norm=FrozenBatchNorm2d,
        freeze_at=2,
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_samples=256,
        train_proposals=(12000, 2000),
        test_proposals=(6000, 1000),
        box_samples=512,
        box_features=(1024, 1024),
        mask_convs=(256, 256, 256, 256),
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )
