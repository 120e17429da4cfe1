"""How far boxes lie apart, and how far points lie from the sides of boxes.

Compositions of torch operations: differentiable, compilable, on every device. The gap of boxes
that touch or overlap is 0, and so is its gradient. A NaN gives NaN. Half precision is computed in
float32 and rounded once. Letters in shapes: n and m boxes, p points.
"""

import torch
from torch import Tensor

from geodet import _check
from geodet.ops._angles import cos_sin_deg, offsets_of_corners

__all__ = [
    "matched_box_distance",
    "matched_rotated_distance",
    "pairwise_box_distance",
    "pairwise_point_box_distances",
    "pairwise_rotated_distance",
]


def pairwise_point_box_distances(points: Tensor, xyxy: Tensor) -> Tensor:
    """Distances of every point from the four sides of every box.

    Args:
        points: [p, 2] float, x and y in pixels.
        xyxy: [n, 4], same dtype and device.
    Returns:
        [p, n, 4] from the left, top, right and bottom side, positive on the side of the box where
        its inside is: a point lies inside where all four are positive.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: p = 0 or n = 0 gives a [p, n, 4] tensor.
    """
    _check.check_floating("points", _check.check_shape("points", points, "p", 2))
    _check.check_dtype("xyxy", _check.check_shape("xyxy", xyxy, "n", 4), points.dtype)
    _check.check_same_device(("points", "xyxy"), (points, xyxy))
    from_low = points[:, None] - xyxy[None, :, :2]
    from_high = xyxy[None, :, 2:] - points[:, None]
    return torch.cat((from_low, from_high), dim=2)


def pairwise_box_distance(a: Tensor, b: Tensor) -> Tensor:
    """Length of the shortest line between every pair of boxes.

    Args:
        a: [n, 4] float xyxy, pixels.
        b: [m, 4], same dtype and device.
    Returns:
        [n, m] in pixels; 0 where the boxes touch or overlap.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    """
    _check_both(a, b, 4)
    return _box_distance(_wide(a)[:, None], _wide(b)[None]).to(a.dtype)


def matched_box_distance(a: Tensor, b: Tensor) -> Tensor:
    """Length of the shortest line between row i of `a` and row i of `b`.

    Args:
        a: [n, 4] float xyxy, pixels.
        b: [n, 4], same dtype and device.
    Returns:
        [n] in pixels; 0 where the boxes touch or overlap.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 gives [0].
    """
    _check_both(a, b, 4, matched=True)
    return _box_distance(_wide(a), _wide(b)).to(a.dtype)


def pairwise_rotated_distance(a: Tensor, b: Tensor) -> Tensor:
    """Length of the shortest line between every pair of rotated boxes.

    Args:
        a: [n, 5] float cx, cy, w, h in pixels, angle in degrees.
        b: [m, 5], same dtype and device.
    Returns:
        [n, m] in pixels; 0 where the boxes touch or overlap. Takes about 50 n m numbers of memory.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    """
    _check_both(a, b, 5)
    return _rotated_distance(_wide(a)[:, None], _wide(b)[None]).to(a.dtype)


def matched_rotated_distance(a: Tensor, b: Tensor) -> Tensor:
    """Length of the shortest line between row i of `a` and row i of `b`, rotated boxes.

    Args:
        a: [n, 5] float cx, cy, w, h in pixels, angle in degrees.
        b: [n, 5], same dtype and device.
    Returns:
        [n] in pixels; 0 where the boxes touch or overlap.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 gives [0].
    """
    _check_both(a, b, 5, matched=True)
    return _rotated_distance(_wide(a), _wide(b)).to(a.dtype)


def _check_both(a: Tensor, b: Tensor, columns: int, *, matched: bool = False) -> None:
    _check.check_floating("a", _check.check_shape("a", a, "n", columns))
    rows_of_b = len(a) if matched else "m"
    _check.check_dtype("b", _check.check_shape("b", b, rows_of_b, columns), a.dtype)
    _check.check_same_device(("a", "b"), (a, b))


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.dtype in {torch.float16, torch.bfloat16} else values


def _box_distance(a: Tensor, b: Tensor) -> Tensor:
    gap = torch.maximum(a[..., :2] - b[..., 2:], b[..., :2] - a[..., 2:]).clamp(min=0)
    return _length(gap)


def _length(gap: Tensor) -> Tensor:
    """Euclidean length of [..., 2]; 0 has the gradient 0, where that of hypot is NaN."""
    apart = ~(gap <= 0).all(-1)  # True for NaN
    one = torch.ones_like(gap[..., 0])
    length = torch.hypot(torch.where(apart, gap[..., 0], one), torch.where(apart, gap[..., 1], one))
    return torch.where(apart, length, torch.zeros_like(length))


def _rotated_distance(a: Tensor, b: Tensor) -> Tensor:
    """The shortest line between two convex polygons that are apart ends in a corner of one."""
    to_b, b_overlaps = _corners_against(a, b)
    to_a, a_overlaps = _corners_against(b, a)
    # Separating axis theorem: two rectangles overlap when no side of either separates them.
    distance = torch.minimum(to_a, to_b)
    return torch.where(a_overlaps & b_overlaps, torch.zeros_like(distance), distance)


def _corners_against(box: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of the nearest corner of `other` from `box`; whether no side of `box` separates."""
    offsets = (other[..., :2] - box[..., :2])[..., None, :] + offsets_of_corners(other)
    x, y = offsets.unbind(-1)
    cos, sin = (value[..., None] for value in cos_sin_deg(box[..., 4]))
    local = torch.stack((x * cos - y * sin, x * sin + y * cos), dim=-1)  # [..., 4, 2]
    half = box[..., 2:4] / 2
    gaps = (local.abs() - half[..., None, :]).clamp(min=0)
    overlaps = (local.amin(-2) <= half) & (local.amax(-2) >= -half)
    return _length(gaps).amin(-1), overlaps.all(-1)
