"""Named sizes: MViTv2 on COCO, as its authors trained them.

The heads have batch norms. `geodet.models.zoo.mvit_vitdet` has those trained beside ViTDet.

Reference: Li et al. 2021 (arXiv 2112.01526).
"""

from torch import nn

from geodet.models.detectors import (
    RCNN,
    imagenet_preprocess,
    mvit_fpn,
    pyramid_cascade_mask_rcnn,
    pyramid_mask_rcnn,
)

__all__ = [
    "cascade_mask_rcnn_mvitv2_b",
    "cascade_mask_rcnn_mvitv2_h",
    "cascade_mask_rcnn_mvitv2_l",
    "cascade_mask_rcnn_mvitv2_s",
    "cascade_mask_rcnn_mvitv2_t",
    "mask_rcnn_mvitv2_t",
]


def mask_rcnn_mvitv2_t(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, MViTv2-T: Detectron2's `mask_rcnn_mvitv2_t_3x`."""
    return pyramid_mask_rcnn(
        mvit_fpn(
            channels=96,
            depth=10,
            num_heads=1,
            stage_ends=(0, 2, 7, 9),
            drop_path=0.2,
            window_side=56,
            image_side=224,
            checkpointing=False,
            fpn_channels=256,
            fpn_norm=None,
        ),
        num_classes=num_classes,
        preprocess=imagenet_preprocess(short_edge=800, max_long_edge=1333),
        anchor_sizes=(32, 64, 128, 256, 512),
        aspect_ratios=(0.5, 1.0, 2.0),
        rpn_convs=1,
        rpn_samples=256,
        train_proposals=(2000, 1000),
        test_proposals=(1000, 1000),
        box_convs=(),
        box_features=(1024, 1024),
        box_samples=512,
        class_loss=None,
        mask_convs=(256, 256, 256, 256),
        head_norm=None,
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def cascade_mask_rcnn_mvitv2_t(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, MViTv2-T: Detectron2's `cascade_mask_rcnn_mvitv2_t_3x`."""
    return pyramid_cascade_mask_rcnn(
        mvit_fpn(
            channels=96,
            depth=10,
            num_heads=1,
            stage_ends=(0, 2, 7, 9),
            drop_path=0.2,
            window_side=56,
            image_side=224,
            checkpointing=False,
            fpn_channels=256,
            fpn_norm=None,
        ),
        num_classes=num_classes,
        preprocess=imagenet_preprocess(short_edge=800, max_long_edge=1333),
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
        head_norm=nn.BatchNorm2d,
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def cascade_mask_rcnn_mvitv2_s(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, MViTv2-S: Detectron2's `cascade_mask_rcnn_mvitv2_s_3x`."""
    return pyramid_cascade_mask_rcnn(
        mvit_fpn(
            channels=96,
            depth=16,
            num_heads=1,
            stage_ends=(0, 2, 13, 15),
            drop_path=0.2,
            window_side=56,
            image_side=224,
            checkpointing=False,
            fpn_channels=256,
            fpn_norm=None,
        ),
        num_classes=num_classes,
        preprocess=imagenet_preprocess(short_edge=800, max_long_edge=1333),
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
        head_norm=nn.BatchNorm2d,
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def cascade_mask_rcnn_mvitv2_b(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, MViTv2-B: Detectron2's `cascade_mask_rcnn_mvitv2_b_3x`."""
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
            fpn_norm=None,
        ),
        num_classes=num_classes,
        preprocess=imagenet_preprocess(short_edge=800, max_long_edge=1333),
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
        head_norm=nn.BatchNorm2d,
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def cascade_mask_rcnn_mvitv2_l(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, MViTv2-L: Detectron2's `cascade_mask_rcnn_mvitv2_l_in21k_lsj_50ep`."""
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
            fpn_norm=None,
        ),
        num_classes=num_classes,
        preprocess=imagenet_preprocess(short_edge=800, max_long_edge=1333),
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
        head_norm=nn.BatchNorm2d,
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )


def cascade_mask_rcnn_mvitv2_h(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, MViTv2-H: Detectron2's `cascade_mask_rcnn_mvitv2_h_in21k_lsj_3x`."""
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
            fpn_norm=None,
        ),
        num_classes=num_classes,
        preprocess=imagenet_preprocess(short_edge=800, max_long_edge=1333),
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
        head_norm=nn.BatchNorm2d,
        score_threshold=0.05,
        nms_threshold=0.5,
        max_detections=100,
    )
