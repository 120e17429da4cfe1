"""Keypoint R-CNN on a pyramid; defaults are Detectron2's.

Reference: He et al. 2017 (arXiv 1703.06870), section 5.
"""

from collections.abc import Sequence

from geodet.models.box_kinds import UPRIGHT, AnyBoxKind
from geodet.models.detectors.fpn_parts import (
    caffe_preprocess,
    fpn_box_head,
    fpn_rpn,
    pooled_levels,
    resnet_fpn,
)
from geodet.models.detectors.rcnn import RCNN
from geodet.models.features import Backbone
from geodet.models.heads import KeypointHead, RoiPooler
from geodet.models.layers import FrozenBatchNorm2d, NormFactory
from geodet.models.losses import SmoothL1
from geodet.models.preprocess import Preprocess
from geodet.structures import Skeleton

__all__ = ["fpn_keypoint_head", "keypoint_rcnn_fpn"]


def fpn_keypoint_head(
    backbone: Backbone,
    *,
    skeleton: Skeleton,
    conv_channels: Sequence[int] = (512,) * 8,
    points_per_image: float | None = None,
    loss_weight: float = 1.0,
    canonical_size: float = 224.0,
    kind: AnyBoxKind = UPRIGHT,
) -> KeypointHead:
    """Keypoint head on those of p2 to p5 that there are, regions of 14 x 14, maps of 56 x 56.

    Arguments as in `KeypointHead` and `RoiPooler`.
    """
    strides, channels = pooled_levels(backbone)
    return KeypointHead(
        pooler=RoiPooler(strides, output_side=14, canonical_size=canonical_size, kind=kind),
        in_channels=channels,
        skeleton=skeleton,
        conv_channels=conv_channels,
        points_per_image=points_per_image,
        loss_weight=loss_weight,
    )


def keypoint_rcnn_fpn(
    *,
    num_classes: int = 1,
    skeleton: Skeleton | None = None,
    preprocess: Preprocess | None = None,
    depth: int = 50,
    width: int = 64,
    groups: int = 1,
    width_per_group: int = 64,
    stride_in_1x1: bool | None = None,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 2,
    fpn_channels: int = 256,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (2000, 1500),
    test_proposals: tuple[int, int] = (1000, 1000),
    box_samples: int = 512,
    box_features: Sequence[int] = (1024, 1024),
    box_loss_beta: float = 0.5,
    keypoint_convs: Sequence[int] = (512,) * 8,
    points_per_image: float | None = None,
    keypoint_weight: float = 1.0,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Keypoint R-CNN on a ResNet with a pyramid; arguments as in `faster_rcnn_fpn` and
    `KeypointHead`, box_loss_beta of `SmoothL1`: keypoints gain from it, boxes lose a little.
    skeleton: None is `Skeleton.coco_person()`.
    """
    backbone = resnet_fpn(
        depth=depth,
        width=width,
        groups=groups,
        width_per_group=width_per_group,
        stride_in_1x1=stride_in_1x1,
        norm=norm,
        freeze_at=freeze_at,
        fpn_channels=fpn_channels,
    )
    return RCNN(
        preprocess=caffe_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        proposals=fpn_rpn(
            backbone,
            anchor_sizes=anchor_sizes,
            aspect_ratios=aspect_ratios,
            samples_per_image=rpn_samples,
            train_proposals=train_proposals,
            test_proposals=test_proposals,
        ),
        box_head=fpn_box_head(
            backbone,
            num_classes=num_classes,
            fc_features=box_features,
            box_loss=SmoothL1(box_loss_beta),
            samples_per_image=box_samples,
            score_threshold=score_threshold,
            nms_threshold=nms_threshold,
            max_detections=max_detections,
        ),
        keypoint_head=fpn_keypoint_head(
            backbone,
            skeleton=Skeleton.coco_person() if skeleton is None else skeleton,
            conv_channels=keypoint_convs,
            points_per_image=points_per_image,
            loss_weight=keypoint_weight,
        ),
    )
