"""Models as Detectron1 trained them, for Detectron2's comparisons with it.

They differ from `rcnn_fpn` in how regions are pooled (2 x 2 samples, pixel centres at whole
numbers) and in the losses of boxes (smooth, with a beta of 1/9 and 1).
"""

from functools import partial

from geodet.models.assignment import Matcher
from geodet.models.detectors import RCNN, fpn_rpn, resnet_fpn
from geodet.models.heads import (
    BoxHead,
    BoxPredictor,
    ConvFcFeatures,
    KeypointHead,
    MaskHead,
    RoiPooler,
    RoiSampler,
)
from geodet.models.losses import SmoothL1
from geodet.models.sampling import BalancedSampler
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
    return _detector(num_classes=num_classes, masks=True)


def detectron1_keypoint_rcnn_r50_fpn(*, num_classes: int = 1) -> RCNN:
    """Keypoint R-CNN, ResNet-50, the 17 points of a person."""
    return _detector(num_classes=num_classes, skeleton=Skeleton.coco_person(), train_count=1500)


def _detector(
    *,
    num_classes: int,
    masks: bool = False,
    skeleton: Skeleton | None = None,
    train_count: int = 1000,
) -> RCNN:
    backbone = resnet_fpn(depth=50, stride_in_1x1=True, freeze_at=2, fpn_channels=256)
    pool = partial(
        RoiPooler, {f"p{i}": 2**i for i in (2, 3, 4, 5)}, sampling_ratio=2, aligned=False
    )
    features = ConvFcFeatures(256, side=7, fc_features=(1024, 1024))
    box_head = BoxHead(
        pooler=pool(output_side=7),
        features=features,
        predictor=BoxPredictor(features.out_features, num_classes=num_classes),
        roi_sampler=RoiSampler(Matcher((0.5,), (0, 1)), BalancedSampler(512, 0.25)),
        box_loss=SmoothL1(1.0),
    )
    mask_head = keypoint_head = None
    if masks:
        mask_head = MaskHead(pooler=pool(output_side=14), in_channels=256, num_classes=num_classes)
    if skeleton is not None:
        keypoint_head = KeypointHead(
            pooler=pool(output_side=14), in_channels=256, skeleton=skeleton
        )
    return RCNN(
        preprocess=msra_pixels(),
        backbone=backbone,
        proposals=fpn_rpn(backbone, train_proposals=(2000, train_count), box_loss=SmoothL1(1 / 9)),
        box_head=box_head,
        mask_head=mask_head,
        keypoint_head=keypoint_head,
    )
