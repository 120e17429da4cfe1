"""Soft masks inside boxes, as a mask head predicts them. Shapes: n masks of s x s cells."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from geodet import _check, ops
from geodet.errors import DtypeError, ShapeError
from geodet.ops._angles import cos_sin_deg
from geodet.structures._mask_checks import check_padding, check_same_image, check_window
from geodet.structures._table import Table, fail_at_first, register
from geodet.structures.bit_masks import _CHUNK_PIXELS, BitMasks, check_crop
from geodet.structures.boxes import Boxes
from geodet.structures.image_size import ImageSize
from geodet.structures.rotated_boxes import RotatedBoxes

if TYPE_CHECKING:
    from geodet.structures.polygon_masks import PolygonMasks
    from geodet.structures.rle_masks import RleMasks


@register
@attrs.frozen(eq=False, repr=False)
class RoiMasks(Table):
    """Probabilities on a grid inside each box, pasted into the image when asked for.

    Pasting samples them bilinearly at pixel centres and cuts at one half, so no conversion to a
    hard mask is exact; flipping, turning, cropping, padding and resizing the soft masks loses
    nothing. What a soft mask cannot say (union, dilation, components) asks for a conversion first:
    `to_rle_masks()` is the cheapest, in the time of the boxes instead of the image's.

    Args:
        probabilities: [n, s, s] floating point in [0, 1].
        boxes: n boxes that the grids fill, in pixels, horizontal or rotated; kept as `roi_boxes`,
            because `boxes()` gives the tight boxes of the pasted masks, as for all masks. In a
            rotated box columns run along the width and rows along the height.
        image_size: size of the image that the boxes lie in.
    Raises:
        DtypeError: a value has another type or dtype.
        ShapeError: the grids are not square, or the counts differ.
        DeviceError: grids and boxes live on different devices.
    """

    probabilities: Tensor
    roi_boxes: Boxes | RotatedBoxes = attrs.field(alias="boxes")
    image_size: ImageSize

    def __attrs_post_init__(self) -> None:
        grids = _check.check_shape("probabilities", self.probabilities, "n", "s", "s")
        _check.check_floating("probabilities", grids)
        if grids.shape[1] != grids.shape[2] or grids.shape[1] == 0:
            raise ShapeError(f"probabilities: expected square grids, got {list(grids.shape)}")
        if not isinstance(self.roi_boxes, Boxes | RotatedBoxes):
            raise DtypeError(
                f"boxes: expected Boxes or RotatedBoxes, got {type(self.roi_boxes).__name__}"
            )
        check_image_size(self.image_size)
        _check.check_rows("boxes", len(self.roi_boxes), len(grids), "one for each mask")
        _check.check_same_device(("probabilities", "boxes"), (grids, self._coordinates()))

    @classmethod
    def empty(
        cls,
        image_size: ImageSize,
        *,
        side: int = 28,
        rotated: bool = False,
        device: torch.device | str = "cpu",
    ) -> "RoiMasks":
        """Return 0 masks of an image of this size, with grids of side x side cells."""
        grids = torch.zeros((0, side, side), device=device)
        kind = RotatedBoxes if rotated else Boxes
        return cls(grids, kind.empty(device=device), image_size)

    def __len__(self) -> int:
        return self.probabilities.shape[0]

    def area(self) -> Tensor:
        """[n] int64, number of pixels of the pasted masks."""
        return ops.rle_area(*self._runs())

    def boxes(self) -> Boxes:
        """Tight half-open boxes of the pasted masks; see `roi_boxes` for the boxes of the grids."""
        return Boxes(ops.rle_boxes(*self._runs(), self.image_size.height))

    def nonempty(self) -> Tensor:
        """[n] bool, True where the pasted mask has a pixel."""
        return self.area() > 0

    def pairwise_iou(self, other: "RoiMasks") -> Tensor:
        """Intersection over union of every pair of pasted masks, by way of run lengths.

        Args:
            other: m masks of the same image size, on the same device.
        Returns:
            [n, m] float64 in [0, 1]; a pair without area has 0. Exact for the pasted pixels.
        Raises:
            DtypeError: `other` is another kind of masks; convert both to one.
            ShapeError: the image sizes differ.
            DeviceError: they live on different devices.
        Empty: n = 0 or m = 0 gives a [n, m] tensor.
        """
        check_same_image(self, other)
        height = self.image_size.height
        return ops.pairwise_rle_iou(*self._runs(), *other._runs(), height=height)

    def pairwise_ioa(self, other: "RoiMasks") -> Tensor:
        """Intersection over the area of `other` of every pair of pasted masks.

        Args:
            other: m masks of the same image size, on the same device.
        Returns:
            [n, m] float64 in [0, 1]; 0 where the other mask has no pixel.
        Raises:
            DtypeError, ShapeError, DeviceError: as `pairwise_iou`.
        Empty: n = 0 or m = 0 gives a [n, m] tensor.
        """
        check_same_image(self, other)
        height = self.image_size.height
        return ops.pairwise_rle_ioa(*self._runs(), *other._runs(), height=height)

    def to_bit_masks(self, threshold: float = 0.5) -> BitMasks:
        """Paste every mask into the image. Not exact: probabilities become bools.

        Args:
            threshold: a pixel belongs to the mask when its probability is at least this.
        """
        paste = ops.paste_rotated_masks if self._is_rotated() else ops.paste_masks
        size = self.image_size.as_tuple()
        return BitMasks(paste(self.probabilities, self._coordinates(), size, threshold=threshold))

    def to_rle_masks(self, threshold: float = 0.5) -> "RleMasks":
        """Paste straight to run lengths, on the CPU. Not exact: probabilities become bools.

        No full-size mask is made: time and memory are those of the boxes.

        Args:
            threshold: a pixel belongs to the mask when its probability is at least this.
        """
        from geodet.structures.rle_masks import RleMasks  # noqa: PLC0415 (each kind of mask converts to the others)

        counts, offsets = self._runs(threshold)
        return RleMasks(counts.cpu(), offsets.cpu(), self.image_size)

    def to_polygon_masks(self, threshold: float = 0.5) -> "PolygonMasks":
        """Outlines of the pasted pixels, holes kept, on the CPU. Not exact.

        Args:
            threshold: a pixel belongs to the mask when its probability is at least this.
        """
        return self.to_rle_masks(threshold).to_polygon_masks()

    def to_rotated_boxes(self) -> RotatedBoxes:
        """Rotated boxes of the smallest area around the pasted masks, on the device of the grids.

        An empty mask gives zeros.
        """
        return self.to_rle_masks().to_rotated_boxes().to(self.device)

    def crop(self, xyxy: tuple[int, int, int, int]) -> Self:
        """Make a window of whole pixels the image; the grids stay. Exact up to rounding.

        Masks whose box lies outside of the window stay as rows without pixels.

        Args:
            xyxy: left, top, right, bottom, half-open, inside the image and not empty.
        Returns:
            Masks of an image of the window's size.
        Raises:
            InvalidValueError: the window is empty or not inside the image.
        """
        size = check_window(xyxy, self.image_size)
        boxes = self.roi_boxes.translate(-xyxy[0], -xyxy[1])
        return type(self)(self.probabilities, boxes, size)

    def pad(self, left: int, top: int, right: int, bottom: int) -> Self:
        """Make the image larger on each side; the grids stay. Exact up to rounding.

        What a box showed beyond the old border of the image now lies inside.

        Raises:
            InvalidValueError: a number is negative.
        """
        size = check_padding(left, top, right, bottom, self.image_size)
        return type(self)(self.probabilities, self.roi_boxes.translate(left, top), size)

    def rotate_90(self, quarter_turns: int = 1) -> Self:
        """Turn image and masks counter-clockwise as seen. Exact for the soft masks.

        Args:
            quarter_turns: any whole number; negative ones turn clockwise.
        """
        height, width = self.image_size
        # A rotated box takes its grid along; a horizontal one stays horizontal.
        turned = 0 if self._is_rotated() else quarter_turns
        return type(self)(
            self.probabilities.rot90(turned, (1, 2)),
            self.roi_boxes.rotate_90(quarter_turns, self.image_size),
            ImageSize(width, height) if quarter_turns % 2 else self.image_size,
        )

    def crop_and_resize(self, boxes: Boxes | RotatedBoxes, side: int) -> Tensor:
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
        # The top of a rotated box keeps pointing where its mirror image points: what changes
        # sides is its left and right.
        return type(self)(
            self.probabilities.flip(2 if self._is_rotated() else 1),
            self.roi_boxes.flip_vertically(self.image_size),
            self.image_size,
        )

    def resize(self, size: ImageSize) -> Self:
        """Move the boxes to an image of another size; the grids stay. Exact.

        Only where an uneven scale makes a rotated box a parallelogram is the grid resampled, in a
        rotated box around that parallelogram: bilinear, so not exact.
        """
        old = self.image_size
        x, y = size.width / old.width, size.height / old.height
        if x == y or isinstance(self.roi_boxes, Boxes):
            return type(self)(self.probabilities, self.roi_boxes.scale(x, y), size)
        grids, boxes = _stretched(self.probabilities, self.roi_boxes, x, y)
        return type(self)(grids, boxes, size)

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
        paste = ops.paste_rotated_masks_to_rle if self._is_rotated() else ops.paste_masks_to_rle
        size = self.image_size.as_tuple()
        return paste(self.probabilities, self._coordinates(), size, threshold=threshold)

    def _is_rotated(self) -> bool:
        return isinstance(self.roi_boxes, RotatedBoxes)

    def _coordinates(self) -> Tensor:
        """[n, 4] xyxy or [n, 5] cxcywha."""
        boxes = self.roi_boxes
        return boxes.xyxy if isinstance(boxes, Boxes) else boxes.cxcywha

    def _pasted(self) -> Iterator[BitMasks]:
        """Paste as many masks at a time as fit in a bounded amount of memory."""
        rows = max(1, _CHUNK_PIXELS // self.image_size.area)
        for start in range(0, len(self), rows):
            yield self[start : start + rows].to_bit_masks()


def _stretched(
    grids: Tensor, boxes: RotatedBoxes, x: float, y: float
) -> tuple[Tensor, RotatedBoxes]:
    """Grids and boxes of an image whose axes were multiplied by x and y.

    A box becomes a parallelogram; the new box is the smallest of the direction of its height
    around it, and each of its cells reads the old grid where its centre came from.
    """
    scaled = boxes.scale(x, y)
    factors = boxes.cxcywha.new_tensor([x, y])
    corners = boxes.corners() * factors - scaled.centers()[:, None]
    cos, sin = cos_sin_deg(scaled.angles_deg())
    turn = torch.stack((cos, -sin, sin, cos), dim=1).unflatten(1, (2, 2))  # image to own axes
    sides = (corners @ turn.mT).abs().amax(1) * 2
    angle = scaled.cxcywha[:, 4:]
    around = RotatedBoxes(torch.cat((scaled.centers(), sides, angle), dim=1))
    if len(grids) == 0:
        return grids, around
    side = grids.shape[1]
    steps = (torch.arange(side, device=grids.device, dtype=boxes.cxcywha.dtype) + 0.5) / side - 0.5
    unit = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=2)  # [s, s, 2] as (u, v)
    offsets = (unit[None] * sides[:, None, None]) @ turn[:, None]  # own axes to image
    cos, sin = cos_sin_deg(boxes.angles_deg())
    back = torch.stack((cos, -sin, sin, cos), dim=1).unflatten(1, (2, 2))
    places = (offsets / factors) @ back.mT[:, None] / boxes.cxcywha[:, None, None, 2:4] * 2
    places = torch.nan_to_num(places, nan=2.0, posinf=2.0, neginf=-2.0)  # boxes without area
    sampled = functional.grid_sample(grids[:, None].to(places.dtype), places, align_corners=False)
    return sampled[:, 0].to(grids.dtype), around


def check_image_size(value: object) -> None:
    """Check the type of an `image_size` argument."""
    if not isinstance(value, ImageSize):
        raise DtypeError(f"image_size: expected ImageSize, got {type(value).__name__}")
