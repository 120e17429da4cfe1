"""Rotated boxes with masks or keypoints in them, every number a keyword."""

from collections.abc import Sequence
from functools import partial

from geodet.models.box_kinds import ROTATED
from geodet.models.detectors.fpn_parts import fpn_mask_head
from geodet.models.detectors.keypoint_families import fpn_keypoint_head
from geodet.models.detectors.rcnn import RCNN
from geodet.models.detectors.rotated_families import rotated_faster_rcnn_fpn
from geodet.models.layers import FrozenBatchNorm2d, NormFactory
from geodet.models.losses import SmoothL1
from geodet.models.preprocess import Preprocess
from geodet.structures import Skeleton

__all__ = ["rotated_keypoint_rcnn_fpn", "rotated_mask_rcnn_fpn"]


def rotated_mask_rcnn_fpn(
    *,
    num_classes: int,
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
    angles: Sequence[float] = (-90.0, -60.0, -30.0, 0.0, 30.0, 60.0),
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (2000, 1000),
    test_proposals: tuple[int, int] = (1000, 1000),
    box_samples: int = 512,
    box_features: Sequence[int] = (1024, 1024),
    mask_convs: Sequence[int] = (256, 256, 256, 256),
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Mask R-CNN for rotated boxes: masks are pooled, learned and pasted in the boxes' own axes.

    Arguments as in `rotated_faster_rcnn_fpn`, and mask_convs the channels of the mask head's
    convolutions.
    """
    return rotated_faster_rcnn_fpn(
        num_classes=num_classes,
        preprocess=preprocess,
        depth=depth,
        width=width,
        groups=groups,
        width_per_group=width_per_group,
        stride_in_1x1=stride_in_1x1,
        norm=norm,
        freeze_at=freeze_at,
        fpn_channels=fpn_channels,
        anchor_sizes=anchor_sizes,
        aspect_ratios=aspect_ratios,
        angles=angles,
        rpn_samples=rpn_samples,
        train_proposals=train_proposals,
        test_proposals=test_proposals,
        box_samples=box_samples,
        box_features=box_features,
        score_threshold=score_threshold,
        nms_threshold=nms_threshold,
        max_detections=max_detections,
        mask_head=partial(
            fpn_mask_head, num_classes=num_classes, conv_channels=mask_convs, kind=ROTATED
        ),
    )


def rotated_keypoint_rcnn_fpn(
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
    angles: Sequence[float] = (-90.0, -60.0, -30.0, 0.0, 30.0, 60.0),
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
    """Keypoint R-CNN for rotated boxes: heatmaps lie in the boxes' own axes.

    Arguments as in `rotated_faster_rcnn_fpn` and `keypoint_rcnn_fpn`.
    """
    return rotated_faster_rcnn_fpn(
        num_classes=num_classes,
        preprocess=preprocess,
        depth=depth,
        width=width,
        groups=groups,
        width_per_group=width_per_group,
        stride_in_1x1=stride_in_1x1,
        norm=norm,
        freeze_at=freeze_at,
        fpn_channels=fpn_channels,
        anchor_sizes=anchor_sizes,
        aspect_ratios=aspect_ratios,
        angles=angles,
        rpn_samples=rpn_samples,
        train_proposals=train_proposals,
        test_proposals=test_proposals,
        box_samples=box_samples,
        box_features=box_features,
        box_loss=SmoothL1(box_loss_beta),
        score_threshold=score_threshold,
        nms_threshold=nms_threshold,
        max_detections=max_detections,
        keypoint_head=partial(
            fpn_keypoint_head,
            skeleton=Skeleton.coco_person() if skeleton is None else skeleton,
            conv_channels=keypoint_convs,
            points_per_image=points_per_image,
            loss_weight=keypoint_weight,
            kind=ROTATED,
        ),
    )
