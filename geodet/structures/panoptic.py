"""Panoptic segmentation: every pixel belongs to at most one segment. Shapes: h x w pixels."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Self

import attrs
import torch
from torch import Tensor

from geodet import _check
from geodet.errors import DtypeError, ShapeError
from geodet.structures._table import Structure, fail, register
from geodet.structures.bit_masks import BitMasks, pixels_under_centers
from geodet.structures.boxes import Boxes
from geodet.structures.image_size import ImageSize
from geodet.structures.instances import Instances


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


def ids_from_rgb(rgb: Tensor) -> Tensor:
    """Ids of pixels from COCO's colours.

    Args:
        rgb: [3, h, w] uint8.
    Returns:
        [h, w] int32, R + 256 G + 65536 B.
    Raises:
        ShapeError, DtypeError: not as above.
    """
    _check.check_dtype("rgb", _check.check_shape("rgb", rgb, 3, "h", "w"), torch.uint8)
    red, green, blue = rgb.to(torch.int32).unbind(0)
    return red + green * 256 + blue * 65536


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

    @classmethod
    def from_coco(
        cls,
        rgb: Tensor,
        segments_info: Sequence[Mapping[str, Any]],
        *,
        labels: Mapping[int, int],
        things: Collection[int],
    ) -> "PanopticSegmentation":
        """Read COCO's panoptic format, once its PNG file is decoded. Exact.

        Args:
            rgb: [3, h, w] uint8; the id of a pixel is R + 256 G + 65536 B, 0 for none.
            segments_info: dictionaries with "id", "category_id" and optional "iscrowd".
            labels: COCO's category ids to contiguous classes.
            things: the category ids of countable objects.
        Raises:
            ShapeError, DtypeError: `rgb` is not as above; channels come first.
            InvalidValueError: a category id has no label.
        """
        segments = []
        for position, info in enumerate(segments_info):
            category = info["category_id"]
            if category not in labels:
                fail(
                    f"segments_info[{position}]: expected a category_id that has a label, "
                    f"got {category!r}"
                )
            segments.append(
                Segment(
                    int(info["id"]),
                    labels[category],
                    is_thing=category in things,
                    is_crowd=bool(info.get("iscrowd", 0)),
                )
            )
        return cls(ids_from_rgb(rgb), segments)

    @property
    def image_size(self) -> ImageSize:
        """Size of the map."""
        return ImageSize(self.ids.shape[0], self.ids.shape[1])

    def __len__(self) -> int:
        """Number of segments, with or without pixels."""
        return len(self.segments)

    def segment_rows(self) -> Tensor:
        """[h, w] int64, row of each pixel's segment in `segments`; their number for no segment."""
        rows, inside = self._pixels()
        return torch.where(inside, rows, len(self.segments))

    def area(self) -> Tensor:
        """[s] int64, pixels of each segment, in the order of `segments`."""
        rows, inside = self._pixels()
        return torch.bincount(rows[inside], minlength=len(self.segments))

    def boxes(self) -> Boxes:
        """Tight half-open boxes of the segments; one without pixels has (0, 0, 0, 0).

        Returns:
            s float32 boxes, in the order of `segments`.
        """
        rows, inside = self._pixels()
        y, x = inside.nonzero().unbind(1)
        own = rows[inside]
        sides = []
        for places, reduce in ((x, "amin"), (y, "amin"), (x + 1, "amax"), (y + 1, "amax")):
            side = own.new_zeros(len(self.segments))
            sides.append(side.scatter_reduce(0, own, places, reduce, include_self=False))
        return Boxes(torch.stack(sides, dim=1).float())

    def to_bit_masks(self) -> BitMasks:
        """Return the mask of each segment, in the order of `segments`. Exact."""
        return BitMasks(self.ids[None] == self._segment_ids()[:, None, None])

    def to_semantic(self, *, unlabelled: int = 255, crowd: int | None = None) -> Tensor:
        """Return the class of each pixel.

        Args:
            unlabelled: what pixels without a segment get.
            crowd: what pixels of crowd segments get; None for their class.
        Returns:
            [h, w] int64.
        """
        values = [
            crowd if crowd is not None and segment.is_crowd else segment.label
            for segment in self.segments
        ]
        table = torch.tensor([*values, unlabelled], dtype=torch.int64, device=self.ids.device)
        return table[self.segment_rows()]

    def to_instances(self) -> Instances:
        """Return the things that have pixels: boxes, labels, masks and crowd flags."""
        kept = self.drop_empty()
        things = [row for row, segment in enumerate(kept.segments) if segment.is_thing]
        chosen = [kept.segments[row] for row in things]
        device = self.ids.device
        parts = type(self)(self.ids, chosen)
        return Instances(
            self.image_size,
            boxes=parts.boxes(),
            labels=torch.tensor([s.label for s in chosen], dtype=torch.int64, device=device),
            masks=parts.to_bit_masks(),
            is_crowd=torch.tensor([s.is_crowd for s in chosen], dtype=torch.bool, device=device),
        )

    def to_coco(
        self, *, category_ids: Mapping[int, int] | Sequence[int]
    ) -> tuple[Tensor, list[dict[str, Any]]]:
        """Return what COCO's panoptic format holds: colours for a PNG file, and dictionaries.

        Args:
            category_ids: classes to COCO's category ids.
        Returns:
            rgb [3, h, w] uint8, and for each segment that has pixels its id, category_id, iscrowd,
            area in pixels and bbox (left, top, width, height in whole pixels). COCO's tools refuse
            segments without pixels, so those are left out.
        Raises:
            InvalidValueError: an id does not fit into three bytes.
        """
        for position, segment in enumerate(self.segments):
            if not 0 < segment.id < 1 << 24:
                fail(f"segments[{position}]: expected an id below 2^24, got {segment.id}")
        channels = [(self.ids >> shift) & 255 for shift in (0, 8, 16)]
        rgb = torch.stack(channels).to(torch.uint8)
        rows = zip(
            self.segments, self.area().tolist(), self.boxes().to_xywh().tolist(), strict=True
        )
        infos = [
            {
                "id": segment.id,
                "category_id": category_ids[segment.label],
                "iscrowd": int(segment.is_crowd),
                "area": area,
                "bbox": [int(value) for value in xywh],
            }
            for segment, area, xywh in rows
            if area > 0
        ]
        return rgb, infos

    def drop_empty(self) -> Self:
        """Leave out segments without pixels; cropping and shrinking make such."""
        areas = self.area().tolist()
        kept = [s for s, area in zip(self.segments, areas, strict=True) if area > 0]
        return type(self)(self.ids, kept)

    def crop(self, xyxy: tuple[int, int, int, int]) -> Self:
        """Cut a window of whole pixels inside the image out; segments stay. Exact.

        Args:
            xyxy: left, top, right, bottom in pixels; right and bottom are not included.
        Raises:
            InvalidValueError: the window is empty or reaches outside.
        """
        left, top, right, bottom = xyxy
        height, width = self.image_size
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            fail(
                f"xyxy: expected a window with pixels inside {width} x {height} (width x height), "
                f"got {tuple(xyxy)}"
            )
        return type(self)(self.ids[top:bottom, left:right], self.segments)

    def pad(self, left: int, top: int, right: int, bottom: int) -> Self:
        """Make the image larger by so many pixels without a segment on each side. Exact.

        Raises:
            InvalidValueError: a number is negative; `crop` makes images smaller.
        """
        if min(left, top, right, bottom) < 0:
            fail(f"pad: expected numbers of at least 0, got {(left, top, right, bottom)}")
        padded = torch.nn.functional.pad(self.ids, (left, right, top, bottom))
        return type(self)(padded, self.segments)

    def rotate_90(self, quarter_turns: int = 1) -> Self:
        """Turn the map counter-clockwise as seen, by any whole number of quarters. Exact."""
        return type(self)(torch.rot90(self.ids, quarter_turns), self.segments)

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

    def _segment_ids(self) -> Tensor:
        """[s] int32 ids in the order of `segments`."""
        ids = [segment.id for segment in self.segments]
        return torch.tensor(ids, dtype=torch.int32, device=self.ids.device)

    def _pixels(self) -> tuple[Tensor, Tensor]:
        """[h, w] int64 row of each pixel's segment, and [h, w] bool, True where it has one."""
        if not self.segments:
            return torch.zeros_like(self.ids, dtype=torch.int64), torch.zeros_like(self.ids).bool()
        known, order = self._segment_ids().sort()
        slots = torch.searchsorted(known, self.ids).clamp(max=len(known) - 1)
        return order[slots], known[slots] == self.ids
