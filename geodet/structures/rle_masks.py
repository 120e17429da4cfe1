"""Masks as run lengths. Shapes: n masks, t runs in all of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import attrs
import torch
from torch import Tensor

from geodet import _check, ops
from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.structures import _ragged
from geodet.structures._table import Table, cat_values, fail_at_first, register
from geodet.structures.bit_masks import _CHUNK_PIXELS, BitMasks, check_crop
from geodet.structures.boxes import Boxes
from geodet.structures.image_size import ImageSize
from geodet.structures.roi_masks import check_image_size


@register
@attrs.frozen(eq=False, repr=False)
class RleMasks(Table):
    """Run lengths down the columns, as COCO stores them: small, and fast to combine.

    The runs of a mask alternate between background and foreground, starting with background
    (whose length may be 0), column by column. They always live in host memory: `to` leaves them
    where they are, and an index from a GPU is fetched.

    Args:
        counts: [t] int32 run lengths of all masks, one mask after the other.
        offsets: [n + 1] int64; the runs of mask i are counts[offsets[i] : offsets[i + 1]].
        image_size: size of the image that the masks belong to.
    Raises:
        DtypeError: a value has another type or dtype.
        ShapeError: a tensor is not one-dimensional, or offsets lack the leading 0.
        DeviceError: a tensor is not on the CPU.
    """

    _host_only: ClassVar[bool] = True

    counts: Tensor
    offsets: Tensor
    image_size: ImageSize

    def __attrs_post_init__(self) -> None:
        counts = _check.check_shape("counts", self.counts, "t")
        _check.check_dtype("counts", _ragged.check_on_cpu("counts", counts), torch.int32)
        _ragged.check_offsets("offsets", self.offsets)
        check_image_size(self.image_size)

    @classmethod
    def empty(cls, image_size: ImageSize) -> "RleMasks":
        """Return 0 masks of an image of this size."""
        counts = torch.zeros(0, dtype=torch.int32)
        return cls(counts, torch.zeros(1, dtype=torch.int64), image_size)

    @classmethod
    def from_coco(
        cls, records: Sequence[Mapping[str, Any]], image_size: ImageSize | None = None
    ) -> "RleMasks":
        """Read masks as COCO files and pycocotools hold them.

        Args:
            records: {"size": [height, width], "counts": ...} each, where counts is COCO's
                compressed text (str or bytes) or a list of run lengths.
            image_size: size that all of them must have; needed when there are none.
        Raises:
            ShapeError: a size differs from the others, or no size is known.
            DtypeError: counts are of another type.
            InvalidValueError: the compressed text is broken.
        """
        sizes = [ImageSize(*(int(side) for side in record["size"])) for record in records]
        if image_size is None:
            if not sizes:
                raise ShapeError("from_coco: expected image_size when there are no masks")
            image_size = sizes[0]
        for row, size in enumerate(sizes):
            if size != image_size:
                raise ShapeError(f"masks row {row}: expected masks of {image_size}, got {size}")
        parts = [_read_counts(row, record["counts"]) for row, record in enumerate(records)]
        lengths = torch.tensor([len(part) for part in parts], dtype=torch.int64)
        counts = torch.cat([torch.zeros(0, dtype=torch.int32), *parts])
        return cls(counts, _ragged.from_lengths(lengths), image_size)

    def to_coco(self) -> list[dict[str, Any]]:
        """Return {"size": [height, width], "counts": compressed text} for each mask. Exact."""
        texts = ops.rle_to_strings(self.counts, self.offsets)
        return [{"size": list(self.image_size), "counts": text.decode("ascii")} for text in texts]

    def __len__(self) -> int:
        return self.offsets.shape[0] - 1

    def area(self) -> Tensor:
        """[n] int64, number of pixels."""
        return ops.rle_area(self.counts, self.offsets)

    def boxes(self) -> Boxes:
        """Tight half-open float32 boxes; an empty mask gives (0, 0, 0, 0)."""
        return Boxes(ops.rle_boxes(self.counts, self.offsets, self.image_size.height))

    def to_bit_masks(self) -> BitMasks:
        """Return one bool per pixel. Exact."""
        return BitMasks(ops.rle_decode(self.counts, self.offsets, self.image_size.as_tuple()))

    def to_rle_masks(self) -> "RleMasks":
        """Return itself. Exact."""
        return self

    def pairwise_iou(self, other: "RleMasks", is_crowd: Tensor | None = None) -> Tensor:
        """Intersection over union of every pair, without decoding.

        Args:
            other: m masks of the same image size.
            is_crowd: [m] bool; where True the overlap is divided by this mask's own area
                instead of the union, as COCO does for crowd regions.
        Returns:
            [n, m] float64 in [0, 1]; a pair without area has 0.
        Raises:
            ShapeError: the image sizes differ.
        Empty: n = 0 or m = 0 gives a [n, m] tensor.
        """
        self._check_same_image(other)
        return ops.pairwise_rle_iou(
            self.counts, self.offsets, other.counts, other.offsets, is_crowd
        )

    def union(self) -> "RleMasks":
        """Return one mask of the pixels in any of the masks; of no masks, an empty mask."""
        return self._merged(ops.rle_union, filled=False)

    def intersection(self) -> "RleMasks":
        """Return one mask of the pixels in all of the masks; of no masks, the whole image."""
        return self._merged(ops.rle_intersection, filled=True)

    def difference(self, other: "RleMasks") -> Self:
        """Return, row by row, the pixels of a mask that are not in the other one.

        Args:
            other: n masks of the same image size.
        """
        self._check_same_image(other)
        _check.check_rows("other", len(other), len(self), "one for each mask")
        return self._with_runs(
            ops.rle_difference(self.counts, self.offsets, other.counts, other.offsets)
        )

    def crop(self, xyxy: tuple[int, int, int, int]) -> Self:
        """Cut the same window of whole pixels out of every mask. Exact.

        Args:
            xyxy: left, top, right, bottom, half-open, inside the image and not empty.
        Returns:
            Masks of an image of the window's size.
        Raises:
            InvalidValueError: the window is empty or not inside the image.
        """
        x1, y1, x2, y2 = xyxy
        height, width = self.image_size
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            raise InvalidValueError(
                f"xyxy: expected a window inside {width} x {height} (width x height), got {xyxy}"
            )
        runs = ops.rle_crop(self.counts, self.offsets, (height, width), (x1, y1, x2, y2))
        return self._with_runs(runs, ImageSize(y2 - y1, x2 - x1))

    def crop_and_resize(self, boxes: Boxes, side: int) -> Tensor:
        """Decode, then resample as `BitMasks.crop_and_resize`, some masks at a time. Not exact.

        Returns:
            [n, side, side] bool on the device of the boxes.
        """
        check_crop(len(self), boxes, side)
        device = boxes.device
        rows = max(1, _CHUNK_PIXELS // self.image_size.area)
        crops = [torch.zeros((0, side, side), dtype=torch.bool, device=device)]
        for start in range(0, len(self), rows):
            some = slice(start, start + rows)
            crops.append(self[some].to_bit_masks().to(device).crop_and_resize(boxes[some], side))
        return torch.cat(crops)

    def flip_horizontally(self) -> Self:
        """Mirror left and right. Exact."""
        return self._flipped(horizontal=True)

    def flip_vertically(self) -> Self:
        """Mirror top and bottom. Exact."""
        return self._flipped(horizontal=False)

    def resize(self, size: ImageSize) -> Self:
        """Give each new pixel the value under its centre, as `BitMasks.resize`."""
        old, new = self.image_size.as_tuple(), size.as_tuple()
        return self._with_runs(ops.rle_resize(self.counts, self.offsets, old, new), size)

    def validated(self, *, where: str = "") -> Self:
        """Return the masks when every value is sound.

        Args:
            where: put before the message, for example a file and an image.
        Raises:
            InvalidValueError: offsets are broken, a run is negative, or the runs of a mask do not
                add up to the pixels of the image.
        """
        _ragged.validate_offsets("offsets", self.offsets, len(self.counts), where)
        owners = _ragged.row_ids(self.offsets)
        negative = torch.zeros(len(self), dtype=torch.bool)
        negative[owners[self.counts < 0]] = True
        fail_at_first(
            negative,
            lambda row: (
                f"masks row {row}: expected run lengths of at least 0, "
                f"got {int(self.counts[owners == row].min())}"
            ),
            where,
        )
        totals = torch.zeros(len(self), dtype=torch.int64)
        totals.index_add_(0, owners, self.counts.long())
        height, width = self.image_size
        fail_at_first(
            totals != height * width,
            lambda row: (
                f"masks row {row}: expected runs that add up to {height} * {width} = "
                f"{height * width} pixels, got {int(totals[row])}"
            ),
            where,
        )
        return self

    def _rows(self, index: slice | Tensor) -> Self:
        rows = index.cpu() if isinstance(index, Tensor) else index
        positions, offsets = _ragged.take(self.offsets, rows)
        return type(self)(self.counts[positions], offsets, self.image_size)

    @classmethod
    def _cat(cls, tables: Sequence[Self]) -> Self:
        size = cat_values("RleMasks.cat: image_size", [table.image_size for table in tables])
        offsets = _ragged.join([table.offsets for table in tables])
        return cls(torch.cat([table.counts for table in tables]), offsets, size)

    def _flipped(self, *, horizontal: bool) -> Self:
        size = self.image_size.as_tuple()
        return self._with_runs(ops.rle_flip(self.counts, self.offsets, size, horizontal=horizontal))

    def _merged(
        self, merge: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]], *, filled: bool
    ) -> "RleMasks":
        if len(self) == 0:  # without rows, the runs of no mask tell the size of the image
            runs = [0, self.image_size.area] if filled else [self.image_size.area]
            counts = torch.tensor(runs, dtype=torch.int32)
            return RleMasks(counts, torch.tensor([0, len(runs)]), self.image_size)
        groups = torch.tensor([0, len(self)])
        return self._with_runs(merge(self.counts, self.offsets, groups))

    def _with_runs(self, runs: tuple[Tensor, Tensor], size: ImageSize | None = None) -> Self:
        return type(self)(*runs, size or self.image_size)

    def _check_same_image(self, other: "RleMasks") -> None:
        if other.image_size != self.image_size:
            raise ShapeError(f"other: expected masks of {self.image_size}, got {other.image_size}")


def _read_counts(row: int, counts: object) -> Tensor:
    """Run lengths of one mask from COCO's text or a list."""
    if isinstance(counts, str | bytes):
        try:
            return ops.rle_from_strings([counts])[0]
        except ValueError as error:  # the operator knows the character, only we know the row
            raise InvalidValueError(f"masks row {row}: {error}") from error
    if not isinstance(counts, list | tuple):
        raise DtypeError(
            f"masks row {row}: expected counts as str, bytes or a list, got {type(counts).__name__}"
        )
    for count in counts:
        if not isinstance(count, int) or not 0 <= count < 2**31:
            raise InvalidValueError(
                f"masks row {row}: expected run lengths as whole numbers of at least 0, "
                f"got {count!r}"
            )
    return torch.tensor(counts, dtype=torch.int32)
