"""Labels and data set ids: one to one, and errors that name what is missing."""

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet.data.label_map import LabelMap
from geodet.errors import DataError, DtypeError, InvalidValueError

ids = st.lists(st.integers(-(2**40), 2**40), unique=True, max_size=12)


@given(ids)
def test_labels_and_ids_are_inverse(dataset_ids):
    """Going from label to id and back, one by one or as a tensor, changes nothing."""
    label_map = LabelMap([f"class {i}" for i in range(len(dataset_ids))], dataset_ids)
    labels = torch.arange(len(dataset_ids))

    assert len(label_map) == len(dataset_ids)
    assert [label_map.to_label(one) for one in dataset_ids] == labels.tolist()
    assert [label_map.to_dataset_id(label) for label in labels.tolist()] == dataset_ids
    assert label_map.to_dataset_ids(labels).tolist() == dataset_ids
    assert label_map.to_dataset_ids(labels[:0]).dtype == torch.int64


def test_maps_compare_by_value_and_can_be_pickled():
    """Two maps of the same classes are equal, also after a trip through pickle."""
    label_map = LabelMap(("cat", "dog"), (7, 3))
    label_map.to_label(7)

    copy = pickle.loads(pickle.dumps(label_map))  # noqa: S301
    assert copy == label_map == LabelMap(["cat", "dog"], [7, 3])
    assert LabelMap.from_names(["a", "b"], first_id=1).dataset_ids == (1, 2)
    assert "dog" in repr(label_map)


def test_unknown_ids_and_labels_are_named():
    """An id of no class, or a label out of range, is an error that says what there is."""
    label_map = LabelMap(("cat", "dog"), (7, 3))
    with pytest.raises(DataError, match=r"class id 99.*7, 3"):
        label_map.to_label(99)
    with pytest.raises(InvalidValueError, match="0 to 1, got 2"):
        label_map.to_dataset_id(2)
    with pytest.raises(InvalidValueError, match="got -1 to 1"):
        label_map.to_dataset_ids(torch.tensor([-1, 1]))


@pytest.mark.parametrize(
    ("names", "dataset_ids", "error", "what"),
    [
        (["a", "b"], [1], InvalidValueError, "expected 2 ids"),
        (["a", "a"], [1, 2], InvalidValueError, "'a' more than once"),
        (["a", "b"], [1, 1], InvalidValueError, "1 more than once"),
        (["a", ""], [1, 2], InvalidValueError, "not empty"),
        (["a"], [True], DtypeError, "integers"),
        (["a"], ["1"], DtypeError, "integers"),
        ("ab", [1, 2], DtypeError, "sequence of class names"),
    ],
)
def test_ambiguous_maps_are_refused(names, dataset_ids, error, what):
    """Ids and names must be distinct, and as many."""
    with pytest.raises(error, match=what):
        LabelMap(names, dataset_ids)
