"""Horizontal boxes. Shapes: n boxes."""

from collections.abc import Callable
from typing import Self

import attrs
import torch
from torch import Tensor

from geodet import _check, ops
from geodet.structures._table import Table, fail_at_first, register, rounded
from geodet.structures.image_size import ImageSize


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
        _check.check_floating("xywh", _check.check_shape("xywh", xywh, "n", 4))
        return cls(torch.cat((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), dim=1))

    @classmethod
    def from_cxcywh(cls, cxcywh: Tensor) -> "Boxes":
        """Make boxes from centre x, centre y, width, height.

        Args:
            cxcywh: [n, 4] floating point, pixels.
        """
        _check.check_floating("cxcywh", _check.check_shape("cxcywh", cxcywh, "n", 4))
        half = cxcywh[:, 2:] / 2
        return cls(torch.cat((cxcywh[:, :2] - half, cxcywh[:, :2] + half), dim=1))

    def __len__(self) -> int:
        return self.xyxy.shape[0]

    def to_xywh(self) -> Tensor:
        """[n, 4] left, top, width, height."""
        return torch.cat((self.xyxy[:, :2], self.xyxy[:, 2:] - self.xyxy[:, :2]), dim=1)

    def to_cxcywh(self) -> Tensor:
        """[n, 4] centre x, centre y, width, height."""
        return torch.cat((self.centers(), self.xyxy[:, 2:] - self.xyxy[:, :2]), dim=1)

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

    def nonempty(self, min_size: float = 0.0) -> Tensor:
        """[n] bool, True where width and height are both larger than `min_size` pixels."""
        return (self.widths() > min_size) & (self.heights() > min_size)

    def inside(self, size: ImageSize, margin: float = 0.0) -> Tensor:
        """[n] bool, True where no side is more than `margin` pixels outside the image."""
        x1, y1, x2, y2 = self.xyxy.unbind(1)
        low = (x1 >= -margin) & (y1 >= -margin)
        return low & (x2 <= size.width + margin) & (y2 <= size.height + margin)

    def scale(self, x: float, y: float) -> Self:
        """Multiply x coordinates by `x` and y coordinates by `y` (both positive)."""
        return self._from_xy(self.xyxy[:, 0::2] * x, self.xyxy[:, 1::2] * y)

    def translate(self, dx: float, dy: float) -> Self:
        """Move the boxes by (dx, dy) pixels."""
        return self._from_xy(self.xyxy[:, 0::2] + dx, self.xyxy[:, 1::2] + dy)

    def flip_horizontally(self, size: ImageSize) -> Self:
        """Mirror left and right in an image of this size."""
        return self._from_xy(size.width - self.xyxy[:, [2, 0]], self.xyxy[:, 1::2])

    def flip_vertically(self, size: ImageSize) -> Self:
        """Mirror top and bottom in an image of this size."""
        return self._from_xy(self.xyxy[:, 0::2], size.height - self.xyxy[:, [3, 1]])

    def pairwise_iou(self, other: "Boxes") -> Tensor:
        """Intersection over union of every pair.

        Args:
            other: m boxes on the same device.
        Returns:
            [n, m] in [0, 1]; a pair without area has 0.
        Raises:
            DeviceError: the boxes live on different devices.
        Empty: n = 0 or m = 0 gives a [n, m] tensor.
        """
        return ops.pairwise_box_iou(self.xyxy, other.xyxy)

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
