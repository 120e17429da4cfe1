"""Pictures at another size: Pillow for bytes, torch for floating point. Shapes: c channels."""

import numpy as np
import torch
from torch import Tensor

from geodet._check import check_shape
from geodet.errors import DeviceError, DtypeError, MissingDependencyError
from geodet.structures import ImageSize

__all__ = ["resize_image"]


def resize_image(image: Tensor, size: ImageSize) -> Tensor:
    """Resample a picture; both filters average when they shrink.

    Args:
        image: [c, h, w]; uint8 goes through Pillow's BILINEAR, the filter that published detectors
            were trained with, floating point through torch's antialiased bilinear filter.
        size: the new size in pixels.
    Returns:
        [c, size.height, size.width] of the same dtype; `image` itself when it has that size.
        Channels never mix: a fourth one is not taken for transparency.
    Raises:
        DtypeError: neither uint8 nor floating point.
        DeviceError: uint8 on a GPU, where Pillow cannot go.
        MissingDependencyError: uint8, and Pillow is not installed.
    Empty: c = 0 gives c = 0.
    """
    check_shape("image", image, "c", "h", "w")
    if image.dtype != torch.uint8 and not image.dtype.is_floating_point:
        raise DtypeError(
            f"image: expected uint8 or floating point, got {image.dtype}; convert with .float()"
        )
    if tuple(image.shape[1:]) == size.as_tuple():
        return image
    if image.shape[0] == 0:
        return image.new_zeros((0, *size))
    if image.dtype == torch.uint8:
        return _resize_bytes(image, size)
    return _resize_floats(image, size)


def _resize_floats(image: Tensor, size: ImageSize) -> Tensor:
    if size.width == 1 and image.shape[1] != size.height:
        # torch's CPU kernel repeats the first row down a picture that ends up one pixel wide
        # (seen in torch 2.15). So the width goes first, and the height is done on two columns.
        column = _resize_floats(image, ImageSize(image.shape[1], 1))
        return _resize_floats(column.expand(-1, -1, 2), ImageSize(size.height, 2))[:, :, :1]
    return torch.nn.functional.interpolate(
        image[None], size=size.as_tuple(), mode="bilinear", align_corners=False, antialias=True
    )[0]


def _resize_bytes(image: Tensor, size: ImageSize) -> Tensor:
    try:
        from PIL import Image  # noqa: PLC0415 - only resizing needs it
    except ImportError as error:
        raise MissingDependencyError(
            "resizing uint8 images needs Pillow; install it with: pip install pillow"
        ) from error
    if image.device.type != "cpu":
        raise DeviceError(
            f"image: uint8 images are resized on the CPU, got {image.device}; "
            "move it with .cpu(), or convert it with .float() to resize where it is"
        )
    columns_rows = (size.width, size.height)
    if image.shape[0] == 3:  # one pass over interleaved channels; the numbers are the same
        interleaved = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        resized = Image.fromarray(interleaved).resize(columns_rows, Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()
    planes = [
        np.array(
            Image.fromarray(np.ascontiguousarray(plane.numpy())).resize(
                columns_rows, Image.Resampling.BILINEAR
            )
        )
        for plane in image
    ]
    return torch.from_numpy(np.stack(planes))
