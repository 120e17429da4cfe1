"""Losses on box offsets."""

from torch import Tensor
from torch.nn import functional

__all__ = ["smooth_l1_loss"]


def smooth_l1_loss(predictions: Tensor, targets: Tensor, *, beta: float = 0.0) -> Tensor:
    """Sum of absolute errors, quadratic below `beta`.

    Args:
        predictions: any shape.
        targets: the same shape.
        beta: error below which the loss is 0.5 * error**2 / beta; 0 is the plain L1 loss.
    Returns:
        Scalar in float32 at least: 16-bit sums over thousands of terms lose the small ones.
    Empty: no elements give 0, with a gradient of zeros.
    Reference: Girshick 2015 (arXiv 1504.08083), equation 3, divided by beta.
    """
    predictions, targets = predictions.float(), targets.float()
    if beta == 0.0:
        # Its own branch: smooth_l1 divides by beta.
        return functional.l1_loss(predictions, targets, reduction="sum")
    return functional.smooth_l1_loss(predictions, targets, beta=beta, reduction="sum")
