"""Other ways to write rotated boxes, to and from cx, cy, w, h, angle in degrees.

The stored angle counts counter-clockwise as seen on the screen. Most other conventions count
clockwise, and name a region once: they exchange width and height or turn by 180 degrees until the
angle falls in their range. That keeps the region and loses the orientation. Shapes: n boxes.
"""

import torch
from torch import Tensor

from geodet import _check
from geodet.structures._box_formats import four_corners

__all__ = [
    "acute_angles",
    "fitted_to_corners",
    "long_edges",
    "negated_angles",
    "with_angles",
    "wrapped_angles",
    "xywhr_to_cxcywha",
]


def wrapped_angles(angle_deg: Tensor, start_deg: float, period_deg: float) -> Tensor:
    """Bring angles to [start, start + period) by whole periods."""
    wrapped = torch.remainder(angle_deg - start_deg, period_deg) + start_deg
    # An angle just below start is rounded up to the end of the range.
    return torch.where(wrapped >= start_deg + period_deg, wrapped - period_deg, wrapped)


def with_angles(boxes: Tensor, angle: Tensor) -> Tensor:
    """[n, 5] boxes with another last column."""
    return torch.cat((boxes[:, :4], angle[:, None]), dim=1)


def negated_angles(name: str, boxes: Tensor, *, radians: bool) -> Tensor:
    """Read boxes whose angle counts clockwise."""
    _check.check_floating(name, _check.check_shape(name, boxes, "n", 5))
    angle = torch.rad2deg(boxes[:, 4]) if radians else boxes[:, 4]
    return with_angles(boxes, -angle)


def long_edges(cxcywha: Tensor, start_deg: float) -> Tensor:
    """Regions with w >= h and a clockwise angle in [start, start + 180).

    Squares keep width and height where they are.
    """
    cx, cy, w, h, angle = cxcywha.unbind(1)
    swap = w < h
    clockwise = wrapped_angles(torch.where(swap, 90 - angle, -angle), start_deg, 180)
    sides = torch.where(swap, h, w), torch.where(swap, w, h)
    return torch.stack((cx, cy, *sides, clockwise), dim=1)


def acute_angles(cxcywha: Tensor, *, negative: bool) -> Tensor:
    """Regions with a clockwise angle in [-90, 0), or in (0, 90], whichever side is the longer."""
    cx, cy, w, h, angle = cxcywha.unbind(1)
    turned = wrapped_angles(-angle, -90, 90) if negative else -wrapped_angles(angle, -90, 90)
    swap = torch.remainder(torch.round((turned + angle) / 90), 2) == 1
    sides = torch.where(swap, h, w), torch.where(swap, w, h)
    return torch.stack((cx, cy, *sides, turned), dim=1)


def xywhr_to_cxcywha(xywhr: Tensor, half_diagonal: Tensor) -> Tensor:
    """Read boxes whose first two numbers are the corner that is top left at angle 0.

    Args:
        xywhr: [n, 5] corner, width, height, angle.
        half_diagonal: [n, 2] from the centre to that corner.
    """
    return torch.cat((xywhr[:, :2] - half_diagonal, xywhr[:, 2:]), dim=1)


def fitted_to_corners(corners: Tensor) -> Tensor:
    """Rotated boxes from their four corners in order around them.

    The first corner is the one that is top left at angle 0. The others may follow clockwise or
    counter-clockwise. Exact for rectangles; of another quadrilateral the result has the mean
    of the corners, the mean side vectors and the mean direction.
    """
    corners = four_corners(corners)
    first, second, third, fourth = corners.unbind(1)
    along = (second - first + third - fourth) / 2
    down = (fourth - first + third - second) / 2
    # With y down, width to height turns clockwise as seen where this is positive.
    backwards = along[:, :1] * down[:, 1:] - along[:, 1:] * down[:, :1] < 0
    along, down = torch.where(backwards, down, along), torch.where(backwards, along, down)
    # Both sides say where the width points, so that boxes without width have an angle too.
    direction = along + torch.stack((down[:, 1], -down[:, 0]), dim=1)
    angle = torch.rad2deg(torch.atan2(-direction[:, 1:], direction[:, :1]))
    sides = along.norm(dim=1, keepdim=True), down.norm(dim=1, keepdim=True)
    return torch.cat((corners.mean(1), *sides, angle), dim=1)
