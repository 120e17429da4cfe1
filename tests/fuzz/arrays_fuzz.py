"""Calls operators with arrays that nobody would write by hand; only an error of Python may come.

`call_something(data)` turns bytes into one call: of a public function of `geodet.ops`, of the
operator that torch has registered, or of the compiled module itself with NumPy arrays. Arguments
are about half sensible (so that calls get past the first check) and else of any type, rank, size,
stride, device and value.

Usage, for longer than the test does: python arrays_fuzz.py [-max_total_time=SECONDS] [-seed=N]
With atheris installed (`pip install atheris`) it follows the coverage of the Python code;
otherwise the bytes are random.
"""

import contextlib
import functools
import inspect
import random
import re
import resource
import struct
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import geodet._core as core
import numpy as np
import torch
from torch import Tensor

from geodet import ops
from geodet.errors import GeodetError

# What a wrong call may raise: ours, and what torch, NumPy and pybind11 say themselves. Everything
# else (AttributeError, KeyError, AssertionError, SystemError ...) is a bug of ours.
ALLOWED = (
    GeodetError,
    TypeError,
    ValueError,
    IndexError,
    RuntimeError,  # torch, for layouts without memory
    NotImplementedError,  # torch, for devices without a kernel
    MemoryError,
    OverflowError,
    BufferError,
)
# Sizes that fail before memory is touched, or cost nothing.
WHOLES = (-(2**63), -(2**31) - 1, -1, 0, 1, 2, 3, 5, 7, 2**33, 2**62, 2**63 - 1)
REALS = (0.0, -0.0, 0.5, 1.0, 2.5, -3.0, 1e-40, 1e9, 3e38, 1e300, float("inf"), float("nan"))
DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int32,
    torch.int64,
    torch.uint8,
    torch.bool,
    torch.complex64,
)


class Bytes:
    """A string of bytes read from the front; zeros when it is used up."""

    def __init__(self, data: bytes) -> None:
        """Start at the front."""
        self._data = data
        self._at = 0

    def below(self, limit: int) -> int:
        """A whole number from 0 to limit - 1."""
        value = self._data[self._at] if self._at < len(self._data) else 0
        self._at += 1
        return value % limit

    def pick(self, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        return choices[self.below(len(choices))]

    def real(self) -> float:
        """Mostly a plain coordinate, now and then an odd number."""
        if self.below(6) == 0:
            return self.pick(REALS)
        return struct.unpack("b", bytes([self.below(256)]))[0] / 4


def call_something(data: bytes) -> None:
    """Make the call that some bytes describe; anything but an allowed error comes through."""
    source = Bytes(data)
    make_call = source.pick((public_call, registered_call, compiled_call))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's notes on read-only arrays
        function, arguments, keywords = make_call(source)
        with contextlib.suppress(*ALLOWED):
            function(*arguments, **keywords)


Call = tuple[Callable[..., Any], list[Any], dict[str, Any]]


def public_call(source: Bytes) -> Call:
    """A function of `geodet.ops`, its arguments by name."""
    function = getattr(ops, source.pick(ops.__all__))
    sizes = Sizes(source, function.__name__)
    keywords = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default is not parameter.empty and source.below(2):
            continue
        keywords[name] = argument(source, name, str(parameter.annotation), sizes)
    return function, [], keywords


def registered_call(source: Bytes) -> Call:
    """An operator as torch has registered it, past the checks of its Python function."""
    schema = source.pick(registered_schemas())
    function = getattr(torch.ops.geodet, schema.name.removeprefix("geodet::"))
    sizes = Sizes(source, schema.name)
    arguments = [argument(source, a.name, str(a.type), sizes) for a in schema.arguments]
    if any(
        value is None and "Optional" not in str(a.type)
        for a, value in zip(schema.arguments, arguments, strict=True)
    ):
        return torch.zeros, [0], {}  # torch itself lets None pass for any tensor
    return function, arguments, {}


@functools.cache
def registered_schemas() -> list[Any]:
    """Schemas of our operators; torch lists them nowhere else."""
    return sorted(
        (s for s in torch._C._jit_get_all_schemas() if s.name.startswith("geodet::")), key=str
    )


def compiled_call(source: Bytes) -> Call:
    """A function of the compiled module, with NumPy arrays."""
    names = sorted(name for name in dir(core) if not name.startswith("_"))
    function = getattr(core, source.pick(names))
    inside = re.search(r"\((.*)\) ->", function.__doc__ or "")
    sizes = Sizes(source, function.__name__)
    arguments = []
    for part in re.split(r", (?=\w+:)", inside.group(1)) if inside else []:
        name, _, kind = part.partition(": ")
        value = argument(source, name, "Tensor" if "array" in kind else kind, sizes)
        arguments.append(as_array(source, value) if isinstance(value, Tensor) else value)
    return function, arguments, {}


class Sizes:
    """What the sensible arguments of one call agree on: sizes, and which runs and rings."""

    def __init__(self, source: Bytes, function: str) -> None:
        """Draw them small."""
        self.function = function
        self.rows, self.others, self.height, self.width = (source.below(7) for _ in range(4))
        self.corners = 3 + source.below(4)
        self._source = source
        self._runs: dict[str, tuple[Tensor, Tensor]] = {}

    def runs(self, prefix: str) -> tuple[Tensor, Tensor]:
        """Run lengths and offsets of random masks, the same ones for the same prefix."""
        if prefix not in self._runs:
            rows = self.others if prefix == "b_" and "pairwise" in self.function else self.rows
            shape = (rows, self.height, self.width)
            pixels = [self._source.below(3) == 0 for _ in range(int(np.prod(shape)))]
            masks = torch.tensor(pixels, dtype=torch.bool).reshape(shape)
            self._runs[prefix] = ops.rle_encode(masks)
        return self._runs[prefix]


def argument(source: Bytes, name: str, kind: str, sizes: Sizes) -> Any:
    """A value for a parameter, from its name and type."""
    if source.below(40) == 0:
        return source.pick((None, "text", b"48", 3, 0.5, [], (2, 3), object(), torch.zeros(())))
    if "None" in kind and source.below(2):
        return None
    if "Tensor" in kind or "ndarray" in kind:
        return tensor(source, name, sizes)
    if "tuple" in kind:
        count = 4 if kind.count("int") > 2 else 2
        if count == 2 and source.below(4):
            return sizes.height, sizes.width
        return tuple(whole(source, "", sizes) for _ in range(count))
    if "str" in kind or "list" in kind:
        return [bytes(48 + source.below(64) for _ in range(source.below(6))) for _ in range(2)]
    if "bool" in kind:
        return bool(source.below(2))
    if "float" in kind:
        return source.real()
    return whole(source, name, sizes)


def whole(source: Bytes, name: str, sizes: Sizes) -> int:
    """A size: sensible for its name, or one of the numbers at which code breaks."""
    if name == "num_threads":
        return source.pick((1, 2, 0, -1))
    if source.below(8) == 0:
        return source.pick(WHOLES)
    if "width" in name or "height" in name:
        return sizes.width if "width" in name else sizes.height
    return source.below(9) - 1


def tensor(source: Bytes, name: str, sizes: Sizes) -> Tensor:
    """A tensor: what its name suggests, then perhaps spoiled in type, layout or place."""
    value = sensible_tensor(source, name, sizes)
    if source.below(8) == 0:
        value = random_tensor(source)
    if source.below(6) == 0:
        try:
            value = spoiled(source, value)
        except (RuntimeError, TypeError):
            return value  # torch has no such layout for this type
    return value


def sensible_tensor(source: Bytes, name: str, sizes: Sizes) -> Tensor:  # noqa: PLR0912 (a table of names)
    """What a parameter of this name usually takes."""
    n, h, w = sizes.rows, sizes.height, sizes.width

    def reals(*shape: int) -> Tensor:
        count = int(np.prod(shape))
        return torch.tensor([source.real() for _ in range(count)]).reshape(shape)

    if name.endswith("counts"):
        return sizes.runs(name.removesuffix("counts"))[0]
    if name in {"a_offsets", "b_offsets"} or (name == "offsets" and "rle" in sizes.function):
        return sizes.runs(name.removesuffix("offsets"))[1]
    if name in {"ring_offsets", "offsets"}:
        return torch.arange(n + 1) * sizes.corners
    if "offsets" in name:
        return torch.arange(n + 1)
    if name in {"a", "b"}:
        n = n if name == "a" or "matched" in sizes.function else sizes.others
    if name in {"masks", "out"} or (name in {"a", "b"} and "bit_mask" in sizes.function):
        return torch.tensor([source.below(2) for _ in range(n * h * w)]).bool().reshape(n, h, w)
    if name == "probabilities":
        return reals(n, 2, 3).abs().clamp(max=1)
    if name == "points":
        return reals(n * sizes.corners, 2).double()
    if name in {"features", "input"}:
        return reals(1, 2, h, w)
    if name == "rois":
        return torch.cat([torch.zeros(n, 1), reals(n, 4)], dim=1)
    if name == "heatmaps":
        return reals(n, 3, h, w)
    if "cxcywha" in name or ("rotated" in sizes.function and name in {"a", "b"}):
        return reals(n, 5)
    if name in {"columns", "rows"}:
        return torch.arange(w if name == "columns" else h + 1, dtype=torch.int32)
    if name in {"scores", "threshold"}:
        return reals(n).abs()
    if name in {"groups", "labels", "order", "classes"}:
        return torch.arange(n)
    return reals(n, 4)


def random_tensor(source: Bytes) -> Tensor:
    """Any rank from 0 to 4, any type."""
    shape = [source.below(5) for _ in range(source.below(5))]
    values = torch.tensor([source.real() for _ in range(int(np.prod(shape)))])
    return values.reshape(shape).to(source.pick(DTYPES))


def spoiled(source: Bytes, value: Tensor) -> Tensor:
    """The tensor in another type, layout or place."""
    way = source.below(12)
    if way == 0:
        return value.to(source.pick(DTYPES))
    if way == 1:
        return value.transpose(0, -1) if value.ndim > 0 else value
    if way == 2 and value.ndim > 0:
        return value.repeat_interleave(2, 0)[::2]  # gaps between the rows
    if way == 3:
        return value[:1].expand(4, *value.shape[1:]) if value.ndim > 0 else value.expand(3)
    if way == 4:
        return value.to("meta")
    if way == 5 and value.ndim > 0:
        return value.to_sparse() if value.dtype != torch.bool else value
    if way == 6:
        return torch._neg_view(value.float())
    if way == 7 and value.is_floating_point():
        return value.clone().requires_grad_()
    if way == 8:
        return (
            torch.as_strided(value.flatten(), (value.numel(), 4), (0, 0))
            if len(value.flatten())
            else value
        )
    if way == 9:
        return value[:0] if value.ndim > 0 else value
    if way == 10:
        # the same memory, by way of DLPack
        array = np.asarray(value.float().numpy())
        return torch.from_dlpack(array[::-1].copy() if array.ndim else array)
    return value.unsqueeze(0)


def as_array(source: Bytes, value: Tensor) -> Any:
    """A NumPy array of a tensor: as it lies, or with a layout that torch does not have."""
    try:
        array = value.detach().numpy()
    except (RuntimeError, TypeError):
        return value
    way = source.below(9)
    if array.dtype == bool and way == 2:
        return array
    if way == 0 and array.ndim > 0:
        return array[::-1]  # a negative stride
    if way == 1:
        return np.asfortranarray(array)
    if way == 2:
        return array.astype(array.dtype.newbyteorder())
    if way == 3:
        frozen = array.copy()
        frozen.flags.writeable = False
        return frozen
    if way == 4:
        raw = np.zeros(array.nbytes + 1, np.uint8)[1:]  # not aligned
        return raw.view(array.dtype).reshape(array.shape) if array.size else array
    if way == 5:
        return np.lib.stride_tricks.as_strided(array, (3, *array.shape), (0, *array.strides))
    return array


def main(arguments: list[str]) -> None:
    """Fuzz until the time is up."""
    seconds = next((float(a.split("=")[1]) for a in arguments if "max_total_time" in a), 60.0)
    seed = next((int(a.split("=")[1]) for a in arguments if "-seed" in a), 1)
    # A size that slips through must fail here, not fill the machine.
    resource.setrlimit(resource.RLIMIT_AS, (1 << 34, 1 << 34))
    try:
        import atheris
    except ImportError:
        generator = random.Random(seed)  # noqa: S311 (no secrets here)
        end, calls = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            data = generator.randbytes(generator.randrange(8, 200))
            try:
                call_something(data)
            except Exception:
                sys.stderr.write(f"broken by {data!r}\n")
                raise
            calls += 1
        sys.stdout.write(f"{calls} calls in {seconds:.0f} s\n")
        return
    for module in [m for name, m in sys.modules.items() if name.startswith("geodet.")]:
        for name, value in list(vars(module).items()):
            if inspect.isfunction(value) and value.__module__ == module.__name__:
                setattr(module, name, atheris.instrument_func(value))
    atheris.Setup([arguments[0], *arguments[1:]], call_something)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
