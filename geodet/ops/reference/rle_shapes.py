"""Specification of `geodet.ops.rle_shapes` and `rle_morphology` on dense NumPy masks."""

import itertools

import numpy as np
import numpy.typing as npt

__all__ = [
    "boundary_reference",
    "components_reference",
    "contours_reference",
    "dilate_reference",
    "erode_reference",
    "is_near_reference",
    "pad_reference",
    "rotate_90_reference",
]

Mask = npt.NDArray[np.bool_]
Point = tuple[int, int]
Ring = list[Point]


def components_reference(mask: Mask, connectivity: int) -> list[Mask]:
    """Pieces of one [h, w] mask, ordered by their first pixel, column by column."""
    reach = 1 if connectivity == 4 else 2  # |dx| + |dy| of neighbours
    pieces = []
    left = {(int(x), int(y)) for y, x in zip(*np.nonzero(mask), strict=True)}
    while left:
        piece = [min(left)]
        left.remove(piece[0])
        for x, y in piece:  # grows while it is read
            for dx, dy in itertools.product((-1, 0, 1), repeat=2):
                near = (x + dx, y + dy)
                if abs(dx) + abs(dy) <= reach and near in left:
                    left.remove(near)
                    piece.append(near)
        pieces.append(np.zeros_like(mask))
        for x, y in piece:
            pieces[-1][y, x] = True
    return pieces


def contours_reference(mask: Mask) -> list[list[Ring]]:
    """Parts of one [h, w] mask: the outline and the holes of every piece that shares sides."""
    return [_piece_rings(piece) for piece in components_reference(mask, 4)]


def _piece_rings(piece: Mask) -> list[Ring]:
    inside = np.pad(piece, 1)
    steps = {}  # edges of pixels with the piece to their right: (from, direction)
    for y, x in zip(*np.nonzero(piece), strict=True):
        for (dx, dy), start in zip(
            ((0, -1), (1, 0), (0, 1), (-1, 0)),
            ((x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)),
            strict=True,
        ):
            if not inside[y + 1 + dy, x + 1 + dx]:
                steps[(int(start[0]), int(start[1])), (-dy, dx)] = True
    rings = []
    while steps:
        point, direction = next(iter(steps))
        ring: Ring = []
        while (point, direction) in steps:
            del steps[point, direction]
            ring.append(point)
            point = (point[0] + direction[0], point[1] + direction[1])
            dx, dy = direction
            # Where the piece touches itself at a corner: turn left, so that no ring meets itself.
            ways = [(dy, -dx), (dx, dy), (-dy, dx)]
            direction = next((way for way in ways if (point, way) in steps), direction)
        rings.append(_corners(ring))
    return sorted(rings, key=lambda ring: ring[0])


def _corners(ring: Ring) -> Ring:
    """Points where a ring turns, from the topmost of the leftmost ones on."""
    around = [ring[-1], *ring, ring[0]]
    corners = [
        here
        for before, here, after in zip(around, around[1:], around[2:], strict=False)
        if (here[0] - before[0], here[1] - before[1]) != (after[0] - here[0], after[1] - here[1])
    ]
    first = corners.index(min(corners))
    return corners[first:] + corners[:first]


def is_near_reference(dx: int, dy: int, radius: int, neighbourhood: str) -> bool:
    """Whether a pixel (dx, dy) away is near."""
    if neighbourhood == "square":
        return max(abs(dx), abs(dy)) <= radius
    if neighbourhood == "diamond":
        return abs(dx) + abs(dy) <= radius
    return dx**2 + dy**2 <= radius**2


def dilate_reference(
    mask: Mask, radius: int, neighbourhood: str = "square", *, outside: bool = False
) -> Mask:
    """One [h, w] mask and the pixels near it."""
    height, width = mask.shape
    around = np.pad(mask, radius, constant_values=outside)
    grown = np.zeros_like(mask)
    for dx, dy in itertools.product(range(-radius, radius + 1), repeat=2):
        if is_near_reference(dx, dy, radius, neighbourhood):
            y, x = radius + dy, radius + dx
            grown |= around[y : y + height, x : x + width]
    return grown


def erode_reference(
    mask: Mask, radius: int, neighbourhood: str = "square", *, outside: bool = False
) -> Mask:
    """The pixels of one [h, w] mask that are near none outside of it."""
    return ~dilate_reference(~mask, radius, neighbourhood, outside=not outside)


def boundary_reference(mask: Mask, radius: int) -> Mask:
    """The pixels of one [h, w] mask that erosion takes away."""
    return mask & ~erode_reference(mask, radius)


def pad_reference(mask: Mask, padding: tuple[int, int, int, int]) -> Mask:
    """One mask with empty pixels to its left, top, right and bottom."""
    left, top, right, bottom = padding
    return np.pad(mask, ((top, bottom), (left, right)))


def rotate_90_reference(mask: Mask) -> Mask:
    """One [h, w] mask turned by a quarter, counter-clockwise as seen."""
    height, width = mask.shape
    turned = np.zeros((width, height), dtype=np.bool_)
    for y, x in itertools.product(range(height), range(width)):
        turned[width - 1 - x, y] = mask[y, x]
    return turned
