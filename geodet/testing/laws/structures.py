"""Laws that every structure obeys: selection, joining, moving, copying, tree functions."""

import copy
import pickle
from collections.abc import Callable
from typing import Any, Protocol, Self

import torch
from torch import Tensor
from torch.utils import _pytree

from geodet.testing.laws._require import device_of, require, tensors_of


class Comparable(Protocol):
    """What can be compared with what it was."""

    def equal(self, other: object) -> bool:
        """Tell whether it is the same to the last bit."""
        ...

    def allclose(self, other: object, *, rtol: float = ..., atol: float = ...) -> bool:
        """Tell whether it is the same up to rounding."""
        ...


class _Structure(Comparable, Protocol):
    """What the laws use of a structure."""

    def to(self, device: Any = None, *, dtype: torch.dtype | None = None) -> Self: ...


class _Table(_Structure, Protocol):
    """What the laws use of a structure with rows."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any) -> Self: ...
    @classmethod
    def cat(cls, tables: Any) -> Self: ...


def assert_indexing_composes(table: _Table, first: Any, second: Any) -> None:
    """Check that selecting twice equals selecting once: table[first][second].

    Args:
        table: n rows.
        first: an index for n rows.
        second: an index for the rows that `first` leaves.
    """
    at_once = _positions(len(table), first)[_as_index(second, first, len(table))]
    require(
        table[first][second].equal(table[at_once]),
        f"table[{first}][{second}] differs from table[{at_once.tolist()}] for {table}",
    )


def assert_selections_agree(table: _Table) -> None:
    """Check that ints, slices, bool masks and row numbers select the same rows."""
    rows = len(table)
    for row in range(rows):
        one = torch.tensor([row])
        mask = torch.zeros(rows, dtype=torch.bool)
        mask[row] = True
        for index in (row - rows, slice(row, row + 1), mask, one):
            require(table[row].equal(table[index]), f"row {row} differs from [{index}]: {table}")
        require(len(table[row]) == 1, f"[{row}] has {len(table[row])} rows: {table}")
    require(table[:].equal(table), f"[:] changes {table}")
    require(table[::-1][::-1].equal(table), f"[::-1] twice changes {table}")


def assert_cat_of_slices_is_identity(table: _Table, cut: int) -> None:
    """Check that a table cut in two and joined is the table, and that one part joins to itself."""
    joined = type(table).cat([table[:cut], table[cut:]])
    require(joined.equal(table), f"cat of [:{cut}] and [{cut}:] differs from {table}")
    require(type(table).cat([table]).equal(table), f"cat of one table differs from {table}")


def assert_to_round_trips(structure: _Structure) -> None:
    """Check that double precision and back is the identity, and that ints and bools stay."""
    device = device_of(structure)
    require(structure.to(device).equal(structure), f"to({device}) changes {structure}")
    there_and_back = structure.to("cpu").to(device)
    require(there_and_back.equal(structure), f"to the CPU and back to {device} changes {structure}")
    wide = structure.to(dtype=torch.float64)
    for before, after in zip(tensors_of(structure), tensors_of(wide), strict=True):
        floating = before.is_floating_point()
        expected = torch.float64 if floating else before.dtype
        require(after.dtype == expected, f"to(float64) gives {after.dtype} in {structure}")
    dtypes = {t.dtype for t in tensors_of(structure) if t.is_floating_point()}
    if len(dtypes - {torch.float64}) <= 1:
        for dtype in dtypes - {torch.float64}:
            require(wide.to(dtype=dtype).equal(structure), f"float64 and back: {structure}")


def assert_pickle_round_trips(structure: _Structure) -> None:
    """Check that pickling and deep copies give an equal structure with its own memory."""
    for copied in (pickle.loads(pickle.dumps(structure)), copy.deepcopy(structure)):  # noqa: S301
        require(structure.equal(copied), f"a copy differs: {copied} from {structure}")
        own = {t.untyped_storage().data_ptr() for t in tensors_of(copied) if t.numel()}
        old = {t.untyped_storage().data_ptr() for t in tensors_of(structure) if t.numel()}
        require(not own & old, f"a copy shares memory with {structure}")


def assert_pytree_round_trips(structure: _Structure) -> None:
    """Check that tree functions see every tensor and give the structure back."""
    leaves, spec = _pytree.tree_flatten(structure)
    require(all(isinstance(leaf, Tensor) for leaf in leaves), f"leaves of {structure}: {leaves}")
    rebuilt = _pytree.tree_unflatten(leaves, spec)
    require(structure.equal(rebuilt), f"unflattened: {rebuilt} from {structure}")
    require(_pytree.tree_structure(rebuilt) == spec, f"another tree for {rebuilt}")
    cloned = _pytree.tree_map(torch.clone, structure)
    require(structure.equal(cloned), f"tree_map of clone: {cloned} from {structure}")


def assert_twice_is_identity(
    structure: Comparable, step: Callable[[Any], Any], *, atol: float = 0.0
) -> None:
    """Check that a mirror or another involution undoes itself.

    Args:
        structure: where to start.
        step: applied twice.
        atol: 0 asks for exact equality; else the tolerance of `allclose`.
    """
    twice = step(step(structure))
    same = structure.equal(twice) if atol == 0 else structure.allclose(twice, rtol=0, atol=atol)
    require(same, f"twice gives {tensors_of(twice)} from {tensors_of(structure)}")


def assert_unchanged_by(structure: Comparable, call: Callable[[Any], object]) -> None:
    """Check that a method leaves the structure it is called on as it was."""
    before = copy.deepcopy(structure)
    call(structure)
    require(structure.equal(before), f"a call changed {before}")


def assert_structure_laws(structure: _Structure) -> None:
    """Check the laws that need nothing but a structure: moving, pickling, pytrees."""
    assert_unchanged_by(structure, assert_to_round_trips)
    assert_unchanged_by(structure, assert_pickle_round_trips)
    assert_unchanged_by(structure, assert_pytree_round_trips)


def assert_table_laws(table: _Table) -> None:
    """Check the laws that need nothing but a table: those of structures, selection and cat."""
    assert_structure_laws(table)
    assert_unchanged_by(table, assert_selections_agree)
    for cut in {0, len(table) // 2, len(table)}:
        assert_cat_of_slices_is_identity(table, cut)


def _positions(rows: int, index: Any) -> Tensor:
    """Row numbers that an index selects, by plain Python lists."""
    everything = list(range(rows))
    if isinstance(index, int):
        chosen = [everything[index]]
    elif isinstance(index, slice):
        chosen = everything[index]
    elif isinstance(index, Tensor) and index.dtype == torch.bool:
        chosen = [row for row, keep in zip(everything, index.tolist(), strict=True) if keep]
    else:
        chosen = [everything[row] for row in index]
    return torch.tensor(chosen, dtype=torch.int64)


def _as_index(second: Any, first: Any, rows: int) -> Tensor:
    return _positions(len(_positions(rows, first)), second)
