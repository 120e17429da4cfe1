"""Cascade R-CNN on a pyramid, with and without masks; defaults are Detectron2's.

Reference: Cai and Vasconcelos 2018 (arXiv 1712.00726).
"""

from collections.abc import Sequence

from geodet.errors import CompositionError
from geodet.models.assignment import Matcher
from geodet.models.box_coding import BoxCoder, Coder
from geodet.models.detectors.fpn_parts import (
    caffe_preprocess,
    fpn_mask_head,
    fpn_rpn,
    pooled_levels,
    resnet_fpn,
)
from geodet.models.detectors.rcnn import RCNN
from geodet.models.features import Backbone
from geodet.models.heads import (
    BoxHead,
    BoxPredictor,
    CascadeBoxHead,
    ConvFcFeatures,
    RoiPooler,
    RoiSampler,
)
from geodet.models.layers import FrozenBatchNorm2d, NormFactory
from geodet.models.losses import BoxLoss, ClassLoss
from geodet.models.preprocess import Preprocess
from geodet.models.sampling import BalancedSampler

__all__ = ["cascade_mask_rcnn_fpn", "cascade_rcnn_fpn", "fpn_cascade_head"]

_IOUS = (0.5, 0.6, 0.7)
_CODERS = (
    BoxCoder((10.0, 10.0, 5.0, 5.0)),
    BoxCoder((20.0, 20.0, 10.0, 10.0)),
    BoxCoder((30.0, 30.0, 15.0, 15.0)),
)


def fpn_cascade_head(
    backbone: Backbone,
    *,
    num_classes: int,
    ious: Sequence[float] = _IOUS,
    coders: Sequence[Coder] = _CODERS,
    fc_features: Sequence[int] = (1024, 1024),
    conv_channels: Sequence[int] = (),
    norm: NormFactory | None = None,
    class_loss: ClassLoss | None = None,
    box_loss: BoxLoss | None = None,
    samples_per_image: int = 512,
    positive_fraction: float = 0.25,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
    canonical_size: float = 224.0,
) -> CascadeBoxHead:
    """Cascade on those of p2 to p5 that there are, regions of 7 x 7.

    Args:
        backbone: whose levels are pooled.
        num_classes: without background.
        ious: overlap from which a region is foreground, of each stage.
        coders: offsets <-> boxes, of each stage; rotated ones make a cascade of rotated boxes.
        fc_features: of the fully connected layers of each stage.
        conv_channels: of convolutions before them.
        norm: of those convolutions.
        class_loss: of each stage; None is softmax.
        box_loss: of each stage; None is L1.
        samples_per_image: regions that the first stage draws.
        positive_fraction: largest share of foreground among them.
        score_threshold: see `BoxHead`.
        nms_threshold: see `BoxHead`.
        max_detections: see `BoxHead`.
        canonical_size: side of a region that belongs on p4.
    Raises:
        CompositionError: another number of overlaps than of coders.
    """
    if len(ious) != len(coders):
        raise CompositionError(
            f"fpn_cascade_head: expected a coder for each stage, got {len(ious)} overlaps and "
            f"{len(coders)} coders"
        )
    strides, channels = pooled_levels(backbone)
    stages = []
    for iou, coder in zip(ious, coders, strict=True):
        features = ConvFcFeatures(
            channels, side=7, conv_channels=conv_channels, fc_features=fc_features, norm=norm
        )
        stages.append(
            BoxHead(
                pooler=RoiPooler(
                    strides, output_side=7, canonical_size=canonical_size, kind=coder.kind
                ),
                features=features,
                predictor=BoxPredictor(
                    features.out_features,
                    num_classes=num_classes,
                    class_agnostic=True,
                    kind=coder.kind,
                ),
                roi_sampler=RoiSampler(
                    Matcher((iou,), (0, 1)), BalancedSampler(samples_per_image, positive_fraction)
                ),
                coder=coder,
                class_loss=class_loss,
                box_loss=box_loss,
                score_threshold=score_threshold,
                nms_threshold=nms_threshold,
                max_detections=max_detections,
            )
        )
    return CascadeBoxHead(stages)


def cascade_rcnn_fpn(
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
    train_proposals: tuple[int, int] = (2000, 2000),
    test_proposals: tuple[int, int] = (1000, 1000),
    ious: Sequence[float] = _IOUS,
    coders: Sequence[Coder] = _CODERS,
    box_samples: int = 512,
    box_features: Sequence[int] = (1024, 1024),
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Cascade R-CNN on a ResNet with a pyramid; arguments as in `resnet_fpn`, `fpn_rpn` and
    `fpn_cascade_head` (rpn_samples and box_samples are their samples_per_image).
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
        box_head=fpn_cascade_head(
            backbone,
            num_classes=num_classes,
            ious=ious,
            coders=coders,
            fc_features=box_features,
            samples_per_image=box_samples,
            score_threshold=score_threshold,
            nms_threshold=nms_threshold,
            max_detections=max_detections,
        ),
    )


def cascade_mask_rcnn_fpn(
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
    train_proposals: tuple[int, int] = (2000, 2000),
    test_proposals: tuple[int, int] = (1000, 1000),
    ious: Sequence[float] = _IOUS,
    coders: Sequence[Coder] = _CODERS,
    box_samples: int = 512,
    box_features: Sequence[int] = (1024, 1024),
    mask_convs: Sequence[int] = (256, 256, 256, 256),
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Cascade Mask R-CNN on a ResNet with a pyramid; arguments as in `cascade_rcnn_fpn`, and
    mask_convs the channels of the mask head's convolutions.
    """
    boxes = cascade_rcnn_fpn(
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
        ious=ious,
        coders=coders,
        box_samples=box_samples,
        box_features=box_features,
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
