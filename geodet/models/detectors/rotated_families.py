"""Families of two-stage detectors for rotated boxes, every number a keyword."""

from collections.abc import Callable, Sequence

from geodet.models.box_coding import RotatedBoxCoder
from geodet.models.detectors.fpn_parts import caffe_preprocess, fpn_box_head, fpn_rpn, resnet_fpn
from geodet.models.detectors.rcnn import RCNN
from geodet.models.features import Backbone
from geodet.models.heads import RegionHead
from geodet.models.layers import FrozenBatchNorm2d, NormFactory
from geodet.models.losses import BoxLoss
from geodet.models.preprocess import Preprocess
from geodet.structures import Keypoints, Masks

__all__ = ["rotated_faster_rcnn_fpn"]


def rotated_faster_rcnn_fpn(
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
    rpn_weights: tuple[float, float, float, float, float] = (1.0, 1.0, 1.0, 1.0, 1.0),
    train_proposals: tuple[int, int] = (2000, 1000),
    test_proposals: tuple[int, int] = (1000, 1000),
    box_samples: int = 512,
    box_features: Sequence[int] = (1024, 1024),
    box_weights: tuple[float, float, float, float, float] = (10.0, 10.0, 5.0, 5.0, 1.0),
    box_loss: BoxLoss | None = None,
    sampling_ratio: int = 2,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
    mask_head: Callable[[Backbone], RegionHead[Masks]] | None = None,
    keypoint_head: Callable[[Backbone], RegionHead[Keypoints]] | None = None,
) -> RCNN:
    """Faster R-CNN for rotated boxes on a ResNet with a pyramid; with masks and keypoints, if
    asked for.

    Args: as in `faster_rcnn_fpn`, and
        angles: of the anchors, in degrees counter-clockwise.
        rpn_weights: of the offsets that the RPN predicts.
        box_weights: of those that the box head predicts.
        box_loss: of the box head; None is L1. `IouLoss` compares regions and leaves open which
            end of a box is its top.
        sampling_ratio: samples per cell and axis of a pooled region.
        mask_head: makes the head from the backbone; `partial(fpn_mask_head, kind=ROTATED, ...)`.
        keypoint_head: likewise.
    Reference: Ma et al. 2018 (arXiv 1703.01086).
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
            angles=angles,
            coder=RotatedBoxCoder(rpn_weights),
            samples_per_image=rpn_samples,
            train_proposals=train_proposals,
            test_proposals=test_proposals,
        ),
        box_head=fpn_box_head(
            backbone,
            num_classes=num_classes,
            fc_features=box_features,
            coder=RotatedBoxCoder(box_weights),
            sampling_ratio=sampling_ratio,
            box_loss=box_loss,
            samples_per_image=box_samples,
            score_threshold=score_threshold,
            nms_threshold=nms_threshold,
            max_detections=max_detections,
        ),
        mask_head=None if mask_head is None else mask_head(backbone),
        keypoint_head=None if keypoint_head is None else keypoint_head(backbone),
    )
