"""Strategies of masks in pixels: bits, run lengths, and soft masks in boxes."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import numpy.typing as npt
import torch

from geodet.structures import BitMasks, Boxes, RleMasks, RoiMasks, RotatedBoxes
from geodet.testing.strategies._options import (
    Device,
    Sizes,
    Strategy,
    check_device,
    check_range,
    check_tensors,
    sizes_of,
)
from geodet.testing.strategies.images import image_sizes
from geodet.testing.strategies.regions import boxes, rotated_boxes


def bit_masks(
    *,
    image_size: Sizes = None,
    min_rows: int = 0,
    max_rows: int = 4,
    device: Device = "cpu",
) -> st.SearchStrategy[BitMasks]:
    """Draw bit masks.

    Args:
        image_size: a size, a strategy of sizes, or None for `image_sizes()`.
        min_rows: fewest masks.
        max_rows: most masks.
        device: where the masks lie.
    Reaches: no mask, masks without pixels, single pixels, rectangles, frames (a hole), two parts,
        noise, the whole image, equal masks.
    Shrinks to: masks of one pixel that is not set.
    """
    check_range("min_rows", min_rows, "max_rows", max_rows)
    check_device(device)
    drawn = _bit_masks(sizes_of(image_size, image_sizes()), (min_rows, max_rows))
    return drawn.map(lambda masks: masks.to(device))


def rle_masks(
    *, image_size: Sizes = None, min_rows: int = 0, max_rows: int = 4
) -> st.SearchStrategy[RleMasks]:
    """Draw run-length masks, encoded without the library's own encoder.

    Args: as `bit_masks`; run lengths always lie in host memory.
    Reaches: what `bit_masks` reaches.
    Shrinks to: masks of one pixel that is not set.
    """
    return bit_masks(image_size=image_size, min_rows=min_rows, max_rows=max_rows).map(_encoded)


def roi_masks(
    *,
    image_size: Sizes = None,
    min_rows: int = 0,
    max_rows: int = 4,
    side: int = 5,
    rotated: bool = False,
    dtype: torch.dtype = torch.float32,
    device: Device = "cpu",
) -> st.SearchStrategy[RoiMasks]:
    """Draw soft masks of side x side cells in boxes that are not empty.

    Args:
        image_size: a size, a strategy of sizes, or None for `image_sizes()`.
        min_rows: fewest masks.
        max_rows: most masks.
        side: cells along each side.
        rotated: in rotated boxes instead of horizontal ones.
        dtype: a floating-point dtype of probabilities and boxes.
        device: where both lie.
    Reaches: no mask, masks of zeros, of ones, noise.
    Shrinks to: zeros in the smallest box at the origin.
    """
    check_range("min_rows", min_rows, "max_rows", max_rows)
    check_range("side", side, "side", side, lowest=1)
    check_tensors(dtype, device)
    drawn = _roi_masks(sizes_of(image_size, image_sizes()), (min_rows, max_rows), side, rotated)
    return drawn.map(lambda masks: masks.to(device, dtype=dtype))


@st.composite
def _bit_masks(draw: st.DrawFn, sizes: Strategy, rows: tuple[int, int]) -> BitMasks:
    size = draw(sizes)
    height, width = size
    masks: list[npt.NDArray[Any]] = []
    for _ in range(draw(st.integers(*rows))):
        if masks and draw(st.sampled_from([False, False, False, True])):
            masks.append(masks[-1])
        else:
            masks.append(_one_mask(draw, height, width))
    return BitMasks(torch.tensor(np.array(masks, dtype=bool).reshape(-1, height, width)))


_KINDS = ("empty", "pixel", "rectangle", "two parts", "frame", "full", "noise")


def _one_mask(draw: st.DrawFn, height: int, width: int) -> npt.NDArray[Any]:
    kind = draw(st.sampled_from(_KINDS))
    mask = np.zeros((height, width), dtype=bool)
    if kind == "pixel":
        mask[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = True
    elif kind in {"rectangle", "two parts", "frame"}:
        mask[_window(draw, height, width)] = True
        if kind == "two parts":
            mask[_window(draw, height, width)] = True
        elif kind == "frame":
            mask[_window(draw, height, width)] = False
    elif kind == "full":
        mask[:] = True
    elif kind == "noise":
        length = -(-height * width // 8)
        noise = draw(st.binary(min_size=length, max_size=length))
        bits = np.unpackbits(np.frombuffer(noise, dtype=np.uint8))
        mask[:] = bits[: height * width].reshape(height, width)
    return mask


def _window(draw: st.DrawFn, height: int, width: int) -> tuple[slice, slice]:
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    bottom, right = draw(st.integers(top, height)), draw(st.integers(left, width))
    return slice(top, bottom), slice(left, right)


@st.composite
def _roi_masks(
    draw: st.DrawFn, sizes: Strategy, rows: tuple[int, int], side: int, rotated: bool
) -> RoiMasks:
    size = draw(sizes)
    options: dict[str, Any] = {
        "image_size": size,
        "min_rows": rows[0],
        "max_rows": rows[1],
        "degenerate": False,
    }
    drawn: st.SearchStrategy[Any] = rotated_boxes(**options) if rotated else boxes(**options)
    regions: Boxes | RotatedBoxes = draw(drawn)
    kinds = draw(
        st.lists(
            st.sampled_from(["zeros", "ones", "noise"]),
            min_size=len(regions),
            max_size=len(regions),
        )
    )
    grids = np.zeros((len(regions), side, side), dtype=np.float32)
    for grid, kind in zip(grids, kinds, strict=True):
        if kind == "ones":
            grid[:] = 1
        elif kind == "noise":
            levels = draw(st.binary(min_size=side * side, max_size=side * side))
            grid[:] = np.frombuffer(levels, dtype=np.uint8).reshape(side, side) / np.float32(255)
    return RoiMasks(torch.tensor(grids), regions, size)


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
