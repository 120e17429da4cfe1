"""Masks as one bool per pixel. Shapes: n masks of h x w pixels."""

from typing import TYPE_CHECKING, Self

import attrs
import torch
from torch import Tensor

from geodet import _check, ops
from geodet.errors import InvalidValueError, ShapeError
from geodet.structures._table import Table, register
from geodet.structures.boxes import Boxes
from geodet.structures.image_size import ImageSize

if TYPE_CHECKING:
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

    def to_bit_masks(self) -> "BitMasks":
        """Return itself. Exact."""
        return self

    def to_rle_masks(self) -> "RleMasks":
        """Return the masks as run lengths, on the CPU. Exact."""
        from geodet.structures.rle_masks import RleMasks  # noqa: PLC0415 (each kind of mask converts to the others)

        return RleMasks(*ops.rle_encode(self.data.cpu()), self.image_size)

    def crop_and_resize(self, boxes: Boxes, side: int) -> Tensor:
        """Resample mask i inside box i by RoIAlign and cut at one half. Not exact.

        Args:
            boxes: n boxes in pixels of this image, on the masks' device.
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
            xyxy = boxes.xyxy[start : start + rows].float()
            own_image = torch.arange(len(xyxy), device=xyxy.device, dtype=xyxy.dtype)
            soft = ops.roi_align(
                self.data[start : start + rows, None].float(),
                torch.cat((own_image[:, None], xyxy), dim=1),
                (side, side),
                spatial_scale=1.0,
                sampling_ratio=0,
                aligned=True,
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


def pixels_under_centers(old: int, new: int, device: torch.device | str = "cpu") -> Tensor:
    """For each of `new` pixels along a side, the one of `old` that its centre falls into.

    Args:
        old: pixels along the side now.
        new: pixels along the side afterwards.
    Returns:
        [new] int64. Whole-number arithmetic: floor((i + 0.5) * old / new) without rounding.
    """
    return (2 * torch.arange(new, device=device) + 1) * old // (2 * new)


def check_crop(rows: int, boxes: Boxes, side: int) -> None:
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
