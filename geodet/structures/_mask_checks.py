"""Checks of arguments that all kinds of masks take."""

from typing import TYPE_CHECKING

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.structures.image_size import ImageSize

if TYPE_CHECKING:
    from geodet.structures.masks import Masks


def check_same_image(masks: "Masks", other: object) -> None:
    """Check that `other` is of the same kind and of the same image size as `masks`.

    Raises:
        DtypeError: it is of another kind.
        ShapeError: its image size differs.
    """
    if not isinstance(other, type(masks)):
        raise DtypeError(
            f"other: expected {type(masks).__name__}, got {type(other).__name__}; convert one"
        )
    if other.image_size != masks.image_size:
        raise ShapeError(f"other: expected masks of {masks.image_size}, got {other.image_size}")


def check_window(xyxy: tuple[int, int, int, int], image_size: ImageSize) -> ImageSize:
    """Return the size of a window of whole pixels inside an image.

    Raises:
        InvalidValueError: the window is empty or not inside the image.
    """
    x1, y1, x2, y2 = xyxy
    height, width = image_size
    if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
        raise InvalidValueError(
            f"xyxy: expected a window inside {width} x {height} (width x height), got {xyxy}"
        )
    return ImageSize(y2 - y1, x2 - x1)


def check_padding(left: int, top: int, right: int, bottom: int, image_size: ImageSize) -> ImageSize:
    """Return the size of an image with so many pixels more on each side.

    Raises:
        InvalidValueError: a number is negative.
    """
    if min(left, top, right, bottom) < 0:
        raise InvalidValueError(
            f"pad: expected left, top, right, bottom of 0 or more pixels, "
            f"got {(left, top, right, bottom)}; crop makes an image smaller"
        )
    return ImageSize(top + image_size.height + bottom, left + image_size.width + right)
