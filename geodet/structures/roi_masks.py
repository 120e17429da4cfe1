"""Soft masks inside boxes, as a mask head predicts them. Shapes: n masks of s x s cells."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

import attrs
import torch
from torch import Tensor

from geodet import _check, ops
from geodet.errors import DtypeError, ShapeError
from geodet.structures._table import Table, fail_at_first, register
from geodet.structures.bit_masks import _CHUNK_PIXELS, BitMasks, check_crop
from geodet.structures.boxes import Boxes
from geodet.structures.image_size import ImageSize

if TYPE_CHECKING:
    from geodet.structures.rle_masks import RleMasks


@register
@attrs.frozen(eq=False, repr=False)
class RoiMasks(Table):
    """Probabilities on a grid inside each box, pasted into the image when asked for.

    Pasting samples them bilinearly at pixel centres and cuts at one half, so no conversion to a
    hard mask is exact; flipping and resizing the soft masks loses nothing.

    Args:
        probabilities: [n, s, s] floating point in [0, 1].
        boxes: n boxes that the grids fill, in pixels; kept as `roi_boxes`, because `boxes()`
            gives the tight boxes of the pasted masks, as for all masks.
        image_size: size of the image that the boxes lie in.
    Raises:
        DtypeError: a value has another type or dtype.
        ShapeError: the grids are not square, or the counts differ.
        DeviceError: grids and boxes live on different devices.
    """

    probabilities: Tensor
    roi_boxes: Boxes = attrs.field(alias="boxes")
    image_size: ImageSize

    def __attrs_post_init__(self) -> None:
        grids = _check.check_shape("probabilities", self.probabilities, "n", "s", "s")
        _check.check_floating("probabilities", grids)
        if grids.shape[1] != grids.shape[2] or grids.shape[1] == 0:
            raise ShapeError(f"probabilities: expected square grids, got {list(grids.shape)}")
        if not isinstance(self.roi_boxes, Boxes):
            raise DtypeError(f"boxes: expected Boxes, got {type(self.roi_boxes).__name__}")
        check_image_size(self.image_size)
        _check.check_rows("boxes", len(self.roi_boxes), len(grids), "one for each mask")
        _check.check_same_device(("probabilities", "boxes"), (grids, self.roi_boxes.xyxy))

    @classmethod
    def empty(
        cls, image_size: ImageSize, *, side: int = 28, device: torch.device | str = "cpu"
    ) -> "RoiMasks":
        """Return 0 masks of an image of this size, with grids of side x side cells."""
        grids = torch.zeros((0, side, side), device=device)
        return cls(grids, Boxes.empty(device=device), image_size)

    def __len__(self) -> int:
        return self.probabilities.shape[0]

    def area(self) -> Tensor:
        """[n] int64, number of pixels of the pasted masks."""
        return ops.rle_area(*self._runs())

    def boxes(self) -> Boxes:
        """Tight half-open boxes of the pasted masks; see `roi_boxes` for the boxes of the grids."""
        return Boxes(ops.rle_boxes(*self._runs(), self.image_size.height))

    def to_bit_masks(self, threshold: float = 0.5) -> BitMasks:
        """Paste every mask into the image. Not exact: probabilities become bools.

        Args:
            threshold: a pixel belongs to the mask when its probability is at least this.
        """
        return BitMasks(
            ops.paste_masks(
                self.probabilities,
                self.roi_boxes.xyxy,
                self.image_size.as_tuple(),
                threshold=threshold,
            )
        )

    def to_rle_masks(self, threshold: float = 0.5) -> "RleMasks":
        """Paste straight to run lengths, on the CPU. Not exact: probabilities become bools.

        No full-size mask is made: time and memory are those of the boxes.

        Args:
            threshold: a pixel belongs to the mask when its probability is at least this.
        """
        from geodet.structures.rle_masks import RleMasks  # noqa: PLC0415 (each kind of mask converts to the others)

        counts, offsets = self._runs(threshold)
        return RleMasks(counts.cpu(), offsets.cpu(), self.image_size)

    def crop_and_resize(self, boxes: Boxes, side: int) -> Tensor:
        """Resample the pasted mask i inside box i, as `BitMasks.crop_and_resize`. Not exact."""
        check_crop(len(self), boxes, side)
        crops = [torch.zeros((0, side, side), dtype=torch.bool, device=self.device)]
        start = 0
        for masks in self._pasted():
            crops.append(masks.crop_and_resize(boxes[start : start + len(masks)], side))
            start += len(masks)
        return torch.cat(crops)

    def flip_horizontally(self) -> Self:
        """Mirror left and right. Exact for the soft masks."""
        return type(self)(
            self.probabilities.flip(2),
            self.roi_boxes.flip_horizontally(self.image_size),
            self.image_size,
        )

    def flip_vertically(self) -> Self:
        """Mirror top and bottom. Exact for the soft masks."""
        return type(self)(
            self.probabilities.flip(1),
            self.roi_boxes.flip_vertically(self.image_size),
            self.image_size,
        )

    def resize(self, size: ImageSize) -> Self:
        """Move the boxes to an image of another size; the grids stay. Exact."""
        old = self.image_size
        boxes = self.roi_boxes.scale(size.width / old.width, size.height / old.height)
        return type(self)(self.probabilities, boxes, size)

    def validated(self, *, where: str = "") -> Self:
        """Return the masks when every value is sound.

        Raises:
            InvalidValueError: a probability is outside [0, 1] or not a number, or a box is broken.
        """
        grids = self.probabilities.flatten(1)
        outside = ~((grids >= 0) & (grids <= 1))

        def describe(row: int) -> str:
            value = float(grids[row][outside[row]][0])
            return f"masks row {row}: expected probabilities in [0, 1], got {value:.6g}"

        fail_at_first(outside.any(1), describe, where)
        self.roi_boxes.validated(where=where)
        return self

    def _runs(self, threshold: float = 0.5) -> tuple[Tensor, Tensor]:
        """Run lengths of the pasted masks, on the device of the grids."""
        return ops.paste_masks_to_rle(
            self.probabilities,
            self.roi_boxes.xyxy,
            self.image_size.as_tuple(),
            threshold=threshold,
        )

    def _pasted(self) -> Iterator[BitMasks]:
        """Paste as many masks at a time as fit in a bounded amount of memory."""
        rows = max(1, _CHUNK_PIXELS // self.image_size.area)
        for start in range(0, len(self), rows):
            yield self[start : start + rows].to_bit_masks()


def check_image_size(value: object) -> None:
    """Check the type of an `image_size` argument."""
    if not isinstance(value, ImageSize):
        raise DtypeError(f"image_size: expected ImageSize, got {type(value).__name__}")
