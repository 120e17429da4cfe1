"""Named sizes: MViTv2 on COCO and LVIS, as trained beside ViTDet.

Layer norm in pyramid and heads, images of 1024 x 1024. Those of LVIS predict with a sigmoid for
every class; see `geodet.models.zoo.vitdet_lvis`.

Reference: Li et al. 2022 (arXiv 2203.16527).
"""

from geodet.models.detectors import (
    RCNN,
    mvit_fpn,
    pyramid_cascade_mask_rcnn,
    vitdet_preprocess,
)
from geodet.models.layers import LayerNorm2d
from geodet.models.losses import SigmoidClasses

__all__ = [
    "cascade_mask_rcnn_mvitv2_b_vitdet",
    "cascade_mask_rcnn_mvitv2_b_vitdet_lvis",
    "cascade_mask_rcnn_mvitv2_h_vitdet",
    "cascade_mask_rcnn_mvitv2_h_vitdet_lvis",
    "cascade_mask_rcnn_mvitv2_l_vitdet",
    "cascade_mask_rcnn_mvitv2_l_vitdet_lvis",
]


def cascade_mask_rcnn_mvitv2_b_vitdet(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, MViTv2-B: ViTDet's `cascade_mask_rcnn_mvitv2_b_in21k_100ep`."""
    return pyramid_cascade_mask_rcnn(
        mvit_fpn(
            channels=96,
            depth=24,
            num_heads=1,
            stage_ends=(1, 4, 20, 23),
            drop_path=0.4,
            window_side=56,
            image_side=224,
            checkpointing=False,
            fpn_channels=256,
            fpn_norm=LayerNorm2d,
        ),
        num_classes=num_classes,
        preprocess=vitdet_preprocess(1024),
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_convs=2,
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        ious=(0.5, 0.6, 0.7),
        box_convs=(256, 256, 256, 256),
        box_features=(1024,),
        box_samples=512,
        class_loss=None,
        mask_convs=(256, 256, 256, 256),
        head_norm=LayerNorm2d,
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def cascade_mask_rcnn_mvitv2_l_vitdet(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, MViTv2-L: ViTDet's `cascade_mask_rcnn_mvitv2_l_in21k_50ep`."""
    return pyramid_cascade_mask_rcnn(
        mvit_fpn(
            channels=144,
            depth=48,
            num_heads=2,
            stage_ends=(1, 7, 43, 47),
            drop_path=0.5,
            window_side=56,
            image_side=224,
            checkpointing=False,
            fpn_channels=256,
            fpn_norm=LayerNorm2d,
        ),
        num_classes=num_classes,
        preprocess=vitdet_preprocess(1024),
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_convs=2,
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        ious=(0.5, 0.6, 0.7),
        box_convs=(256, 256, 256, 256),
        box_features=(1024,),
        box_samples=512,
        class_loss=None,
        mask_convs=(256, 256, 256, 256),
        head_norm=LayerNorm2d,
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def cascade_mask_rcnn_mvitv2_h_vitdet(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, MViTv2-H: ViTDet's `cascade_mask_rcnn_mvitv2_h_in21k_36ep`."""
    return pyramid_cascade_mask_rcnn(
        mvit_fpn(
            channels=192,
            depth=80,
            num_heads=3,
            stage_ends=(3, 11, 71, 79),
            drop_path=0.6,
            window_side=56,
            image_side=224,
            checkpointing=True,
            fpn_channels=256,
            fpn_norm=LayerNorm2d,
        ),
        num_classes=num_classes,
        preprocess=vitdet_preprocess(1024),
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_convs=2,
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        ious=(0.5, 0.6, 0.7),
        box_convs=(256, 256, 256, 256),
        box_features=(1024,),
        box_samples=512,
        class_loss=None,
        mask_convs=(256, 256, 256, 256),
        head_norm=LayerNorm2d,
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def cascade_mask_rcnn_mvitv2_b_vitdet_lvis(*, num_classes: int = 1203) -> RCNN:
    """Cascade Mask R-CNN, MViTv2-B for LVIS: ViTDet's `cascade_mask_rcnn_mvitv2_b_in21k_100ep`."""
    return pyramid_cascade_mask_rcnn(
        mvit_fpn(
            channels=96,
            depth=24,
            num_heads=1,
            stage_ends=(1, 4, 20, 23),
            drop_path=0.4,
            window_side=56,
            image_side=224,
            checkpointing=False,
            fpn_channels=256,
            fpn_norm=LayerNorm2d,
        ),
        num_classes=num_classes,
        preprocess=vitdet_preprocess(1024),
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_convs=2,
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        ious=(0.5, 0.6, 0.7),
        box_convs=(256, 256, 256, 256),
        box_features=(1024,),
        box_samples=512,
        class_loss=SigmoidClasses(),
        mask_convs=(256, 256, 256, 256),
        head_norm=LayerNorm2d,
        score_threshold=0.02,
        nms_threshold=0.5,
        max_detections=300,
    )


def cascade_mask_rcnn_mvitv2_l_vitdet_lvis(*, num_classes: int = 1203) -> RCNN:
    """Cascade Mask R-CNN, MViTv2-L for LVIS: ViTDet's `cascade_mask_rcnn_mvitv2_l_in21k_50ep`."""
    return pyramid_cascade_mask_rcnn(
        mvit_fpn(
            channels=144,
            depth=48,
            num_heads=2,
            stage_ends=(1, 7, 43, 47),
            drop_path=0.5,
            window_side=56,
            image_side=224,
            checkpointing=False,
            fpn_channels=256,
            fpn_norm=LayerNorm2d,
        ),
        num_classes=num_classes,
        preprocess=vitdet_preprocess(1024),
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_convs=2,
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        ious=(0.5, 0.6, 0.7),
        box_convs=(256, 256, 256, 256),
        box_features=(1024,),
        box_samples=512,
        class_loss=SigmoidClasses(),
        mask_convs=(256, 256, 256, 256),
        head_norm=LayerNorm2d,
        score_threshold=0.02,
        nms_threshold=0.5,
        max_detections=300,
    )


def cascade_mask_rcnn_mvitv2_h_vitdet_lvis(*, num_classes: int = 1203) -> RCNN:
    """Cascade Mask R-CNN, MViTv2-H for LVIS: ViTDet's `cascade_mask_rcnn_mvitv2_h_in21k_50ep`."""
    return pyramid_cascade_mask_rcnn(
        mvit_fpn(
            channels=192,
            depth=80,
            num_heads=3,
            stage_ends=(3, 11, 71, 79),
            drop_path=0.6,
            window_side=56,
            image_side=224,
            checkpointing=True,
            fpn_channels=256,
            fpn_norm=LayerNorm2d,
        ),
        num_classes=num_classes,
        preprocess=vitdet_preprocess(1024),
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_convs=2,
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        ious=(0.5, 0.6, 0.7),
        box_convs=(256, 256, 256, 256),
        box_features=(1024,),
        box_samples=512,
        class_loss=SigmoidClasses(),
        mask_convs=(256, 256, 256, 256),
        head_norm=LayerNorm2d,
        score_threshold=0.02,
        nms_threshold=0.5,
        max_detections=300,
    )
