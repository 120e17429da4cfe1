"""Horizontal boxes. Shapes: n and m boxes, p points."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import attrs
import torch
from torch import Tensor

from geodet import _check, ops
from geodet.errors import DtypeError
from geodet.structures import _box_formats
from geodet.structures._table import Table, fail_at_first, register, rounded
from geodet.structures.image_size import ImageSize

if TYPE_CHECKING:
    from geodet.structures.region import Region
    from geodet.structures.rotated_boxes import RotatedBoxes


@register
@attrs.frozen(eq=False, repr=False)
class Boxes(Table):
    """Horizontal boxes as half-open ranges of continuous pixels: width is x2 - x1.

    Args:
        xyxy: [n, 4] floating point, left, top, right, bottom in pixels.
    Raises:
        DtypeError: not a tensor, or not floating point.
        ShapeError: not [n, 4].
    """

    xyxy: Tensor

    def __attrs_post_init__(self) -> None:
        _check.check_floating("xyxy", _check.check_shape("xyxy", self.xyxy, "n", 4))

    @classmethod
    def empty(
        cls, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> "Boxes":
        """Return 0 boxes."""
        return cls(torch.zeros((0, 4), device=device, dtype=dtype))

    @classmethod
    def from_xywh(cls, xywh: Tensor) -> "Boxes":
        """Make boxes from left, top, width, height.

        Args:
            xywh: [n, 4] floating point, pixels, as COCO stores boxes.
        """
        return cls(_box_formats.xywh_to_xyxy(xywh))

    @classmethod
    def from_cxcywh(cls, cxcywh: Tensor) -> "Boxes":
        """Make boxes from centre x, centre y, width, height.

        Args:
            cxcywh: [n, 4] floating point, pixels.
        """
        return cls(_box_formats.cxcywh_to_xyxy(cxcywh))

    @classmethod
    def from_relative(cls, xyxy: Tensor, size: ImageSize) -> "Boxes":
        """Make boxes from left, top, right, bottom as parts of the width and height of an image.

        Args:
            xyxy: [n, 4] floating point, 0 to 1 inside the image.
            size: what 1 stands for.
        """
        return cls(_box_formats.relative_to_xyxy("xyxy", xyxy, size))

    @classmethod
    def from_relative_cxcywh(cls, cxcywh: Tensor, size: ImageSize) -> "Boxes":
        """Make boxes from centre, width and height as parts of those of an image, as YOLO does.

        Args:
            cxcywh: [n, 4] floating point, 0 to 1 inside the image.
            size: what 1 stands for.
        """
        return cls.from_cxcywh(_box_formats.relative_to_xyxy("cxcywh", cxcywh, size))

    @classmethod
    def from_corners(cls, corners: Tensor) -> "Boxes":
        """Make the smallest boxes around four corners each; exact for horizontal rectangles.

        Args:
            corners: [n, 4, 2] or [n, 8] floating point, x and y in pixels, in any order.
        """
        return cls(_box_formats.xyxy_around(corners))

    def __len__(self) -> int:
        return self.xyxy.shape[0]

    def to_xywh(self) -> Tensor:
        """[n, 4] left, top, width, height."""
        return torch.cat((self.xyxy[:, :2], self.xyxy[:, 2:] - self.xyxy[:, :2]), dim=1)

    def to_cxcywh(self) -> Tensor:
        """[n, 4] centre x, centre y, width, height."""
        return torch.cat((self.centers(), self.xyxy[:, 2:] - self.xyxy[:, :2]), dim=1)

    def to_relative(self, size: ImageSize) -> Tensor:
        """[n, 4] left, top, right, bottom as parts of the width and height of an image."""
        return _box_formats.xyxy_to_relative(self.xyxy, size)

    def to_relative_cxcywh(self, size: ImageSize) -> Tensor:
        """[n, 4] centre x, centre y, width, height as parts of those of an image (YOLO)."""
        return _box_formats.xyxy_to_relative(self.to_cxcywh(), size)

    def to_rotated(self) -> "RotatedBoxes":
        """Return the same boxes with angle 0; exact up to the rounding of centre and size."""
        from geodet.structures.rotated_boxes import RotatedBoxes  # noqa: PLC0415 (each converts to the other)

        return RotatedBoxes.from_boxes(self)

    def to_boxes(self) -> Self:
        """Return the boxes themselves."""
        return self

    def corners(self) -> Tensor:
        """[n, 4, 2] corners as (x, y): top left, top right, bottom right, bottom left.

        `corners().flatten(1)` is torchvision's XYXYXYXY.
        """
        return _box_formats.corners_of_xyxy(self.xyxy)

    def widths(self) -> Tensor:
        """[n] x2 - x1."""
        return self.xyxy[:, 2] - self.xyxy[:, 0]

    def heights(self) -> Tensor:
        """[n] y2 - y1."""
        return self.xyxy[:, 3] - self.xyxy[:, 1]

    def area(self) -> Tensor:
        """[n] width times height in square pixels."""
        return self.widths() * self.heights()

    def centers(self) -> Tensor:
        """[n, 2] middle of each box as (x, y)."""
        return (self.xyxy[:, :2] + self.xyxy[:, 2:]) / 2

    def hull(self) -> "Boxes":
        """Return the boxes themselves: they are their own horizontal hull."""
        return self

    def clip_to(self, size: ImageSize) -> Self:
        """Cut the boxes at the border of an image; boxes outside get an empty side there.

        Args:
            size: x is cut to [0, width], y to [0, height].
        """
        x = self.xyxy[:, 0::2].clamp(0, size.width)
        y = self.xyxy[:, 1::2].clamp(0, size.height)
        return self._from_xy(x, y)

    def area_inside(self, size: ImageSize) -> Tensor:
        """[n] square pixels of each box that lie inside an image."""
        return self.clip_to(size).area()

    def nonempty(self, min_size: float = 0.0) -> Tensor:
        """[n] bool, True where width and height are both larger than `min_size` pixels."""
        return (self.widths() > min_size) & (self.heights() > min_size)

    def inside(self, size: ImageSize, margin: float = 0.0) -> Tensor:
        """[n] bool, True where no side is more than `margin` pixels outside the image."""
        x1, y1, x2, y2 = self.xyxy.unbind(1)
        low = (x1 >= -margin) & (y1 >= -margin)
        return low & (x2 <= size.width + margin) & (y2 <= size.height + margin)

    def contains(self, points: Tensor) -> Tensor:
        """Tell which points lie in which box.

        Args:
            points: [p, 2] floating point as (x, y), on the same device.
        Returns:
            [n, p] bool. Boxes are half-open: a point on the left or top side is inside, one on
            the right or bottom side is not, so it lies in one of two boxes that touch there.
        """
        _check.check_floating("points", _check.check_shape("points", points, "p", 2))
        _check.check_same_device(("boxes", "points"), (self.xyxy, points))
        low, high = self.xyxy[:, None, :2], self.xyxy[:, None, 2:]
        return ((points >= low) & (points < high)).all(2)

    def contains_region(self, other: "Region") -> Tensor:
        """Tell which regions lie in which box; sides may touch, so a box contains itself.

        Args:
            other: m boxes, horizontal or rotated, on the same device.
        Returns:
            [n, m] bool.
        """
        inner = other.hull().xyxy
        _check.check_same_device(("boxes", "other"), (self.xyxy, inner))
        low, high = self.xyxy[:, None, :2], self.xyxy[:, None, 2:]
        return ((inner[:, :2] >= low) & (inner[:, 2:] <= high)).all(2)

    def same_region(self, other: "Boxes", *, atol: float = 1e-3) -> Tensor:
        """[n] bool, True where row i of both covers the same points up to `atol` pixels a side."""
        _check.check_rows("other", len(other), len(self), "as many as these boxes")
        return ((self.xyxy - _xyxy_of(other)).abs() <= atol).all(1)

    def same_orientation(self, other: "Boxes", *, atol_deg: float = 1e-3) -> Tensor:
        """[n] bool, True throughout: the top of every horizontal box is up."""
        del atol_deg
        _check.check_rows("other", len(other), len(self), "as many as these boxes")
        return torch.ones(len(self), dtype=torch.bool, device=self.device)

    def scale(self, x: float, y: float) -> Self:
        """Multiply x coordinates by `x` and y coordinates by `y` (both positive)."""
        return self._from_xy(self.xyxy[:, 0::2] * x, self.xyxy[:, 1::2] * y)

    def translate(self, dx: float, dy: float) -> Self:
        """Move the boxes by (dx, dy) pixels."""
        return self._from_xy(self.xyxy[:, 0::2] + dx, self.xyxy[:, 1::2] + dy)

    def rotate(self, angle_deg: float, *, center: tuple[float, float]) -> "RotatedBoxes":
        """Turn the boxes counter-clockwise as seen, around a point; the result is rotated boxes.

        Args:
            angle_deg: any angle; quarter turns of a whole image stay horizontal in `rotate_90`.
            center: (x, y) of the point that stays.
        """
        return self.to_rotated().rotate(angle_deg, center=center)

    def rotate_90(self, quarter_turns: int, size: ImageSize) -> Self:
        """Turn the boxes with their image, counter-clockwise as seen; exact.

        Args:
            quarter_turns: any int; 1 brings the right side of the image to its top.
            size: of the image before; an odd number of turns exchanges its sides.
        """
        x, y = self.xyxy[:, 0::2], self.xyxy[:, 1::2]
        turned = {
            0: (x, y),
            1: (y, size.width - x.flip(1)),
            2: (size.width - x.flip(1), size.height - y.flip(1)),
            3: (size.height - y.flip(1), x),
        }
        return self._from_xy(*turned[quarter_turns % 4])

    def flip_horizontally(self, size: ImageSize) -> Self:
        """Mirror left and right in an image of this size."""
        return self._from_xy(size.width - self.xyxy[:, [2, 0]], self.xyxy[:, 1::2])

    def flip_vertically(self, size: ImageSize) -> Self:
        """Mirror top and bottom in an image of this size."""
        return self._from_xy(self.xyxy[:, 0::2], size.height - self.xyxy[:, [3, 1]])

    def pairwise_iou(self, other: "Boxes") -> Tensor:
        """Intersection over union of every pair.

        All measures of two boxes are differentiable; see `geodet.ops` for odd numbers.

        Args:
            other: m boxes on the same device.
        Returns:
            [n, m] in [0, 1]; a pair without area has 0.
        Raises:
            DeviceError: the boxes live on different devices.
        Empty: n = 0 or m = 0 gives a [n, m] tensor.
        """
        return ops.pairwise_box_iou(self.xyxy, _xyxy_of(other))

    def matched_iou(self, other: "Boxes") -> Tensor:
        """[n] in [0, 1], intersection over union of row i and row i of `other`."""
        return ops.matched_box_iou(self.xyxy, _xyxy_of(other))

    def pairwise_intersection(self, other: "Boxes") -> Tensor:
        """[n, m] square pixels that every pair has in common."""
        return ops.pairwise_box_intersection(self.xyxy, _xyxy_of(other))

    def matched_intersection(self, other: "Boxes") -> Tensor:
        """[n] square pixels that row i and row i of `other` have in common."""
        return ops.matched_box_intersection(self.xyxy, _xyxy_of(other))

    def pairwise_ioa(self, other: "Boxes") -> Tensor:
        """[n, m] in [0, 1], intersection over the area of `other`: the part of it that is here."""
        return ops.pairwise_box_ioa(self.xyxy, _xyxy_of(other))

    def matched_ioa(self, other: "Boxes") -> Tensor:
        """[n] in [0, 1], the part of row i of `other` that lies in row i."""
        return ops.matched_box_ioa(self.xyxy, _xyxy_of(other))

    def pairwise_giou(self, other: "Boxes") -> Tensor:
        """[n, m] in [-1, 1], IoU minus the part of the enclosing box that is in neither."""
        return ops.pairwise_box_giou(self.xyxy, _xyxy_of(other))

    def matched_giou(self, other: "Boxes") -> Tensor:
        """[n] in [-1, 1], generalised IoU of row i and row i of `other`."""
        return ops.matched_box_giou(self.xyxy, _xyxy_of(other))

    def pairwise_diou(self, other: "Boxes") -> Tensor:
        """[n, m] in [-1, 1], IoU minus the squared, relative distance of the centres."""
        return ops.pairwise_box_diou(self.xyxy, _xyxy_of(other))

    def matched_diou(self, other: "Boxes") -> Tensor:
        """[n] in [-1, 1], distance IoU of row i and row i of `other`."""
        return ops.matched_box_diou(self.xyxy, _xyxy_of(other))

    def pairwise_ciou(self, other: "Boxes") -> Tensor:
        """[n, m] in (-1.5, 1], distance IoU minus a penalty on different aspect ratios."""
        return ops.pairwise_box_ciou(self.xyxy, _xyxy_of(other))

    def matched_ciou(self, other: "Boxes") -> Tensor:
        """[n] in (-1.5, 1], complete IoU of row i and row i of `other`."""
        return ops.matched_box_ciou(self.xyxy, _xyxy_of(other))

    def pairwise_distance(self, other: "Boxes") -> Tensor:
        """[n, m] pixels between every pair; 0 where they touch or overlap."""
        return ops.pairwise_box_distance(self.xyxy, _xyxy_of(other))

    def matched_distance(self, other: "Boxes") -> Tensor:
        """[n] pixels between row i and row i of `other`; 0 where they touch or overlap."""
        return ops.matched_box_distance(self.xyxy, _xyxy_of(other))

    def validated(self, *, size: ImageSize | None = None, where: str = "") -> Self:
        """Return the boxes when every value is sound.

        Args:
            size: if given, boxes must also lie inside an image of this size.
            where: put before the message, for example a file and an image.
        Raises:
            InvalidValueError: a number is not finite, x2 < x1, y2 < y1, or a box is outside.
        """
        xyxy = self.xyxy

        def report(found: str) -> Callable[[int], str]:
            return lambda row: f"boxes row {row}: expected {found}, got {rounded(xyxy[row])}"

        fail_at_first(~xyxy.isfinite().all(1), report("finite x1, y1, x2, y2"), where)
        disordered = (xyxy[:, 2:] < xyxy[:, :2]).any(1)
        fail_at_first(disordered, report("x1 <= x2 and y1 <= y2"), where)
        if size is not None:
            within = f"a box inside {size.width} x {size.height} (width x height)"
            fail_at_first(~self.inside(size), report(within), where)
        return self

    def _from_xy(self, x: Tensor, y: Tensor) -> Self:
        """Interleave [n, 2] left/right and [n, 2] top/bottom."""
        return type(self)(torch.stack((x, y), dim=2).flatten(1))


def _xyxy_of(other: object) -> Tensor:
    """Coordinates of the other side of a measure, which must be of the same kind."""
    if not isinstance(other, Boxes):
        raise DtypeError(
            f"other: expected Boxes, got {type(other).__name__}; turn this side with to_rotated()"
        )
    return other.xyxy
