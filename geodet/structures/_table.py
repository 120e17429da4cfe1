"""What all structures share: moving, comparing, pickling, pytrees; and for tables also rows.

A structure is a frozen attrs class whose fields are tensors, other structures, mappings of
those, or plain values (a size, a skeleton). `Structure` works on any of them; `Table` adds rows:
every tensor field has the table's rows as its first dimension unless the class says otherwise by
overriding `_rows` and `_cat`.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

import attrs
import torch
from torch import Tensor
from torch.utils import _pytree

from geodet.errors import DeviceError, DtypeError, InvalidValueError, ShapeError

Index = int | slice | Tensor | Sequence[int] | Sequence[bool]


class Structure(ABC):  # noqa: B024 (its subclasses add the fields, not methods)
    """Base of all structures: abstract, without fields of its own."""

    __slots__ = ()

    # True when the tensors stay in host memory: `to` and `pin_memory` leave them alone.
    _host_only: ClassVar[bool] = False

    @property
    def device(self) -> torch.device:
        """Device of the tensors; a structure without any is on the CPU."""
        for leaf in _leaves(self):
            return leaf.device
        return torch.device("cpu")

    def to(
        self,
        device: torch.device | str | None = None,
        *,
        dtype: torch.dtype | None = None,
        non_blocking: bool = False,
    ) -> Self:
        """Return the same values on another device, in another floating-point precision.

        Args:
            device: where to; None stays.
            dtype: new dtype of the floating-point tensors; integer and bool ones keep theirs.
            non_blocking: passed to `Tensor.to`.
        Returns:
            A structure of the same type; tensors that need no change are shared.
        Raises:
            DtypeError: `dtype` is not a floating-point dtype.
        """
        if dtype is not None and not dtype.is_floating_point:
            raise DtypeError(f"to: expected a floating-point dtype, got {dtype}")
        if self._host_only:
            return self

        def move(tensor: Tensor) -> Tensor:
            kept = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
            return tensor.to(device=device or tensor.device, dtype=kept, non_blocking=non_blocking)

        return self._mapped(
            move, lambda child: child.to(device, dtype=dtype, non_blocking=non_blocking)
        )

    def pin_memory(self) -> Self:
        """Return a copy in page-locked memory, from where copies to a GPU can overlap work."""
        if self._host_only:
            return self
        return self._mapped(lambda tensor: tensor.pin_memory(), lambda child: child.pin_memory())

    def equal(self, other: object) -> bool:
        """Tell whether `other` has the same type, shapes, dtypes and exactly the same values.

        NaN differs from NaN. Reads values, so it waits for a GPU.
        """
        return _same(self, other, torch.equal)

    def allclose(self, other: object, *, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
        """Tell whether `other` equals this one up to rounding of its floating-point numbers.

        Args:
            other: a structure of the same type; dtypes and plain values must agree exactly.
            rtol: relative tolerance, as in `torch.allclose`.
            atol: absolute tolerance in the unit of the values (pixels for coordinates).
        """

        def close(a: Tensor, b: Tensor) -> bool:
            if a.is_floating_point():
                return torch.allclose(a, b, rtol=rtol, atol=atol)
            return torch.equal(a, b)

        return _same(self, other, close)

    def __repr__(self) -> str:
        parts = [f"{name}={_describe(value)}" for name, value in _fields(self) if value is not None]
        return f"{type(self).__name__}({', '.join(parts)}, device={self.device})"

    def __reduce__(self) -> tuple[Any, ...]:
        values = [
            dict(value) if isinstance(value, Mapping) else value for _, value in _fields(self)
        ]
        return _rebuild, (type(self), values)

    def _mapped(
        self,
        on_tensor: Callable[[Tensor], Tensor],
        on_structure: Callable[["Structure"], "Structure"],
    ) -> Self:
        """Apply a function to every tensor and one to every nested structure.

        The functions keep rank, kind of dtype and what was aligned, so nothing is checked again.
        """
        return _unchecked(
            type(self),
            [_map_value(value, on_tensor, on_structure) for _, value in _fields(self)],
        )


class Table(Structure):
    """Base of the structures that have rows."""

    __slots__ = ()

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, index: Index) -> Self:
        """Select rows.

        Args:
            index: an int (keeps a table of one row), a slice, a bool mask [n], or int64 rows [k]
                in any order, repeats allowed; lists of ints or bools work too.
        Returns:
            A table of the same type; slices share memory with this one.
        Raises:
            IndexError: a row does not exist.
            ShapeError: a mask has another length, or the index is not one-dimensional.
            DtypeError: the index is of another type.
            DeviceError: the index lives on a GPU and the table does not.
        Empty: selecting nothing gives a table of 0 rows.
        """
        device = None if self._host_only else self.device
        return self._rows(normalise_index(index, len(self), device))

    def __iter__(self) -> Iterator[Self]:
        """Yield each row as a table of one row."""
        for row in range(len(self)):
            yield self[row]

    @classmethod
    def cat(cls, tables: Sequence[Self]) -> Self:
        """Concatenate tables of this type.

        Args:
            tables: at least one; plain fields (image size, skeleton) and dtypes must agree.
        Returns:
            A table with the rows of all of them, in order.
        Raises:
            ShapeError: none is given, or their shapes, sizes or columns differ.
            DtypeError: an item is of another type, or tensors differ in dtype.
            DeviceError: they live on different devices.
        """
        name = cls.__name__
        if len(tables) == 0:
            raise ShapeError(f"{name}.cat: expected at least one table, got none; use {name}.empty")
        for position, table in enumerate(tables):
            if type(table) is not cls:
                raise DtypeError(
                    f"{name}.cat: expected {name}, item {position} is {type(table).__name__}"
                )
        return cls._cat(tables)

    def _rows(self, index: slice | Tensor) -> Self:
        return self._mapped(lambda tensor: tensor[index], lambda child: _rows_of(child, index))

    @classmethod
    def _cat(cls, tables: Sequence[Self]) -> Self:
        columns = zip(*(_fields(table) for table in tables), strict=True)
        values = [
            cat_values(f"{cls.__name__}.cat: {column[0][0]}", [value for _, value in column])
            for column in columns
        ]
        return _unchecked(cls, values)


S = TypeVar("S", bound=Structure)


def register(cls: type[S]) -> type[S]:
    """Make a structure a pytree node, so that tree_map and torch.compile look inside it.

    Unflattening skips the constructor's checks: tree functions may put anything in place of a
    tensor (a shape, a gradient, None) on their way.
    Compiled functions read structures without a graph break; making new ones inside stops torch
    2.15 with an internal error, as it cannot trace attrs' frozen constructors.
    """

    def flatten(structure: Structure) -> tuple[list[Any], tuple[Any, ...]]:
        children: list[Any] = []
        context: list[Any] = []  # None for a child, else the plain value in a tuple
        for _, value in _fields(structure):
            if isinstance(value, Tensor | Structure):
                children.append(value)
            elif isinstance(value, Mapping):
                children.append(dict(value))
            context.append(None if isinstance(value, Tensor | Structure | Mapping) else (value,))
        return children, tuple(context)

    def unflatten(children: Any, context: tuple[Any, ...]) -> Structure:
        rest = iter(children)
        return _unchecked(cls, [next(rest) if plain is None else plain[0] for plain in context])

    _pytree.register_pytree_node(
        cls, flatten, unflatten, serialized_type_name=f"geodet.{cls.__name__}"
    )
    return cls


def fail_at_first(bad: Tensor, describe: Callable[[int], str], where: str = "") -> None:
    """Raise when a row is marked as bad; reads values, so it waits for a GPU.

    Args:
        bad: bool [n], True for a row that breaks an invariant.
        describe: gives the message for a row.
        where: put before the message, for example a file and an image.
    Raises:
        InvalidValueError: a row is marked.
    """
    rows = bad.nonzero()
    if len(rows) > 0:
        fail(describe(int(rows[0, 0])), where)


def fail(message: str, where: str = "") -> None:
    """Raise InvalidValueError with the place, if known, before the message."""
    raise InvalidValueError(f"{where}: {message}" if where else message)


def rounded(values: Tensor) -> list[float]:
    """Numbers of a small tensor, short enough for a message."""
    return [float(f"{value:.6g}") for value in values.tolist()]


def cat_values(name: str, values: list[Any]) -> Any:
    """Concatenate the values that several tables hold in one field; plain values must agree."""
    first = values[0]
    for position, value in enumerate(values[1:], start=1):
        _check_joinable(name, first, position, value)
    if isinstance(first, Tensor):
        return torch.cat(values)
    if isinstance(first, Table):
        return type(first).cat(values)
    if isinstance(first, Mapping):
        return {key: cat_values(f"{name}[{key!r}]", [v[key] for v in values]) for key in first}
    return first


def _fields(structure: Structure) -> list[tuple[str, Any]]:
    return [(field.name, getattr(structure, field.name)) for field in _attributes(type(structure))]


def _unchecked(cls: type[S], values: Iterable[Any]) -> S:
    """Make a structure of values, in the order of its fields, that are known to be sound."""
    structure = object.__new__(cls)
    for field, value in zip(_attributes(cls), values, strict=True):
        kept = MappingProxyType(value) if isinstance(value, dict) else value
        object.__setattr__(structure, field.name, kept)
    return structure


@functools.cache
def _attributes(cls: type[Any]) -> "tuple[attrs.Attribute[Any], ...]":
    """Fields of an attrs class; every concrete structure is one."""
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(cls)
    return fields


def _rebuild(cls: type[S], values: list[Any]) -> S:
    """Call the constructor by keyword with values in the order of the fields."""
    names = (field.alias or field.name for field in _attributes(cls))
    return cls(**dict(zip(names, values, strict=True)))


def _map_value(
    value: Any,
    on_tensor: Callable[[Tensor], Tensor],
    on_structure: Callable[[Structure], Structure],
) -> Any:
    if isinstance(value, Tensor):
        return on_tensor(value)
    if isinstance(value, Structure):
        return on_structure(value)
    if isinstance(value, Mapping):
        return {key: _map_value(v, on_tensor, on_structure) for key, v in value.items()}
    return value


def _leaves(value: Any) -> Iterator[Tensor]:
    """Tensors that `to` moves, in the order of the fields."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Structure) and not value._host_only:
        for _, child in _fields(value):
            yield from _leaves(child)
    elif isinstance(value, Mapping):
        for child in value.values():
            yield from _leaves(child)


def _rows_of(child: Structure, index: slice | Tensor) -> Structure:
    return child._rows(index) if isinstance(child, Table) else child


def _same(a: Any, b: Any, same_tensor: Callable[[Tensor, Tensor], bool]) -> bool:
    if isinstance(a, Tensor):
        return (
            isinstance(b, Tensor)
            and a.shape == b.shape
            and a.dtype == b.dtype
            and a.device == b.device
            and same_tensor(a, b)
        )
    if isinstance(a, Structure):
        return type(a) is type(b) and all(
            _same(x, y, same_tensor) for (_, x), (_, y) in zip(_fields(a), _fields(b), strict=True)
        )
    if isinstance(a, Mapping):
        return (
            isinstance(b, Mapping)
            and a.keys() == b.keys()
            and all(_same(a[key], b[key], same_tensor) for key in a)
        )
    return bool(a == b)


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_describe(v)}" for key, v in value.items()) + "}"
    return repr(value)


def normalise_index(index: Any, rows: int, device: torch.device | None) -> slice | Tensor:
    """Turn any accepted index into a slice with a positive step, a bool or an int64 tensor."""
    if isinstance(index, slice):
        start, stop, step = index.indices(rows)
        if step > 0:
            return slice(start, stop, min(step, max(rows, 1)))  # tensors overflow on huge steps
        # Tensors take no negative steps; the rows are the same.
        return torch.arange(rows)[torch.tensor(range(*index.indices(rows)), dtype=torch.int64)]
    if isinstance(index, bool):
        raise DtypeError("index: expected an int, a slice, a bool mask or int64 rows, got a bool")
    if hasattr(index, "__index__") and not isinstance(index, Tensor):
        row = index.__index__()
        if not -rows <= row < rows:
            raise IndexError(f"index {row} is out of range for {rows} rows")
        return slice(row % rows, row % rows + 1)
    if isinstance(index, list | tuple):
        index = torch.tensor(index, dtype=None if index else torch.int64)
    if not isinstance(index, Tensor):
        raise DtypeError(
            "index: expected an int, a slice, a bool mask or int64 rows, "
            f"got {type(index).__name__}"
        )
    if index.dtype not in (torch.bool, torch.int64):
        raise DtypeError(f"index: expected torch.bool or torch.int64, got {index.dtype}")
    if index.ndim != 1:
        raise ShapeError(f"index: expected [k], got {list(index.shape)}")
    if index.dtype == torch.bool and len(index) != rows:
        raise ShapeError(f"index: expected a bool mask of [{rows}], got [{len(index)}]")
    if device is None:
        return index.cpu()
    if index.device.type != "cpu" and index.device != device:
        raise DeviceError(f"index is on {index.device}, the table on {device}; move one with .to")
    return index


def _check_joinable(name: str, first: Any, position: int, value: Any) -> None:
    if isinstance(first, Tensor) and isinstance(value, Tensor):
        if first.shape[1:] != value.shape[1:]:
            raise ShapeError(
                f"{name}: item {position} is {list(value.shape)}, item 0 {list(first.shape)}; "
                "they may differ in the first size only"
            )
        if first.dtype != value.dtype:
            raise DtypeError(f"{name}: item {position} is {value.dtype}, item 0 {first.dtype}")
        if first.device != value.device:
            raise DeviceError(
                f"{name}: item {position} is on {value.device}, item 0 {first.device}"
            )
    elif (first is None) != (value is None):
        lacking, having = (position, 0) if value is None else (0, position)
        raise ShapeError(f"{name}: item {having} has this column, item {lacking} does not")
    elif isinstance(first, Mapping) and isinstance(value, Mapping):
        if first.keys() != value.keys():
            raise ShapeError(f"{name}: item {position} has {sorted(value)}, item 0 {sorted(first)}")
    elif isinstance(first, Structure | Tensor) or isinstance(value, Structure | Tensor):
        if type(first) is not type(value):
            raise DtypeError(
                f"{name}: item {position} is {type(value).__name__}, item 0 {type(first).__name__}"
            )
    elif first != value:
        raise ShapeError(f"{name}: item {position} has {value}, item 0 {first}")
