"""Arrays, numbers and plain containers out of pickle files, and nothing else.

A pickle is a program; most of what can be in one can be made to run any command. Here only the
instructions that build data are followed, and every global name stands for a function of ours
that makes an array from bytes whose number was checked. None of NumPy's own unpickling runs.
"""

import io
import math
import pickle  # only `pickle.Unpickler` with our own `find_class`
import pickletools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geodet.errors import CheckpointError

__all__ = ["read_pickle"]

_DEEPEST = 64
_MOST_AXES = 32
_ORDERS = {"<": "<", ">": ">", "|": "|", "=": "<"}
_DTYPES = "b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 c8 c16"
_CODES = frozenset(_DTYPES.split())
_INSTRUCTIONS = """
    PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE
    INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT
    STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
    BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8
    EMPTY_LIST APPEND APPENDS LIST EMPTY_DICT DICT SETITEM SETITEMS EMPTY_SET ADDITEMS FROZENSET
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
    PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET
    GLOBAL STACK_GLOBAL REDUCE BUILD
"""
_OPCODES = frozenset(_INSTRUCTIONS.split())
_BY_CODE = {opcode.code: opcode for opcode in pickletools.opcodes}
_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
# What a damaged or hostile file makes the unpickler raise; our own errors pass through.
_DAMAGE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def read_pickle(path: Path) -> object:
    """Read a pickle of arrays, numbers, strings and plain containers.

    Byte strings of Python 2 are read as latin-1. An `OrderedDict` comes back as a dict, and
    arrays may be read-only.

    Raises:
        CheckpointError: the file is missing, damaged, or asks for anything else; names it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        _check_instructions(path, data)
        return _Finisher(path).finish(_ArrayUnpickler(path, data).load(), depth=0)
    except CheckpointError:
        raise
    except _DAMAGE as error:
        raise CheckpointError(
            f"{path}: not a whole pickle of arrays ({type(error).__name__}: {error}); copy or "
            "download it again"
        ) from error


def _check_instructions(path: Path, data: bytes) -> None:
    """Refuse instructions that do more than build data, before any is followed."""
    for count, (name, argument) in enumerate(_instructions(data)):
        if name not in _OPCODES:
            raise CheckpointError(
                f"{path}: holds the pickle instruction {name}, which no file of arrays needs; "
                "convert it to safetensors where you trust it"
            )
        # The unpickler would reserve room for every index up to this one.
        if name in _PUTS and not 0 <= int(argument or 0) <= count + 1:
            raise CheckpointError(f"{path}: damaged: remembers a value under number {argument}")


def _instructions(data: bytes) -> Iterator[tuple[str, Any]]:
    """Name and argument of every instruction. `pickletools.genops` fails on strings of Python 2."""
    stream = io.BytesIO(data)
    name = ""
    while name != "STOP":
        code = stream.read(1)
        if not code:
            raise EOFError("it ends before its STOP")
        opcode = _BY_CODE.get(code.decode("latin1"))
        if opcode is None:
            raise ValueError(f"{code!r} is no pickle instruction")
        name, argument = opcode.name, None
        if name == "STRING":
            stream.readline()
        elif opcode.arg is not None:
            argument = opcode.arg.reader(stream)
        yield name, argument


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows the few globals of `_admitted`."""

    def __init__(self, path: Path, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._path = path
        self._admitted = _admitted()

    def find_class(self, module: str, name: str) -> object:
        """Look up a global; anything but array reconstruction is an error."""
        if f"{module}.{name}" not in self._admitted:
            raise CheckpointError(
                f"{self._path}: asks for {module}.{name}; only NumPy arrays, numbers and plain "
                "containers are read from a pickle, because anything else could run commands. "
                "Convert the file to safetensors where you trust it"
            )
        return self._admitted[f"{module}.{name}"]


def _admitted() -> Mapping[str, object]:
    """Globals by name. New functions for each file: a pickle may write into what it looks up."""
    known: dict[str, object] = {
        "numpy.ndarray": "numpy.ndarray",
        "numpy.dtype": lambda code, *_: _Dtype(code),
        "collections.OrderedDict": lambda items=(): dict(items),
        "_codecs.encode": lambda text, encoding="latin1": _latin1(text, encoding),
        "builtins.bytes": lambda: b"",  # how protocol 2 writes no bytes
        "__builtin__.bytes": lambda: b"",
        "builtins.set": lambda items=(): set(items),
        "__builtin__.set": lambda items=(): set(items),
    }
    for core in ("numpy.core", "numpy._core"):
        known[f"{core}.multiarray._reconstruct"] = lambda *arguments: _Array()
        known[f"{core}.multiarray.scalar"] = lambda dtype, raw: _Array().fill((), dtype, raw)
        known[f"{core}.numeric._frombuffer"] = lambda raw, dtype, shape, order: _Array().fill(
            shape, dtype, raw, fortran=order == "F"
        )
    return known


class _Dtype:
    """A dtype in the making: NumPy pickles its code first and its byte order as state."""

    def __init__(self, code: object) -> None:
        if not isinstance(code, str) or code not in _CODES:
            raise TypeError(f"an array of dtype {code!r}; expected numbers or booleans")
        self.code = code
        self.order = "<"

    def __setstate__(self, state: tuple[object, ...]) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if not isinstance(order, str) or order not in _ORDERS:
            raise ValueError(f"a dtype with the byte order {order!r}")
        self.order = _ORDERS[order]

    def finish(self) -> np.dtype[np.generic]:
        return np.dtype(self.order + self.code)


class _Array:
    """An array in the making: NumPy pickles an empty one first and its content as state."""

    def __init__(self) -> None:
        self.values: np.ndarray | np.generic | None = None

    def __setstate__(self, state: tuple[object, ...]) -> None:
        # Version, shape, dtype, column-major, bytes; the version is missing in very old files.
        shape, dtype, fortran, raw = state[-4:]
        self.fill(shape, dtype, raw, fortran=bool(fortran))

    def fill(self, shape: object, dtype: object, raw: object, *, fortran: bool = False) -> "_Array":
        if not isinstance(dtype, _Dtype):
            raise TypeError(f"an array of dtype {dtype!r}")
        if not isinstance(shape, tuple) or len(shape) > _MOST_AXES:
            raise TypeError("an array whose shape is no tuple, or too long")
        if any(type(side) is not int or side < 0 for side in shape):
            raise TypeError(f"an array of shape {shape!r}")
        content = raw.encode("latin1") if isinstance(raw, str) else raw
        if not isinstance(content, bytes | bytearray):
            raise TypeError("an array without bytes")
        kind = dtype.finish()
        if math.prod(shape) * kind.itemsize != len(content):
            raise ValueError(
                f"an array of shape {list(shape)} and dtype {kind} with {len(content)} bytes"
            )
        # A view of the bytes where it can be: files of gigabytes are held once, not twice.
        flat = np.frombuffer(content, kind).astype(kind.newbyteorder("="), copy=False)
        array = flat.reshape(shape, order="F" if fortran else "C")
        self.values = array if shape else array[()]
        return self


def _latin1(text: object, encoding: object) -> bytes:
    """Bytes, as protocol 2 of Python 3 writes them."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "iso-8859-1"):
        raise TypeError(f"a byte string in the encoding {encoding!r}")
    return text.encode("latin1")


class _Finisher:
    """Puts finished arrays in the place of those in the making, each object once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[int, object] = {}
        self._open: set[int] = set()

    def finish(self, value: object, *, depth: int) -> object:
        if isinstance(value, _Array):
            if value.values is None:
                raise ValueError("an array without content")
            return value.values
        if isinstance(value, _Dtype):
            return value.finish()
        if not isinstance(value, dict | list | tuple):
            return self._checked(value)
        if id(value) in self._done:
            return self._done[id(value)]
        if id(value) in self._open or depth > _DEEPEST:
            raise CheckpointError(
                f"{self._path}: containers hold themselves, or lie more than {_DEEPEST} deep"
            )
        self._open.add(id(value))
        finished: object
        if isinstance(value, dict):
            finished = {
                self._checked(key): self.finish(entry, depth=depth + 1)
                for key, entry in value.items()
            }
        else:
            finished = type(value)(self.finish(entry, depth=depth + 1) for entry in value)
        self._done[id(value)] = finished
        return finished

    def _checked(self, value: object) -> object:
        if value is None or isinstance(value, str | bytes | bytearray | int | float):
            return value
        if isinstance(value, set | frozenset | tuple):
            for entry in value:
                self._checked(entry)
            return value
        raise CheckpointError(f"{self._path}: holds a value that is no data: {value!r}")
