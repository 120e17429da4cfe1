"""Named sizes: every number that makes a model, written where its name is.

All of them have 3 channels in and weights drawn at random: their first two stages and all batch
norms are frozen, so load pretrained weights before training. To train from scratch, use the
families in `geodet.models.detectors` with a trainable norm and `freeze_at=0`.
"""

from geodet.models.detectors import RCNN, faster_rcnn_fpn, mask_rcnn_fpn
from geodet.models.layers import FrozenBatchNorm2d
from geodet.models.preprocess import Preprocess

__all__ = [
    "faster_rcnn_r50_fpn",
    "faster_rcnn_r101_fpn",
    "mask_rcnn_r18_fpn",
    "mask_rcnn_r50_fpn",
    "mask_rcnn_r101_fpn",
    "mask_rcnn_x101_fpn",
]


def faster_rcnn_r50_fpn(*, num_classes: int = 80) -> RCNN:
    """Faster R-CNN, ResNet-50, as Detectron2's `faster_rcnn_R_50_FPN`."""
    return faster_rcnn_fpn(
        num_classes=num_classes,
        preprocess=Preprocess(
            channel_order="bgr",
            mean=(103.53, 116.28, 123.675),
            std=(1.0, 1.0, 1.0),
            size_divisor=32,
        ),
        depth=50,
        width=64,
        groups=1,
        width_per_group=64,
        stride_in_1x1=True,
        norm=FrozenBatchNorm2d,
        freeze_at=2,
        fpn_channels=256,
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        box_samples=512,
        box_features=(1024, 1024),
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def faster_rcnn_r101_fpn(*, num_classes: int = 80) -> RCNN:
    """Faster R-CNN, ResNet-101, as Detectron2's `faster_rcnn_R_101_FPN`."""
    return faster_rcnn_fpn(
        num_classes=num_classes,
        preprocess=Preprocess(
            channel_order="bgr",
            mean=(103.53, 116.28, 123.675),
            std=(1.0, 1.0, 1.0),
            size_divisor=32,
        ),
        depth=101,
        width=64,
        groups=1,
        width_per_group=64,
        stride_in_1x1=True,
        norm=FrozenBatchNorm2d,
        freeze_at=2,
        fpn_channels=256,
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        box_samples=512,
        box_features=(1024, 1024),
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def mask_rcnn_r18_fpn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-18 in the layout of torchvision's ImageNet weights."""
    return mask_rcnn_fpn(
        num_classes=num_classes,
        preprocess=Preprocess(
            channel_order="rgb",
            mean=(123.675, 116.28, 103.53),
            std=(58.395, 57.12, 57.375),
            size_divisor=32,
        ),
        depth=18,
        width=64,
        groups=1,
        width_per_group=64,
        stride_in_1x1=False,
        norm=FrozenBatchNorm2d,
        freeze_at=2,
        fpn_channels=256,
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        box_samples=512,
        box_features=(1024, 1024),
        mask_convs=(256, 256, 256, 256),
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def mask_rcnn_r50_fpn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-50, as Detectron2's `mask_rcnn_R_50_FPN`."""
    return mask_rcnn_fpn(
        num_classes=num_classes,
        preprocess=Preprocess(
            channel_order="bgr",
            mean=(103.53, 116.28, 123.675),
            std=(1.0, 1.0, 1.0),
            size_divisor=32,
        ),
        depth=50,
        width=64,
        groups=1,
        width_per_group=64,
        stride_in_1x1=True,
        norm=FrozenBatchNorm2d,
        freeze_at=2,
        fpn_channels=256,
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        box_samples=512,
        box_features=(1024, 1024),
        mask_convs=(256, 256, 256, 256),
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def mask_rcnn_r101_fpn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-101, as Detectron2's `mask_rcnn_R_101_FPN`."""
    return mask_rcnn_fpn(
        num_classes=num_classes,
        preprocess=Preprocess(
            channel_order="bgr",
            mean=(103.53, 116.28, 123.675),
            std=(1.0, 1.0, 1.0),
            size_divisor=32,
        ),
        depth=101,
        width=64,
        groups=1,
        width_per_group=64,
        stride_in_1x1=True,
        norm=FrozenBatchNorm2d,
        freeze_at=2,
        fpn_channels=256,
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        box_samples=512,
        box_features=(1024, 1024),
        mask_convs=(256, 256, 256, 256),
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def mask_rcnn_x101_fpn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNeXt-101 32x8d, as Detectron2's `mask_rcnn_X_101_32x8d_FPN`."""
    return mask_rcnn_fpn(
        num_classes=num_classes,
        preprocess=Preprocess(
            channel_order="bgr",
            mean=(103.53, 116.28, 123.675),
            std=(57.375, 57.12, 58.395),
            size_divisor=32,
        ),
        depth=101,
        width=64,
        groups=32,
        width_per_group=8,
        stride_in_1x1=False,
        norm=FrozenBatchNorm2d,
        freeze_at=2,
        fpn_channels=256,
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        box_samples=512,
        box_features=(1024, 1024),
        mask_convs=(256, 256, 256, 256),
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )
