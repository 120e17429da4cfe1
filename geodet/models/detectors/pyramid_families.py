"""Two-stage detectors on any pyramid, with the larger heads of ViTDet.

Two convolutions in the first stage; four convolutions and one fully connected layer in the
second; layer norm after the convolutions of the heads.

Reference: Li et al. 2022 (arXiv 2203.16527), appendix A.2.
"""

from collections.abc import Sequence

from geodet.models.detectors.cascade_families import fpn_cascade_head
from geodet.models.detectors.fpn_parts import fpn_box_head, fpn_mask_head, fpn_rpn
from geodet.models.detectors.rcnn import RCNN
from geodet.models.features import Backbone
from geodet.models.layers import LayerNorm2d, NormFactory
from geodet.models.losses import ClassLoss
from geodet.models.preprocess import Preprocess

__all__ = ["imagenet_preprocess", "pyramid_cascade_mask_rcnn", "pyramid_mask_rcnn"]


def pyramid_mask_rcnn(
    backbone: Backbone,
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    rpn_convs: int = 2,
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (2000, 1000),
    test_proposals: tuple[int, int] = (1000, 1000),
    box_convs: Sequence[int] = (256, 256, 256, 256),
    box_features: Sequence[int] = (1024,),
    box_samples: int = 512,
    class_loss: ClassLoss | None = None,
    mask_convs: Sequence[int] = (256, 256, 256, 256),
    head_norm: NormFactory | None = LayerNorm2d,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Mask R-CNN on a pyramid of p2 to p6.

    Args:
        backbone: the pyramid.
        num_classes: without background.
        preprocess: None for `imagenet_preprocess` without a resize.
        anchor_sizes: one per level, finest first, in pixels.
        aspect_ratios: height / width.
        rpn_convs: 3x3 convolutions of the first stage.
        rpn_samples: anchors that count in its losses.
        train_proposals: to train on: per level before NMS, per image after it.
        test_proposals: to predict from, likewise.
        box_convs: channels of the box head's convolutions.
        box_features: of its fully connected layers.
        box_samples: regions that count in its losses.
        class_loss: of the box head; None is softmax.
        mask_convs: channels of the mask head's convolutions.
        head_norm: after the convolutions of both heads.
        score_threshold: see `BoxHead`.
        nms_threshold: see `BoxHead`.
        max_detections: see `BoxHead`.
    Raises:
        CompositionError: the pyramid has other levels.
    """
    box_head = fpn_box_head(
        backbone,
        num_classes=num_classes,
        conv_channels=box_convs,
        fc_features=box_features,
        norm=head_norm,
        class_loss=class_loss,
        samples_per_image=box_samples,
        score_threshold=score_threshold,
        nms_threshold=nms_threshold,
        max_detections=max_detections,
    )
    return RCNN(
        preprocess=imagenet_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        proposals=fpn_rpn(
            backbone,
            anchor_sizes=anchor_sizes,
            aspect_ratios=aspect_ratios,
            num_convs=rpn_convs,
            samples_per_image=rpn_samples,
            train_proposals=train_proposals,
            test_proposals=test_proposals,
        ),
        box_head=box_head,
        mask_head=fpn_mask_head(
            backbone, num_classes=num_classes, conv_channels=mask_convs, norm=head_norm
        ),
    )


def pyramid_cascade_mask_rcnn(
    backbone: Backbone,
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    rpn_convs: int = 2,
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (2000, 1000),
    test_proposals: tuple[int, int] = (1000, 1000),
    ious: Sequence[float] = (0.5, 0.6, 0.7),
    box_convs: Sequence[int] = (256, 256, 256, 256),
    box_features: Sequence[int] = (1024,),
    box_samples: int = 512,
    class_loss: ClassLoss | None = None,
    mask_convs: Sequence[int] = (256, 256, 256, 256),
    head_norm: NormFactory | None = LayerNorm2d,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Cascade Mask R-CNN on a pyramid of p2 to p6.

    Args:
        ious: overlap from which a region is foreground, of each stage.

    The other arguments are those of `pyramid_mask_rcnn`.
    """
    box_head = fpn_cascade_head(
        backbone,
        num_classes=num_classes,
        ious=ious,
        conv_channels=box_convs,
        fc_features=box_features,
        norm=head_norm,
        class_loss=class_loss,
        samples_per_image=box_samples,
        score_threshold=score_threshold,
        nms_threshold=nms_threshold,
        max_detections=max_detections,
    )
    return RCNN(
        preprocess=imagenet_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        proposals=fpn_rpn(
            backbone,
            anchor_sizes=anchor_sizes,
            aspect_ratios=aspect_ratios,
            num_convs=rpn_convs,
            samples_per_image=rpn_samples,
            train_proposals=train_proposals,
            test_proposals=test_proposals,
        ),
        box_head=box_head,
        mask_head=fpn_mask_head(
            backbone, num_classes=num_classes, conv_channels=mask_convs, norm=head_norm
        ),
    )


def imagenet_preprocess(
    *,
    square_side: int | None = None,
    short_edge: int | None = None,
    max_long_edge: int | None = None,
) -> Preprocess:
    """RGB with the mean and deviation of ImageNet, as ViTDet, Swin and MViT were trained."""
    return Preprocess(
        channel_order="rgb",
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        size_divisor=32,
        square_side=square_side,
        short_edge=short_edge,
        max_long_edge=max_long_edge,
    )
