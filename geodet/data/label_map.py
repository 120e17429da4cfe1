"""The ids a data set uses for its classes, against the labels 0..n-1 that models use."""

import functools
from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from geodet.errors import DataError, DtypeError, InvalidValueError

__all__ = ["LabelMap"]


def _tuple_of_names(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise DtypeError(f"names: expected a sequence of class names, got the text {names!r}")
    return tuple(names)


def _tuple_of_ids(dataset_ids: Sequence[int]) -> tuple[int, ...]:
    return tuple(dataset_ids)


@attrs.frozen(repr=False)
class LabelMap:
    """Class names and data set ids in label order: label `i` is `names[i]`, id `dataset_ids[i]`.

    Args:
        names: one per label; not empty text, no name twice.
        dataset_ids: the id each class has in the files of the data set, any distinct integers.
    Raises:
        InvalidValueError: the two differ in length, or an id or a name appears twice.
    Empty: a map of no class is legal and has length 0.
    """

    names: tuple[str, ...] = attrs.field(converter=_tuple_of_names)
    dataset_ids: tuple[int, ...] = attrs.field(converter=_tuple_of_ids)

    def __attrs_post_init__(self) -> None:
        if len(self.names) != len(self.dataset_ids):
            raise InvalidValueError(
                f"dataset_ids: expected {len(self.names)} ids (one per name), "
                f"got {len(self.dataset_ids)}"
            )
        for name in self.names:
            if not isinstance(name, str) or not name:
                raise InvalidValueError(f"names: expected texts that are not empty, got {name!r}")
        for dataset_id in self.dataset_ids:
            if isinstance(dataset_id, bool) or not isinstance(dataset_id, int):
                raise DtypeError(f"dataset_ids: expected integers, got {dataset_id!r}")
        _check_distinct("names", self.names)
        _check_distinct("dataset_ids", self.dataset_ids)

    @classmethod
    def from_names(cls, names: Sequence[str], *, first_id: int = 0) -> "LabelMap":
        """Map of classes that the data set numbers in order from `first_id`."""
        names = _tuple_of_names(names)
        return cls(names, tuple(range(first_id, first_id + len(names))))

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.names)

    def __repr__(self) -> str:
        """Return the first classes and their number."""
        shown = ", ".join(
            f"{label}: {name!r} (id {dataset_id})"
            for label, (name, dataset_id) in enumerate(
                zip(self.names[:5], self.dataset_ids[:5], strict=True)
            )
        )
        return f"LabelMap({len(self)} classes; {shown}{', ...' if len(self) > 5 else ''})"

    def to_label(self, dataset_id: int) -> int:
        """Return the label of the class that the data set calls `dataset_id`.

        Raises:
            DataError: no class has that id.
        """
        try:
            return self._labels[dataset_id]
        except (KeyError, TypeError):
            raise DataError(
                f"class id {dataset_id!r}: not one of the {len(self)} ids of this data set "
                f"({_shortened(self.dataset_ids)})"
            ) from None

    def to_dataset_id(self, label: int) -> int:
        """Return the id that the data set has for `label`.

        Raises:
            InvalidValueError: `label` is not in 0..len-1.
        """
        if not 0 <= label < len(self):
            raise InvalidValueError(f"label: expected 0 to {len(self) - 1}, got {label}")
        return self.dataset_ids[label]

    def to_dataset_ids(self, labels: Tensor) -> Tensor:
        """Return the data set ids, int64 [n], of int64 `labels` [n].

        Raises:
            InvalidValueError: a label is not in 0..len-1.
        Empty: no labels give an empty int64 tensor.
        """
        if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < len(self):
            raise InvalidValueError(
                f"labels: expected 0 to {len(self) - 1}, "
                f"got {int(labels.min())} to {int(labels.max())}"
            )
        table = torch.tensor(self.dataset_ids, dtype=torch.int64, device=labels.device)
        return table[labels]

    @functools.cached_property
    def _labels(self) -> Mapping[int, int]:
        return {dataset_id: label for label, dataset_id in enumerate(self.dataset_ids)}


def _check_distinct(field: str, values: Sequence[object]) -> None:
    if len(set(values)) != len(values):
        twice = next(value for index, value in enumerate(values) if value in values[:index])
        raise InvalidValueError(f"{field}: expected distinct values, got {twice!r} more than once")


def _shortened(values: Sequence[object], limit: int = 8) -> str:
    shown = ", ".join(str(value) for value in values[:limit])
    return f"{shown}, ..." if len(values) > limit else shown
