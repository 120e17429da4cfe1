"""Families of whole detectors: the usual parts wired together, every number a keyword.

Defaults are those of Detectron2's R50-FPN models. For what is no keyword here, wire the parts of
`fpn_parts` into `RCNN` yourself.
"""

from collections.abc import Sequence

from geodet.models.detectors.fpn_parts import (
    caffe_preprocess,
    fpn_box_head,
    fpn_mask_head,
    fpn_rpn,
    resnet_fpn,
)
from geodet.models.detectors.rcnn import RCNN
from geodet.models.layers import FrozenBatchNorm2d, NormFactory
from geodet.models.losses import BoxLoss, ClassLoss
from geodet.models.preprocess import Preprocess

__all__ = ["faster_rcnn_fpn", "mask_rcnn_fpn"]


def faster_rcnn_fpn(
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
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (2000, 1000),
    test_proposals: tuple[int, int] = (1000, 1000),
    box_samples: int = 512,
    box_features: Sequence[int] = (1024, 1024),
    class_agnostic: bool = False,
    class_loss: ClassLoss | None = None,
    box_loss: BoxLoss | None = None,
    rpn_box_loss: BoxLoss | None = None,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Faster R-CNN on a ResNet with a pyramid; arguments as in `resnet_fpn`, `fpn_rpn` and
    `fpn_box_head` (rpn_samples and box_samples are their samples_per_image, rpn_box_loss is the
    box_loss of the first).
    Without pretrained weights take a trainable `norm` and `freeze_at=0`.
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
    proposals = fpn_rpn(
        backbone,
        anchor_sizes=anchor_sizes,
        aspect_ratios=aspect_ratios,
        box_loss=rpn_box_loss,
        samples_per_image=rpn_samples,
        train_proposals=train_proposals,
        test_proposals=test_proposals,
    )
    box_head = fpn_box_head(
        backbone,
        num_classes=num_classes,
        fc_features=box_features,
        class_agnostic=class_agnostic,
        class_loss=class_loss,
        box_loss=box_loss,
        samples_per_image=box_samples,
        score_threshold=score_threshold,
        nms_threshold=nms_threshold,
        max_detections=max_detections,
    )
    return RCNN(
        preprocess=caffe_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        proposals=proposals,
        box_head=box_head,
    )


def mask_rcnn_fpn(
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
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (2000, 1000),
    test_proposals: tuple[int, int] = (1000, 1000),
    box_samples: int = 512,
    box_features: Sequence[int] = (1024, 1024),
    class_agnostic: bool = False,
    class_loss: ClassLoss | None = None,
    box_loss: BoxLoss | None = None,
    rpn_box_loss: BoxLoss | None = None,
    mask_convs: Sequence[int] = (256, 256, 256, 256),
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Mask R-CNN on a ResNet with a pyramid; arguments as in `faster_rcnn_fpn`, and mask_convs
    the channels of the mask head's convolutions.
    """
    boxes = faster_rcnn_fpn(
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
        rpn_samples=rpn_samples,
        train_proposals=train_proposals,
        test_proposals=test_proposals,
        box_samples=box_samples,
        box_features=box_features,
        class_agnostic=class_agnostic,
        class_loss=class_loss,
        box_loss=box_loss,
        rpn_box_loss=rpn_box_loss,
        score_threshold=score_threshold,
        nms_threshold=nms_threshold,
        max_detections=max_detections,
    )
    return RCNN(
        preprocess=boxes.preprocess,
        backbone=boxes.backbone,
        proposals=boxes.proposals,
        box_head=boxes.box_head,
        mask_head=fpn_mask_head(boxes.backbone, num_classes=num_classes, conv_channels=mask_convs),
    )
