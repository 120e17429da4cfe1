"""Strategy of polygon masks with several parts and holes."""

import hypothesis.strategies as st
import numpy as np

from geodet.structures import PolygonMasks
from geodet.testing.strategies._options import (
    STEP,
    Sizes,
    Strategy,
    check_range,
    draw_rows,
    sizes_of,
)
from geodet.testing.strategies.images import image_sizes


def polygon_masks(
    *,
    image_size: Sizes = None,
    min_rows: int = 0,
    max_rows: int = 4,
    max_parts: int = 3,
    max_holes: int = 1,
    max_points: int = 6,
) -> st.SearchStrategy[PolygonMasks]:
    """Draw polygon masks of several parts with holes.

    Rings run around a point inside them, so they do not cross themselves; they may be flat. Holes
    are smaller copies of the outline around that point. Parts may overlap.

    Args:
        image_size: a size, a strategy of sizes, or None for `image_sizes()`.
        min_rows: fewest masks.
        max_rows: most masks.
        max_parts: most parts of a mask; a mask without parts is empty.
        max_holes: most holes of a part, at most 3; further ones lie inside the first.
        max_points: most points of a ring, at least 3.
    Reaches: no mask, masks without parts, several parts, overlapping parts, holes, flat rings,
        equal masks.
    Shrinks to: masks without parts, then to one flat triangle at the origin.
    """
    check_range("min_rows", min_rows, "max_rows", max_rows)
    check_range("max_parts", max_parts, "max_parts", max_parts)
    check_range("max_holes", max_holes, "most holes", 3)
    check_range("max_points", max_points, "max_points", max_points, lowest=3)
    most = {"parts": max_parts, "holes": max_holes, "points": max_points}
    return _polygon_masks(sizes_of(image_size, image_sizes()), (min_rows, max_rows), most)


@st.composite
def _polygon_masks(
    draw: st.DrawFn, sizes: Strategy, rows: tuple[int, int], most: dict[str, int]
) -> PolygonMasks:
    size = draw(sizes)
    point = st.tuples(st.integers(0, STEP * size.width), st.integers(0, STEP * size.height))
    part = st.tuples(
        st.lists(point, min_size=3, max_size=most["points"], unique=True),
        st.integers(0, most["holes"]),
    )
    masks = draw_rows(draw, st.lists(part, max_size=most["parts"]), rows)
    rings = [[_part(corners, holes) for corners, holes in parts] for parts in masks]
    return PolygonMasks.from_rings(rings, size)


def _part(corners: list[tuple[int, int]], holes: int) -> list[list[tuple[float, float]]]:
    """An outline around the mean of its corners, and holes that are smaller copies of it."""
    points = np.array(corners, dtype=np.float64) / STEP
    middle = points.mean(axis=0)
    arms = points - middle
    arms = arms[np.lexsort((np.hypot(*arms.T), np.arctan2(arms[:, 1], arms[:, 0])))]
    outline = np.round((middle + arms) * STEP) / STEP  # back onto the grid, exactly
    inner = [middle + arms * 0.5**level for level in range(1, holes + 1)]
    return [[(float(x), float(y)) for x, y in ring] for ring in (outline, *inner)]
