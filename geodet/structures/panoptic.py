"""Panoptic segmentation: every pixel belongs to at most one segment. Shapes: h x w pixels."""

from collections import Counter
from collections.abc import Iterable
from typing import Self

import attrs
import torch
from torch import Tensor

from geodet import _check
from geodet.errors import DtypeError, ShapeError
from geodet.structures._table import Structure, fail, register
from geodet.structures.bit_masks import BitMasks, pixels_under_centers
from geodet.structures.image_size import ImageSize


@attrs.frozen
class Segment:
    """One region of a panoptic segmentation; compares by value.

    Args:
        id: number of its pixels in the map, at least 1.
        label: contiguous class from 0.
        is_thing: True for a countable object, False for stuff such as sky.
        is_crowd: True for a region that covers many objects.
    """

    id: int
    label: int
    is_thing: bool = attrs.field(kw_only=True)
    is_crowd: bool = attrs.field(default=False, kw_only=True)


def _segments(value: Iterable[Segment]) -> tuple[Segment, ...]:
    return tuple(value)


@register
@attrs.frozen(eq=False, repr=False)
class PanopticSegmentation(Structure):
    """A map of segment ids and what the segments are.

    Args:
        ids: [h, w] int32; 0 is a pixel without a segment.
        segments: the segments of the map in any order.
    Raises:
        DtypeError: a value has another type or dtype.
        ShapeError: the map is not [h, w] with at least one pixel.
    """

    ids: Tensor
    segments: tuple[Segment, ...] = attrs.field(converter=_segments)

    def __attrs_post_init__(self) -> None:
        _check.check_dtype("ids", _check.check_shape("ids", self.ids, "h", "w"), torch.int32)
        if self.ids.numel() == 0:
            raise ShapeError(f"ids: expected at least one pixel, got {list(self.ids.shape)}")
        for position, segment in enumerate(self.segments):
            if not isinstance(segment, Segment):
                raise DtypeError(
                    f"segments[{position}]: expected Segment, got {type(segment).__name__}"
                )

    @classmethod
    def empty(
        cls, image_size: ImageSize, *, device: torch.device | str = "cpu"
    ) -> "PanopticSegmentation":
        """Return a map of this size where no pixel has a segment."""
        return cls(torch.zeros(image_size.as_tuple(), dtype=torch.int32, device=device), ())

    @property
    def image_size(self) -> ImageSize:
        """Size of the map."""
        return ImageSize(self.ids.shape[0], self.ids.shape[1])

    def to_bit_masks(self) -> BitMasks:
        """Return the mask of each segment, in the order of `segments`. Exact."""
        ids = torch.tensor([segment.id for segment in self.segments], dtype=torch.int32)
        return BitMasks(self.ids[None] == ids.to(self.ids.device)[:, None, None])

    def flip_horizontally(self) -> Self:
        """Mirror left and right. Exact."""
        return type(self)(self.ids.flip(1), self.segments)

    def flip_vertically(self) -> Self:
        """Mirror top and bottom. Exact."""
        return type(self)(self.ids.flip(0), self.segments)

    def resize(self, size: ImageSize) -> Self:
        """Give each new pixel the id under its centre; small segments may lose all pixels."""
        height, width = self.image_size
        rows = pixels_under_centers(height, size.height, self.ids.device)
        columns = pixels_under_centers(width, size.width, self.ids.device)
        return type(self)(self.ids[rows][:, columns], self.segments)

    def validated(self, *, num_classes: int | None = None, where: str = "") -> Self:
        """Return the segmentation when map and segments agree.

        Segments without pixels are allowed: cropping and shrinking leave them behind.

        Args:
            num_classes: if given, labels must be smaller.
            where: put before the message, for example a file and an image.
        Raises:
            InvalidValueError: an id is used twice, is smaller than 1 or is in the map without a
                segment, or a label is out of range.
        """
        for position, segment in enumerate(self.segments):
            name = f"segments[{position}]"
            if segment.id < 1:
                fail(f"{name}: expected an id of at least 1, got {segment.id}", where)
            if segment.label < 0 or (num_classes is not None and segment.label >= num_classes):
                wanted = "at least 0" if num_classes is None else f"in [0, {num_classes})"
                fail(f"{name}: expected a label {wanted}, got {segment.label}", where)
        for number, times in Counter(segment.id for segment in self.segments).items():
            if times > 1:
                fail(f"segments: expected each id once, got id {number} {times} times", where)
        known = {segment.id for segment in self.segments} | {0}
        for number in self.ids.unique().tolist():
            if number not in known:
                fail(f"ids: expected ids of segments, got {number}, which has no segment", where)
        return self
