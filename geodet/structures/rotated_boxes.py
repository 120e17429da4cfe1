"""Rotated boxes. Shapes: n boxes."""

from collections.abc import Callable
from typing import Self

import attrs
import torch
from torch import Tensor

from geodet import _check
from geodet.structures._table import Table, fail_at_first, register, rounded
from geodet.structures.boxes import Boxes
from geodet.structures.image_size import ImageSize


@register
@attrs.frozen(eq=False, repr=False)
class RotatedBoxes(Table):
    """Boxes turned around their centre, counter-clockwise in degrees as seen on the screen.

    As a region a box repeats every 180 degrees, as an orientation (where its top is) every 360;
    flips keep the orientation of the top.

    Args:
        cxcywha: [n, 5] floating point: centre x, centre y, width, height in pixels, angle in
            degrees (any number; `normalize_angles` brings it to [-180, 180)).
    Raises:
        DtypeError: not a tensor, or not floating point.
        ShapeError: not [n, 5].
    """

    cxcywha: Tensor

    def __attrs_post_init__(self) -> None:
        _check.check_floating("cxcywha", _check.check_shape("cxcywha", self.cxcywha, "n", 5))

    @classmethod
    def empty(
        cls, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> "RotatedBoxes":
        """Return 0 boxes."""
        return cls(torch.zeros((0, 5), device=device, dtype=dtype))

    @classmethod
    def from_boxes(cls, boxes: Boxes) -> "RotatedBoxes":
        """Return horizontal boxes as rotated ones with angle 0."""
        cxcywh = boxes.to_cxcywh()
        return cls(torch.cat((cxcywh, torch.zeros_like(cxcywh[:, :1])), dim=1))

    @classmethod
    def from_radians(cls, cxcywhr: Tensor) -> "RotatedBoxes":
        """Make boxes whose angle is given in radians.

        Args:
            cxcywhr: [n, 5] floating point, angle counter-clockwise in radians.
        """
        _check.check_floating("cxcywhr", _check.check_shape("cxcywhr", cxcywhr, "n", 5))
        return cls(torch.cat((cxcywhr[:, :4], torch.rad2deg(cxcywhr[:, 4:])), dim=1))

    def __len__(self) -> int:
        return self.cxcywha.shape[0]

    def area(self) -> Tensor:
        """[n] width times height in square pixels."""
        return self.cxcywha[:, 2] * self.cxcywha[:, 3]

    def centers(self) -> Tensor:
        """[n, 2] centre of each box as (x, y)."""
        return self.cxcywha[:, :2]

    def angles_deg(self) -> Tensor:
        """[n] angles as stored."""
        return self.cxcywha[:, 4]

    def nonempty(self, min_size: float = 0.0) -> Tensor:
        """[n] bool, True where width and height are both larger than `min_size` pixels."""
        return (self.cxcywha[:, 2:4] > min_size).all(1)

    def corners(self) -> Tensor:
        """[n, 4, 2] corners as (x, y): top left, top right, bottom right, bottom left at angle 0.

        In this order they run clockwise as seen on the screen, at every angle.
        """
        cx, cy, w, h, angle = self.cxcywha.unbind(1)
        cos, sin = torch.cos(torch.deg2rad(angle)), torch.sin(torch.deg2rad(angle))
        # Half axes: along the width (cos, -sin), along the height (sin, cos), as y points down.
        wx, wy = cos * w / 2, -sin * w / 2
        hx, hy = sin * h / 2, cos * h / 2
        x = torch.stack((cx - wx - hx, cx + wx - hx, cx + wx + hx, cx - wx + hx), dim=1)
        y = torch.stack((cy - wy - hy, cy + wy - hy, cy + wy + hy, cy - wy + hy), dim=1)
        return torch.stack((x, y), dim=2)

    def hull(self) -> Boxes:
        """Return the smallest horizontal box around each box."""
        cx, cy, w, h, angle = self.cxcywha.unbind(1)
        cos = torch.cos(torch.deg2rad(angle)).abs()
        sin = torch.sin(torch.deg2rad(angle)).abs()
        half_width = (cos * w + sin * h) / 2
        half_height = (sin * w + cos * h) / 2
        return Boxes(
            torch.stack(
                (cx - half_width, cy - half_height, cx + half_width, cy + half_height), dim=1
            )
        )

    def normalize_angles(self) -> Self:
        """Return the same boxes and orientations with angles in [-180, 180)."""
        angle = torch.remainder(self.cxcywha[:, 4] + 180, 360) - 180
        return self._with_columns(angle=angle)

    def scale(self, x: float, y: float) -> Self:
        """Multiply x coordinates by `x` and y coordinates by `y` (both positive).

        Exact when x = y, or at multiples of 90 degrees. Otherwise the scaled box is a
        parallelogram, and the result keeps its centre, the lengths of its sides and the direction
        of its height.
        """
        cx, cy, w, h, angle = self.cxcywha.unbind(1)
        cos, sin = torch.cos(torch.deg2rad(angle)), torch.sin(torch.deg2rad(angle))
        turned = torch.rad2deg(torch.atan2(sin * x, cos * y))
        return self._with_columns(
            cx=cx * x,
            cy=cy * y,
            w=w * torch.hypot(cos * x, sin * y),
            h=h * torch.hypot(sin * x, cos * y),
            angle=angle if x == y else turned,
        )

    def translate(self, dx: float, dy: float) -> Self:
        """Move the boxes by (dx, dy) pixels."""
        return self._with_columns(cx=self.cxcywha[:, 0] + dx, cy=self.cxcywha[:, 1] + dy)

    def flip_horizontally(self, size: ImageSize) -> Self:
        """Mirror left and right in an image of this size; the angle changes its sign."""
        cx, angle = self.cxcywha[:, 0], self.cxcywha[:, 4]
        return self._with_columns(cx=size.width - cx, angle=-angle)

    def flip_vertically(self, size: ImageSize) -> Self:
        """Mirror top and bottom in an image of this size; the angle becomes 180 minus it."""
        cy, angle = self.cxcywha[:, 1], self.cxcywha[:, 4]
        return self._with_columns(cy=size.height - cy, angle=180 - angle)

    def validated(self, *, where: str = "") -> Self:
        """Return the boxes when every value is sound.

        Args:
            where: put before the message, for example a file and an image.
        Raises:
            InvalidValueError: a number is not finite, or a width or height is negative.
        """
        values = self.cxcywha

        def report(expected: str) -> Callable[[int], str]:
            return lambda row: f"boxes row {row}: expected {expected}, got {rounded(values[row])}"

        finite = values.isfinite().all(1)
        fail_at_first(~finite, report("finite cx, cy, w, h, angle"), where)
        fail_at_first((values[:, 2:4] < 0).any(1), report("w >= 0 and h >= 0"), where)
        return self

    def _with_columns(self, **columns: Tensor) -> Self:
        names = ("cx", "cy", "w", "h", "angle")
        kept = zip(names, self.cxcywha.unbind(1), strict=True)
        return type(self)(torch.stack([columns.get(name, old) for name, old in kept], dim=1))
