"""Named sizes: plain vision transformers on LVIS.

They predict with a sigmoid for every class. To train, give `vitdet_mask_rcnn` the federated loss
with the image counts of the data.

Reference: Li et al. 2022 (arXiv 2203.16527).
"""

from geodet.models.detectors import RCNN
from geodet.models.zoo.vitdet_numbers import (
    LVIS,
    VIT_B,
    VIT_H,
    VIT_L,
    sized_cascade_mask_rcnn,
    sized_mask_rcnn,
)

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
    return sized_mask_rcnn(VIT_B, LVIS, num_classes=num_classes)


def mask_rcnn_vitdet_l_lvis(*, num_classes: int = 1203) -> RCNN:
    """Mask R-CNN, ViT-L for LVIS: Detectron2's `mask_rcnn_vitdet_l_100ep`."""
    return sized_mask_rcnn(VIT_L, LVIS, num_classes=num_classes)


def mask_rcnn_vitdet_h_lvis(*, num_classes: int = 1203) -> RCNN:
    """Mask R-CNN, ViT-H for LVIS: Detectron2's `mask_rcnn_vitdet_h_100ep`."""
    return sized_mask_rcnn(VIT_H, LVIS, num_classes=num_classes)


def cascade_mask_rcnn_vitdet_b_lvis(*, num_classes: int = 1203) -> RCNN:
    """Cascade Mask R-CNN, ViT-B for LVIS: Detectron2's `cascade_mask_rcnn_vitdet_b_100ep`."""
    return sized_cascade_mask_rcnn(VIT_B, LVIS, num_classes=num_classes)


def cascade_mask_rcnn_vitdet_l_lvis(*, num_classes: int = 1203) -> RCNN:
    """Cascade Mask R-CNN, ViT-L for LVIS: Detectron2's `cascade_mask_rcnn_vitdet_l_100ep`."""
    return sized_cascade_mask_rcnn(VIT_L, LVIS, num_classes=num_classes)


def cascade_mask_rcnn_vitdet_h_lvis(*, num_classes: int = 1203) -> RCNN:
    """Cascade Mask R-CNN, ViT-H for LVIS: Detectron2's `cascade_mask_rcnn_vitdet_h_100ep`."""
    return sized_cascade_mask_rcnn(VIT_H, LVIS, num_classes=num_classes)
