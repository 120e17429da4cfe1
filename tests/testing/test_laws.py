"""The laws fail on structures that break them: each check is shown a broken one."""

import pytest
import torch

from geodet import Boxes
from geodet import testing as gt
from geodet.structures._table import register


class Broken(Boxes):
    """Boxes with one method replaced; the type under test must look like a structure."""

    __slots__ = ()


def broken(decorator=lambda kind: kind, **methods):
    """Three boxes whose class has some methods replaced."""
    kind = type("Broken", (Broken,), {"__slots__": (), **methods})
    return decorator(kind)(torch.arange(12.0).view(3, 4))


def test_wrong_indexing_is_caught():
    """A table whose slices are right and whose other indices give row 1 fails."""
    table = broken(
        __getitem__=lambda self, i: Boxes(self.xyxy[i if isinstance(i, slice) else slice(1, 2)])
    )
    with pytest.raises(AssertionError, match="differs"):
        gt.assert_selections_agree(table)
    with pytest.raises(AssertionError, match="differs"):
        gt.assert_indexing_composes(table, slice(0, 2), 0)


def test_wrong_cat_is_caught():
    """A cat that swaps its parts fails."""
    table = broken(cat=classmethod(lambda cls, t: cls(torch.cat([x.xyxy for x in t[::-1]]))))
    with pytest.raises(AssertionError, match="cat of"):
        gt.assert_cat_of_slices_is_identity(table, 1)


def test_wrong_to_is_caught():
    """A `to` that ignores the dtype fails."""
    with pytest.raises(AssertionError, match=r"gives torch\.float32"):
        gt.assert_to_round_trips(broken(register, to=lambda self, *_, **__: self))


def test_shared_memory_of_copies_is_caught():
    """A copy that aliases the original fails."""
    table = broken(__deepcopy__=lambda self, memo: self, __reduce__=lambda self: (Boxes.empty, ()))
    with pytest.raises(AssertionError):
        gt.assert_pickle_round_trips(table)


def test_an_unregistered_type_is_caught():
    """A type that is no pytree node is its own leaf, not a tensor."""
    with pytest.raises(AssertionError, match="leaves of"):
        gt.assert_pytree_round_trips(broken())


def test_a_step_that_does_not_undo_itself_is_caught():
    """Moving twice is no identity."""
    with pytest.raises(AssertionError, match="twice gives"):
        gt.assert_twice_is_identity(Boxes(torch.zeros(1, 4)), lambda b: b.translate(1.0, 0.0))


def test_mutation_is_caught():
    """A call that writes into the tensor fails."""
    with pytest.raises(AssertionError, match="a call changed"):
        gt.assert_unchanged_by(Boxes(torch.zeros(1, 4)), lambda b: b.xyxy.add_(1))
