"""What counts as a picture: files, Pillow images, arrays and tensors, as RGB tensors."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from geodet import _check
from geodet.data.decode import from_pillow, read_image
from geodet.errors import DtypeError, ShapeError

__all__ = ["Picture", "is_picture", "to_tensor"]

Picture: TypeAlias = str | Path | Image.Image | NDArray[np.uint8] | Tensor

_KINDS = (str, Path, Image.Image, np.ndarray, Tensor)
_CHANNELS = 3


def is_picture(value: object) -> bool:
    """Tell whether a value is one picture, and not a list of them."""
    return isinstance(value, _KINDS)


def to_tensor(name: str, picture: object) -> Tensor:
    """Return a picture as uint8 [3, h, w] in RGB order, on the CPU.

    Args:
        name: what messages call it.
        picture: a path; a Pillow image of any mode, turned upright as its EXIF data say, like a
            file; a uint8 RGB array [h, w, 3]; or a uint8 RGB tensor [3, h, w].
    Raises:
        ImageDecodeError: a file or Pillow image does not become 8-bit RGB.
        DtypeError, ShapeError: an array or tensor is not as above, or it is something else.
    """
    if isinstance(picture, str | Path):
        return read_image(Path(picture))
    if isinstance(picture, Image.Image):
        return from_pillow(picture, name=name)
    if isinstance(picture, np.ndarray):
        return _from_array(name, picture)
    if isinstance(picture, Tensor):
        return _from_tensor(name, picture)
    raise DtypeError(
        f"{name}: expected a path, a Pillow image, a uint8 array [h, w, 3] or a uint8 tensor"
        f" [3, h, w], got {type(picture).__name__}"
    )


def _from_array(name: str, array: NDArray[np.uint8]) -> Tensor:
    if array.ndim != _CHANNELS or array.shape[2] != _CHANNELS or 0 in array.shape:
        raise ShapeError(
            f"{name}: expected an RGB array [h, w, 3], got {list(array.shape)};"
            f" {_advice(array.shape, channels_last=True)}"
        )
    if array.dtype != np.uint8:
        raise DtypeError(
            f"{name}: expected a uint8 array of 0..255, got {array.dtype}; convert it on purpose,"
            " for 0..1 with (array * 255).round().astype('uint8')"
        )
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))


def _from_tensor(name: str, tensor: Tensor) -> Tensor:
    if tensor.ndim != _CHANNELS or tensor.shape[0] != _CHANNELS or 0 in tensor.shape:
        raise ShapeError(
            f"{name}: expected an RGB tensor [3, h, w], got {list(tensor.shape)};"
            f" {_advice(tuple(tensor.shape), channels_last=False)}"
        )
    return _check.check_dtype(name, tensor, torch.uint8).cpu()


def _advice(shape: tuple[int, ...], *, channels_last: bool) -> str:
    if len(shape) == _CHANNELS + 1:
        return "pass several pictures as a list"
    if len(shape) == _CHANNELS and 0 not in shape:
        if channels_last and shape[0] == _CHANNELS:
            return "move the channels last with .transpose(1, 2, 0)"
        if not channels_last and shape[2] == _CHANNELS:
            return "move the channels first with .permute(2, 0, 1)"
    return "repeat a grey channel three times, drop alpha, on purpose"
