"""A table of the objects in one image. Shapes: n objects."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Self, TypeAlias

import attrs
import torch
from torch import Tensor

from geodet import _check
from geodet.errors import DeviceError, DtypeError, InvalidValueError, ShapeError
from geodet.structures._table import Structure, Table, fail_at_first, register
from geodet.structures.boxes import Boxes
from geodet.structures.image_size import ImageSize
from geodet.structures.keypoints import Keypoints
from geodet.structures.masks import Masks
from geodet.structures.roi_masks import check_image_size
from geodet.structures.rotated_boxes import RotatedBoxes

Column: TypeAlias = Tensor | Table

_DECLARED = ("boxes", "labels", "scores", "masks", "keypoints", "is_crowd")


def _read_only(extras: Mapping[str, Column]) -> Mapping[str, Column]:
    if not isinstance(extras, Mapping):
        raise DtypeError(f"extras: expected a mapping of names, got {type(extras).__name__}")
    return MappingProxyType(dict(extras))


@register
@attrs.frozen(eq=False, repr=False)
class Instances(Table):
    """Objects of one image: declared columns, each optional, with one row per object.

    Targets, proposals and predictions all are Instances; what a column means does not change.

    Args:
        image_size: size of the image that all coordinates refer to.
        boxes: n boxes, horizontal or rotated.
        labels: [n] int64 contiguous classes from 0.
        scores: [n] floating-point probabilities.
        masks: n masks of any kind, of the same image size.
        keypoints: keypoints of n objects.
        is_crowd: [n] bool, True for a region that covers many objects (COCO's iscrowd).
        extras: columns of your own by name: tensors [n, ...] or structures with n rows.
    Raises:
        DtypeError: a column has another type or dtype.
        ShapeError: columns differ in their number of rows, or masks in their image size.
        DeviceError: columns live on different devices (run lengths and polygons are exempt:
            they always stay on the CPU).
        InvalidValueError: an extra has the name of a declared column.
    """

    image_size: ImageSize
    boxes: Boxes | RotatedBoxes | None = attrs.field(default=None, kw_only=True)
    labels: Tensor | None = attrs.field(default=None, kw_only=True)
    scores: Tensor | None = attrs.field(default=None, kw_only=True)
    masks: Masks | None = attrs.field(default=None, kw_only=True)
    keypoints: Keypoints | None = attrs.field(default=None, kw_only=True)
    is_crowd: Tensor | None = attrs.field(default=None, kw_only=True)
    extras: Mapping[str, Column] = attrs.field(factory=dict, kw_only=True, converter=_read_only)

    def __attrs_post_init__(self) -> None:
        check_image_size(self.image_size)
        self._check_types()
        for name in self.extras:
            if name in _DECLARED or name == "image_size":
                raise InvalidValueError(f"extras: {name!r} is a declared column; pass it as such")
        _check_aligned(self.columns())

    @classmethod
    def empty(cls, image_size: ImageSize, *, device: torch.device | str = "cpu") -> "Instances":
        """Return the table of an image without objects: 0 boxes, 0 labels, no other column."""
        labels = torch.zeros(0, dtype=torch.int64, device=device)
        return cls(image_size, boxes=Boxes.empty(device=device), labels=labels)

    def __len__(self) -> int:
        for column in self.columns().values():
            return len(column)
        return 0

    def columns(self) -> dict[str, Column]:
        """Return the columns that are there, by name: the declared ones, then the extras."""
        declared = {name: getattr(self, name) for name in _DECLARED}
        present = {name: column for name, column in declared.items() if column is not None}
        return present | dict(self.extras)

    def with_(self, **columns: Any) -> Self:
        """Return a copy with some columns replaced, added, or (given None) left out.

        Args:
            columns: declared columns, `extras` or `image_size`, by name. `extras` replaces the
                whole mapping: `with_(extras={**instances.extras, "name": column})` adds one.
        Raises:
            InvalidValueError: a name is not declared.
        """
        for name in columns:
            if name not in (*_DECLARED, "extras", "image_size"):
                raise InvalidValueError(
                    f"with_: expected one of {', '.join((*_DECLARED, 'extras', 'image_size'))}, "
                    f"got {name!r}; put columns of your own into extras"
                )
        return attrs.evolve(self, **columns)

    def sorted_by_score(self) -> Self:
        """Order the rows by descending score; equal scores keep their order.

        Raises:
            InvalidValueError: there are rows but no scores.
        """
        if self.scores is None:
            if len(self) == 0:
                return self
            raise InvalidValueError(
                "sorted_by_score: expected a column scores, this table has none"
            )
        return self[torch.argsort(self.scores, descending=True, stable=True)]

    def validated(self, *, num_classes: int | None = None, where: str = "") -> Self:
        """Return the table when every value of every column is sound.

        Args:
            num_classes: if given, labels must be smaller.
            where: put before the message, for example a file and an image.
        Raises:
            InvalidValueError: a column holds a broken value; the message names row and numbers.
        """
        if self.labels is not None:
            _validate_labels(self.labels, num_classes, where)
        if self.scores is not None:
            _validate_scores(self.scores, where)
        for name, column in self.columns().items():
            if isinstance(column, Structure) and hasattr(column, "validated"):
                own = f"extras[{name!r}]" if name in self.extras else ""
                column.validated(where=": ".join(part for part in (where, own) if part))
        return self

    def _check_types(self) -> None:
        if self.boxes is not None and not isinstance(self.boxes, Boxes | RotatedBoxes):
            raise DtypeError(
                f"boxes: expected Boxes or RotatedBoxes, got {type(self.boxes).__name__}"
            )
        if self.labels is not None:
            _check.check_shape("labels", self.labels, "n")
            _check.check_dtype("labels", self.labels, torch.int64)
        if self.scores is not None:
            _check.check_floating("scores", _check.check_shape("scores", self.scores, "n"))
        if self.is_crowd is not None:
            _check.check_shape("is_crowd", self.is_crowd, "n")
            _check.check_dtype("is_crowd", self.is_crowd, torch.bool)
        if self.keypoints is not None and not isinstance(self.keypoints, Keypoints):
            raise DtypeError(f"keypoints: expected Keypoints, got {type(self.keypoints).__name__}")
        if self.masks is not None:
            if not (isinstance(self.masks, Table) and hasattr(self.masks, "to_bit_masks")):
                raise DtypeError(
                    "masks: expected BitMasks, RleMasks, PolygonMasks or RoiMasks, "
                    f"got {type(self.masks).__name__}"
                )
            if self.masks.image_size != self.image_size:
                raise ShapeError(
                    f"masks: expected masks of {self.image_size} (the table's image_size), "
                    f"got {self.masks.image_size}"
                )
        for name, column in self.extras.items():
            if not (isinstance(column, Table) or (isinstance(column, Tensor) and column.ndim > 0)):
                raise DtypeError(
                    f"extras[{name!r}]: expected a tensor with rows or a table, "
                    f"got {type(column).__name__}"
                )


def _check_aligned(columns: Mapping[str, Column]) -> None:
    """Check that the columns have equal numbers of rows and live on one device."""
    if not columns:
        return
    first, rows = next((name, len(column)) for name, column in columns.items())
    for name, column in columns.items():
        _check.check_rows(name, len(column), rows, f"as {first} has")
    movable = {
        name: column.device
        for name, column in columns.items()
        if not (isinstance(column, Structure) and column._host_only)
    }
    for name, device in movable.items():
        leader, expected = next(iter(movable.items()))
        if device != expected:
            raise DeviceError(
                f"{leader} is on {expected}, {name} on {device}; move one with .to(device)"
            )


def _validate_labels(labels: Tensor, num_classes: int | None, where: str) -> None:
    bad = labels < 0
    wanted = "at least 0"
    if num_classes is not None:
        bad = bad | (labels >= num_classes)
        wanted = f"in [0, {num_classes})"
    describe = _describer("labels", wanted, labels)
    fail_at_first(bad, describe, where)


def _validate_scores(scores: Tensor, where: str) -> None:
    sound = (scores >= 0) & (scores <= 1)  # False for NaN
    fail_at_first(~sound, _describer("scores", "a probability in [0, 1]", scores), where)


def _describer(name: str, wanted: str, values: Tensor) -> Callable[[int], str]:
    return lambda row: f"{name} row {row}: expected {wanted}, got {values[row].item():.6g}"
