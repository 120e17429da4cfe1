"""Masks as run lengths. Shapes: n masks, t runs in all of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import attrs
import torch
from torch import Tensor

from geodet import _check, ops
from geodet.structures import _coco_counts, _ragged
from geodet.structures._mask_checks import check_padding, check_same_image, check_window
from geodet.structures._table import Table, cat_values, fail_at_first, register
from geodet.structures.bit_masks import _CHUNK_PIXELS, BitMasks, check_crop
from geodet.structures.boxes import Boxes
from geodet.structures.image_size import ImageSize
from geodet.structures.roi_masks import check_image_size
from geodet.structures.rotated_boxes import RotatedBoxes

if TYPE_CHECKING:
    from geodet.structures.polygon_masks import PolygonMasks


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
        return cls(*_coco_counts.read_records(records, image_size))

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

    def nonempty(self) -> Tensor:
        """[n] bool, True where a mask has a pixel."""
        return self.area() > 0

    def pairwise_iou(self, other: "RleMasks", is_crowd: Tensor | None = None) -> Tensor:
        """Intersection over union of every pair, without decoding. Exact.

        Args:
            other: m masks of the same image size.
            is_crowd: [m] bool; where True the overlap is divided by this mask's own area
                instead of the union, as COCO does for crowd regions.
        Returns:
            [n, m] float64 in [0, 1]; a pair without area has 0.
        Raises:
            DtypeError: `other` is another kind of masks.
            ShapeError: the image sizes differ.
        Empty: n = 0 or m = 0 gives a [n, m] tensor.
        """
        check_same_image(self, other)
        return ops.pairwise_rle_iou(
            *self._runs(), *other._runs(), is_crowd, height=self.image_size.height
        )

    def pairwise_ioa(self, other: "RleMasks") -> Tensor:
        """Intersection over the area of `other` of every pair, without decoding. Exact.

        Args:
            other: m masks of the same image size.
        Returns:
            [n, m] float64 in [0, 1]; 0 where the other mask has no area.
        Raises:
            DtypeError: `other` is another kind of masks.
            ShapeError: the image sizes differ.
        Empty: n = 0 or m = 0 gives a [n, m] tensor.
        """
        check_same_image(self, other)
        return ops.pairwise_rle_ioa(*self._runs(), *other._runs(), height=self.image_size.height)

    def union(self, other: "RleMasks") -> Self:
        """Row by row, the pixels in either mask. Exact.

        Args:
            other: n masks of the same image size; so for the other two.
        Raises:
            DtypeError: `other` is another kind of masks.
            ShapeError: the numbers of masks or the image sizes differ.
        """
        return self._combined(ops.matched_rle_union, other)

    def intersection(self, other: "RleMasks") -> Self:
        """Row by row, the pixels in both masks. Exact; arguments as for `union`."""
        return self._combined(ops.matched_rle_intersection, other)

    def difference(self, other: "RleMasks") -> Self:
        """Row by row, the pixels of this mask that are not in the other. Exact, as `union`."""
        return self._combined(ops.rle_difference, other)

    def complement(self) -> Self:
        """Return the pixels of the image that are not in each mask. Exact."""
        return self._with_runs(ops.rle_complement(*self._runs()))

    def union_all(self) -> Self:
        """Return one mask of the pixels in any of the masks; of no masks, an empty mask."""
        return self._merged(ops.rle_union, filled=False)

    def intersection_all(self) -> Self:
        """Return one mask of the pixels in all of the masks; of no masks, the whole image."""
        return self._merged(ops.rle_intersection, filled=True)

    def connected_components(self, *, connectivity: int = 4) -> tuple[Self, Tensor]:
        """Each connected piece as a mask of its own, without decoding. Exact.

        Args:
            connectivity: 4 when pixels that share a side are connected, 8 when also those that
                share a corner are.
        Returns:
            k masks, ordered by row, then by first pixel (leftmost column, then topmost row), and
            [k] int64, the row each comes from.
        Raises:
            InvalidValueError: `connectivity` is another number.
        Empty: a mask without pixels gives none.
        """
        counts, offsets, origins = ops.rle_connected_components(
            *self._runs(), self.image_size.as_tuple(), connectivity=connectivity
        )
        return self._with_runs((counts, offsets)), origins

    def contours(self) -> "PolygonMasks":
        """Outlines along the edges of the pixels, holes kept, without decoding. Exact.

        Rasterising them gives the very masks back, and their area is the number of pixels. A part
        is one piece of pixels that share sides; see `geodet.ops.rle_contours` for directions and
        order.
        """
        from geodet.structures.polygon_masks import PolygonMasks  # noqa: PLC0415 (each kind of mask converts to the others)

        size = self.image_size
        return PolygonMasks(*ops.rle_contours(*self._runs(), size.as_tuple()), size)

    def to_polygon_masks(self) -> "PolygonMasks":
        """Return the outlines of the pixels, as `contours`. Exact."""
        return self.contours()

    def to_rotated_boxes(self) -> RotatedBoxes:
        """Smallest float32 rotated boxes around the pixels; an empty mask gives zeros.

        Returns:
            n boxes with angles in [-45, 45); see `geodet.ops.min_area_rectangles`.
        """
        points, rings, parts, masks = ops.rle_contours(*self._runs(), self.image_size.as_tuple())
        return RotatedBoxes(ops.min_area_rectangles(points, rings[parts[masks]]).float())

    def dilate(self, radius: int, neighbourhood: ops.Neighbourhood = "square") -> Self:
        """Add every pixel near a mask, without decoding. Exact.

        Args:
            radius: pixels, 0 or more.
            neighbourhood: near means max(|dx|, |dy|) <= radius for "square", |dx| + |dy| <= radius
                for "diamond", dx^2 + dy^2 <= radius^2 for "disk".
        Raises:
            InvalidValueError: an argument is none of these.
        """
        size = self.image_size.as_tuple()
        return self._with_runs(ops.rle_dilate(*self._runs(), size, radius, neighbourhood))

    def erode(self, radius: int, neighbourhood: ops.Neighbourhood = "square") -> Self:
        """Take away every pixel near one outside of a mask, without decoding. Exact.

        Pixels outside of the image are outside of every mask. Arguments as for `dilate`.
        """
        size = self.image_size.as_tuple()
        return self._with_runs(ops.rle_erode(*self._runs(), size, radius, neighbourhood))

    def boundary(self, radius: int) -> Self:
        """Return the pixels that `erode` takes away, without decoding. Exact.

        Args:
            radius: pixels; `geodet.ops.boundary_radius(size)` is what boundary IoU uses. The
                `pairwise_iou` of two boundaries is boundary IoU.
        """
        size = self.image_size.as_tuple()
        return self._with_runs(ops.rle_boundary(*self._runs(), size, radius))

    def crop(self, xyxy: tuple[int, int, int, int]) -> Self:
        """Cut the same window of whole pixels out of every mask. Exact.

        Args:
            xyxy: left, top, right, bottom, half-open, inside the image and not empty.
        Returns:
            Masks of an image of the window's size.
        Raises:
            InvalidValueError: the window is empty or not inside the image.
        """
        size = check_window(xyxy, self.image_size)
        return self._with_runs(ops.rle_crop(*self._runs(), self.image_size.as_tuple(), xyxy), size)

    def pad(self, left: int, top: int, right: int, bottom: int) -> Self:
        """Make the image larger by so many empty pixels on each side. Exact.

        Raises:
            InvalidValueError: a number is negative.
        """
        size = check_padding(left, top, right, bottom, self.image_size)
        padding = (left, top, right, bottom)
        return self._with_runs(
            ops.rle_pad(*self._runs(), self.image_size.as_tuple(), padding), size
        )

    def rotate_90(self, quarter_turns: int = 1) -> Self:
        """Turn image and masks counter-clockwise as seen. Exact.

        Args:
            quarter_turns: any whole number; negative ones turn clockwise.
        """
        runs = ops.rle_rotate_90(*self._runs(), self.image_size.as_tuple(), quarter_turns)
        height, width = self.image_size
        turned = ImageSize(width, height) if quarter_turns % 2 else self.image_size
        return self._with_runs(runs, turned)

    def crop_and_resize(self, boxes: Boxes | RotatedBoxes, side: int) -> Tensor:
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
        return self._with_runs(ops.rle_resize(*self._runs(), old, new), size)

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
        return self._with_runs(ops.rle_flip(*self._runs(), size, horizontal=horizontal))

    def _merged(
        self, merge: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]], *, filled: bool
    ) -> Self:
        if len(self) == 0:  # without rows, the runs of no mask tell the size of the image
            runs = [0, self.image_size.area] if filled else [self.image_size.area]
            counts = torch.tensor(runs, dtype=torch.int32)
            return type(self)(counts, torch.tensor([0, len(runs)]), self.image_size)
        groups = torch.tensor([0, len(self)])
        return self._with_runs(merge(*self._runs(), groups))

    def _with_runs(self, runs: tuple[Tensor, Tensor], size: ImageSize | None = None) -> Self:
        return type(self)(*runs, size or self.image_size)

    def _combined(
        self,
        combine: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
        other: "RleMasks",
    ) -> Self:
        check_same_image(self, other)
        _check.check_rows("other", len(other), len(self), "one for each mask")
        return self._with_runs(combine(*self._runs(), *other._runs()))

    def _runs(self) -> tuple[Tensor, Tensor]:
        return self.counts, self.offsets
