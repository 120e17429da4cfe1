"""Masks as one bool per pixel. Shapes: n masks of h x w pixels."""

from typing import TYPE_CHECKING, Self

import attrs
import torch
from torch import Tensor

from geodet import _check, ops
from geodet.errors import InvalidValueError, ShapeError
from geodet.structures._mask_checks import check_padding, check_same_image, check_window
from geodet.structures._table import Table, register
from geodet.structures.boxes import Boxes
from geodet.structures.image_size import ImageSize
from geodet.structures.rotated_boxes import RotatedBoxes

if TYPE_CHECKING:
    from geodet.structures.polygon_masks import PolygonMasks
    from geodet.structures.rle_masks import RleMasks

# Pixels that one step of a memory-hungry conversion holds at a time.
_CHUNK_PIXELS = 1 << 26


@register
@attrs.frozen(eq=False, repr=False)
class BitMasks(Table):
    """One bool per pixel: fast to read, h * w bytes a mask.

    Args:
        data: [n, h, w] bool, h and w at least 1.
    Raises:
        DtypeError: not a tensor, or not bool.
        ShapeError: not [n, h, w], or an image without pixels.
    """

    data: Tensor

    def __attrs_post_init__(self) -> None:
        _check.check_dtype("data", _check.check_shape("data", self.data, "n", "h", "w"), torch.bool)
        if 0 in self.data.shape[1:]:
            raise ShapeError(
                f"data: expected [n, h, w] with at least one pixel, got {list(self.data.shape)}"
            )

    @classmethod
    def empty(cls, image_size: ImageSize, *, device: torch.device | str = "cpu") -> "BitMasks":
        """Return 0 masks of an image of this size."""
        return cls(torch.zeros((0, *image_size), dtype=torch.bool, device=device))

    def __len__(self) -> int:
        return self.data.shape[0]

    @property
    def image_size(self) -> ImageSize:
        """Size of the image that the masks belong to."""
        return ImageSize(self.data.shape[1], self.data.shape[2])

    def area(self) -> Tensor:
        """[n] int64, number of pixels."""
        return self.data.sum(dim=(1, 2))

    def boxes(self) -> Boxes:
        """Tight half-open boxes: pixel (0, 0) alone gives (0, 0, 1, 1).

        Returns:
            n float32 boxes; an empty mask gives (0, 0, 0, 0).
        """
        left, right = _span(self.data.any(1))
        top, bottom = _span(self.data.any(2))
        return Boxes(torch.stack((left, top, right, bottom), dim=1).float())

    def nonempty(self) -> Tensor:
        """[n] bool, True where a mask has a pixel."""
        return self.data.flatten(1).any(1)

    def pairwise_iou(self, other: "BitMasks") -> Tensor:
        """Intersection over union of every pair, on the masks' device. Exact.

        Args:
            other: m masks of the same image size, on the same device.
        Returns:
            [n, m] float64 in [0, 1]; a pair without area has 0.
        Raises:
            DtypeError: `other` is another kind of masks.
            ShapeError: the image sizes differ.
            DeviceError: the devices differ.
        Empty: n = 0 or m = 0 gives a [n, m] tensor.
        """
        check_same_image(self, other)
        return ops.pairwise_bit_mask_iou(self.data, other.data)

    def pairwise_ioa(self, other: "BitMasks") -> Tensor:
        """Intersection over the area of `other` of every pair, on the masks' device. Exact.

        Args:
            other: m masks of the same image size, on the same device.
        Returns:
            [n, m] float64 in [0, 1]; 0 where the other mask has no area.
        Raises:
            DtypeError: `other` is another kind of masks.
            ShapeError: the image sizes differ.
            DeviceError: the devices differ.
        Empty: n = 0 or m = 0 gives a [n, m] tensor.
        """
        check_same_image(self, other)
        return ops.pairwise_bit_mask_ioa(self.data, other.data)

    def union(self, other: "BitMasks") -> Self:
        """Row by row, the pixels in either mask. Exact.

        Args:
            other: n masks of the same image size, on the same device; so for the other two.
        Raises:
            DtypeError: `other` is another kind of masks.
            ShapeError: the numbers of masks or the image sizes differ.
            DeviceError: the devices differ.
        """
        return type(self)(self.data | self._partner(other))

    def intersection(self, other: "BitMasks") -> Self:
        """Row by row, the pixels in both masks. Exact; arguments as for `union`."""
        return type(self)(self.data & self._partner(other))

    def difference(self, other: "BitMasks") -> Self:
        """Row by row, the pixels of this mask that are not in the other. Exact, as `union`."""
        return type(self)(self.data & ~self._partner(other))

    def complement(self) -> Self:
        """Return the pixels of the image that are not in each mask. Exact."""
        return type(self)(~self.data)

    def connected_components(self, *, connectivity: int = 4) -> tuple[Self, Tensor]:
        """Each connected piece as a mask of its own, on the masks' device. Exact.

        The pieces take h * w bytes each; `geodet.ops.bit_mask_components` numbers them in place.
        Waits for a GPU, as the number of pieces is not known before.

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
        labels, numbers = ops.bit_mask_components(self.data, connectivity=connectivity)
        rows = torch.arange(len(self), device=self.device)
        origins = torch.repeat_interleave(rows, numbers)
        before = (numbers.cumsum(0) - numbers)[origins]
        own_label = torch.arange(1, len(origins) + 1, device=self.device) - before
        return type(self)(labels[origins] == own_label[:, None, None]), origins

    def contours(self) -> "PolygonMasks":
        """Outlines along the edges of the pixels, holes kept, on the CPU. Exact.

        Rasterising them gives the very masks back, and their area is the number of pixels. A part
        is one piece of pixels that share sides; see `geodet.ops.rle_contours` for directions and
        order.
        """
        return self.to_rle_masks().contours()

    def to_polygon_masks(self) -> "PolygonMasks":
        """Return the outlines of the pixels, as `contours`. Exact."""
        return self.contours()

    def to_rotated_boxes(self) -> RotatedBoxes:
        """Smallest float32 rotated boxes around the pixels; an empty mask gives zeros.

        Found on the CPU, returned on the masks' device.

        Returns:
            n boxes with angles in [-45, 45); see `geodet.ops.min_area_rectangles`.
        """
        return self.to_rle_masks().to_rotated_boxes().to(self.device)

    def dilate(self, radius: int, neighbourhood: ops.Neighbourhood = "square") -> Self:
        """Add every pixel near a mask. Exact.

        Args:
            radius: pixels, 0 or more.
            neighbourhood: near means max(|dx|, |dy|) <= radius for "square", |dx| + |dy| <= radius
                for "diamond", dx^2 + dy^2 <= radius^2 for "disk".
        Raises:
            InvalidValueError: an argument is none of these.
        """
        return type(self)(ops.dilate_bit_masks(self.data, radius, neighbourhood))

    def erode(self, radius: int, neighbourhood: ops.Neighbourhood = "square") -> Self:
        """Take away every pixel near one outside of a mask. Exact.

        Pixels outside of the image are outside of every mask. Arguments as for `dilate`.
        """
        return type(self)(ops.erode_bit_masks(self.data, radius, neighbourhood))

    def boundary(self, radius: int) -> Self:
        """Return the pixels that `erode` takes away. Exact.

        Args:
            radius: pixels; `geodet.ops.boundary_radius(size)` is what boundary IoU uses. The
                `pairwise_iou` of two boundaries is boundary IoU.
        """
        return type(self)(ops.bit_mask_boundaries(self.data, radius))

    def to_bit_masks(self) -> "BitMasks":
        """Return itself. Exact."""
        return self

    def to_rle_masks(self) -> "RleMasks":
        """Return the masks as run lengths, on the CPU. Exact."""
        from geodet.structures.rle_masks import RleMasks  # noqa: PLC0415 (each kind of mask converts to the others)

        return RleMasks(*ops.rle_encode(self.data.cpu()), self.image_size)

    def crop(self, xyxy: tuple[int, int, int, int]) -> Self:
        """Cut the same window of whole pixels out of every mask. Exact; shares memory.

        Args:
            xyxy: left, top, right, bottom, half-open, inside the image and not empty.
        Returns:
            Masks of an image of the window's size.
        Raises:
            InvalidValueError: the window is empty or not inside the image.
        """
        check_window(xyxy, self.image_size)
        x1, y1, x2, y2 = xyxy
        return type(self)(self.data[:, y1:y2, x1:x2])

    def pad(self, left: int, top: int, right: int, bottom: int) -> Self:
        """Make the image larger by so many empty pixels on each side. Exact.

        Raises:
            InvalidValueError: a number is negative.
        """
        size = check_padding(left, top, right, bottom, self.image_size)
        padded = self.data.new_zeros((len(self), *size))
        height, width = self.image_size
        padded[:, top : top + height, left : left + width] = self.data
        return type(self)(padded)

    def rotate_90(self, quarter_turns: int = 1) -> Self:
        """Turn image and masks counter-clockwise as seen. Exact.

        Args:
            quarter_turns: any whole number; negative ones turn clockwise.
        """
        return type(self)(self.data.rot90(quarter_turns, (1, 2)))

    def crop_and_resize(self, boxes: Boxes | RotatedBoxes, side: int) -> Tensor:
        """Resample mask i inside box i by RoIAlign and cut at one half. Not exact.

        Args:
            boxes: n boxes in pixels of this image, on the masks' device, horizontal or rotated; in
                a rotated one rows of the result run along the width.
            side: rows and columns of the result.
        Returns:
            [n, side, side] bool.
        Raises:
            ShapeError: the counts differ.
            InvalidValueError: `side` is smaller than 1.
        Empty: n = 0 gives [0, side, side].
        """
        check_crop(len(self), boxes, side)
        rows = max(1, _CHUNK_PIXELS // (4 * self.image_size.area))
        crops = [self.data.new_zeros((0, side, side))]
        for start in range(0, len(self), rows):
            soft = _aligned(
                self.data[start : start + rows, None].float(), boxes[start : start + rows], side
            )
            crops.append(soft[:, 0] >= 0.5)
        return torch.cat(crops)

    def flip_horizontally(self) -> Self:
        """Mirror left and right. Exact."""
        return type(self)(self.data.flip(2))

    def flip_vertically(self) -> Self:
        """Mirror top and bottom. Exact."""
        return type(self)(self.data.flip(1))

    def resize(self, size: ImageSize) -> Self:
        """Give each new pixel the value under its centre (nearest, never blurred)."""
        old = self.image_size
        rows = pixels_under_centers(old.height, size.height, self.data.device)
        columns = pixels_under_centers(old.width, size.width, self.data.device)
        return type(self)(self.data[:, rows][:, :, columns])

    def validated(self, *, where: str = "") -> Self:
        """Return itself: every bool is a sound value."""
        return self

    def _partner(self, other: "BitMasks") -> Tensor:
        check_same_image(self, other)
        _check.check_rows("other", len(other), len(self), "one for each mask")
        _check.check_same_device(("masks", "other"), (self.data, other.data))
        return other.data


def pixels_under_centers(old: int, new: int, device: torch.device | str = "cpu") -> Tensor:
    """For each of `new` pixels along a side, the one of `old` that its centre falls into.

    Args:
        old: pixels along the side now.
        new: pixels along the side afterwards.
    Returns:
        [new] int64. Whole-number arithmetic: floor((i + 0.5) * old / new) without rounding.
    """
    return (2 * torch.arange(new, device=device) + 1) * old // (2 * new)


def _aligned(maps: Tensor, boxes: Boxes | RotatedBoxes, side: int) -> Tensor:
    """[n, 1, side, side] share of box i that map i covers in each cell."""
    coordinates = (boxes.xyxy if isinstance(boxes, Boxes) else boxes.cxcywha).float()
    own_image = torch.arange(len(maps), device=maps.device, dtype=torch.float32)
    rois = torch.cat((own_image[:, None], coordinates), dim=1)
    align = ops.roi_align if isinstance(boxes, Boxes) else ops.roi_align_rotated
    return align(maps, rois, (side, side), spatial_scale=1.0, sampling_ratio=0)


def check_crop(rows: int, boxes: Boxes | RotatedBoxes, side: int) -> None:
    """Check the arguments of a `crop_and_resize`."""
    _check.check_rows("boxes", len(boxes), rows, "one for each mask")
    if side < 1:
        raise InvalidValueError(f"side: expected at least 1, got {side}")


def _span(present: Tensor) -> tuple[Tensor, Tensor]:
    """[n] first True and one past the last True of bool [n, s]; (0, 0) where there is none."""
    size = present.shape[1]
    marks = present.to(torch.uint8)  # argmax gives the first of equal values
    first = marks.argmax(1)
    last = size - marks.flip(1).argmax(1)
    return first, torch.where(present.any(1), last, 0)
