"""Strategies of regions: horizontal and rotated boxes, and scores for them."""

import hypothesis.strategies as st
import torch
from torch import Tensor

from geodet.structures import Boxes, RotatedBoxes
from geodet.testing.strategies._options import (
    STEP,
    Device,
    Sizes,
    Strategy,
    check_range,
    check_tensors,
    draw_rows,
    on_grid,
    sizes_of,
)
from geodet.testing.strategies.images import image_sizes


def boxes(
    *,
    image_size: Sizes = None,
    min_rows: int = 0,
    max_rows: int = 6,
    degenerate: bool = True,
    inside: bool = True,
    dtype: torch.dtype = torch.float32,
    device: Device = "cpu",
) -> st.SearchStrategy[Boxes]:
    """Draw boxes.

    Args:
        image_size: a size, a strategy of sizes, or None for `image_sizes()`.
        min_rows: fewest boxes.
        max_rows: most boxes.
        degenerate: allow boxes without width or height.
        inside: False lets boxes reach one image size beyond each border, or lie there.
        dtype: a floating-point dtype.
        device: where the boxes lie.
    Reaches: no box, lines, points, equal boxes, touching boxes, the whole image.
    Shrinks to: a box of the smallest size at the origin.
    """
    check_range("min_rows", min_rows, "max_rows", max_rows)
    check_tensors(dtype, device)
    sizes = sizes_of(image_size, image_sizes())
    rows = _box_rows(sizes, (min_rows, max_rows), degenerate, inside)
    return rows.map(lambda found: Boxes(on_grid(found, 4, dtype, device)))


def rotated_boxes(
    *,
    image_size: Sizes = None,
    min_rows: int = 0,
    max_rows: int = 6,
    degenerate: bool = True,
    dtype: torch.dtype = torch.float32,
    device: Device = "cpu",
) -> st.SearchStrategy[RotatedBoxes]:
    """Draw rotated boxes with their centres in an image and angles in [-180, 180) degrees.

    Args:
        image_size: a size, a strategy of sizes, or None for `image_sizes()`.
        min_rows: fewest boxes.
        max_rows: most boxes.
        degenerate: allow boxes without width or height.
        dtype: a floating-point dtype.
        device: where the boxes lie.
    Reaches: no box, lines, points, equal boxes, multiples of 45 degrees, boxes that reach beyond
        the image, and the same region written twice (half a turn apart, or sides exchanged).
    Shrinks to: an upright box of the smallest size at the origin.
    """
    check_range("min_rows", min_rows, "max_rows", max_rows)
    check_tensors(dtype, device)
    sizes = sizes_of(image_size, image_sizes())
    rows = _rotated_rows(sizes, (min_rows, max_rows), degenerate)
    return rows.map(lambda found: RotatedBoxes(on_grid(found, 5, dtype, device)))


def scores(
    *,
    rows: int,
    distinct: bool = False,
    dtype: torch.dtype = torch.float32,
    device: Device = "cpu",
) -> st.SearchStrategy[Tensor]:
    """Draw [rows] probabilities that are multiples of 1/16, or of 1/256 where none may repeat.

    Args:
        rows: how many; at most 257 distinct ones.
        distinct: no two equal; otherwise ties are frequent.
        dtype: a floating-point dtype.
        device: where the scores lie.
    Reaches: 0, 1, ties.
    Shrinks to: zeros.
    """
    check_range(
        "rows", rows, "most distinct scores" if distinct else "rows", 257 if distinct else rows
    )
    check_tensors(dtype, device)
    parts = 256 if distinct else 16
    steps = st.lists(st.integers(0, parts), min_size=rows, max_size=rows, unique=distinct)
    return steps.map(
        lambda values: (torch.tensor(values, dtype=torch.float64) / parts).to(device, dtype)
    )


@st.composite
def _box_rows(
    draw: st.DrawFn, sizes: Strategy, rows: tuple[int, int], degenerate: bool, inside: bool
) -> list[tuple[int, ...]]:
    size = draw(sizes)
    shortest = 0 if degenerate else 1

    def spans(side: int) -> Strategy:
        reach = 0 if inside else STEP * side
        ends = STEP * side + reach
        start = st.one_of(
            st.integers(0, STEP * side - shortest), st.integers(-reach, ends - shortest)
        )
        return start.flatmap(lambda a: st.tuples(st.just(a), st.integers(a + shortest, ends)))

    # Drawn last and rarely, so that shrinking gives it up first.
    whole = st.sampled_from([*[False] * 7, True])
    one = st.tuples(spans(size.width), spans(size.height), whole)
    image = (0, 0, STEP * size.width, STEP * size.height)
    return [
        image if is_whole else (x1, y1, x2, y2)
        for (x1, x2), (y1, y2), is_whole in draw_rows(draw, one, rows)
    ]


@st.composite
def _rotated_rows(
    draw: st.DrawFn, sizes: Strategy, rows: tuple[int, int], degenerate: bool
) -> list[tuple[int, ...]]:
    size = draw(sizes)
    shortest = 0 if degenerate else 1
    half_turn, quarter_turn = 180 * STEP, 90 * STEP
    angles = st.one_of(
        st.integers(-4, 3).map(lambda turn: turn * 45 * STEP),
        st.integers(-half_turn, half_turn - 1),
    )
    row = st.tuples(
        st.integers(0, STEP * size.width),
        st.integers(0, STEP * size.height),
        st.integers(shortest, STEP * size.width),
        st.integers(shortest, STEP * size.height),
        angles,
    )
    twins = st.sampled_from(["itself", "half a turn", "sides exchanged"])
    found: list[tuple[int, ...]] = []
    for cx, cy, w, h, angle in draw_rows(draw, row, rows):
        turned, sides = angle, (w, h)
        if (cx, cy, w, h, angle) in found:
            twin = draw(twins)
            turned += {"itself": 0, "half a turn": half_turn}.get(twin, quarter_turn)
            sides = (h, w) if twin == "sides exchanged" else sides
        found.append((cx, cy, *sides, (turned + half_turn) % (2 * half_turn) - half_turn))
    return found
