"""Strategies of skeletons and keypoints."""

import hypothesis.strategies as st
import torch

from geodet.structures import Keypoints, Skeleton
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


def skeletons(*, min_points: int = 1, max_points: int = 5) -> st.SearchStrategy[Skeleton]:
    """Draw skeletons with edges between neighbours and any flip pairs.

    Reaches: one point, no flip pair, points that are in no pair beside pairs.
    Shrinks to: the fewest points without pairs.
    """
    check_range("min_points", min_points, "max_points", max_points, lowest=1)
    return _skeletons(min_points, max_points)


def keypoints(
    *,
    skeleton: Skeleton | None = None,
    image_size: Sizes = None,
    min_rows: int = 0,
    max_rows: int = 6,
    dtype: torch.dtype = torch.float32,
    device: Device = "cpu",
) -> st.SearchStrategy[Keypoints]:
    """Draw keypoints inside an image; points that are not labelled are (0, 0, 0).

    Args:
        skeleton: what the points are; None draws one from `skeletons()`.
        image_size: a size, a strategy of sizes, or None for `image_sizes()`.
        min_rows: fewest instances.
        max_rows: most instances.
        dtype: a floating-point dtype.
        device: where the points lie.
    Reaches: no instance, instances without a labelled point, hidden and visible points, points on
        the border, equal instances.
    Shrinks to: points that are not labelled.
    """
    check_range("min_rows", min_rows, "max_rows", max_rows)
    check_tensors(dtype, device)
    chosen = skeletons() if skeleton is None else st.just(skeleton)
    sizes = sizes_of(image_size, image_sizes())
    drawn = _keypoints(chosen, sizes, (min_rows, max_rows))
    return drawn.map(lambda points: points.to(device, dtype=dtype))


@st.composite
def _skeletons(draw: st.DrawFn, min_points: int, max_points: int) -> Skeleton:
    count = draw(st.integers(min_points, max_points))
    order = draw(st.permutations(range(count)))
    pairs = draw(st.integers(0, count // 2))
    return Skeleton(
        names=[f"point_{index}" for index in range(count)],
        edges=[(index, index + 1) for index in range(count - 1)],
        flip_pairs=[(order[2 * pair], order[2 * pair + 1]) for pair in range(pairs)],
        sigmas=[(index + 1) / 16 for index in range(count)],
    )


@st.composite
def _keypoints(
    draw: st.DrawFn, chosen: Strategy, sizes: Strategy, rows: tuple[int, int]
) -> Keypoints:
    skeleton, size = draw(chosen), draw(sizes)
    point = st.one_of(
        st.just((0, 0, 0)),
        st.tuples(
            st.integers(0, STEP * size.width),
            st.integers(0, STEP * size.height),
            st.sampled_from([1 * STEP, 2 * STEP]),
        ),
    )
    k = len(skeleton)
    found = draw_rows(draw, st.lists(point, min_size=k, max_size=k), rows)
    points = [xyv for row in found for xyv in row]
    return Keypoints(on_grid(points, 3, torch.float32, "cpu").view(-1, k, 3), skeleton)
