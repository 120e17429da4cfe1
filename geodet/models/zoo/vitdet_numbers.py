"""The numbers of ViTDet's models, each once: sizes, data sets, and what all of them share.

Reference: Li et al. 2022 (arXiv 2203.16527).
"""

import attrs

from geodet.models.detectors import (
    RCNN,
    vitdet_cascade_mask_rcnn,
    vitdet_mask_rcnn,
    vitdet_preprocess,
)
from geodet.models.layers import LayerNorm2d
from geodet.models.losses import SigmoidClasses

__all__ = [
    "COCO",
    "LVIS",
    "VIT_B",
    "VIT_H",
    "VIT_L",
    "Scoring",
    "VitSize",
    "sized_cascade_mask_rcnn",
    "sized_mask_rcnn",
]


@attrs.frozen(kw_only=True)
class VitSize:
    """One size of transformer; arguments as of `vit`."""

    channels: int
    depth: int
    num_heads: int
    global_blocks: tuple[int, ...]
    drop_path: float


@attrs.frozen(kw_only=True)
class Scoring:
    """How classes are told apart and detections chosen on a data set; arguments of the families.

    Args:
        class_loss: made anew for every model; None is the softmax of the families.
        score_threshold: detections must score above it.
        max_detections: per image.
    """

    class_loss: type[SigmoidClasses] | None
    score_threshold: float
    max_detections: int


VIT_B = VitSize(channels=768, depth=12, num_heads=12, global_blocks=(2, 5, 8, 11), drop_path=0.1)
VIT_L = VitSize(channels=1024, depth=24, num_heads=16, global_blocks=(5, 11, 17, 23), drop_path=0.4)
VIT_H = VitSize(channels=1280, depth=32, num_heads=16, global_blocks=(7, 15, 23, 31), drop_path=0.5)
COCO = Scoring(class_loss=None, score_threshold=0.05, max_detections=100)
LVIS = Scoring(class_loss=SigmoidClasses, score_threshold=0.02, max_detections=300)


def sized_mask_rcnn(size: VitSize, scoring: Scoring, *, num_classes: int) -> RCNN:
    """Mask R-CNN on a transformer of this size."""
    return vitdet_mask_rcnn(
        num_classes=num_classes,
        preprocess=vitdet_preprocess(1024),
        channels=size.channels,
        depth=size.depth,
        num_heads=size.num_heads,
        global_blocks=size.global_blocks,
        drop_path=size.drop_path,
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
        class_loss=None if scoring.class_loss is None else scoring.class_loss(),
        mask_convs=(256, 256, 256, 256),
        score_threshold=scoring.score_threshold,
        nms_threshold=0.5,
        max_detections=scoring.max_detections,
    )


def sized_cascade_mask_rcnn(size: VitSize, scoring: Scoring, *, num_classes: int) -> RCNN:
    """Cascade Mask R-CNN on a transformer of this size."""
    return vitdet_cascade_mask_rcnn(
        num_classes=num_classes,
        preprocess=vitdet_preprocess(1024),
        channels=size.channels,
        depth=size.depth,
        num_heads=size.num_heads,
        global_blocks=size.global_blocks,
        drop_path=size.drop_path,
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
        class_loss=None if scoring.class_loss is None else scoring.class_loss(),
        mask_convs=(256, 256, 256, 256),
        score_threshold=scoring.score_threshold,
        nms_threshold=0.5,
        max_detections=scoring.max_detections,
    )
