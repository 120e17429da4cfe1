"""Losses: tensors in, one number out; normalised by the caller."""

from geodet.models.losses.box_regression import BoxLoss, IouLoss, SmoothL1
from geodet.models.losses.classification import (
    ClassLoss,
    FederatedClasses,
    SigmoidClasses,
    SoftmaxClasses,
)
from geodet.models.losses.focal import dense_focal_loss, sigmoid_focal_loss
from geodet.models.losses.normaliser import EmaNormaliser
from geodet.models.losses.pixels import HardPixelMining, PixelCrossEntropy, PixelLoss
from geodet.models.losses.regression import smooth_l1_loss
from geodet.models.losses.rotated_iou import rotated_giou_loss, rotated_iou_loss

__all__ = [
    "BoxLoss",
    "ClassLoss",
    "EmaNormaliser",
    "FederatedClasses",
    "HardPixelMining",
    "IouLoss",
    "PixelCrossEntropy",
    "PixelLoss",
    "SigmoidClasses",
    "SmoothL1",
    "SoftmaxClasses",
    "dense_focal_loss",
    "rotated_giou_loss",
    "rotated_iou_loss",
    "sigmoid_focal_loss",
    "smooth_l1_loss",
]
