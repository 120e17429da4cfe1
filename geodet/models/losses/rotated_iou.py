"""Losses on the overlap of rotated boxes. Shapes: n boxes."""

import torch
from torch import Tensor

from geodet import ops

__all__ = ["rotated_giou_loss", "rotated_iou_loss"]


def rotated_iou_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """Sum of 1 - IoU of each predicted rotated box with its target.

    Boxes that do not overlap cost 1 and have no gradient: start from predictions that overlap, or
    take `rotated_giou_loss`.

    Args:
        predictions: [n, 5] float, cx, cy, w, h in pixels and the angle in degrees.
        targets: [n, 5] on the same device.
    Returns:
        Scalar in float32 at least, between 0 and n.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 gives 0, with a gradient of zeros.
    Reference: Zhou et al. 2019, "IoU loss for 2D/3D object detection" (arXiv 1908.03851).
    """
    predictions, targets = _in_one_precision(predictions, targets)
    return (1 - ops.matched_rotated_iou(predictions, targets)).sum()


def rotated_giou_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """Sum of 1 - GIoU of each predicted rotated box with its target.

    The enclosure is the convex hull of both boxes. Its gradient pulls boxes together that are
    apart.

    Args: as `rotated_iou_loss`.
    Returns:
        Scalar in float32 at least, between 0 and 2 n.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 gives 0, with a gradient of zeros.
    Reference: Rezatofighi et al. 2019 (arXiv 1902.09630), algorithm 1.
    """
    predictions, targets = _in_one_precision(predictions, targets)
    return (1 - ops.matched_rotated_giou(predictions, targets)).sum()


def _in_one_precision(predictions: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Both in double where one is, else in float32: 16 bits do not hold a pixel of a photograph."""
    double = torch.float64 in {predictions.dtype, targets.dtype}
    dtype = torch.float64 if double else torch.float32
    return predictions.to(dtype), targets.to(dtype)
