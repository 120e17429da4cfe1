"""Named sizes: plain vision transformers on COCO.

Reference: Li et al. 2022 (arXiv 2203.16527).
"""

from geodet.models.detectors import RCNN
from geodet.models.zoo.vitdet_numbers import (
    COCO,
    VIT_B,
    VIT_H,
    VIT_L,
    sized_cascade_mask_rcnn,
    sized_mask_rcnn,
)

__all__ = [
    "cascade_mask_rcnn_vitdet_b",
    "cascade_mask_rcnn_vitdet_h",
    "cascade_mask_rcnn_vitdet_l",
    "mask_rcnn_vitdet_b",
    "mask_rcnn_vitdet_h",
    "mask_rcnn_vitdet_l",
]


def mask_rcnn_vitdet_b(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ViT-B: Detectron2's `mask_rcnn_vitdet_b_100ep`."""
    return sized_mask_rcnn(VIT_B, COCO, num_classes=num_classes)


def mask_rcnn_vitdet_l(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ViT-L: Detectron2's `mask_rcnn_vitdet_l_100ep`."""
    return sized_mask_rcnn(VIT_L, COCO, num_classes=num_classes)


def mask_rcnn_vitdet_h(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ViT-H: Detectron2's `mask_rcnn_vitdet_h_75ep`."""
    return sized_mask_rcnn(VIT_H, COCO, num_classes=num_classes)


def cascade_mask_rcnn_vitdet_b(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, ViT-B: Detectron2's `cascade_mask_rcnn_vitdet_b_100ep`."""
    return sized_cascade_mask_rcnn(VIT_B, COCO, num_classes=num_classes)


def cascade_mask_rcnn_vitdet_l(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, ViT-L: Detectron2's `cascade_mask_rcnn_vitdet_l_100ep`."""
    return sized_cascade_mask_rcnn(VIT_L, COCO, num_classes=num_classes)


def cascade_mask_rcnn_vitdet_h(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, ViT-H: Detectron2's `cascade_mask_rcnn_vitdet_h_75ep`."""
    return sized_cascade_mask_rcnn(VIT_H, COCO, num_classes=num_classes)
