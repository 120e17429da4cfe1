"""torchvision's detectors, for its weights: `geodet.interop.torchvision.load_checkpoint`.

The first published weights have frozen norms without an epsilon; those of version 2 train theirs.
"""

from torch import nn

from geodet.models.detectors import RCNN, RetinaNet
from geodet.models.detectors.torchvision_families import (
    torchvision_rcnn_fpn,
    torchvision_retinanet_fpn,
)
from geodet.structures import Skeleton

__all__ = [
    "torchvision_faster_rcnn_r50_fpn",
    "torchvision_faster_rcnn_r50_fpn_v2",
    "torchvision_keypoint_rcnn_r50_fpn",
    "torchvision_mask_rcnn_r50_fpn",
    "torchvision_mask_rcnn_r50_fpn_v2",
    "torchvision_retinanet_r50_fpn",
]


def torchvision_faster_rcnn_r50_fpn(*, num_classes: int = 90) -> RCNN:
    """Faster R-CNN; class k is category k + 1 of COCO's 90."""
    return torchvision_rcnn_fpn(num_classes=num_classes, depth=50)


def torchvision_mask_rcnn_r50_fpn(*, num_classes: int = 90) -> RCNN:
    """Mask R-CNN; class k is category k + 1 of COCO's 90."""
    return torchvision_rcnn_fpn(num_classes=num_classes, depth=50, mask_convs=(256,) * 4)


def torchvision_keypoint_rcnn_r50_fpn(*, num_classes: int = 1) -> RCNN:
    """Keypoint R-CNN, the 17 points of a person."""
    return torchvision_rcnn_fpn(
        num_classes=num_classes,
        depth=50,
        skeleton=Skeleton.coco_person(),
        keypoint_convs=(512,) * 8,
    )


def torchvision_retinanet_r50_fpn(*, num_classes: int = 91) -> RetinaNet:
    """RetinaNet; class k is category k of COCO's 90, and 0 is never found."""
    return torchvision_retinanet_fpn(num_classes=num_classes, depth=50)


def torchvision_faster_rcnn_r50_fpn_v2(*, num_classes: int = 90) -> RCNN:
    """Faster R-CNN of version 2; class k is category k + 1 of COCO's 90."""
    return torchvision_rcnn_fpn(
        num_classes=num_classes,
        depth=50,
        norm=nn.BatchNorm2d,
        fpn_norm=nn.BatchNorm2d,
        rpn_convs=2,
        box_convs=(256,) * 4,
        box_features=(1024,),
        head_norm=nn.BatchNorm2d,
    )


def torchvision_mask_rcnn_r50_fpn_v2(*, num_classes: int = 90) -> RCNN:
    """Mask R-CNN of version 2; class k is category k + 1 of COCO's 90."""
    return torchvision_rcnn_fpn(
        num_classes=num_classes,
        depth=50,
        norm=nn.BatchNorm2d,
        fpn_norm=nn.BatchNorm2d,
        rpn_convs=2,
        box_convs=(256,) * 4,
        box_features=(1024,),
        head_norm=nn.BatchNorm2d,
        mask_convs=(256,) * 4,
    )
