"""Height and width of an image."""

import math
import operator
from collections.abc import Iterator

import attrs

from geodet.errors import DtypeError, InvalidValueError


def _to_int(value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise DtypeError(
            f"ImageSize: expected whole numbers of pixels, got {type(value).__name__} {value!r}"
        )
    return operator.index(value)


@attrs.frozen
class ImageSize:
    """Size of an image in pixels; compares and hashes by value, iterates as (height, width).

    Args:
        height: rows of pixels, at least 1.
        width: columns of pixels, at least 1.
    Raises:
        DtypeError: a side is not an int.
        InvalidValueError: a side is smaller than 1.
    """

    height: int = attrs.field(converter=_to_int)
    width: int = attrs.field(converter=_to_int)

    def __attrs_post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise InvalidValueError(
                f"ImageSize: expected at least 1 x 1 pixels, got {self.height} x {self.width}"
            )

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    def as_tuple(self) -> tuple[int, int]:
        """Return (height, width)."""
        return self.height, self.width

    def scaled_by(self, factor: float) -> "ImageSize":
        """Return both sides times `factor`, rounded half up, at least 1 pixel each.

        Raises:
            InvalidValueError: `factor` is not a positive finite number.
        """
        if not (factor > 0 and math.isfinite(factor)):
            raise InvalidValueError(f"factor: expected a positive finite number, got {factor}")
        height, width = (max(1, math.floor(side * factor + 0.5)) for side in self)
        return ImageSize(height, width)

    def __iter__(self) -> Iterator[int]:
        return iter((self.height, self.width))
