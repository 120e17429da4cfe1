"""Polygons cut to a window, made simpler, and checked for edges that cross.

Polygon masks come as the four levels of `geodet.ops.polygons`: points, rings, parts, masks. All of
this runs on the CPU, where outlines live.

Letters in shapes: p points, r rings, q parts, n masks; a prime marks what a result has.
"""

# ruff: noqa: PLR0917 - kernels take what their schema lists, by position
import math

import torch
from torch import Tensor

from geodet.errors import InvalidValueError
from geodet.ops import _backend
from geodet.ops._library import register
from geodet.ops._rle_batch import cpu_only
from geodet.ops.polygons import check_polygons, check_rings

__all__ = ["clip_polygons", "rings_are_simple", "simplify_polygons"]

Levels = tuple[Tensor, Tensor, Tensor, Tensor]


def clip_polygons(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    window_xyxy: tuple[float, float, float, float],
) -> Levels:
    """Cut polygon masks to a rectangle; what it cuts in two comes apart.

    Exact but for the rounding of new points where rings do not cross themselves or each other: a
    part becomes as many parts as its pieces, a hole that reaches the border becomes part of the
    outline, and no piece is joined to another along the border. A part that lies inside, its
    border included, is returned as it is.

    Args:
        points: [p, 2] float64, x and y in pixels, at most 1e8 from the origin; on the CPU.
        ring_offsets: [r + 1] int64, rising from 0 to p.
        part_offsets: [q + 1] int64, from 0 to r; every part has an outline ring.
        mask_offsets: [n + 1] int64, from 0 to q.
        window_xyxy: left, top, right, bottom in pixels; infinite ones cut nothing.
    Returns:
        points [p', 2], ring_offsets [r' + 1], part_offsets [q' + 1] and mask_offsets [n + 1] of the
        same masks; one that lies outside has no part.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a coordinate cannot be used (the message names the ring), offsets do not
            rise as they should, or the window is turned around.
        BackendError: the tensors are on a GPU.
    Empty: n = 0 gives no masks; a window without area leaves no parts but those inside it.
    Reference: Weiler & Atherton 1977, for the four borders of a rectangle in turn.
    """
    check_polygons(points, ring_offsets, part_offsets, mask_offsets)
    x1, y1, x2, y2 = (float(value) for value in window_xyxy)
    if not (x1 <= x2 and y1 <= y2):
        raise InvalidValueError(
            f"window_xyxy: expected x1 <= x2 and y1 <= y2, got {(x1, y1, x2, y2)}"
        )
    return _clip_polygons(points, ring_offsets, part_offsets, mask_offsets, x1, y1, x2, y2)


def simplify_polygons(
    points: Tensor, ring_offsets: Tensor, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Leave out points of rings that lie close to the line without them.

    Every point that is left out lies at most `tolerance` from the line segment between the two
    points kept around it. The first point of a ring and the one furthest from it are kept; a ring
    of three points or more keeps three. Rings may come to cross: see `rings_are_simple`.

    Args:
        points: [p, 2] float64, x and y in pixels, at most 1e8 from the origin; on the CPU.
        ring_offsets: [r + 1] int64, rising from 0 to p.
        tolerance: pixels, 0 or more; 0 leaves out points on the line only.
    Returns:
        points [p', 2] and ring_offsets [r + 1] of the same rings: parts and masks stay.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a coordinate cannot be used (the message names the ring), offsets do not
            rise as they should, or the tolerance is negative or not a number.
        BackendError: the tensors are on a GPU.
    Empty: r = 0 gives no rings.
    Reference: Douglas & Peucker 1973.
    """
    check_rings(points, ring_offsets)
    if not 0 <= tolerance < math.inf:
        raise InvalidValueError(f"tolerance: expected 0 pixels or more, got {tolerance}")
    return _simplify_polygons(points, ring_offsets, float(tolerance))


def rings_are_simple(points: Tensor, ring_offsets: Tensor) -> Tensor:
    """Whether the edges of each ring meet only where one follows the other.

    Equal points in a row count as one. Exact for coordinates that are 0 or at least 1e-100.

    Args:
        points: [p, 2] float64, x and y in pixels, at most 1e8 from the origin; on the CPU.
        ring_offsets: [r + 1] int64, rising from 0 to p.
    Returns:
        [r] bool; False for rings of fewer than three places or without area.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a coordinate cannot be used (the message names the ring), or offsets do
            not rise as they should.
        BackendError: the tensors are on a GPU.
    Empty: r = 0 gives [0].
    """
    check_rings(points, ring_offsets)
    return _rings_are_simple(points, ring_offsets)


def _clip_on_cpu(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    x1: float,
    y1: float,
    x2: float,
    y2: float,
) -> Levels:
    clipped = _backend.cpu.clip_polygons(
        _backend.array(points),
        _backend.array(ring_offsets),
        _backend.array(part_offsets),
        _backend.array(mask_offsets),
        x1,
        y1,
        x2,
        y2,
    )
    xy, rings, parts, masks = (torch.from_numpy(array) for array in clipped)
    return xy, rings, parts, masks


def _clip_fake(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    x1: float,
    y1: float,
    x2: float,
    y2: float,
) -> Levels:
    del x1, y1, x2, y2
    context = torch.library.get_ctx()
    return (
        points.new_empty([context.new_dynamic_size(), 2]),
        ring_offsets.new_empty([context.new_dynamic_size()]),
        part_offsets.new_empty([context.new_dynamic_size()]),
        torch.empty_like(mask_offsets),
    )


def _simplify_on_cpu(
    points: Tensor, ring_offsets: Tensor, tolerance: float
) -> tuple[Tensor, Tensor]:
    xy, offsets = _backend.cpu.simplify_polygons(
        _backend.array(points), _backend.array(ring_offsets), tolerance, _backend.threads()
    )
    return torch.from_numpy(xy), torch.from_numpy(offsets)


def _simplify_fake(points: Tensor, ring_offsets: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    del tolerance
    kept = torch.library.get_ctx().new_dynamic_size()
    return points.new_empty([kept, 2]), torch.empty_like(ring_offsets)


def _simple_on_cpu(points: Tensor, ring_offsets: Tensor) -> Tensor:
    return torch.from_numpy(
        _backend.cpu.rings_are_simple(
            _backend.array(points), _backend.array(ring_offsets), _backend.threads()
        )
    )


def _simple_fake(points: Tensor, ring_offsets: Tensor) -> Tensor:
    return points.new_empty((ring_offsets.shape[0] - 1,), dtype=torch.bool)


_clip_polygons = register(
    "clip_polygons(Tensor points, Tensor ring_offsets, Tensor part_offsets, "
    "Tensor mask_offsets, float x1, float y1, float x2, float y2) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
    cpu=_clip_on_cpu,
    cuda=cpu_only("clip_polygons"),
    fake=_clip_fake,
)
_simplify_polygons = register(
    "simplify_polygons(Tensor points, Tensor ring_offsets, float tolerance) -> (Tensor, Tensor)",
    cpu=_simplify_on_cpu,
    cuda=cpu_only("simplify_polygons"),
    fake=_simplify_fake,
)
_rings_are_simple = register(
    "rings_are_simple(Tensor points, Tensor ring_offsets) -> Tensor",
    cpu=_simple_on_cpu,
    cuda=cpu_only("rings_are_simple"),
    fake=_simple_fake,
)
