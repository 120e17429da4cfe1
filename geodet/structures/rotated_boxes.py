"""Rotated boxes. Shapes: n and m boxes, p points."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import attrs
import torch
from torch import Tensor

from geodet import _check, ops
from geodet.errors import DtypeError
from geodet.ops._angles import cos_sin_deg
from geodet.structures import _angle_conventions as conventions
from geodet.structures._rotated_formats import RotatedFormats
from geodet.structures._table import fail_at_first, register, rounded
from geodet.structures.boxes import Boxes
from geodet.structures.image_size import ImageSize

if TYPE_CHECKING:
    from geodet.structures.region import Region


@register
@attrs.frozen(eq=False, repr=False)
class RotatedBoxes(RotatedFormats):
    """Boxes turned around their centre, counter-clockwise in degrees as seen on the screen.

    As a region a box repeats every 180 degrees, as an orientation (where its top is) every 360;
    flips keep the orientation of the top. `cxcywha` is torchvision's CXCYWHR.

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

    def __len__(self) -> int:
        return self.cxcywha.shape[0]

    def to_boxes(self, *, atol_deg: float = 1e-3) -> Boxes:
        """Return boxes whose angle is a multiple of 90 degrees as horizontal ones.

        The result covers the same points and loses the orientation. `hull` takes any angle.

        Args:
            atol_deg: an angle this close to a multiple of 90 counts as one.
        Raises:
            InvalidValueError: a box stands at another angle. Reads values, so it waits for a GPU.
        """
        angle = self.cxcywha[:, 4]
        off = (angle - 90 * torch.round(angle / 90)).abs() > atol_deg

        def report(row: int) -> str:
            return (
                f"boxes row {row}: expected an angle of a multiple of 90 degrees, got "
                f"{rounded(angle[row : row + 1])[0]}; hull() gives the horizontal box around it"
            )

        fail_at_first(off, report)
        upright = self._with_columns(angle=90 * torch.round(angle / 90))
        return upright.hull()

    def to_rotated(self) -> Self:
        """Return the boxes themselves."""
        return self

    def area(self) -> Tensor:
        """[n] width times height in square pixels."""
        return self.cxcywha[:, 2] * self.cxcywha[:, 3]

    def widths(self) -> Tensor:
        """[n] lengths of the sides that are horizontal at angle 0."""
        return self.cxcywha[:, 2]

    def heights(self) -> Tensor:
        """[n] lengths of the sides that are vertical at angle 0."""
        return self.cxcywha[:, 3]

    def centers(self) -> Tensor:
        """[n, 2] centre of each box as (x, y)."""
        return self.cxcywha[:, :2]

    def angles_deg(self) -> Tensor:
        """[n] angles as stored."""
        return self.cxcywha[:, 4]

    def hull(self) -> Boxes:
        """Return the smallest horizontal box around each box."""
        cx, cy, w, h, angle = self.cxcywha.unbind(1)
        cos, sin = (value.abs() for value in cos_sin_deg(angle))
        x, y = (cos * w + sin * h) / 2, (sin * w + cos * h) / 2
        return Boxes(torch.stack((cx - x, cy - y, cx + x, cy + y), dim=1))

    def clip_to(self, size: ImageSize) -> Self:
        """Shrink each box to the smallest one of its angle around what lies inside an image.

        What lies inside is found exactly; the smallest box around it may still reach outside.
        Boxes inside stay as they are; a box with nothing inside becomes a point in the image.
        No gradient flows through a box that is cut.

        Args:
            size: x runs from 0 to width, y from 0 to height.
        """
        points, counts = ops.clip_rotated_boxes(self.cxcywha, self._window(size))
        local = self._to_own_axes(points - self.centers()[:, None])
        used = (torch.arange(points.shape[1], device=self.device) < counts[:, None])[..., None]
        low = torch.where(used, local, torch.inf).amin(1)
        high = torch.where(used, local, -torch.inf).amax(1)
        nothing = counts[:, None] == 0
        cos, sin = cos_sin_deg(self.cxcywha[:, 4])
        u, v = torch.where(nothing, 0.0, (low + high) / 2).unbind(1)
        x, y = (self.centers() + torch.stack((u * cos + v * sin, v * cos - u * sin), 1)).unbind(1)
        w, h = torch.where(nothing, 0.0, high - low).minimum(self.cxcywha[:, 2:4]).unbind(1)
        clipped = torch.stack(
            (x.clamp(0, size.width), y.clamp(0, size.height), w, h, self.cxcywha[:, 4]), dim=1
        )
        kept = self.inside(size)[:, None]
        return type(self)(torch.where(kept, self.cxcywha, clipped.detach()))

    def area_inside(self, size: ImageSize) -> Tensor:
        """[n] square pixels of each box that lie inside an image, exactly cut at its border."""
        window = self.cxcywha.new_tensor(
            [[size.width / 2, size.height / 2, size.width, size.height, 0]]
        )
        return ops.pairwise_rotated_intersection(self.cxcywha, window)[:, 0]

    def nonempty(self, min_size: float = 0.0) -> Tensor:
        """[n] bool, True where width and height are both larger than `min_size` pixels."""
        return (self.cxcywha[:, 2:4] > min_size).all(1)

    def inside(self, size: ImageSize, margin: float = 0.0) -> Tensor:
        """[n] bool, True where no corner is more than `margin` pixels outside the image."""
        return self.hull().inside(size, margin)

    def contains(self, points: Tensor) -> Tensor:
        """Tell which points lie in which box.

        Args:
            points: [p, 2] floating point as (x, y), on the same device.
        Returns:
            [n, p] bool. Of the sides, those that are left and top at angle 0 belong to the box.
        """
        _check.check_floating("points", _check.check_shape("points", points, "p", 2))
        _check.check_same_device(("boxes", "points"), (self.cxcywha, points))
        local = self._to_own_axes(points[None] - self.centers()[:, None])
        half = self.cxcywha[:, None, 2:4] / 2
        return ((local >= -half) & (local < half)).all(2)

    def contains_region(self, other: "Region") -> Tensor:
        """Tell which regions lie in which box; sides may touch, so a box contains itself.

        Args:
            other: m boxes, horizontal or rotated, on the same device.
        Returns:
            [n, m] bool.
        """
        inner = other.to_rotated().cxcywha
        _check.check_same_device(("boxes", "other"), (self.cxcywha, inner))
        local = self._to_own_axes(inner[None, :, :2] - self.centers()[:, None])
        cos, sin = cos_sin_deg(inner[None, :, 4] - self.cxcywha[:, None, 4])
        w, h = inner[:, 2], inner[:, 3]
        # The half sides of the inner box's hull, seen from the outer box.
        reach = torch.stack((cos.abs() * w + sin.abs() * h, sin.abs() * w + cos.abs() * h), dim=2)
        return (local.abs() + reach / 2 <= self.cxcywha[:, None, 2:4] / 2).all(2)

    def same_region(self, other: "RotatedBoxes", *, atol: float = 1e-3) -> Tensor:
        """Tell which rows cover the same points.

        Half turns change nothing, nor does exchanging width and height with a quarter turn.

        Args:
            other: as many boxes.
            atol: pixels by which corners may differ.
        Returns:
            [n] bool.
        """
        _check.check_rows("other", len(other), len(self), "as many as these boxes")
        a, b = self.corners(), other.corners()
        turns = torch.stack([b.roll(shift, dims=1) for shift in range(4)])
        return ((a - turns).abs() <= atol).flatten(2).all(2).any(0)

    def same_orientation(self, other: "RotatedBoxes", *, atol_deg: float = 1e-3) -> Tensor:
        """[n] bool, True where the tops of row i of both point the same way, full turns aside."""
        _check.check_rows("other", len(other), len(self), "as many as these boxes")
        off = torch.remainder(self.cxcywha[:, 4] - _cxcywha_of(other)[:, 4] + 180, 360) - 180
        return off.abs() <= atol_deg

    def normalize_angles(self) -> Self:
        """Return the same boxes and orientations with angles in [-180, 180)."""
        angle = conventions.wrapped_angles(self.cxcywha[:, 4], -180, 360)
        return self._with_columns(angle=angle)

    def scale(self, x: float, y: float) -> Self:
        """Multiply x coordinates by `x` and y coordinates by `y` (both positive).

        Exact when x = y, or at multiples of 90 degrees. Otherwise the scaled box is a
        parallelogram, and the result keeps its centre, the lengths of its sides and the direction
        of its height.
        """
        cx, cy, w, h, angle = self.cxcywha.unbind(1)
        if x == y:
            return self._with_columns(cx=cx * x, cy=cy * x, w=w * x, h=h * x)
        cos, sin = cos_sin_deg(angle)
        return self._with_columns(
            cx=cx * x,
            cy=cy * y,
            w=w * torch.hypot(cos * x, sin * y),
            h=h * torch.hypot(sin * x, cos * y),
            angle=torch.rad2deg(torch.atan2(sin * x, cos * y)),
        )

    def translate(self, dx: float, dy: float) -> Self:
        """Move the boxes by (dx, dy) pixels."""
        return self._with_columns(cx=self.cxcywha[:, 0] + dx, cy=self.cxcywha[:, 1] + dy)

    def rotate(self, angle_deg: float, *, center: tuple[float, float]) -> "RotatedBoxes":
        """Turn the boxes counter-clockwise as seen, around a point.

        Args:
            angle_deg: any angle.
            center: (x, y) of the point that stays.
        """
        cos, sin = cos_sin_deg(self.cxcywha.new_tensor(angle_deg))
        x, y = self.cxcywha[:, 0] - center[0], self.cxcywha[:, 1] - center[1]
        return self._with_columns(
            cx=center[0] + x * cos + y * sin,
            cy=center[1] - x * sin + y * cos,
            angle=self.cxcywha[:, 4] + angle_deg,
        )

    def rotate_90(self, quarter_turns: int, size: ImageSize) -> Self:
        """Turn the boxes with their image, counter-clockwise as seen; exact.

        Args:
            quarter_turns: any int; 1 brings the right side of the image to its top.
            size: of the image before; an odd number of turns exchanges its sides.
        """
        cx, cy, angle = self.cxcywha[:, 0], self.cxcywha[:, 1], self.cxcywha[:, 4]
        turn = quarter_turns % 4
        turned = (
            (cx, cy),
            (cy, size.width - cx),
            (size.width - cx, size.height - cy),
            (size.height - cy, cx),
        )[turn]
        return self._with_columns(cx=turned[0], cy=turned[1], angle=angle + 90 * turn)

    def flip_horizontally(self, size: ImageSize) -> Self:
        """Mirror left and right in an image of this size; the angle changes its sign."""
        cx, angle = self.cxcywha[:, 0], self.cxcywha[:, 4]
        return self._with_columns(cx=size.width - cx, angle=-angle)

    def flip_vertically(self, size: ImageSize) -> Self:
        """Mirror top and bottom in an image of this size; the angle becomes 180 minus it."""
        cy, angle = self.cxcywha[:, 1], self.cxcywha[:, 4]
        return self._with_columns(cy=size.height - cy, angle=180 - angle)

    def pairwise_intersection(self, other: "RotatedBoxes") -> Tensor:
        """[n, m] square pixels that every pair has in common."""
        return ops.pairwise_rotated_intersection(self.cxcywha, _cxcywha_of(other))

    def matched_intersection(self, other: "RotatedBoxes") -> Tensor:
        """[n] square pixels that row i and row i of `other` have in common."""
        return ops.matched_rotated_intersection(self.cxcywha, _cxcywha_of(other))

    def pairwise_iou(self, other: "RotatedBoxes") -> Tensor:
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
        return ops.pairwise_rotated_iou(self.cxcywha, _cxcywha_of(other))

    def matched_iou(self, other: "RotatedBoxes") -> Tensor:
        """[n] in [0, 1], intersection over union of row i and row i of `other`."""
        return ops.matched_rotated_iou(self.cxcywha, _cxcywha_of(other))

    def pairwise_ioa(self, other: "RotatedBoxes") -> Tensor:
        """[n, m] in [0, 1], intersection over the area of `other`: the part of it that is here."""
        return _share(self.pairwise_intersection(other), other.area())

    def matched_ioa(self, other: "RotatedBoxes") -> Tensor:
        """[n] in [0, 1], the part of row i of `other` that lies in row i."""
        return _share(self.matched_intersection(other), other.area())

    def pairwise_giou(self, other: "RotatedBoxes") -> Tensor:
        """[n, m] in [-1, 1], IoU minus the part of the convex hull of both that is in neither."""
        return ops.pairwise_rotated_giou(self.cxcywha, _cxcywha_of(other))

    def matched_giou(self, other: "RotatedBoxes") -> Tensor:
        """[n] in [-1, 1], generalised IoU of row i and row i of `other`."""
        return ops.matched_rotated_giou(self.cxcywha, _cxcywha_of(other))

    def pairwise_diou(self, other: "RotatedBoxes") -> Tensor:
        """[n, m] in [-1, 1], IoU minus (distance of centres / diameter of both together)^2."""
        return ops.pairwise_rotated_diou(self.cxcywha, _cxcywha_of(other))

    def matched_diou(self, other: "RotatedBoxes") -> Tensor:
        """[n] in [-1, 1], distance IoU of row i and row i of `other`."""
        return ops.matched_rotated_diou(self.cxcywha, _cxcywha_of(other))

    def pairwise_distance(self, other: "RotatedBoxes") -> Tensor:
        """[n, m] pixels between every pair; 0 where they touch or overlap."""
        return ops.pairwise_rotated_distance(self.cxcywha, _cxcywha_of(other))

    def matched_distance(self, other: "RotatedBoxes") -> Tensor:
        """[n] pixels between row i and row i of `other`; 0 where they touch or overlap."""
        return ops.matched_rotated_distance(self.cxcywha, _cxcywha_of(other))

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

    @classmethod
    def _of(cls, cxcywha: Tensor) -> Self:
        return cls(cxcywha)

    def _with_columns(self, **columns: Tensor) -> Self:
        names = ("cx", "cy", "w", "h", "angle")
        kept = zip(names, self.cxcywha.unbind(1), strict=True)
        return type(self)(torch.stack([columns.get(name, old) for name, old in kept], dim=1))

    def _window(self, size: ImageSize) -> Tensor:
        return self.cxcywha.new_tensor([0, 0, size.width, size.height])

    def _to_own_axes(self, offsets: Tensor) -> Tensor:
        """[n, p, 2] vectors as lengths along the width and the height of each box."""
        cos, sin = (value[:, None] for value in cos_sin_deg(self.cxcywha[:, 4]))
        x, y = offsets.unbind(2)
        return torch.stack((x * cos - y * sin, x * sin + y * cos), dim=2)


def _share(intersection: Tensor, area: Tensor) -> Tensor:
    """Part of an area that an intersection is; 0 where there is none."""
    overlaps = intersection > 0
    share = intersection / torch.where(overlaps, area, torch.ones_like(intersection))
    return torch.where(overlaps, share.clamp(max=1), torch.zeros_like(share))


def _cxcywha_of(other: object) -> Tensor:
    """Coordinates of the other side of a measure, which must be of the same kind."""
    if not isinstance(other, RotatedBoxes):
        raise DtypeError(
            f"other: expected RotatedBoxes, got {type(other).__name__}; turn it with to_rotated()"
        )
    return other.cxcywha
