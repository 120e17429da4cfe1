"""Changes of the colours of a picture; the place of everything stays.

Pictures are in 0..255, as uint8 or floating point, and stay in that range. Bytes are rounded to the
nearest. Coordinates have nothing to undo, so `inverse` is the identity: it does not bring colours
back, which clipping has lost.
"""

import math
from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.transforms.geometric import Identity
from geodet.transforms.transform import Transform

__all__ = ["Brightness", "Contrast", "Saturation"]

# Luma of ITU-R BT.601, as Pillow and torchvision weigh red, green and blue.
_LUMA = (0.299, 0.587, 0.114)


def _check_factor(instance: object, attribute: object, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise InvalidValueError(f"factor: expected a finite number >= 0, got {value}")


@attrs.frozen
class _Blend(Transform):
    """Move every pixel from a dull picture (factor 0) to the given one (1) or beyond.

    Args:
        source: size of the pictures.
        factor: 0 or more; 1 changes nothing, bit for bit.
    """

    factor: float = attrs.field(validator=_check_factor)

    def inverse(self) -> Identity:
        """Return the identity: coordinates do not change, and colours do not come back."""
        return Identity(self.source)

    def _blend(self, image: Tensor, dull: Callable[[Tensor], Tensor | float]) -> Tensor:
        if self.factor == 1:
            return image
        if image.dtype == torch.uint8:
            exact = image.float()
        elif image.dtype.is_floating_point:
            exact = image
        else:
            raise DtypeError(f"image: expected uint8 or floating point, got {image.dtype}")
        changed = (exact * self.factor + dull(exact) * (1 - self.factor)).clamp(0, 255)
        return changed.round().to(torch.uint8) if image.dtype == torch.uint8 else changed


@attrs.frozen
class Brightness(_Blend):
    """Multiply a picture by a factor >= 0; below 1 is darker, above brighter."""

    def _image(self, image: Tensor) -> Tensor:
        return self._blend(image, lambda exact: 0.0)


@attrs.frozen
class Contrast(_Blend):
    """Multiply the distance of every value from the picture's mean luma by a factor >= 0."""

    def _image(self, image: Tensor) -> Tensor:
        return self._blend(image, lambda exact: _luma(exact).mean())


@attrs.frozen
class Saturation(_Blend):
    """Multiply the distance of every pixel from its own luma by a factor >= 0; 0 is grey."""

    def _image(self, image: Tensor) -> Tensor:
        return self._blend(image, _luma)


def _luma(image: Tensor) -> Tensor:
    """[1, h, w] luma of an RGB picture; a picture of one channel is its own."""
    if image.shape[0] == 1:
        return image
    if image.shape[0] != 3:
        raise ShapeError(
            f"image: expected 1 or 3 channels to tell colour from light, got {image.shape[0]}"
        )
    weights = torch.tensor(_LUMA, dtype=image.dtype, device=image.device)
    return (image * weights[:, None, None]).sum(dim=0, keepdim=True)
