"""Other ways to write rotated boxes, as methods. Shapes: n boxes, p points."""

from abc import abstractmethod
from typing import Self

import torch
from torch import Tensor

from geodet import _check, ops
from geodet.ops._angles import corners_of, offsets_of_corners
from geodet.structures import _angle_conventions as conventions
from geodet.structures._table import Table


class RotatedFormats(Table):
    """What `RotatedBoxes` converts from and to; docs/conventions.md draws the angles.

    Abstract: the final class stores `cxcywha` [n, 5] and says how it is made.
    """

    __slots__ = ()

    cxcywha: Tensor

    @classmethod
    @abstractmethod
    def _of(cls, cxcywha: Tensor) -> Self:
        """Call the constructor."""

    @classmethod
    def from_radians(cls, cxcywhr: Tensor) -> Self:
        """Make boxes whose angle is given in radians, counter-clockwise as seen.

        Args:
            cxcywhr: [n, 5] floating point.
        """
        _check.check_floating("cxcywhr", _check.check_shape("cxcywhr", cxcywhr, "n", 5))
        return cls._of(conventions.with_angles(cxcywhr, torch.rad2deg(cxcywhr[:, 4])))

    @classmethod
    def from_radians_clockwise(cls, cxcywhr: Tensor) -> Self:
        """Make boxes whose angle is given in radians, clockwise as seen.

        Reads MMRotate's le90, le135 and oc, and Ultralytics' xywhr alike.

        Args:
            cxcywhr: [n, 5] floating point.
        """
        return cls._of(conventions.negated_angles("cxcywhr", cxcywhr, radians=True))

    @classmethod
    def from_opencv(cls, cxcywha: Tensor) -> Self:
        """Make boxes from OpenCV's RotatedRect, what minAreaRect gives: degrees, clockwise.

        Args:
            cxcywha: [n, 5] floating point, of any version of OpenCV: its ((cx, cy), (w, h), angle)
                flattened, `torch.tensor([[*center, *sides, angle] for center, sides, angle in r])`.
        """
        return cls._of(conventions.negated_angles("cxcywha", cxcywha, radians=False))

    @classmethod
    def from_xywhr(cls, xywhr: Tensor) -> Self:
        """Make boxes from torchvision's XYWHR: turned top left corner, size, angle in degrees.

        Args:
            xywhr: [n, 5] floating point; the corner is the one that is top left at angle 0, where
                it lies after turning; the angle counts counter-clockwise.
        """
        _check.check_floating("xywhr", _check.check_shape("xywhr", xywhr, "n", 5))
        return cls._of(conventions.xywhr_to_cxcywha(xywhr, offsets_of_corners(xywhr)[:, 0]))

    @classmethod
    def from_corners(cls, corners: Tensor) -> Self:
        """Make boxes from their four corners in order around them, either way round.

        Exact for rectangles. Of another quadrilateral the result has the mean of the corners, of
        the side vectors and of their direction; `from_polygons` gives the smallest box around it.

        Args:
            corners: [n, 4, 2] or [n, 8] floating point, as DOTA and torchvision's XYXYXYXY store
                them. The first is the corner that is top left at angle 0: it sets the top.
        """
        return cls._of(conventions.fitted_to_corners(corners))

    @classmethod
    def from_points(cls, points: Tensor, offsets: Tensor) -> Self:
        """Make the box of the smallest area around every set of points.

        Args:
            points: [p, 2] floating point as (x, y), on the CPU; computed in float64.
            offsets: [n + 1] int64: set i is points[offsets[i] : offsets[i + 1]].
        Raises:
            ShapeError, DtypeError, InvalidValueError, BackendError: see
                `ops.min_area_rectangles`, which also tells about empty sets and ties.
        """
        _check.check_floating("points", _check.check_shape("points", points, "p", 2))
        return cls._of(ops.min_area_rectangles(points.double(), offsets).to(points.dtype))

    @classmethod
    def from_polygons(cls, corners: Tensor) -> Self:
        """Make the box of the smallest area around every polygon of k corners.

        Args:
            corners: [n, k, 2] floating point as (x, y), on the CPU.
        """
        _check.check_floating("corners", _check.check_shape("corners", corners, "n", "k", 2))
        n, k = corners.shape[:2]
        return cls.from_points(corners.reshape(-1, 2), torch.arange(n + 1) * k)

    def corners(self) -> Tensor:
        """[n, 4, 2] corners as (x, y): top left, top right, bottom right, bottom left at angle 0.

        In this order they run clockwise as seen on the screen, at every angle.
        `corners().flatten(1)` is torchvision's XYXYXYXY.
        """
        return corners_of(self.cxcywha)

    def to_radians(self) -> Tensor:
        """[n, 5] with the angle in radians, counter-clockwise."""
        return conventions.with_angles(self.cxcywha, torch.deg2rad(self.cxcywha[:, 4]))

    def to_radians_clockwise(self) -> Tensor:
        """[n, 5] with the angle in radians, clockwise; orientation kept."""
        return conventions.with_angles(self.cxcywha, -torch.deg2rad(self.cxcywha[:, 4]))

    def to_xywhr(self) -> Tensor:
        """[n, 5] torchvision's XYWHR: the turned top left corner, width, height, angle."""
        return torch.cat((self.corners()[:, 0], self.cxcywha[:, 2:]), dim=1)

    def to_le90(self) -> Tensor:
        """[n, 5] MMRotate's le90: w >= h, radians clockwise in [-pi/2, pi/2); region kept."""
        return _in_radians(conventions.long_edges(self.cxcywha, -90))

    def to_le135(self) -> Tensor:
        """[n, 5] MMRotate's le135: w >= h, radians clockwise in [-pi/4, 3 pi/4); region kept."""
        return _in_radians(conventions.long_edges(self.cxcywha, -45))

    def to_oc(self) -> Tensor:
        """[n, 5] MMRotate's oc: radians clockwise in (0, pi/2], any side longer; region kept.

        Its version 1 has an oc in [-pi/2, 0) as well: `to_opencv`, in radians.
        """
        return _in_radians(conventions.acute_angles(self.cxcywha, negative=False))

    def to_opencv(self) -> Tensor:
        """[n, 5] as minAreaRect before 4.5.1 and from 4.13 on: degrees clockwise in [-90, 0)."""
        return conventions.acute_angles(self.cxcywha, negative=True)

    def to_opencv_positive(self) -> Tensor:
        """[n, 5] as minAreaRect of OpenCV 4.5.1 to 4.12: degrees clockwise in (0, 90]."""
        return conventions.acute_angles(self.cxcywha, negative=False)


def _in_radians(boxes: Tensor) -> Tensor:
    return conventions.with_angles(boxes, torch.deg2rad(boxes[:, 4]))
