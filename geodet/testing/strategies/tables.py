"""Strategies of whole tables and of the ways to index one."""

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import torch
from hypothesis.errors import InvalidArgument

from geodet.structures import Instances
from geodet.testing.strategies._options import (
    Device,
    Sizes,
    Strategy,
    check_range,
    check_tensors,
    sizes_of,
)
from geodet.testing.strategies.images import image_sizes
from geodet.testing.strategies.keypoints import keypoints
from geodet.testing.strategies.masks import bit_masks, rle_masks, roi_masks
from geodet.testing.strategies.polygons import polygon_masks
from geodet.testing.strategies.regions import boxes, rotated_boxes, scores

_COLUMNS = ("boxes", "labels", "scores", "masks", "keypoints", "is_crowd", "extras")


def row_indices(*, rows: int) -> Strategy:
    """Draw every kind of index for a table of so many rows: ints, slices, masks, row numbers.

    Reaches: negative ints, steps backwards, no row at all, repeated rows; no int for no rows.
    Shrinks to: a slice.
    """
    check_range("rows", rows, "rows", rows)
    kinds: list[Strategy] = [
        st.slices(rows),
        st.lists(st.booleans(), min_size=rows, max_size=rows).map(
            lambda mask: torch.tensor(mask, dtype=torch.bool)
        ),
    ]
    if rows:
        numbers = st.integers(-rows, rows - 1)
        kinds.append(numbers)
        kinds.append(
            st.lists(numbers, max_size=2 * rows).map(lambda r: torch.tensor(r, dtype=torch.int64))
        )
    return st.one_of(kinds)


def instances(
    *,
    image_size: Sizes = None,
    min_rows: int = 0,
    max_rows: int = 4,
    num_classes: int = 3,
    columns: Sequence[str] | None = None,
    dtype: torch.dtype = torch.float32,
    device: Device = "cpu",
) -> st.SearchStrategy[Instances]:
    """Draw tables of instances whose columns are aligned and fit the image.

    Args:
        image_size: a size, a strategy of sizes, or None for `image_sizes()`.
        min_rows: fewest instances.
        max_rows: most instances.
        num_classes: labels lie in [0, num_classes).
        columns: exactly these of boxes, labels, scores, masks, keypoints, is_crowd, extras; None
            draws which. Masks are of any kind; boxes are horizontal or rotated.
        dtype: a floating-point dtype of all columns that have one.
        device: where the columns lie; run lengths and polygons stay in host memory.
    Reaches: no column, no row, every kind of column alone and together.
    Shrinks to: a table without columns.
    """
    check_range("min_rows", min_rows, "max_rows", max_rows)
    check_range("num_classes", num_classes, "num_classes", num_classes, lowest=1)
    check_tensors(dtype, device)
    if columns is not None and not set(columns) <= set(_COLUMNS):
        raise InvalidArgument(f"columns: expected some of {_COLUMNS}, got {tuple(columns)}")
    chosen = st.sets(st.sampled_from(_COLUMNS)) if columns is None else st.just(set(columns))
    sizes = sizes_of(image_size, image_sizes())
    drawn = _instances(sizes, (min_rows, max_rows), num_classes, chosen)
    return drawn.map(lambda table: table.to(device, dtype=dtype))


@st.composite
def _instances(
    draw: st.DrawFn, sizes: Strategy, rows: tuple[int, int], num_classes: int, chosen: Strategy
) -> Instances:
    size, names = draw(sizes), draw(chosen)
    count = draw(st.integers(*rows))
    options: dict[str, Any] = {"image_size": size, "min_rows": count, "max_rows": count}
    masks = st.one_of(bit_masks(**options), rle_masks(**options), polygon_masks(**options))
    whole = st.lists(st.integers(0, num_classes - 1), min_size=count, max_size=count)
    flags = st.lists(st.booleans(), min_size=count, max_size=count)
    columns: dict[str, Strategy] = {
        "boxes": st.one_of(boxes(**options), rotated_boxes(**options)),
        "labels": whole.map(lambda values: torch.tensor(values, dtype=torch.int64)),
        "scores": scores(rows=count),
        "masks": st.one_of(masks, roi_masks(**options)),
        "keypoints": keypoints(**options),
        "is_crowd": flags.map(lambda values: torch.tensor(values, dtype=torch.bool)),
        "extras": st.fixed_dictionaries(
            {
                "numbers": whole.map(lambda values: torch.tensor(values, dtype=torch.int64)),
                "regions": boxes(**options),
            }
        ),
    }
    return Instances(size, **{name: draw(columns[name]) for name in _COLUMNS if name in names})
