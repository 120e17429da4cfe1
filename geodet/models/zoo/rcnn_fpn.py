"""Two-stage detectors on ResNets and ResNeXts with a pyramid."""

from geodet.models.detectors import (
    RCNN,
    ProposalNetwork,
    cascade_mask_rcnn_fpn,
    fast_rcnn_fpn,
    faster_rcnn_fpn,
    keypoint_rcnn_fpn,
    mask_rcnn_fpn,
    rpn_fpn,
)
from geodet.models.zoo.pixels import imagenet_pixels, msra_pixels, resnext_pixels

__all__ = [
    "cascade_mask_rcnn_r50_fpn",
    "fast_rcnn_r50_fpn",
    "faster_rcnn_r50_fpn",
    "faster_rcnn_r101_fpn",
    "faster_rcnn_x101_fpn",
    "keypoint_rcnn_r50_fpn",
    "keypoint_rcnn_r101_fpn",
    "keypoint_rcnn_x101_fpn",
    "mask_rcnn_r18_fpn",
    "mask_rcnn_r50_fpn",
    "mask_rcnn_r50_fpn_cityscapes",
    "mask_rcnn_r50_fpn_lvis",
    "mask_rcnn_r101_fpn",
    "mask_rcnn_r101_fpn_lvis",
    "mask_rcnn_x101_fpn",
    "mask_rcnn_x101_fpn_lvis",
    "rpn_r50_fpn",
]


def faster_rcnn_r50_fpn(*, num_classes: int = 80) -> RCNN:
    """Faster R-CNN, ResNet-50."""
    return faster_rcnn_fpn(
        num_classes=num_classes, preprocess=msra_pixels(), depth=50, stride_in_1x1=True
    )


def faster_rcnn_r101_fpn(*, num_classes: int = 80) -> RCNN:
    """Faster R-CNN, ResNet-101."""
    return faster_rcnn_fpn(
        num_classes=num_classes, preprocess=msra_pixels(), depth=101, stride_in_1x1=True
    )


def faster_rcnn_x101_fpn(*, num_classes: int = 80) -> RCNN:
    """Faster R-CNN, ResNeXt-101 of 32 groups of 8 channels."""
    return faster_rcnn_fpn(
        num_classes=num_classes,
        preprocess=resnext_pixels(),
        depth=101,
        groups=32,
        width_per_group=8,
        stride_in_1x1=False,
    )


def mask_rcnn_r18_fpn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-18 in the layout of torchvision's ImageNet weights; not published."""
    return mask_rcnn_fpn(
        num_classes=num_classes, preprocess=imagenet_pixels(), depth=18, stride_in_1x1=False
    )


def mask_rcnn_r50_fpn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-50."""
    return mask_rcnn_fpn(
        num_classes=num_classes, preprocess=msra_pixels(), depth=50, stride_in_1x1=True
    )


def mask_rcnn_r101_fpn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-101."""
    return mask_rcnn_fpn(
        num_classes=num_classes, preprocess=msra_pixels(), depth=101, stride_in_1x1=True
    )


def mask_rcnn_x101_fpn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNeXt-101 of 32 groups of 8 channels."""
    return mask_rcnn_fpn(
        num_classes=num_classes,
        preprocess=resnext_pixels(),
        depth=101,
        groups=32,
        width_per_group=8,
        stride_in_1x1=False,
    )


def keypoint_rcnn_r50_fpn(*, num_classes: int = 1) -> RCNN:
    """Keypoint R-CNN, ResNet-50, the 17 points of a person."""
    return keypoint_rcnn_fpn(
        num_classes=num_classes, preprocess=msra_pixels(), depth=50, stride_in_1x1=True
    )


def keypoint_rcnn_r101_fpn(*, num_classes: int = 1) -> RCNN:
    """Keypoint R-CNN, ResNet-101, the 17 points of a person."""
    return keypoint_rcnn_fpn(
        num_classes=num_classes, preprocess=msra_pixels(), depth=101, stride_in_1x1=True
    )


def keypoint_rcnn_x101_fpn(*, num_classes: int = 1) -> RCNN:
    """Keypoint R-CNN, ResNeXt-101 of 32 groups of 8 channels, the 17 points of a person."""
    return keypoint_rcnn_fpn(
        num_classes=num_classes,
        preprocess=resnext_pixels(),
        depth=101,
        groups=32,
        width_per_group=8,
        stride_in_1x1=False,
    )


def cascade_mask_rcnn_r50_fpn(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, ResNet-50."""
    return cascade_mask_rcnn_fpn(
        num_classes=num_classes, preprocess=msra_pixels(), depth=50, stride_in_1x1=True
    )


def rpn_r50_fpn() -> ProposalNetwork:
    """Proposals alone, ResNet-50: 2000 of an image."""
    return rpn_fpn(preprocess=msra_pixels(), depth=50, test_proposals=(1000, 2000))


def fast_rcnn_r50_fpn(*, num_classes: int = 80) -> RCNN:
    """Fast R-CNN, ResNet-50: from proposals that come with the images."""
    return fast_rcnn_fpn(num_classes=num_classes, preprocess=msra_pixels(), depth=50)


def mask_rcnn_r50_fpn_cityscapes(*, num_classes: int = 8) -> RCNN:
    """Mask R-CNN, ResNet-50, images of Cityscapes at their full size."""
    return mask_rcnn_fpn(
        num_classes=num_classes,
        preprocess=msra_pixels(short_edge=1024, max_long_edge=2048),
        depth=50,
        stride_in_1x1=True,
    )


def mask_rcnn_r50_fpn_lvis(*, num_classes: int = 1230) -> RCNN:
    """Mask R-CNN, ResNet-50, the classes of LVIS 0.5: 300 detections down to 0.0001."""
    return mask_rcnn_fpn(
        num_classes=num_classes,
        preprocess=msra_pixels(),
        depth=50,
        stride_in_1x1=True,
        score_threshold=0.0001,
        max_detections=300,
    )


def mask_rcnn_r101_fpn_lvis(*, num_classes: int = 1230) -> RCNN:
    """Mask R-CNN, ResNet-101, the classes of LVIS 0.5: 300 detections down to 0.0001."""
    return mask_rcnn_fpn(
        num_classes=num_classes,
        preprocess=msra_pixels(),
        depth=101,
        stride_in_1x1=True,
        score_threshold=0.0001,
        max_detections=300,
    )


def mask_rcnn_x101_fpn_lvis(*, num_classes: int = 1230) -> RCNN:
    """Mask R-CNN, ResNeXt-101, the classes of LVIS 0.5: 300 detections down to 0.0001."""
    return mask_rcnn_fpn(
        num_classes=num_classes,
        preprocess=resnext_pixels(),
        depth=101,
        groups=32,
        width_per_group=8,
        stride_in_1x1=False,
        score_threshold=0.0001,
        max_detections=300,
    )
