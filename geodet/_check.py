"""Metadata checks on tensors: they read type, shape, dtype and device, never values.

None of them waits for a GPU. Each takes the name that the caller's user knows the tensor by.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from geodet.errors import DeviceError, DtypeError, ShapeError

__all__ = ["check_dtype", "check_floating", "check_rows", "check_same_device", "check_shape"]


def check_shape(name: str, value: object, *sizes: int | str) -> Tensor:
    """Return `value` when it is a tensor of the given shape.

    Args:
        name: what the user calls the tensor.
        value: the thing to check.
        sizes: one entry per dimension: a number must match, a letter stands for any size.
    Raises:
        DtypeError: `value` is not a tensor.
        ShapeError: its rank or a fixed size differs.
    """
    if not isinstance(value, Tensor):
        raise DtypeError(f"{name}: expected a torch.Tensor, got {type(value).__name__}")
    shape = value.shape
    fits = len(shape) == len(sizes)
    if fits:  # a plain loop: this runs before every operator, and all() takes 0.5 us more
        for size, actual in zip(sizes, shape, strict=True):
            if size != actual and not isinstance(size, str):
                fits = False
    if not fits:
        wanted = ", ".join(str(size) for size in sizes)
        raise ShapeError(f"{name}: expected [{wanted}], got {list(shape)}")
    return value


def check_floating(name: str, value: Tensor) -> Tensor:
    """Return `value` when its dtype is a floating-point one.

    Raises:
        DtypeError: the dtype is integer or bool; converting is left to the caller.
    """
    if not value.dtype.is_floating_point:
        raise DtypeError(
            f"{name}: expected a floating-point dtype, got {value.dtype}; convert with .float()"
        )
    return value


def check_dtype(name: str, value: Tensor, *dtypes: torch.dtype) -> Tensor:
    """Return `value` when its dtype is one of `dtypes`.

    Raises:
        DtypeError: it is another.
    """
    if value.dtype not in dtypes:
        wanted = " or ".join(str(dtype) for dtype in dtypes)
        raise DtypeError(f"{name}: expected {wanted}, got {value.dtype}")
    return value


def check_rows(name: str, rows: int, expected: int, because: str) -> None:
    """Check that a column has as many rows as the table it belongs to.

    Raises:
        ShapeError: the counts differ; the message says what set the expectation.
    """
    if rows != expected:
        raise ShapeError(f"{name}: expected {expected} rows ({because}), got {rows}")


def check_same_device(names: Sequence[str], values: Sequence[Tensor]) -> torch.device:
    """Return the device that all `values` live on.

    Raises:
        DeviceError: two of them live on different devices; both are named.
    """
    first = values[0].device
    for index, value in enumerate(values):
        if value.device != first:
            raise DeviceError(
                f"{names[0]} is on {first}, {names[index]} on {value.device}; "
                "move one with .to(device)"
            )
    return first
