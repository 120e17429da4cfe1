"""Other ways to write horizontal boxes, to and from x1, y1, x2, y2. Shapes: n boxes."""

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import ShapeError
from geodet.structures.image_size import ImageSize

__all__ = [
    "corners_of_xyxy",
    "cxcywh_to_xyxy",
    "four_corners",
    "relative_to_xyxy",
    "xywh_to_xyxy",
    "xyxy_around",
    "xyxy_to_relative",
]


def xywh_to_xyxy(xywh: Tensor) -> Tensor:
    """Left, top, width, height to xyxy."""
    _check.check_floating("xywh", _check.check_shape("xywh", xywh, "n", 4))
    return torch.cat((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), dim=1)


def cxcywh_to_xyxy(cxcywh: Tensor) -> Tensor:
    """Centre x, centre y, width, height to xyxy."""
    _check.check_floating("cxcywh", _check.check_shape("cxcywh", cxcywh, "n", 4))
    half = cxcywh[:, 2:] / 2
    return torch.cat((cxcywh[:, :2] - half, cxcywh[:, :2] + half), dim=1)


def relative_to_xyxy(name: str, relative: Tensor, size: ImageSize) -> Tensor:
    """Multiply columns x, y, x, y by the width and height of an image."""
    _check.check_floating(name, _check.check_shape(name, relative, "n", 4))
    return relative * _extent(size, relative)


def xyxy_to_relative(xyxy: Tensor, size: ImageSize) -> Tensor:
    """Divide columns x, y, x, y by the width and height of an image."""
    return xyxy / _extent(size, xyxy)


def corners_of_xyxy(xyxy: Tensor) -> Tensor:
    """[n, 4, 2] corners: top left, top right, bottom right, bottom left."""
    return xyxy[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]


def xyxy_around(corners: Tensor) -> Tensor:
    """Smallest box around four corners, in any order."""
    corners = four_corners(corners)
    return torch.cat((corners.amin(1), corners.amax(1)), dim=1)


def four_corners(corners: Tensor) -> Tensor:
    """Return corners as [n, 4, 2], which may come as eight numbers x1, y1, ... x4, y4.

    Raises:
        DtypeError: not a floating-point tensor.
        ShapeError: neither [n, 4, 2] nor [n, 8].
    """
    if isinstance(corners, Tensor) and corners.ndim == 2 and corners.shape[1] == 8:
        return _check.check_floating("corners", corners).reshape(-1, 4, 2)
    if isinstance(corners, Tensor) and (corners.ndim != 3 or corners.shape[1:] != (4, 2)):
        raise ShapeError(f"corners: expected [n, 4, 2] or [n, 8], got {list(corners.shape)}")
    return _check.check_floating("corners", _check.check_shape("corners", corners, "n", 4, 2))


def _extent(size: ImageSize, like: Tensor) -> Tensor:
    return like.new_tensor([size.width, size.height, size.width, size.height])
