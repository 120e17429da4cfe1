"""Losses: tensors in, one number out; normalised by the caller."""

from geodet.models.losses.regression import smooth_l1_loss

__all__ = ["smooth_l1_loss"]
