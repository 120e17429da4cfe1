"""Points in the axes of rotated boxes: along the sides, from the corner that is top left at 0.

Shapes: n boxes, p points of each.
"""

import torch
from torch import Tensor

from geodet.ops._angles import cos_sin_deg

__all__ = ["into_own_axes", "out_of_own_axes", "own_boxes"]


def into_own_axes(cxcywha: Tensor, points: Tensor) -> Tensor:
    """[n, p, 2] points of the image as lengths along width and height of [n, 5] boxes."""
    cx, cy, w, h, angle = (column[:, None] for column in cxcywha.unbind(1))
    cos, sin = cos_sin_deg(angle)
    x, y = points[:, :, 0] - cx, points[:, :, 1] - cy
    return torch.stack((x * cos - y * sin + w / 2, x * sin + y * cos + h / 2), dim=2)


def out_of_own_axes(cxcywha: Tensor, points: Tensor) -> Tensor:
    """Undo `into_own_axes`."""
    cx, cy, w, h, angle = (column[:, None] for column in cxcywha.unbind(1))
    cos, sin = cos_sin_deg(angle)
    u, v = points[:, :, 0] - w / 2, points[:, :, 1] - h / 2
    return torch.stack((cx + u * cos + v * sin, cy - u * sin + v * cos), dim=2)


def own_boxes(cxcywha: Tensor) -> Tensor:
    """[n, 4] xyxy of the boxes in their own axes: from (0, 0) to (w, h)."""
    w, h = cxcywha[:, 2], cxcywha[:, 3]
    zero = torch.zeros_like(w)
    return torch.stack((zero, zero, w, h), dim=1)
