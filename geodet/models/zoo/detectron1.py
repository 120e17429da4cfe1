"""Models as Detectron1 trained them, for Detectron2's comparisons with it.

They differ from `rcnn_fpn` in how regions are pooled (2 x 2 samples, pixel centres at whole
numbers) and in the losses of boxes (smooth, with a beta of 1/9 and 1).
"""

from collections.abc import Sequence

from geodet.models.detectors import RCNN, fpn_rpn, resnet_fpn
from geodet.models.detectors.unaligned_heads import unaligned_heads
from geodet.models.losses import SmoothL1
from geodet.models.zoo.pixels import msra_pixels
from geodet.structures import Skeleton

__all__ = [
    "detectron1_faster_rcnn_r50_fpn",
    "detectron1_keypoint_rcnn_r50_fpn",
    "detectron1_mask_rcnn_r50_fpn",
]


def detectron1_faster_rcnn_r50_fpn(*, num_classes: int = 80) -> RCNN:
    """Faster R-CNN, ResNet-50."""
    return _detector(num_classes=num_classes)


def detectron1_mask_rcnn_r50_fpn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-50."""
    return _detector(num_classes=num_classes, mask_convs=(256,) * 4)


def detectron1_keypoint_rcnn_r50_fpn(*, num_classes: int = 1) -> RCNN:
    """Keypoint R-CNN, ResNet-50, the 17 points of a person."""
    return _detector(num_classes=num_classes, skeleton=Skeleton.coco_person(), train_count=1500)


def _detector(
    *,
    num_classes: int,
    mask_convs: Sequence[int] = (),
    skeleton: Skeleton | None = None,
    train_count: int = 1000,
) -> RCNN:
    backbone = resnet_fpn(depth=50, stride_in_1x1=True, freeze_at=2, fpn_channels=256)
    heads = unaligned_heads(
        256,
        num_classes=num_classes,
        box_loss_beta=1.0,
        mask_convs=mask_convs,
        skeleton=skeleton,
    )
    return RCNN(
        preprocess=msra_pixels(),
        backbone=backbone,
        proposals=fpn_rpn(backbone, train_proposals=(2000, train_count), box_loss=SmoothL1(1 / 9)),
        box_head=heads.box_head,
        mask_head=heads.mask_head,
        keypoint_head=heads.keypoint_head,
    )
