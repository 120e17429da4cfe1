"""Keypoints of instances. Shapes: n instances with k points each."""

import math
from collections.abc import Callable, Sequence
from typing import Self

import attrs
import torch
from torch import Tensor

from geodet import _check, ops
from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.ops._angles import cos_sin_deg
from geodet.structures._own_axes import into_own_axes, out_of_own_axes, own_boxes
from geodet.structures._table import Table, fail_at_first, register, rounded
from geodet.structures.boxes import Boxes
from geodet.structures.image_size import ImageSize
from geodet.structures.rotated_boxes import RotatedBoxes
from geodet.structures.skeleton import Skeleton

# COCO counts from the centre of the top left pixel, which lies half a pixel inside the image.
_COCO_SHIFT = 0.5


@register
@attrs.frozen(eq=False, repr=False)
class Keypoints(Table):
    """Named points of instances, in continuous pixels.

    A point with v = 0 is not labelled: its coordinates mean nothing, and no method moves them.

    Args:
        xyv: [n, k, 3] floating point: x, y in pixels and v, which is 0 (not labelled),
            1 (labelled but hidden) or 2 (visible) in targets and a score in predictions.
        skeleton: describes the k points.
    Raises:
        DtypeError: a value has another type or dtype.
        ShapeError: not [n, k, 3] with the skeleton's k.
    """

    xyv: Tensor
    skeleton: Skeleton

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.skeleton, Skeleton):
            raise DtypeError(f"skeleton: expected Skeleton, got {type(self.skeleton).__name__}")
        _check.check_shape("xyv", self.xyv, "n", "k", 3)
        _check.check_floating("xyv", self.xyv)
        if self.xyv.shape[1] != len(self.skeleton):
            raise ShapeError(
                f"xyv: expected [n, {len(self.skeleton)}, 3] (the skeleton's points), "
                f"got {list(self.xyv.shape)}"
            )

    @classmethod
    def empty(
        cls,
        skeleton: Skeleton,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> "Keypoints":
        """Return the keypoints of 0 instances."""
        return cls(torch.zeros((0, len(skeleton), 3), device=device, dtype=dtype), skeleton)

    @classmethod
    def from_coco(
        cls,
        rows: Sequence[Sequence[float]],
        skeleton: Skeleton,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> "Keypoints":
        """Read the "keypoints" lists of COCO annotations or results.

        Args:
            rows: n lists x1, y1, v1, x2, ... of 3 k numbers. COCO counts from the centre of the
                top left pixel: labelled points gain 0.5. The others become (0, 0, 0).
            skeleton: of k points.
            dtype: a floating-point dtype.
        Raises:
            ShapeError: a row has another number of values.
        Empty: no rows give the keypoints of 0 instances.
        """
        count = 3 * len(skeleton)
        for number, row in enumerate(rows):
            if len(row) != count:
                raise ShapeError(
                    f"rows[{number}]: expected {count} numbers (x, y, v of {len(skeleton)} "
                    f"points), got {len(row)}"
                )
        flat = torch.tensor(rows, dtype=torch.float64)
        xy, v = flat.reshape(len(rows), len(skeleton), 3).split((2, 1), dim=2)
        moved = torch.cat((xy + _COCO_SHIFT, v), dim=2)
        return cls(torch.where(v > 0, moved, 0).to(dtype), skeleton)

    @classmethod
    def from_heatmaps(
        cls, heatmaps: Tensor, boxes: Boxes | RotatedBoxes, skeleton: Skeleton
    ) -> "Keypoints":
        """Read predicted points off the peaks of heatmaps over boxes.

        Args:
            heatmaps: [n, k, s, s] float logits.
            boxes: n boxes in pixels, horizontal or rotated; in a rotated one columns of the map
                run along the width.
            skeleton: of k points.
        Returns:
            n instances whose v is the score of `ops.decode_keypoint_heatmaps`.
        Raises:
            ShapeError, DtypeError, DeviceError: the arguments do not fit each other.
        Empty: n = 0 gives the keypoints of 0 instances.
        """
        if isinstance(boxes, Boxes):
            decoded = ops.decode_keypoint_heatmaps(heatmaps, boxes.xyxy)
            return cls(decoded[:, :, [0, 1, 3]], skeleton)
        cxcywha = boxes.cxcywha
        decoded = ops.decode_keypoint_heatmaps(heatmaps, own_boxes(cxcywha))
        xy = out_of_own_axes(cxcywha, decoded[:, :, :2])
        return cls(torch.cat((xy, decoded[:, :, 3:]), dim=2), skeleton)

    def __len__(self) -> int:
        return self.xyv.shape[0]

    def labelled(self) -> Tensor:
        """[n, k] bool, True where v > 0."""
        return self.xyv[:, :, 2] > 0

    def visible(self) -> Tensor:
        """[n, k] bool, True where v is 2: labelled and not hidden. Means nothing for scores."""
        return self.xyv[:, :, 2] == 2

    def num_labelled(self) -> Tensor:
        """[n] int64, labelled points of each instance (COCO's num_keypoints)."""
        return self.labelled().sum(1)

    def boxes(self) -> Boxes:
        """Return the smallest box around the labelled points of each instance.

        An instance without labelled points has the box (0, 0, 0, 0); one with a single point has a
        box without area.
        """
        labelled = self.labelled()[:, :, None]
        xy = self.xyv[:, :, :2]
        if len(self.skeleton) == 0:
            return Boxes(xy.new_zeros((len(self), 4)))
        low = torch.where(labelled, xy, math.inf).amin(1)
        high = torch.where(labelled, xy, -math.inf).amax(1)
        found = labelled.any(1)
        return Boxes(torch.cat((torch.where(found, low, 0), torch.where(found, high, 0)), dim=1))

    def oks(self, targets: "Keypoints", *, areas: Tensor, boxes: Boxes) -> Tensor:
        """COCO's object keypoint similarity with every target.

        Args:
            targets: m instances of the same skeleton, whose sigmas count.
            areas: [m] square pixels of the targets: "area" of their annotations.
            boxes: of the m targets; read where a target has no labelled point.
        Returns:
            [n, m] float64 in [0, 1], as `ops.object_keypoint_similarity` has it.
        Raises:
            InvalidValueError: the skeletons differ.
            ShapeError, DeviceError: the targets' columns do not fit.
        Empty: n = 0 or m = 0 gives a [n, m] tensor.
        """
        if targets.skeleton != self.skeleton:
            raise InvalidValueError(
                f"targets: expected points {', '.join(self.skeleton.names)}, "
                f"got {', '.join(targets.skeleton.names)}, or edges, pairs or sigmas differ"
            )
        # COCO's tool compares points that count from pixel centres with boxes that do not.
        shift = self.xyv.new_tensor([_COCO_SHIFT, _COCO_SHIFT, 0], dtype=torch.float64)
        return ops.object_keypoint_similarity(
            self.xyv.double() - shift,
            targets.xyv.double() - shift,
            areas.double(),
            boxes.xyxy.double(),
            shift.new_tensor(self.skeleton.sigmas),
        )

    def to_coco(self) -> list[list[float]]:
        """Return the "keypoints" list of each instance for COCO annotations or results.

        Returns:
            n lists x1, y1, v1, x2, ...; labelled points lose 0.5, the others are 0, 0, 0.
        Empty: n = 0 gives an empty list.
        """
        shift = self.xyv.new_tensor([_COCO_SHIFT, _COCO_SHIFT, 0], dtype=torch.float64)
        moved = torch.where(self.labelled()[:, :, None], self.xyv.double() - shift, 0)
        rows: list[list[float]] = moved.flatten(1).tolist()
        return rows

    def heatmap_targets(self, boxes: Boxes | RotatedBoxes, side: int) -> tuple[Tensor, Tensor]:
        """Return the cell of a side x side grid over its box that each point falls into.

        Args:
            boxes: n boxes in pixels, horizontal or rotated; in a rotated one columns of the grid
                run along the width.
            side: cells along each axis.
        Returns:
            [n, k] int64 cells and [n, k] bool, True where the point is labelled and in its box;
            see `ops.encode_keypoint_heatmap_targets`.
        Raises:
            ShapeError, DtypeError, DeviceError: the boxes do not fit the points.
            InvalidValueError: `side` is smaller than 1.
        Empty: n = 0 gives two [0, k] tensors.
        """
        if isinstance(boxes, Boxes):
            return ops.encode_keypoint_heatmap_targets(self.xyv, boxes.xyxy, side)
        cxcywha = boxes.cxcywha
        xy = into_own_axes(cxcywha, self.xyv[:, :, :2])
        xyv = torch.cat((xy, self.xyv[:, :, 2:]), dim=2)
        return ops.encode_keypoint_heatmap_targets(xyv, own_boxes(cxcywha), side)

    def scale(self, x: float, y: float) -> Self:
        """Multiply x coordinates by `x` and y coordinates by `y` (both positive)."""
        return self._moved(self.xyv[:, :, 0] * x, self.xyv[:, :, 1] * y)

    def translate(self, dx: float, dy: float) -> Self:
        """Move the points by (dx, dy) pixels."""
        return self._moved(self.xyv[:, :, 0] + dx, self.xyv[:, :, 1] + dy)

    def rotate(self, angle_deg: float, *, center: tuple[float, float]) -> Self:
        """Turn the points counter-clockwise as seen, around a point.

        Args:
            angle_deg: any angle.
            center: (x, y) of the point that stays.
        """
        cos, sin = cos_sin_deg(self.xyv.new_tensor(angle_deg))
        x, y = self.xyv[:, :, 0] - center[0], self.xyv[:, :, 1] - center[1]
        return self._moved(center[0] + x * cos + y * sin, center[1] - x * sin + y * cos)

    def rotate_90(self, quarter_turns: int, size: ImageSize) -> Self:
        """Turn the points with their image, counter-clockwise as seen; exact.

        Args:
            quarter_turns: any int; 1 brings the right side of the image to its top.
            size: of the image before; an odd number of turns exchanges its sides.
        """
        x, y = self.xyv[:, :, 0], self.xyv[:, :, 1]
        turned = (
            (x, y),
            (y, size.width - x),
            (size.width - x, size.height - y),
            (size.height - y, x),
        )
        return self._moved(*turned[quarter_turns % 4])

    def clip_to(self, size: ImageSize) -> Self:
        """Take the label off points outside of an image: they become (0, 0, 0).

        A point cannot be cut as a box is: at the border it would be somewhere else.

        Args:
            size: points in [0, width] x [0, height] stay.
        """
        kept = (self.inside(size) & self.labelled())[:, :, None]
        return type(self)(torch.where(kept, self.xyv, 0), self.skeleton)

    def flip_horizontally(self, size: ImageSize) -> Self:
        """Mirror left and right in an image of this size; left and right points change places."""
        moved = self._moved(size.width - self.xyv[:, :, 0], self.xyv[:, :, 1])
        return moved._with_sides_swapped()

    def flip_vertically(self, size: ImageSize) -> Self:
        """Mirror top and bottom; a mirrored body, so left and right points change places too."""
        moved = self._moved(self.xyv[:, :, 0], size.height - self.xyv[:, :, 1])
        return moved._with_sides_swapped()

    def inside(self, size: ImageSize) -> Tensor:
        """[n, k] bool, True where a point lies in [0, width] x [0, height]."""
        x, y, _ = self.xyv.unbind(2)
        return (x >= 0) & (y >= 0) & (x <= size.width) & (y <= size.height)

    def validated(self, *, where: str = "") -> Self:
        """Return the keypoints when every value is sound.

        Args:
            where: put before the message, for example a file and an image.
        Raises:
            InvalidValueError: a number is not finite, or a v is negative.
        """
        names, xyv = self.skeleton.names, self.xyv

        def report(bad: Tensor, expected: str) -> Callable[[int], str]:
            def describe(row: int) -> str:
                point = int(bad[row].nonzero()[0, 0])
                found = rounded(xyv[row, point])
                return f"keypoints row {row}, {names[point]}: expected {expected}, got {found}"

            return describe

        for bad, expected in (
            (~xyv.isfinite().all(2), "finite x, y, v"),
            (xyv[:, :, 2] < 0, "v >= 0"),
        ):
            fail_at_first(bad.any(1), report(bad, expected), where)
        return self

    def _moved(self, x: Tensor, y: Tensor) -> Self:
        labelled = self.labelled()
        old_x, old_y, v = self.xyv.unbind(2)
        xy = (torch.where(labelled, x, old_x), torch.where(labelled, y, old_y))
        return type(self)(torch.stack((*xy, v), dim=2), self.skeleton)

    def _with_sides_swapped(self) -> Self:
        return type(self)(self.xyv[:, list(self.skeleton.flip_indices())], self.skeleton)
