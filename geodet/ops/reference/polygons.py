"""Specification of `geodet.ops.polygons`: the outline walked step by step on COCO's grid."""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = [
    "part_reference",
    "ring_area_reference",
    "ring_coverage_reference",
    "ring_reference",
]

Point = tuple[float, float]


def ring_area_reference(ring: Sequence[Point]) -> float:
    """Signed area by the shoelace formula, positive for clockwise on the screen (y down)."""
    following = [*ring[1:], *ring[:1]]
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, following, strict=True)) / 2


def _walk(a: tuple[int, int], b: tuple[int, int]) -> list[tuple[int, int]]:
    """Grid points from a to b, one for each step of the longer axis."""
    across, down = abs(b[0] - a[0]), abs(b[1] - a[1])
    if across == down == 0:
        return [a]
    axis = 0 if across >= down else 1
    low, high = (a, b) if a[axis] <= b[axis] else (b, a)
    steps = max(across, down)
    slope = (high[1 - axis] - low[1 - axis]) / steps
    points = []
    for t in range(steps + 1):
        beside = int(low[1 - axis] + slope * t + 0.5)
        along = low[axis] + t
        points.append((along, beside) if axis == 0 else (beside, along))
    return points if low == a else points[::-1]


def ring_reference(ring: Sequence[Point], size_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """[h, w] mask of one ring: five grid steps a pixel, columns decided at their middle."""
    height, width = size_hw
    flips = np.zeros(height * width + 1, dtype=np.int64)
    grid = [(int(5 * x + 0.5), int(5 * y + 0.5)) for x, y in ring]
    outline = [p for a, b in zip(grid, grid[1:] + grid[:1], strict=True) for p in _walk(a, b)]
    for (x, y), (next_x, next_y) in itertools.pairwise(outline):
        column, rest = divmod(min(x, next_x), 5)
        if x == next_x or rest != 2 or not 0 <= column < width:
            continue
        row = min(max(-(-(min(y, next_y) - 2) // 5), 0), height)
        flips[column * height + row] += 1
    inside = flips[:-1].cumsum() % 2 == 1
    return np.asarray(inside.reshape(width, height).T)


def part_reference(
    rings: Sequence[Sequence[Point]], size_hw: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """[h, w] mask of an outline ring minus the rings after it."""
    mask = ring_reference(rings[0], size_hw)
    for hole in rings[1:]:
        mask = mask & ~ring_reference(hole, size_hw)
    return mask


def _cut(ring: list[Point], axis: int, bound: float, sign: int) -> list[Point]:
    """The part of a ring where `sign` times a coordinate is at least `sign` times a bound."""
    kept: list[Point] = []
    for a, b in zip(ring, [*ring[1:], *ring[:1]], strict=True):
        a_depth, b_depth = sign * (a[axis] - bound), sign * (b[axis] - bound)
        if a_depth >= 0:
            kept.append(a)
        if (a_depth < 0) != (b_depth < 0):
            t = a_depth / (a_depth - b_depth)
            crossing = [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]
            crossing[axis] = bound
            kept.append((crossing[0], crossing[1]))
    return kept


def ring_coverage_reference(
    ring: Sequence[Point], size_hw: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """[h, w] share of each pixel inside one ring: the ring is cut at the four sides of each.

    Reference: Sutherland & Hodgman 1974.
    """
    height, width = size_hw
    shares = np.zeros(size_hw)
    for y, x in itertools.product(range(height), range(width)):
        inside = list(ring)
        for axis, bound, sign in ((0, x, 1), (0, x + 1, -1), (1, y, 1), (1, y + 1, -1)):
            inside = _cut(inside, axis, bound, sign)
        shares[y, x] = abs(ring_area_reference(inside))
    return shares
