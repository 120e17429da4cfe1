"""Hypothesis strategies that draw structures.

All options are keyword-only and checked when the strategy is made. Rows default to 0 up to 6, so
empty tables are drawn often. Coordinates are multiples of 1/8 pixel: mirrors, moves and sums of
them are exact in single precision, so laws can ask for equality.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis.errors import InvalidArgument
from torch import Tensor

from geodet.structures import (
    BitMasks,
    Boxes,
    ImageList,
    ImageSize,
    Instances,
    Keypoints,
    PanopticSegmentation,
    PolygonMasks,
    RleMasks,
    RoiMasks,
    RotatedBoxes,
    Segment,
    Skeleton,
)

Strategy: TypeAlias = st.SearchStrategy[Any]
Sizes: TypeAlias = ImageSize | st.SearchStrategy[ImageSize] | None

_STEP = 8  # coordinates are multiples of 1 / _STEP pixel
_COLUMNS = ("boxes", "labels", "scores", "masks", "keypoints", "is_crowd", "extras")


def image_sizes(*, min_side: int = 1, max_side: int = 24) -> st.SearchStrategy[ImageSize]:
    """Draw image sizes with sides in [min_side, max_side] pixels."""
    _check_range("min_side", min_side, "max_side", max_side, lowest=1)
    sides = st.integers(min_side, max_side)
    return st.builds(ImageSize, sides, sides)


def row_indices(*, rows: int) -> Strategy:
    """Draw every kind of index for a table: ints (if there are rows), slices, masks, numbers."""
    _check_range("rows", rows, "rows", rows)
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


def boxes(
    *,
    image_size: Sizes = None,
    min_rows: int = 0,
    max_rows: int = 6,
    degenerate: bool = True,
    dtype: torch.dtype = torch.float32,
) -> st.SearchStrategy[Boxes]:
    """Draw boxes inside an image.

    Args:
        image_size: a size, a strategy of sizes, or None for `image_sizes()`.
        min_rows: fewest boxes.
        max_rows: most boxes.
        degenerate: allow boxes without width or height.
        dtype: a floating-point dtype.
    """
    _check_range("min_rows", min_rows, "max_rows", max_rows)
    _check_dtype(dtype)
    return _boxes(_sizes(image_size), (min_rows, max_rows), degenerate, dtype)


def rotated_boxes(
    *,
    image_size: Sizes = None,
    min_rows: int = 0,
    max_rows: int = 6,
    degenerate: bool = True,
    dtype: torch.dtype = torch.float32,
) -> st.SearchStrategy[RotatedBoxes]:
    """Draw rotated boxes with their centres in an image and angles in [-180, 180).

    Args: as `boxes`; angles are multiples of 1/8 degree and often of 45 degrees.
    """
    _check_range("min_rows", min_rows, "max_rows", max_rows)
    _check_dtype(dtype)
    return _rotated_boxes(_sizes(image_size), (min_rows, max_rows), degenerate, dtype)


def bit_masks(
    *, image_size: Sizes = None, min_rows: int = 0, max_rows: int = 4
) -> st.SearchStrategy[BitMasks]:
    """Draw bit masks: empty, full, rectangles and noise."""
    _check_range("min_rows", min_rows, "max_rows", max_rows)
    return _bit_masks(_sizes(image_size), (min_rows, max_rows))


def rle_masks(
    *, image_size: Sizes = None, min_rows: int = 0, max_rows: int = 4
) -> st.SearchStrategy[RleMasks]:
    """Draw run-length masks, encoded without the library's own encoder."""
    return bit_masks(image_size=image_size, min_rows=min_rows, max_rows=max_rows).map(_encoded)


def roi_masks(
    *, image_size: Sizes = None, min_rows: int = 0, max_rows: int = 4, side: int = 5
) -> st.SearchStrategy[RoiMasks]:
    """Draw soft masks of side x side cells in boxes that are not empty."""
    _check_range("min_rows", min_rows, "max_rows", max_rows)
    _check_range("side", side, "side", side, lowest=1)
    return _roi_masks(_sizes(image_size), (min_rows, max_rows), side)


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
    """
    _check_range("min_rows", min_rows, "max_rows", max_rows)
    _check_range("max_parts", max_parts, "max_parts", max_parts)
    _check_range("max_holes", max_holes, "most holes", 3)
    _check_range("max_points", max_points, "max_points", max_points, lowest=3)
    most = {"parts": max_parts, "holes": max_holes, "points": max_points}
    return _polygon_masks(_sizes(image_size), (min_rows, max_rows), most)


def skeletons(*, min_points: int = 1, max_points: int = 5) -> st.SearchStrategy[Skeleton]:
    """Draw skeletons with edges between neighbours and any flip pairs."""
    _check_range("min_points", min_points, "max_points", max_points, lowest=1)
    return _skeletons(min_points, max_points)


def keypoints(
    *,
    skeleton: Skeleton | None = None,
    image_size: Sizes = None,
    min_rows: int = 0,
    max_rows: int = 6,
    dtype: torch.dtype = torch.float32,
) -> st.SearchStrategy[Keypoints]:
    """Draw keypoints inside an image; points that are not labelled are (0, 0, 0)."""
    _check_range("min_rows", min_rows, "max_rows", max_rows)
    _check_dtype(dtype)
    chosen = skeletons() if skeleton is None else st.just(skeleton)
    return _keypoints(chosen, _sizes(image_size), (min_rows, max_rows), dtype)


def panoptic_segmentations(
    *, image_size: Sizes = None, max_segments: int = 4
) -> st.SearchStrategy[PanopticSegmentation]:
    """Draw maps of up to `max_segments` segments; some have no pixels."""
    _check_range("max_segments", max_segments, "most segments", 255)
    return _panoptic(_sizes(image_size), max_segments)


def instances(
    *,
    image_size: Sizes = None,
    min_rows: int = 0,
    max_rows: int = 4,
    num_classes: int = 3,
    columns: Sequence[str] | None = None,
) -> st.SearchStrategy[Instances]:
    """Draw tables of instances whose columns are aligned and fit the image.

    Args:
        image_size: a size, a strategy of sizes, or None for `image_sizes()`.
        min_rows: fewest instances.
        max_rows: most instances.
        num_classes: labels lie in [0, num_classes).
        columns: exactly these of boxes, labels, scores, masks, keypoints, is_crowd, extras; None
            draws which. Masks are of any kind; boxes are horizontal or rotated.
    """
    _check_range("min_rows", min_rows, "max_rows", max_rows)
    _check_range("num_classes", num_classes, "num_classes", num_classes, lowest=1)
    if columns is not None and not set(columns) <= set(_COLUMNS):
        raise InvalidArgument(f"columns: expected some of {_COLUMNS}, got {tuple(columns)}")
    chosen = st.sets(st.sampled_from(_COLUMNS)) if columns is None else st.just(set(columns))
    return _instances(_sizes(image_size), (min_rows, max_rows), num_classes, chosen)


def image_lists(
    *, min_images: int = 1, max_images: int = 3, max_side: int = 12, channels: int = 3
) -> st.SearchStrategy[ImageList]:
    """Draw padded batches of uint8 images with some size divisor."""
    _check_range("min_images", min_images, "max_images", max_images, lowest=1)
    _check_range("channels", channels, "channels", channels, lowest=1)
    return _image_lists((min_images, max_images), image_sizes(max_side=max_side), channels)


@st.composite
def _boxes(
    draw: st.DrawFn, sizes: Strategy, rows: tuple[int, int], degenerate: bool, dtype: torch.dtype
) -> Boxes:
    size = draw(sizes)
    shortest = 0 if degenerate else 1

    def spans(side: int) -> Strategy:
        start = st.integers(0, _STEP * side - shortest)
        return start.flatmap(
            lambda a: st.tuples(st.just(a), st.integers(a + shortest, _STEP * side))
        )

    found = draw(_rows(st.tuples(spans(size.width), spans(size.height)), rows))
    xyxy = [(x1, y1, x2, y2) for (x1, x2), (y1, y2) in found]
    return Boxes(_grid(xyxy, 4, dtype))


@st.composite
def _rotated_boxes(
    draw: st.DrawFn, sizes: Strategy, rows: tuple[int, int], degenerate: bool, dtype: torch.dtype
) -> RotatedBoxes:
    size = draw(sizes)
    shortest = 0 if degenerate else 1
    angles = st.one_of(
        st.integers(-4, 3).map(lambda turn: turn * 45 * _STEP),
        st.integers(-180 * _STEP, 180 * _STEP - 1),
    )
    row = st.tuples(
        st.integers(0, _STEP * size.width),
        st.integers(0, _STEP * size.height),
        st.integers(shortest, _STEP * size.width),
        st.integers(shortest, _STEP * size.height),
        angles,
    )
    return RotatedBoxes(_grid(draw(_rows(row, rows)), 5, dtype))


@st.composite
def _bit_masks(draw: st.DrawFn, sizes: Strategy, rows: tuple[int, int]) -> BitMasks:
    size = draw(sizes)
    height, width = size
    length = -(-height * width // 8)
    noise = st.binary(min_size=length, max_size=length)
    masks = [
        _one_mask(draw, noise, height, width) for _ in range(draw(st.integers(rows[0], rows[1])))
    ]
    return BitMasks(torch.tensor(np.array(masks, dtype=bool).reshape(-1, height, width)))


def _one_mask(draw: st.DrawFn, noise: Strategy, height: int, width: int) -> Any:
    kind = draw(st.sampled_from(["empty", "rectangle", "full", "noise"]))
    mask = np.zeros((height, width), dtype=bool)
    if kind == "rectangle":
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        bottom, right = draw(st.integers(top, height)), draw(st.integers(left, width))
        mask[top:bottom, left:right] = True
    elif kind == "full":
        mask[:] = True
    elif kind == "noise":
        bits = np.unpackbits(np.frombuffer(draw(noise), dtype=np.uint8))
        mask[:] = bits[: height * width].reshape(height, width)
    return mask


@st.composite
def _roi_masks(draw: st.DrawFn, sizes: Strategy, rows: tuple[int, int], side: int) -> RoiMasks:
    size = draw(sizes)
    regions = draw(_boxes(st.just(size), rows, degenerate=False, dtype=torch.float32))
    count = len(regions) * side * side
    levels = draw(st.binary(min_size=count, max_size=count))
    grids = np.frombuffer(levels, dtype=np.uint8).reshape(-1, side, side) / np.float32(255)
    return RoiMasks(torch.tensor(grids.astype(np.float32)), regions, size)


@st.composite
def _polygon_masks(
    draw: st.DrawFn, sizes: Strategy, rows: tuple[int, int], most: dict[str, int]
) -> PolygonMasks:
    size = draw(sizes)
    point = st.tuples(st.integers(0, _STEP * size.width), st.integers(0, _STEP * size.height))
    part = st.tuples(
        st.lists(point, min_size=3, max_size=most["points"], unique=True),
        st.integers(0, most["holes"]),
    )
    masks = draw(_rows(st.lists(part, max_size=most["parts"]), rows))
    rings = [[_part(corners, holes) for corners, holes in parts] for parts in masks]
    return PolygonMasks.from_rings(rings, size)


def _part(corners: list[tuple[int, int]], holes: int) -> list[list[tuple[float, float]]]:
    """An outline around the mean of its corners, and holes that are smaller copies of it."""
    points = np.array(corners, dtype=np.float64) / _STEP
    middle = points.mean(axis=0)
    arms = points - middle
    arms = arms[np.lexsort((np.hypot(*arms.T), np.arctan2(arms[:, 1], arms[:, 0])))]
    outline = np.round((middle + arms) * _STEP) / _STEP  # back onto the grid, exactly
    inner = [middle + arms * 0.5**level for level in range(1, holes + 1)]
    return [[(float(x), float(y)) for x, y in ring] for ring in (outline, *inner)]


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
    draw: st.DrawFn,
    skeletons_: Strategy,
    sizes: Strategy,
    rows: tuple[int, int],
    dtype: torch.dtype,
) -> Keypoints:
    skeleton, size = draw(skeletons_), draw(sizes)
    point = st.one_of(
        st.just((0, 0, 0)),
        st.tuples(
            st.integers(0, _STEP * size.width),
            st.integers(0, _STEP * size.height),
            st.sampled_from([1 * _STEP, 2 * _STEP]),
        ),
    )
    k = len(skeleton)
    found = draw(_rows(st.lists(point, min_size=k, max_size=k), rows))
    points = [xyv for row in found for xyv in row]
    return Keypoints(_grid(points, 3, dtype).view(-1, k, 3), skeleton)


@st.composite
def _panoptic(draw: st.DrawFn, sizes: Strategy, max_segments: int) -> PanopticSegmentation:
    size = draw(sizes)
    ids = draw(st.lists(st.integers(1, 10_000), max_size=max_segments, unique=True))
    segments = [
        Segment(number, draw(st.integers(0, 3)), is_thing=draw(st.booleans()), is_crowd=False)
        for number in ids
    ]
    pixels = np.frombuffer(draw(st.binary(min_size=size.area, max_size=size.area)), dtype=np.uint8)
    table = np.array([0, *ids], dtype=np.int32)
    drawn = table[pixels % len(table)].reshape(size.as_tuple())
    return PanopticSegmentation(torch.tensor(drawn), segments)


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
    parts = st.lists(st.integers(0, 16), min_size=count, max_size=count)
    columns: dict[str, Strategy] = {
        "boxes": st.one_of(boxes(**options), rotated_boxes(**options)),
        "labels": whole.map(lambda values: torch.tensor(values, dtype=torch.int64)),
        "scores": parts.map(lambda values: torch.tensor(values, dtype=torch.float32) / 16),
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


@st.composite
def _image_lists(
    draw: st.DrawFn, count: tuple[int, int], sizes: Strategy, channels: int
) -> ImageList:
    images = []
    for size in draw(st.lists(sizes, min_size=count[0], max_size=count[1])):
        length = channels * size.area
        values = np.frombuffer(draw(st.binary(min_size=length, max_size=length)), dtype=np.uint8)
        images.append(torch.tensor(values.reshape(channels, *size)))
    return ImageList.from_images(images, size_divisor=draw(st.sampled_from([1, 2, 4, 7])))


def _encoded(masks: BitMasks) -> RleMasks:
    """Run lengths down the columns, starting with background; plain numpy."""
    rows = []
    for mask in masks.data.numpy():
        flat = np.concatenate(([False], mask.ravel(order="F")))
        changes = np.flatnonzero(flat[1:] != flat[:-1])
        rows.append(np.diff(np.concatenate(([0], changes, [flat.size - 1]))))
    offsets = np.cumsum([0, *(len(row) for row in rows)])
    counts = np.concatenate([np.zeros(0, dtype=np.int32), *rows]).astype(np.int32)
    return RleMasks(
        torch.tensor(counts), torch.tensor(offsets, dtype=torch.int64), masks.image_size
    )


def _rows(row: Strategy, bounds: tuple[int, int]) -> Strategy:
    return st.lists(row, min_size=bounds[0], max_size=bounds[1])


def _grid(rows: Sequence[Sequence[int]], columns: int, dtype: torch.dtype) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, columns).to(dtype) / _STEP


def _sizes(image_size: Sizes) -> Strategy:
    if image_size is None:
        return image_sizes()
    if isinstance(image_size, ImageSize):
        return st.just(image_size)
    if isinstance(image_size, st.SearchStrategy):
        return image_size
    raise InvalidArgument(f"image_size: expected ImageSize or a strategy, got {image_size!r}")


def _check_range(low_name: str, low: int, high_name: str, high: int, *, lowest: int = 0) -> None:
    for name, value in ((low_name, low), (high_name, high)):
        if not isinstance(value, int) or value < lowest:
            raise InvalidArgument(f"{name}: expected an int of at least {lowest}, got {value!r}")
    if low > high:
        raise InvalidArgument(f"{low_name} = {low} is larger than {high_name} = {high}")


def _check_dtype(dtype: torch.dtype) -> None:
    if not dtype.is_floating_point:
        raise InvalidArgument(f"dtype: expected a floating-point dtype, got {dtype}")
