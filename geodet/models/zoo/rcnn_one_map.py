"""Two-stage detectors on one map of stride 16: C4 and DC5."""

from geodet.models.detectors import (
    RCNN,
    ProposalNetwork,
    faster_rcnn_c4,
    faster_rcnn_dc5,
    mask_rcnn_c4,
    mask_rcnn_dc5,
)
from geodet.models.detectors.one_map_parts import one_map_rpn, resnet_c4
from geodet.models.zoo.pixels import msra_pixels

__all__ = [
    "faster_rcnn_r50_c4",
    "faster_rcnn_r50_c4_voc",
    "faster_rcnn_r50_dc5",
    "faster_rcnn_r101_c4",
    "faster_rcnn_r101_dc5",
    "mask_rcnn_r50_c4",
    "mask_rcnn_r50_dc5",
    "mask_rcnn_r101_c4",
    "mask_rcnn_r101_dc5",
    "rpn_r50_c4",
]


def faster_rcnn_r50_c4(*, num_classes: int = 80) -> RCNN:
    """Faster R-CNN on res4 of a ResNet-50, with res5 as the head of every region."""
    return faster_rcnn_c4(num_classes=num_classes, preprocess=msra_pixels(size_divisor=1), depth=50)


def faster_rcnn_r101_c4(*, num_classes: int = 80) -> RCNN:
    """Faster R-CNN on res4 of a ResNet-101, with res5 as the head of every region."""
    return faster_rcnn_c4(
        num_classes=num_classes, preprocess=msra_pixels(size_divisor=1), depth=101
    )


def faster_rcnn_r50_c4_voc(*, num_classes: int = 20) -> RCNN:
    """Faster R-CNN on res4 of a ResNet-50, the classes of Pascal VOC."""
    return faster_rcnn_c4(num_classes=num_classes, preprocess=msra_pixels(size_divisor=1), depth=50)


def mask_rcnn_r50_c4(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN on res4 of a ResNet-50; both heads share res5."""
    return mask_rcnn_c4(num_classes=num_classes, preprocess=msra_pixels(size_divisor=1), depth=50)


def mask_rcnn_r101_c4(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN on res4 of a ResNet-101; both heads share res5."""
    return mask_rcnn_c4(num_classes=num_classes, preprocess=msra_pixels(size_divisor=1), depth=101)


def faster_rcnn_r50_dc5(*, num_classes: int = 80) -> RCNN:
    """Faster R-CNN on the dilated res5 of a ResNet-50."""
    return faster_rcnn_dc5(
        num_classes=num_classes, preprocess=msra_pixels(size_divisor=1), depth=50
    )


def faster_rcnn_r101_dc5(*, num_classes: int = 80) -> RCNN:
    """Faster R-CNN on the dilated res5 of a ResNet-101."""
    return faster_rcnn_dc5(
        num_classes=num_classes, preprocess=msra_pixels(size_divisor=1), depth=101
    )


def mask_rcnn_r50_dc5(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN on the dilated res5 of a ResNet-50."""
    return mask_rcnn_dc5(num_classes=num_classes, preprocess=msra_pixels(size_divisor=1), depth=50)


def mask_rcnn_r101_dc5(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN on the dilated res5 of a ResNet-101."""
    return mask_rcnn_dc5(num_classes=num_classes, preprocess=msra_pixels(size_divisor=1), depth=101)


def rpn_r50_c4() -> ProposalNetwork:
    """Proposals alone from res4 of a ResNet-50: 2000 of an image."""
    backbone = resnet_c4(depth=50)
    return ProposalNetwork(
        preprocess=msra_pixels(size_divisor=1),
        backbone=backbone,
        proposals=one_map_rpn(backbone, test_proposals=(12000, 2000)),
    )
