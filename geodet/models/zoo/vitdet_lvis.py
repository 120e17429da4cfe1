"""Named sizes: plain vision transformers on LVIS.

They predict with a sigmoid for every class. To train, give `vitdet_mask_rcnn` the federated loss
with the image counts of the data.

Reference: Li et al. 2022 (arXiv 2203.16527).
"""

from geodet.models.detectors import (
    RCNN,
    vitdet_cascade_mask_rcnn,
    vitdet_mask_rcnn,
    vitdet_preprocess,
)
from geodet.models.layers import LayerNorm2d
from geodet.models.losses import SigmoidClasses

__all__ = [
    "cascade_mask_rcnn_vitdet_b_lvis",
    "cascade_mask_rcnn_vitdet_h_lvis",
    "cascade_mask_rcnn_vitdet_l_lvis",
    "mask_rcnn_vitdet_b_lvis",
    "mask_rcnn_vitdet_h_lvis",
    "mask_rcnn_vitdet_l_lvis",
]


def mask_rcnn_vitdet_b_lvis(*, num_classes: int = 1203) -> RCNN:
    """Mask R-CNN, ViT-B for LVIS: Detectron2's `mask_rcnn_vitdet_b_100ep`."""
    return vitdet_mask_rcnn(
        num_classes=num_classes,
        preprocess=vitdet_preprocess(1024),
        channels=768,
        depth=12,
        num_heads=12,
        global_blocks=(2, 5, 8, 11),
        drop_path=0.1,
        image_side=1024,
        window_side=14,
        checkpointing=False,
        pyramid_channels=256,
        norm=LayerNorm2d,
        anchor_sizes=(32, 64, 128, 256, 512),
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        box_convs=(256, 256, 256, 256),
        box_features=(1024,),
        box_samples=512,
        class_loss=SigmoidClasses(),
        mask_convs=(256, 256, 256, 256),
        score_threshold=0.02,
        nms_threshold=0.5,
        max_detections=300,
    )


def mask_rcnn_vitdet_l_lvis(*, num_classes: int = 1203) -> RCNN:
    """Mask R-CNN, ViT-L for LVIS: Detectron2's `mask_rcnn_vitdet_l_100ep`."""
    return vitdet_mask_rcnn(
        num_classes=num_classes,
        preprocess=vitdet_preprocess(1024),
        channels=1024,
        depth=24,
        num_heads=16,
        global_blocks=(5, 11, 17, 23),
        drop_path=0.4,
        image_side=1024,
        window_side=14,
        checkpointing=False,
        pyramid_channels=256,
        norm=LayerNorm2d,
        anchor_sizes=(32, 64, 128, 256, 512),
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        box_convs=(256, 256, 256, 256),
        box_features=(1024,),
        box_samples=512,
        class_loss=SigmoidClasses(),
        mask_convs=(256, 256, 256, 256),
        score_threshold=0.02,
        nms_threshold=0.5,
        max_detections=300,
    )


def mask_rcnn_vitdet_h_lvis(*, num_classes: int = 1203) -> RCNN:
    """Mask R-CNN, ViT-H for LVIS: Detectron2's `mask_rcnn_vitdet_h_100ep`."""
    return vitdet_mask_rcnn(
        num_classes=num_classes,
        preprocess=vitdet_preprocess(1024),
        channels=1280,
        depth=32,
        num_heads=16,
        global_blocks=(7, 15, 23, 31),
        drop_path=0.5,
        image_side=1024,
        window_side=14,
        checkpointing=False,
        pyramid_channels=256,
        norm=LayerNorm2d,
        anchor_sizes=(32, 64, 128, 256, 512),
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        box_convs=(256, 256, 256, 256),
        box_features=(1024,),
        box_samples=512,
        class_loss=SigmoidClasses(),
        mask_convs=(256, 256, 256, 256),
        score_threshold=0.02,
        nms_threshold=0.5,
        max_detections=300,
    )


def cascade_mask_rcnn_vitdet_b_lvis(*, num_classes: int = 1203) -> RCNN:
    """Cascade Mask R-CNN, ViT-B for LVIS: Detectron2's `cascade_mask_rcnn_vitdet_b_100ep`."""
    return vitdet_cascade_mask_rcnn(
        num_classes=num_classes,
        preprocess=vitdet_preprocess(1024),
        channels=768,
        depth=12,
        num_heads=12,
        global_blocks=(2, 5, 8, 11),
        drop_path=0.1,
        image_side=1024,
        window_side=14,
        checkpointing=False,
        pyramid_channels=256,
        norm=LayerNorm2d,
        anchor_sizes=(32, 64, 128, 256, 512),
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        ious=(0.5, 0.6, 0.7),
        box_convs=(256, 256, 256, 256),
        box_features=(1024,),
        box_samples=512,
        class_loss=SigmoidClasses(),
        mask_convs=(256, 256, 256, 256),
        score_threshold=0.02,
        nms_threshold=0.5,
        max_detections=300,
    )


def cascade_mask_rcnn_vitdet_l_lvis(*, num_classes: int = 1203) -> RCNN:
    """Cascade Mask R-CNN, ViT-L for LVIS: Detectron2's `cascade_mask_rcnn_vitdet_l_100ep`."""
    return vitdet_cascade_mask_rcnn(
        num_classes=num_classes,
        preprocess=vitdet_preprocess(1024),
        channels=1024,
        depth=24,
        num_heads=16,
        global_blocks=(5, 11, 17, 23),
        drop_path=0.4,
        image_side=1024,
        window_side=14,
        checkpointing=False,
        pyramid_channels=256,
        norm=LayerNorm2d,
        anchor_sizes=(32, 64, 128, 256, 512),
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        ious=(0.5, 0.6, 0.7),
        box_convs=(256, 256, 256, 256),
        box_features=(1024,),
        box_samples=512,
        class_loss=SigmoidClasses(),
        mask_convs=(256, 256, 256, 256),
        score_threshold=0.02,
        nms_threshold=0.5,
        max_detections=300,
    )


def cascade_mask_rcnn_vitdet_h_lvis(*, num_classes: int = 1203) -> RCNN:
    """Cascade Mask R-CNN, ViT-H for LVIS: Detectron2's `cascade_mask_rcnn_vitdet_h_100ep`."""
    return vitdet_cascade_mask_rcnn(
        num_classes=num_classes,
        preprocess=vitdet_preprocess(1024),
        channels=1280,
        depth=32,
        num_heads=16,
        global_blocks=(7, 15, 23, 31),
        drop_path=0.5,
        image_side=1024,
        window_side=14,
        checkpointing=False,
        pyramid_channels=256,
        norm=LayerNorm2d,
        anchor_sizes=(32, 64, 128, 256, 512),
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        ious=(0.5, 0.6, 0.7),
        box_convs=(256, 256, 256, 256),
        box_features=(1024,),
        box_samples=512,
        class_loss=SigmoidClasses(),
        mask_convs=(256, 256, 256, 256),
        score_threshold=0.02,
        nms_threshold=0.5,
        max_detections=300,
    )
