"""Set operations on groups of masks, and geometry, on run lengths, without making masks dense.

Batches are as in `geodet.ops.rle`; every result is canonical. Times are for one mask of r runs
and width w, and none depends on the number of pixels.
"""

# ruff: noqa: PLR0917 - kernels take what their schema lists, by position
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geodet import _check
from geodet.errors import InvalidValueError
from geodet.ops import _backend, _rle_cuda
from geodet.ops._library import register
from geodet.ops._rle_batch import (
    FlatRle,
    as_tensors,
    check_batch,
    check_offsets,
    check_size,
    fake_batch,
)

__all__ = [
    "rle_crop",
    "rle_flip",
    "rle_intersection",
    "rle_resize",
    "rle_union",
]


def rle_union(counts: Tensor, offsets: Tensor, group_offsets: Tensor) -> FlatRle:
    """Pixels that any mask of a group sets; O(r log k) for k masks of r runs together.

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, same device.
        group_offsets: [g + 1] int64, rising from 0 to n: group i is masks group_offsets[i] up to
            group_offsets[i + 1].
    Returns:
        counts and offsets of g masks; a group of no masks gives a mask with no pixel set.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the batch is not sound, or the groups do not cover it.
    Empty: n = 0 has no size to go by, so its groups give masks without pixels.
    """
    return _reduce(counts, offsets, group_offsets, intersect=False)


def rle_intersection(counts: Tensor, offsets: Tensor, group_offsets: Tensor) -> FlatRle:
    """Pixels that all masks of a group set; O(r log k) for k masks of r runs together.

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, same device.
        group_offsets: [g + 1] int64, as for `rle_union`.
    Returns:
        counts and offsets of g masks; a group of no masks gives a mask with all pixels set.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the batch is not sound, or the groups do not cover it.
    Empty: n = 0 has no size to go by, so its groups give masks without pixels.
    """
    return _reduce(counts, offsets, group_offsets, intersect=True)


def rle_crop(
    counts: Tensor, offsets: Tensor, size_hw: tuple[int, int], box_xyxy: tuple[int, int, int, int]
) -> FlatRle:
    """The part of every mask inside a box of whole pixels; O(r + w).

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, same device.
        size_hw: height and width of the masks.
        box_xyxy: x1, y1, x2, y2, pixels, half open, inside the masks.
    Returns:
        counts and offsets of n masks of size (y2 - y1, x2 - x1).
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the batch is not sound, or the box is not inside the masks.
    Empty: n = 0 gives a batch of none; a box without area gives masks without pixels.
    """
    height, width = _check_masks(counts, offsets, size_hw)
    x1, y1, x2, y2 = (int(bound) for bound in box_xyxy)
    if not (0 <= x1 <= x2 <= width and 0 <= y1 <= y2 <= height):
        raise InvalidValueError(
            f"box_xyxy: expected a box inside {(height, width)} (height, width), "
            f"got {(x1, y1, x2, y2)}; clip it first"
        )
    rows = np.clip(np.arange(height + 1), y1, y2) - y1
    return _remap(counts, offsets, width, np.arange(x1, x2), rows, y2 - y1)


def rle_flip(
    counts: Tensor, offsets: Tensor, size_hw: tuple[int, int], *, horizontal: bool
) -> FlatRle:
    """Every mask mirrored; O(r + w).

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, same device.
        size_hw: height and width of the masks.
        horizontal: swap left and right; otherwise top and bottom.
    Returns:
        counts and offsets of n masks of the same size.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the batch is not sound; the message names the mask.
    Empty: n = 0 gives a batch of none.
    """
    height, width = _check_masks(counts, offsets, size_hw)
    columns, rows = np.arange(width), np.arange(height + 1)
    if horizontal:
        columns = columns[::-1]
    else:
        rows = rows[::-1]
    return _remap(counts, offsets, width, columns, rows, height)


def rle_resize(
    counts: Tensor, offsets: Tensor, size_hw: tuple[int, int], new_hw: tuple[int, int]
) -> FlatRle:
    """Every mask sampled at the pixel centres of another size; O(r' + w') of the result.

    Pixel i of the result shows pixel floor((i + 0.5) * old / new) of the source, in whole-number
    arithmetic.

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, same device.
        size_hw: height and width of the masks.
        new_hw: height and width of the result.
    Returns:
        counts and offsets of n masks of the new size.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the batch is not sound, or masks without pixels should get some.
    Empty: n = 0 gives a batch of none.
    """
    height, width = _check_masks(counts, offsets, size_hw)
    new_height, new_width = check_size("new_hw", new_hw)
    if (height == 0 and new_height > 0) or (width == 0 and new_width > 0):
        raise InvalidValueError(
            f"size_hw: masks of size {(height, width)} have no pixels to show at {new_hw}"
        )
    # Where source row y begins in the result: the first i with (2 i + 1) * old >= 2 * new * y.
    boundaries = np.arange(height + 1) * (2 * new_height)
    rows = -(-(boundaries - height) // (2 * height)) if height > 0 else boundaries
    columns = _source_columns(width, new_width)
    return _remap(counts, offsets, width, columns, np.clip(rows, 0, new_height), new_height)


def _source_columns(width: int, new_width: int) -> npt.NDArray[np.int64]:
    if new_width == 0:
        return np.zeros(0, dtype=np.int64)
    return (2 * np.arange(new_width) + 1) * width // (2 * new_width)


def _check_masks(counts: Tensor, offsets: Tensor, size_hw: tuple[int, int]) -> tuple[int, int]:
    check_batch(counts, offsets)
    return check_size("size_hw", size_hw)


def _reduce(counts: Tensor, offsets: Tensor, group_offsets: Tensor, *, intersect: bool) -> FlatRle:
    check_batch(counts, offsets)
    check_offsets("group_offsets", group_offsets)
    _check.check_same_device(("counts", "group_offsets"), (counts, group_offsets))
    return _rle_reduce(counts, offsets, group_offsets, intersect)


def _remap(
    counts: Tensor,
    offsets: Tensor,
    width: int,
    columns: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    new_height: int,
) -> FlatRle:
    maps = (torch.from_numpy(values.astype(np.int32)) for values in (columns, rows))
    shown, boundaries = (values.to(counts.device) for values in maps)
    return _rle_remap(counts, offsets, width, shown, boundaries, new_height)


def _reduce_on_cpu(
    counts: Tensor, offsets: Tensor, group_offsets: Tensor, intersect: bool
) -> FlatRle:
    arrays = _backend.array(counts), _backend.array(offsets), _backend.array(group_offsets)
    return as_tensors(_backend.cpu.rle_reduce(*arrays, intersect, -1, _backend.threads()))


def _reduce_fake(
    counts: Tensor, offsets: Tensor, group_offsets: Tensor, intersect: bool
) -> FlatRle:
    del offsets, intersect
    return fake_batch(counts, group_offsets.shape[0] - 1)


def _remap_on_cpu(
    counts: Tensor, offsets: Tensor, width: int, columns: Tensor, rows: Tensor, new_height: int
) -> FlatRle:
    return as_tensors(
        _backend.cpu.rle_remap(
            _backend.array(counts),
            _backend.array(offsets),
            width,
            _backend.array(columns),
            _backend.array(rows),
            new_height,
            _backend.threads(),
        )
    )


def _remap_fake(
    counts: Tensor, offsets: Tensor, width: int, columns: Tensor, rows: Tensor, new_height: int
) -> FlatRle:
    del width, columns, rows, new_height
    return fake_batch(counts, offsets.shape[0] - 1)


_rle_reduce = register(
    "rle_reduce(Tensor counts, Tensor offsets, Tensor group_offsets, bool intersect)"
    " -> (Tensor, Tensor)",
    cpu=_reduce_on_cpu,
    cuda=_rle_cuda.reduce,
    fake=_reduce_fake,
)
_rle_remap = register(
    "rle_remap(Tensor counts, Tensor offsets, SymInt width, Tensor columns, Tensor rows, "
    "SymInt new_height) -> (Tensor, Tensor)",
    cpu=_remap_on_cpu,
    cuda=_rle_cuda.remap,
    fake=_remap_fake,
)
