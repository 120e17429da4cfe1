"""What the options of all strategies share: their checks, and grids of exact coordinates."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import hypothesis.strategies as st
import torch
from hypothesis.errors import InvalidArgument
from torch import Tensor

from geodet.structures import ImageSize

Strategy: TypeAlias = st.SearchStrategy[Any]
Sizes: TypeAlias = ImageSize | st.SearchStrategy[ImageSize] | None
Device: TypeAlias = torch.device | str

STEP = 8  # coordinates are multiples of 1 / STEP pixel


def check_range(low_name: str, low: int, high_name: str, high: int, *, lowest: int = 0) -> None:
    """Check that two whole numbers are at least `lowest` and in order.

    Raises:
        InvalidArgument: they are not; the message names the option.
    """
    for name, value in ((low_name, low), (high_name, high)):
        if not isinstance(value, int) or value < lowest:
            raise InvalidArgument(f"{name}: expected an int of at least {lowest}, got {value!r}")
    if low > high:
        raise InvalidArgument(f"{low_name} = {low} is larger than {high_name} = {high}")


def check_tensors(dtype: torch.dtype, device: Device, *, also: Sequence[torch.dtype] = ()) -> None:
    """Check that a dtype is a floating-point one, or one of `also`, and that a device has a name.

    Raises:
        InvalidArgument: it is not.
    """
    if dtype not in also and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise InvalidArgument(f"dtype: expected a floating-point dtype, got {dtype}")
    check_device(device)


def check_device(device: Device) -> None:
    """Check that torch knows a device of this name; it need not be there.

    Raises:
        InvalidArgument: it does not.
    """
    try:
        torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InvalidArgument(f"device: expected one that torch knows, got {device!r}") from error


def sizes_of(image_size: Sizes, default: st.SearchStrategy[ImageSize]) -> Strategy:
    """Return a strategy of sizes for an `image_size` option.

    Raises:
        InvalidArgument: it is neither a size, nor a strategy, nor None.
    """
    if image_size is None:
        return default
    if isinstance(image_size, ImageSize):
        return st.just(image_size)
    if isinstance(image_size, st.SearchStrategy):
        return image_size
    raise InvalidArgument(f"image_size: expected ImageSize or a strategy, got {image_size!r}")


def on_grid(
    rows: Sequence[Sequence[int]], columns: int, dtype: torch.dtype, device: Device
) -> Tensor:
    """[n, columns] whole numbers divided by STEP; no dtype of 16 bits or more rounds small ones."""
    exact = torch.tensor(rows, dtype=torch.float64).reshape(-1, columns) / STEP
    return exact.to(device=device, dtype=dtype)


def draw_rows(draw: st.DrawFn, row: Strategy, bounds: tuple[int, int]) -> list[Any]:
    """Draw rows of which some repeat an earlier one: equal rows are what ties are made of."""
    rows: list[Any] = []
    for _ in range(draw(st.integers(*bounds))):
        if rows and draw(st.sampled_from([False, False, False, True])):
            rows.append(draw(st.sampled_from(rows)))
        else:
            rows.append(draw(row))
    return rows
