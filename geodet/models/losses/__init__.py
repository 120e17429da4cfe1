"""Losses: tensors in, one number out; normalised by the caller."""

from geodet.models.losses.box_regression import BoxLoss, IouLoss, SmoothL1
from geodet.models.losses.regression import smooth_l1_loss
from geodet.models.losses.rotated_iou import rotated_giou_loss, rotated_iou_loss

__all__ = [
    "BoxLoss",
    "IouLoss",
    "SmoothL1",
    "rotated_giou_loss",
    "rotated_iou_loss",
    "smooth_l1_loss",
]
