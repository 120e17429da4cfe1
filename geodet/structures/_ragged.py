"""Rows of different lengths in flat tensors: row i is values[offsets[i] : offsets[i + 1]]."""

from collections.abc import Sequence

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import DeviceError
from geodet.structures._table import fail


def check_offsets(name: str, value: object) -> Tensor:
    """Return offsets when they are an int64 [n + 1] tensor in host memory.

    Raises:
        DtypeError: not a tensor, or not int64.
        ShapeError: not one-dimensional, or without the leading 0.
        DeviceError: not on the CPU.
    """
    offsets = check_on_cpu(name, _check.check_shape(name, value, "n + 1"))
    _check.check_dtype(name, offsets, torch.int64)
    if len(offsets) == 0:
        _check.check_rows(name, 0, 1, "a leading 0, also for no rows")
    return offsets


def check_on_cpu(name: str, value: Tensor) -> Tensor:
    """Return a tensor when it is in host memory.

    Raises:
        DeviceError: it is not.
    """
    if value.device.type != "cpu":
        raise DeviceError(f"{name}: expected a CPU tensor, got one on {value.device}; use .cpu()")
    return value


def take(offsets: Tensor, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
    """Select rows.

    Args:
        offsets: [n + 1] int64.
        rows: a slice with a positive step, a bool mask [n] or int64 rows [k].
    Returns:
        [t] int64 positions of the selected values in order, and their [k + 1] new offsets.
    """
    lengths = offsets.diff()[rows]
    starts = offsets[:-1][rows]
    new_offsets = from_lengths(lengths)
    shifts = torch.repeat_interleave(starts - new_offsets[:-1], lengths)
    return torch.arange(len(shifts)) + shifts, new_offsets


def from_lengths(lengths: Tensor) -> Tensor:
    """[n + 1] int64 offsets of rows with these lengths."""
    return torch.cat((torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)))


def join(parts: Sequence[Tensor]) -> Tensor:
    """Offsets of several flat tensors laid one after the other."""
    return from_lengths(torch.cat([offsets.diff() for offsets in parts]))


def row_ids(offsets: Tensor) -> Tensor:
    """[t] int64, the row that each value belongs to."""
    return torch.repeat_interleave(torch.arange(len(offsets) - 1), offsets.diff())


def validate_offsets(name: str, offsets: Tensor, total: int, where: str) -> None:
    """Check that offsets start at 0, never go back and end at `total`.

    Raises:
        InvalidValueError: they do not.
    """
    if int(offsets[0]) != 0 or int(offsets[-1]) != total:
        fail(f"{name}: expected 0 ... {total}, got {int(offsets[0])} ... {int(offsets[-1])}", where)
    back = (offsets.diff() < 0).nonzero()
    if len(back) > 0:
        row = int(back[0, 0])
        found = offsets[row : row + 2].tolist()
        fail(f"{name} row {row}: expected offsets that never go back, got {found}", where)
