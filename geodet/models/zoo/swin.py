"""Named sizes: Swin on COCO and LVIS.

Those of LVIS predict with a sigmoid for every class; see `geodet.models.zoo.vitdet_lvis`.

Reference: Liu et al. 2021 (arXiv 2103.14030); trained by Li et al. 2022 (arXiv 2203.16527).
"""

from geodet.models.detectors import (
    RCNN,
    pyramid_cascade_mask_rcnn,
    swin_fpn,
    vitdet_preprocess,
)
from geodet.models.layers import LayerNorm2d
from geodet.models.losses import SigmoidClasses

__all__ = [
    "cascade_mask_rcnn_swin_b",
    "cascade_mask_rcnn_swin_b_lvis",
    "cascade_mask_rcnn_swin_l",
    "cascade_mask_rcnn_swin_l_lvis",
]


def cascade_mask_rcnn_swin_b(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, Swin-B: Detectron2's `cascade_mask_rcnn_swin_b_in21k_50ep`."""
    return pyramid_cascade_mask_rcnn(
        swin_fpn(
            channels=128,
            depths=(2, 2, 18, 2),
            num_heads=(4, 8, 16, 32),
            drop_path=0.4,
            window_side=7,
            freeze_at=0,
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


def cascade_mask_rcnn_swin_l(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, Swin-L: Detectron2's `cascade_mask_rcnn_swin_l_in21k_50ep`."""
    return pyramid_cascade_mask_rcnn(
        swin_fpn(
            channels=192,
            depths=(2, 2, 18, 2),
            num_heads=(6, 12, 24, 48),
            drop_path=0.4,
            window_side=7,
            freeze_at=0,
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


def cascade_mask_rcnn_swin_b_lvis(*, num_classes: int = 1203) -> RCNN:
    """Cascade Mask R-CNN, Swin-B for LVIS: Detectron2's `cascade_mask_rcnn_swin_b_in21k_50ep`."""
    return pyramid_cascade_mask_rcnn(
        swin_fpn(
            channels=128,
            depths=(2, 2, 18, 2),
            num_heads=(4, 8, 16, 32),
            drop_path=0.3,
            window_side=7,
            freeze_at=0,
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


def cascade_mask_rcnn_swin_l_lvis(*, num_classes: int = 1203) -> RCNN:
    """Cascade Mask R-CNN, Swin-L for LVIS: Detectron2's `cascade_mask_rcnn_swin_l_in21k_50ep`."""
    return pyramid_cascade_mask_rcnn(
        swin_fpn(
            channels=192,
            depths=(2, 2, 18, 2),
            num_heads=(6, 12, 24, 48),
            drop_path=0.3,
            window_side=7,
            freeze_at=0,
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
