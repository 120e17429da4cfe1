"""What every operator on run lengths checks first, and how its results become tensors."""

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geodet import _check
from geodet.errors import BackendError, InvalidValueError, ShapeError

__all__ = [
    "FlatRle",
    "as_tensors",
    "check_batch",
    "check_levels",
    "check_offsets",
    "check_size",
    "cpu_only",
    "fake_batch",
]

# Positions and run lengths are 32-bit.
MAX_PIXELS = 2**31 - 1

FlatRle = tuple[Tensor, Tensor]


def check_batch(counts: Tensor, offsets: Tensor, prefix: str = "") -> None:
    """Check type, rank and device of a flat batch; the core checks its values.

    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are no batch.
    """
    counts_name, offsets_name = prefix + "counts", prefix + "offsets"
    _check.check_dtype(counts_name, _check.check_shape(counts_name, counts, "t"), torch.int32)
    check_offsets(offsets_name, offsets)
    _check.check_same_device((counts_name, offsets_name), (counts, offsets))


def check_offsets(name: str, offsets: Tensor) -> None:
    """Check type and rank of offsets, which hold at least one element.

    Raises:
        ShapeError, DtypeError: they do not.
    """
    _check.check_dtype(name, _check.check_shape(name, offsets, "n + 1"), torch.int64)
    if len(offsets) == 0:
        raise ShapeError(f"{name}: expected [n + 1], got [0]; a batch of none has offsets [0]")


def check_levels(part_offsets: Tensor, mask_offsets: Tensor, rings: int) -> None:
    """Check that parts cover all rings, one at least each, and masks all parts.

    Raises:
        InvalidValueError: they do not.
    """
    if (
        int(part_offsets[0]) != 0
        or int(part_offsets[-1]) != rings
        or bool((part_offsets.diff() < 1).any())
    ):
        raise InvalidValueError(
            f"part_offsets: expected to rise from 0 to the number of rings, {rings}, "
            "with an outline ring for every part"
        )
    parts = len(part_offsets) - 1
    if (
        int(mask_offsets[0]) != 0
        or int(mask_offsets[-1]) != parts
        or bool((mask_offsets.diff() < 0).any())
    ):
        raise InvalidValueError(
            f"mask_offsets: expected to rise from 0 to the number of parts, {parts}"
        )


def check_size(name: str, size_hw: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) as two plain numbers.

    Raises:
        InvalidValueError: one is negative, or their product is beyond 2^31 - 1.
    """
    height, width = (int(length) for length in size_hw)
    if height < 0 or width < 0 or height * width > MAX_PIXELS:
        raise InvalidValueError(
            f"{name}: expected (height, width) of 0 to 2^31 - 1 pixels, got {(height, width)}"
        )
    return height, width


def as_tensors(arrays: tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]) -> FlatRle:
    """Return a batch of NumPy arrays as tensors on the same memory."""
    counts, offsets = arrays
    return torch.from_numpy(counts), torch.from_numpy(offsets)


def fake_batch(like: Tensor, rows: Any) -> FlatRle:
    """Return a batch without data, of `rows` masks and a number of runs unknown until it runs."""
    runs = torch.library.get_ctx().new_dynamic_size()
    counts = like.new_empty([runs], dtype=torch.int32)
    return counts, like.new_empty([rows + 1], dtype=torch.int64)


def cpu_only(name: str) -> Callable[..., NoReturn]:
    """Return the CUDA kernel of an operator that has none: it says what to do."""

    def refuse(*_: Any) -> NoReturn:
        raise BackendError(f"{name} runs on the CPU only; move its tensors there with .to('cpu')")

    return refuse
