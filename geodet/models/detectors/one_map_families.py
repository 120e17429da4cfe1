"""Families of detectors on one map of stride 16, every number a keyword.

Defaults are those of Detectron2's R50-C4 and R50-DC5 models. For what is no keyword here, wire
the parts of `one_map_parts` into `RCNN` yourself.
"""

from collections.abc import Sequence

from geodet.models.detectors.one_map_parts import (
    c4_box_features,
    c4_mask_head,
    dc5_mask_head,
    one_map_box_head,
    one_map_preprocess,
    one_map_rpn,
    resnet_c4,
    resnet_dc5,
)
from geodet.models.detectors.rcnn import RCNN
from geodet.models.heads import ConvFcFeatures
from geodet.models.layers import FrozenBatchNorm2d, NormFactory
from geodet.models.preprocess import Preprocess

__all__ = ["faster_rcnn_c4", "faster_rcnn_dc5", "mask_rcnn_c4", "mask_rcnn_dc5"]


def faster_rcnn_c4(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    depth: int = 50,
    width: int = 64,
    stride_in_1x1: bool = True,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 2,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (12000, 2000),
    test_proposals: tuple[int, int] = (6000, 1000),
    box_samples: int = 512,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Faster R-CNN on res4, with res5 as the head of every region; arguments as in
    `faster_rcnn_fpn`, of a ResNet of bottlenecks.
    """
    backbone = resnet_c4(
        depth=depth, width=width, norm=norm, stride_in_1x1=stride_in_1x1, freeze_at=freeze_at
    )
    features = c4_box_features(depth=depth, width=width, norm=norm, stride_in_1x1=stride_in_1x1)
    return RCNN(
        preprocess=one_map_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        proposals=one_map_rpn(
            backbone,
            anchor_sizes=anchor_sizes,
            aspect_ratios=aspect_ratios,
            samples_per_image=rpn_samples,
            train_proposals=train_proposals,
            test_proposals=test_proposals,
        ),
        box_head=one_map_box_head(
            backbone,
            features,
            num_classes=num_classes,
            samples_per_image=box_samples,
            score_threshold=score_threshold,
            nms_threshold=nms_threshold,
            max_detections=max_detections,
        ),
    )


def mask_rcnn_c4(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    depth: int = 50,
    width: int = 64,
    stride_in_1x1: bool = True,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 2,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (12000, 2000),
    test_proposals: tuple[int, int] = (6000, 1000),
    box_samples: int = 512,
    mask_channels: int = 256,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Mask R-CNN on res4, whose mask head shares res5 with the box head; arguments as in
    `faster_rcnn_c4`, and mask_channels those after the upsampling. Masks are 14 x 14.
    """
    boxes = faster_rcnn_c4(
        num_classes=num_classes,
        preprocess=preprocess,
        depth=depth,
        width=width,
        stride_in_1x1=stride_in_1x1,
        norm=norm,
        freeze_at=freeze_at,
        anchor_sizes=anchor_sizes,
        aspect_ratios=aspect_ratios,
        rpn_samples=rpn_samples,
        train_proposals=train_proposals,
        test_proposals=test_proposals,
        box_samples=box_samples,
        score_threshold=score_threshold,
        nms_threshold=nms_threshold,
        max_detections=max_detections,
    )
    mask_head = c4_mask_head(
        boxes.box_head, num_classes=num_classes, upsampled_channels=mask_channels
    )
    return RCNN(
        preprocess=boxes.preprocess,
        backbone=boxes.backbone,
        proposals=boxes.proposals,
        box_head=boxes.box_head,
        mask_head=mask_head,
    )


def faster_rcnn_dc5(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    depth: int = 50,
    width: int = 64,
    stride_in_1x1: bool = True,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 2,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (12000, 2000),
    test_proposals: tuple[int, int] = (6000, 1000),
    box_samples: int = 512,
    box_features: Sequence[int] = (1024, 1024),
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Faster R-CNN on a dilated res5; arguments as in `faster_rcnn_fpn`, of a ResNet of
    bottlenecks.
    """
    backbone = resnet_dc5(
        depth=depth, width=width, norm=norm, stride_in_1x1=stride_in_1x1, freeze_at=freeze_at
    )
    features = ConvFcFeatures(
        backbone.feature_specs["res5"].channels, side=7, fc_features=box_features
    )
    return RCNN(
        preprocess=one_map_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        proposals=one_map_rpn(
            backbone,
            anchor_sizes=anchor_sizes,
            aspect_ratios=aspect_ratios,
            samples_per_image=rpn_samples,
            train_proposals=train_proposals,
            test_proposals=test_proposals,
        ),
        box_head=one_map_box_head(
            backbone,
            features,
            num_classes=num_classes,
            samples_per_image=box_samples,
            score_threshold=score_threshold,
            nms_threshold=nms_threshold,
            max_detections=max_detections,
        ),
    )


def mask_rcnn_dc5(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    depth: int = 50,
    width: int = 64,
    stride_in_1x1: bool = True,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 2,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (12000, 2000),
    test_proposals: tuple[int, int] = (6000, 1000),
    box_samples: int = 512,
    box_features: Sequence[int] = (1024, 1024),
    mask_convs: Sequence[int] = (256, 256, 256, 256),
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Mask R-CNN on a dilated res5; arguments as in `faster_rcnn_dc5`, and mask_convs the
    channels of the mask head's convolutions.
    """
    boxes = faster_rcnn_dc5(
        num_classes=num_classes,
        preprocess=preprocess,
        depth=depth,
        width=width,
        stride_in_1x1=stride_in_1x1,
        norm=norm,
        freeze_at=freeze_at,
        anchor_sizes=anchor_sizes,
        aspect_ratios=aspect_ratios,
        rpn_samples=rpn_samples,
        train_proposals=train_proposals,
        test_proposals=test_proposals,
        box_samples=box_samples,
        box_features=box_features,
        score_threshold=score_threshold,
        nms_threshold=nms_threshold,
        max_detections=max_detections,
    )
    mask_head = dc5_mask_head(boxes.backbone, num_classes=num_classes, conv_channels=mask_convs)
    return RCNN(
        preprocess=boxes.preprocess,
        backbone=boxes.backbone,
        proposals=boxes.proposals,
        box_head=boxes.box_head,
        mask_head=mask_head,
    )
