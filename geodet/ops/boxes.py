"""Quantities of single boxes.

Boxes are rows x1, y1, x2, y2 in continuous pixels: width is x2 - x1, nothing is added.
"""

from torch import Tensor

from geodet import _check

__all__ = ["box_area"]


def box_area(xyxy: Tensor) -> Tensor:
    """Area of every box.

    Args:
        xyxy: [n, 4] float, pixels.
    Returns:
        [n] in square pixels; negative where exactly one side is inverted.
    Raises:
        ShapeError, DtypeError: `xyxy` is not a floating-point [n, 4] tensor.
    Empty: n = 0 gives [0].
    """
    _check.check_floating("xyxy", _check.check_shape("xyxy", xyxy, "n", 4))
    return (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
