"""Image files as RGB tensors: what happens to each kind of file is decided here, and nowhere else.

| in the file                | in the tensor                                                      |
|----------------------------|--------------------------------------------------------------------|
| 8-bit RGB                  | as stored                                                          |
| gray, 1 bit                | the gray value three times; 1 bit becomes 0 and 255                |
| palette                    | the colours of the palette                                         |
| alpha, transparent colour  | dropped; the colour under it is kept, nothing is laid over a ground |
| CMYK, YCbCr, LAB, HSV      | converted by Pillow, without colour management (LAB: to sRGB)      |
| 16-bit gray                | the high byte, value >> 8: exact for full-range files              |
| 16-bit RGB                 | the high byte, by Pillow                                           |
| 32-bit integer             | as 16-bit gray when all values lie in 0..65535, else an error      |
| floating point             | an error: no range can be guessed                                  |
| several frames or pages    | the first                                                          |
| EXIF orientation           | applied; values other than 1..8 and broken EXIF blocks are ignored |

Dropping alpha is what OpenCV's and Pillow's own conversions to colour do, and what annotators saw
in most tools. Sixteen-bit gray files that use few of their bits (12-bit cameras) come out dark:
stretch them to the full range, or to 8 bits, before training.
"""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from geodet.errors import ImageDecodeError

__all__ = ["exif_orientation", "from_pillow", "read_image"]

_ORIENTATION_TAG = 0x0112
# How stored pixels must be turned to be seen upright, by EXIF orientation (EXIF 2.32, 4.6.4).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow's readers raise on damaged files; anything else is a bug and stays visible.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    NotImplementedError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def read_image(path: str | Path, *, apply_exif: bool = True) -> Tensor:
    """Decode an image file to RGB; the table at the top of the module tells each case.

    Args:
        path: the file; its content decides the format, not its extension.
        apply_exif: turn the image upright as its EXIF orientation says. False gives the pixels
            as stored, for annotations that were made on those.
    Returns:
        uint8 [3, h, w] tensor in RGB order.
    Raises:
        ImageDecodeError: the file is absent, empty, cut short, no image, larger than Pillow's
            limit against decompression bombs, or of a kind with no fixed meaning as 0..255.
    """
    path = Path(path)
    # Pillow warns about things decided above (transparency, broken EXIF, large images).
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as image:
                image.load()
                return _upright(image, path, apply_exif=apply_exif)
        except ImageDecodeError:
            raise
        except _BROKEN as error:
            raise ImageDecodeError(_diagnosis(path, error)) from error


def from_pillow(image: Image.Image, *, name: str = "image", apply_exif: bool = True) -> Tensor:
    """Turn a Pillow image into RGB as `read_image` does with a file.

    Args:
        image: of any mode; it stays as it is.
        name: what messages call it.
        apply_exif: turn it upright as its EXIF orientation says.
    Returns:
        uint8 [3, h, w] tensor in RGB order.
    Raises:
        ImageDecodeError: its pixels cannot be loaded, or have no fixed meaning as 0..255.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image.load()
            return _upright(image, name, apply_exif=apply_exif)
        except ImageDecodeError:
            raise
        except _BROKEN as error:
            raise ImageDecodeError(f"{name}: {type(error).__name__}: {error}") from error


def exif_orientation(path: str | Path) -> int:
    """Return the EXIF orientation of an image file, 1..8; 1 when it has none or a broken one.

    Raises:
        ImageDecodeError: the file is no image.
    """
    path = Path(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as image:
                return _orientation(image)
        except _BROKEN as error:
            raise ImageDecodeError(_diagnosis(path, error)) from error


def _upright(image: Image.Image, name: Path | str, *, apply_exif: bool) -> Tensor:
    """RGB tensor of a loaded image."""
    orientation = _orientation(image) if apply_exif else 1
    rgb = _rgb(image, name)
    if orientation in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[orientation])
    pixels = np.empty((3, rgb.height, rgb.width), dtype=np.uint8)
    pixels[...] = np.asarray(rgb).transpose(2, 0, 1)
    return torch.from_numpy(pixels)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _BROKEN:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _rgb(image: Image.Image, path: Path | str) -> Image.Image:
    mode = image.mode
    if mode == "RGB":
        return image
    if mode == "F":
        low, high = image.getextrema()
        raise ImageDecodeError(
            f"{path}: holds floating-point values ({low:.6g} to {high:.6g}), expected integers; "
            f"no rule says which value is white. Convert it to 8 bits, for example "
            f"numpy.clip(values * 255, 0, 255).astype('uint8') when the range is 0 to 1"
        )
    if mode == "I" or mode.startswith("I;16"):
        return _high_byte(image, path).convert("RGB")
    if mode in ("RGBa", "La"):  # colours multiplied by alpha: undo that first
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[mode])
    elif mode in ("P", "PA"):  # in two steps: Pillow blends nothing, but warns on the short way
        image = image.convert("RGBA")
    return image.convert("RGB")


def _high_byte(image: Image.Image, path: Path | str) -> Image.Image:
    values = np.asarray(image)
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low < 0 or high > 65535:
        raise ImageDecodeError(
            f"{path}: holds 32-bit integers ({low} to {high}), expected 0 to 65535; "
            f"convert it to 8 or 16 bits"
        )
    if 0 < high < 256:
        raise ImageDecodeError(
            f"{path}: holds 16-bit values of at most {high}; 16-bit images are read by their high "
            f"byte, which is 0 everywhere here. Save it with 8 bits, or scale it to 0..65535"
        )
    return Image.fromarray((values >> 8).astype(np.uint8))


def _diagnosis(path: Path, error: BaseException) -> str:
    """Say in one line why `path` did not decode."""
    if isinstance(error, Image.DecompressionBombError):
        cause = str(error).rstrip(".")
        return (
            f"{path}: {cause}. When the file can be trusted, raise PIL.Image.MAX_IMAGE_PIXELS; "
            f"otherwise leave it out"
        )
    if path.is_dir():
        return f"{path}: expected an image file, found a directory"
    if not path.exists():
        return f"{path}: no such file; check the image folder and the file name"
    if isinstance(error, PermissionError):
        return f"{path}: this user may not read the file"
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return f"{path}: the file is empty; fetch it again"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return f"{path}: holds HTML or XML text, not an image (a failed download?); fetch it again"
    if isinstance(error, UnidentifiedImageError):
        return f"{path}: no image format that Pillow knows begins with {start[:8]!r}; damaged?"
    return f"{path}: cannot be decoded ({type(error).__name__}: {error}); fetch or save it again"
