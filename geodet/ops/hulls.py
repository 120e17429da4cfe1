"""Convex hulls of sets of points, and the smallest rectangles around them.

A flat batch of point sets is `points` [p, 2] x, y in continuous pixels and `offsets` [n + 1]: set i
is points[offsets[i] : offsets[i + 1]]. Order and repetition of the points mean nothing, and
coordinates below 1e-100 count as 0.

Letters in shapes: p points, n sets, k corners of hulls.
"""

import torch
from torch import Tensor

from geodet import _check
from geodet.ops import _backend
from geodet.ops._library import register
from geodet.ops._rle_batch import check_offsets, cpu_only

__all__ = ["convex_hulls", "min_area_rectangles"]


def convex_hulls(points: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest convex polygon around every set of points. Exact: corners are points of the set.

    Args:
        points: [p, 2] float64, x and y in pixels, at most 1e8 from the origin; on the CPU.
        offsets: [n + 1] int64, rising from 0 to p.
    Returns:
        Corners [k, 2] float64, clockwise on the screen from the leftmost (of several, topmost)
        one, without points in the middle of a side; and their offsets [n + 1] int64.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a coordinate is not finite or too far away (the message names the set),
            or the offsets do not rise.
        BackendError: the tensors are on a GPU.
    Empty: a set of no points has no corners, one of a single place has one, one on a line two.
    Reference: Andrew 1979 (monotone chain); Shewchuk 1997 (orientation without rounding).
    """
    _check_sets(points, offsets)
    return _convex_hulls(points, offsets)


def min_area_rectangles(points: Tensor, offsets: Tensor) -> Tensor:
    """Rotated rectangle of the smallest area around every set of points.

    Args:
        points: [p, 2] float64, x and y in pixels, at most 1e8 from the origin; on the CPU.
        offsets: [n + 1] int64, rising from 0 to p.
    Returns:
        [n, 5] float64 cx, cy, w, h and angle in degrees, counter-clockwise on the screen, in
        [-45, 45): the width is the side closest to horizontal. Where several rectangles have the
        smallest area (to 1e-12 of it), the angle closest to 0 wins, and of two such the positive.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a coordinate is not finite or too far away (the message names the set),
            or the offsets do not rise.
        BackendError: the tensors are on a GPU.
    Empty: a set of no points gives zeros, one of a single place a box without sides there, one on
        a line a box without height or without width along it.
    Reference: Freeman & Shapira 1975; rotating calipers, Shamos 1978.
    """
    _check_sets(points, offsets)
    return _min_area_rectangles(points, offsets)


def _check_sets(points: Tensor, offsets: Tensor) -> None:
    _check.check_dtype("points", _check.check_shape("points", points, "p", 2), torch.float64)
    check_offsets("offsets", offsets)
    _check.check_same_device(("points", "offsets"), (points, offsets))


def _hulls_on_cpu(points: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    corners, ends = _backend.cpu.convex_hulls(
        _backend.array(points), _backend.array(offsets), _backend.threads()
    )
    return torch.from_numpy(corners), torch.from_numpy(ends)


def _hulls_fake(points: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    corners = torch.library.get_ctx().new_dynamic_size()
    return points.new_empty([corners, 2]), torch.empty_like(offsets)


def _rectangles_on_cpu(points: Tensor, offsets: Tensor) -> Tensor:
    return torch.from_numpy(
        _backend.cpu.min_area_rectangles(
            _backend.array(points), _backend.array(offsets), _backend.threads()
        )
    )


def _rectangles_fake(points: Tensor, offsets: Tensor) -> Tensor:
    return points.new_empty((offsets.shape[0] - 1, 5))


_convex_hulls = register(
    "convex_hulls(Tensor points, Tensor offsets) -> (Tensor, Tensor)",
    cpu=_hulls_on_cpu,
    cuda=cpu_only("convex_hulls"),
    fake=_hulls_fake,
)
_min_area_rectangles = register(
    "min_area_rectangles(Tensor points, Tensor offsets) -> Tensor",
    cpu=_rectangles_on_cpu,
    cuda=cpu_only("min_area_rectangles"),
    fake=_rectangles_fake,
)
