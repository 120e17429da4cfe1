"""The compiled modules, and how tensors reach them.

The CPU module is part of every build. The CUDA module is loaded at the first CUDA tensor, so that
`import geodet` needs neither a GPU nor a driver.
"""

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geodet.errors import BackendError, DeviceError, DtypeError, InvalidValueError

Array: TypeAlias = npt.NDArray[np.generic]

# numpy asks the kernel for huge pages above this size; torch.empty does not, and touching fresh
# 4 KiB pages costs about ten times the write itself.
_HUGE_BYTES = 1 << 22


def _load_cpu() -> ModuleType:
    try:
        return importlib.import_module("geodet._core")
    except ModuleNotFoundError as error:
        raise BackendError(
            "geodet's compiled core is missing: this looks like a source folder that was not "
            "installed. Run `pip install -e .` in it (a C++17 compiler is all it needs)."
        ) from error


cpu: ModuleType = _load_cpu()


@functools.cache
def cuda() -> ModuleType:
    """Return the CUDA module.

    Raises:
        BackendError: geodet was built without CUDA; the message says how to build it.
    """
    try:
        return importlib.import_module("geodet._core_cuda")
    except ImportError as error:
        raise BackendError(
            "geodet was built without its CUDA module. Put nvcc on PATH and reinstall with "
            "`pip install --no-cache-dir . --config-settings=cmake.define.GEODET_CUDA=ON`, "
            f"or move the tensors to the CPU. ({error})"
        ) from error


def on_cuda(tensor: Tensor) -> bool:
    """Tell whether a tensor lives on a GPU.

    Raises:
        DeviceError: it lives neither on a CPU nor on a CUDA device.
    """
    if tensor.is_cpu:
        return False
    if tensor.is_cuda:
        return True
    raise DeviceError(f"expected a CPU or CUDA tensor, got one on {tensor.device}")


def array(tensor: Tensor) -> Array:
    """Return the NumPy view of a CPU tensor, made contiguous first where it is not."""
    if tensor.requires_grad:
        tensor = tensor.detach()
    view: Array = tensor.contiguous().numpy()
    return view


def stream(tensor: Tensor) -> int:
    """Return the handle of the CUDA stream that work on this tensor is queued on."""
    handle: int = torch.cuda.current_stream(tensor.device).cuda_stream
    return handle


def threads() -> int:
    """Return the number of threads a kernel may use: what the user told torch."""
    return torch.get_num_threads()


def empty(shape: tuple[int, ...], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return uninitialised memory on the device of `like`, on huge pages where it is large."""
    dtype = like.dtype if dtype is None else dtype
    if like.device.type == "cpu" and _size_in_bytes(shape, dtype) >= _HUGE_BYTES:
        return torch.from_numpy(empty_array(shape, dtype))
    return torch.empty(shape, dtype=dtype, device=like.device)


def empty_array(shape: tuple[int, ...], dtype: torch.dtype) -> Array:
    """Return uninitialised host memory for `torch.from_numpy`; large arrays lie on huge pages."""
    return _allocated(np.empty, shape, dtype)


def zeros(shape: tuple[int, ...], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return zeroed memory on the device of `like`; large CPU memory is zeroed when touched.

    torch.zeros would wake its threads from 32 KiB on, which costs more than the zeros.
    """
    dtype = like.dtype if dtype is None else dtype
    if like.device.type == "cpu":
        return torch.from_numpy(_allocated(np.zeros, shape, dtype))
    return torch.zeros(shape, dtype=dtype, device=like.device)


def _allocated(make: Callable[..., Array], shape: tuple[int, ...], dtype: torch.dtype) -> Array:
    try:
        return make(shape, dtype=_numpy_dtype(dtype))
    except ValueError as error:  # a number beyond 64 bits, not memory that is short
        raise InvalidValueError(
            f"expected sizes of a result that can exist, got {list(shape)} of {dtype}"
        ) from error


def _numpy_dtype(dtype: torch.dtype) -> type[np.generic]:
    if dtype not in _NUMPY_DTYPES:
        raise DtypeError(f"the kernels do not compute in {dtype}; convert with .float() first")
    return _NUMPY_DTYPES[dtype]


def _size_in_bytes(shape: tuple[int, ...], dtype: torch.dtype) -> int:
    size = dtype.itemsize
    for length in shape:
        size *= length
    return size


_NUMPY_DTYPES: dict[torch.dtype, type[np.generic]] = {
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.int32: np.int32,
    torch.int64: np.int64,
    torch.uint8: np.uint8,
    torch.bool: np.bool_,
}
