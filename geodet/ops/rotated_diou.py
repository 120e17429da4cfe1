"""Distance IoU of rotated boxes: a composition of the rotated IoU and torch operations.

The distance of the centres is divided by the diameter of both boxes together: the longest line
between two of their eight corners, which is also the diameter of their convex hull. So the measure
lies in [-1, 1] and does not change when both boxes move or turn. (Zheng 2020 divides by the
diagonal of the upright enclosing box, which does; `pairwise_box_diou` follows the paper.)

A box that is not finite has -1 with everything, a point 0 with itself. Letters in shapes: n and m
are numbers of boxes.
"""

import torch
from torch import Tensor

from geodet.ops._angles import offsets_of_corners
from geodet.ops.rotated import matched_rotated_iou, pairwise_rotated_iou

__all__ = ["matched_rotated_diou", "pairwise_rotated_diou"]


def pairwise_rotated_diou(a: Tensor, b: Tensor) -> Tensor:
    """Distance IoU of every pair of rotated boxes.

    Args:
        a: [n, 5] float cx, cy, w, h in pixels, angle in degrees.
        b: [m, 5], same dtype and device.
    Returns:
        [n, m] in [-1, 1]. Takes about 50 n m numbers of memory.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    Reference: after Zheng et al. 2020 (arXiv 1911.08287), equation 7.
    """
    iou = pairwise_rotated_iou(a, b)
    return (iou.to(_wide(a).dtype) - _penalty(_wide(a)[:, None], _wide(b)[None])).to(a.dtype)


def matched_rotated_diou(a: Tensor, b: Tensor) -> Tensor:
    """Distance IoU of row i of `a` and row i of `b`, rotated boxes.

    Args:
        a: [n, 5] float cx, cy, w, h in pixels, angle in degrees.
        b: [n, 5], same dtype and device.
    Returns:
        [n] in [-1, 1].
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 gives [0].
    Reference: after Zheng et al. 2020 (arXiv 1911.08287), equation 7.
    """
    iou = matched_rotated_iou(a, b)
    return (iou.to(_wide(a).dtype) - _penalty(_wide(a), _wide(b))).to(a.dtype)


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.dtype in {torch.float16, torch.bfloat16} else values


def _penalty(a: Tensor, b: Tensor) -> Tensor:
    """Squared distance of the centres over the squared diameter, in [0, 1]."""
    sound = a.isfinite().all(-1) & b.isfinite().all(-1)
    zero = a.new_zeros(())
    a, b = torch.where(sound[..., None], a, zero), torch.where(sound[..., None], b, zero)
    offset = b[..., :2] - a[..., :2]
    # Counted from the centre of a: far from the origin, squares of coordinates would round.
    near, far = offsets_of_corners(a), offset[..., None, :] + offsets_of_corners(b)
    between = (near[..., :, None, :] - far[..., None, :, :]).square().sum(-1).amax((-1, -2))
    own = torch.maximum(a[..., 2:4].square().sum(-1), b[..., 2:4].square().sum(-1))
    diameter = torch.maximum(between, own)
    share = offset.square().sum(-1) / torch.where(diameter > 0, diameter, torch.ones_like(diameter))
    return torch.where(sound, share.clamp(max=1), torch.ones_like(share))
