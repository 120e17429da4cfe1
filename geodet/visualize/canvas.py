"""A picture that is drawn on: Pillow for lines and text, NumPy for masks.

Pillow names whole pixels and includes both ends; geodet's coordinates are continuous and
half-open. The change from one to the other happens in this file and nowhere else.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geodet import _check
from geodet.errors import MissingDependencyError
from geodet.visualize.colors import Rgb, readable_on

try:
    from PIL import Image, ImageDraw, ImageFont
except ImportError as error:
    raise MissingDependencyError(
        "geodet.visualize needs Pillow; install it with: pip install 'geodet[train]'"
    ) from error

__all__ = ["Canvas", "caption_font_px", "check_picture", "to_pillow", "writable_suffixes"]

Point = tuple[float, float]


def check_picture(name: str, image: Tensor) -> Tensor:
    """Return `image` when it is uint8 [3, h, w].

    Raises:
        DtypeError, ShapeError: it is not.
    """
    _check.check_dtype(name, _check.check_shape(name, image, 3, "h", "w"), torch.uint8)
    return image


def caption_font_px(height: int, width: int) -> int:
    """Font height in pixels that reads well on an image of this size."""
    return max(10, round(math.sqrt(height * width) / 40))


def to_pillow(image: Tensor) -> Image.Image:
    """Pillow picture of a uint8 [3, h, w] tensor."""
    return Image.fromarray(image.detach().cpu().permute(1, 2, 0).contiguous().numpy())


def writable_suffixes() -> frozenset[str]:
    """Lower-case file name endings that Pillow can write, each with its dot."""
    known = Image.registered_extensions()
    return frozenset(suffix for suffix, kind in known.items() if kind in Image.SAVE)


class Canvas:
    """Mutable copy of an image.

    Args:
        image: uint8 [3, h, w], RGB; left as it is.
    """

    def __init__(self, image: Tensor) -> None:
        check_picture("image", image)
        self._picture = to_pillow(image)
        self._draw = ImageDraw.Draw(self._picture)
        self.height, self.width = image.shape[1:]
        self.font_px = caption_font_px(self.height, self.width)
        self.line_px = max(1, round(math.sqrt(self.height * self.width) / 300))

    def to_tensor(self) -> Tensor:
        """uint8 [3, h, w], RGB."""
        return torch.from_numpy(np.array(self._picture)).permute(2, 0, 1).contiguous()

    def mask(self, mask: NDArray[np.bool_], color: Rgb, *, opacity: float) -> None:
        """Tint the pixels of a [h, w] mask and draw its border in full colour."""
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if len(rows) == 0:
            return
        # Only the part around the mask is touched: most masks are small.
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        left, right = int(columns[0]), int(columns[-1]) + 1
        part = mask[top:bottom, left:right]
        pixels = np.array(self._picture.crop((left, top, right, bottom)))
        tinted = pixels[part] * (1 - opacity) + np.array(color) * opacity
        pixels[part] = np.rint(tinted).astype(np.uint8)
        pixels[_border(part, self.line_px)] = color
        self._picture.paste(Image.fromarray(pixels), (left, top))

    def box(self, xyxy: Sequence[float], color: Rgb) -> None:
        """Outline of a half-open box."""
        x1, y1, x2, y2 = (round(value) for value in xyxy)
        # The last pixel inside [x1, x2) is x2 - 1; a box thinner than a pixel still shows.
        corners = (x1, y1, max(x2 - 1, x1), max(y2 - 1, y1))
        self._draw.rectangle(corners, outline=color, width=self.line_px)

    def polygon(self, points: Sequence[Point], color: Rgb) -> None:
        """Closed outline through the points."""
        for start, end in zip(points, [*points[1:], points[0]], strict=True):
            self.line(start, end, color)

    def line(self, start: Point, end: Point, color: Rgb) -> None:
        """Straight line between two continuous points."""
        ends = [_pixel(start), _pixel(end)]
        self._draw.line(ends, fill=color, width=self.line_px)

    def dot(self, center: Point, color: Rgb) -> None:
        """Filled disc with a rim that stands out on any ground."""
        x, y = _pixel(center)
        radius = self.line_px + 1
        disc = (x - radius, y - radius, x + radius, y + radius)
        self._draw.ellipse(disc, fill=color, outline=readable_on(color))

    def label(self, text: str, corner: Point, color: Rgb) -> None:
        """Text on a filled ground, above `corner` if it fits, below otherwise, never outside."""
        font = ImageFont.load_default(self.font_px)
        left, top, right, bottom = font.getbbox(text)
        pad = max(1, self.font_px // 6)
        width, height = round(right - left) + 2 * pad, round(bottom - top) + 2 * pad
        x, y = _pixel(corner)
        y = y - height if y >= height else y
        x = max(0, min(x, self.width - width))
        y = max(0, min(y, self.height - height))
        self._draw.rectangle((x, y, x + width - 1, y + height - 1), fill=color)
        at = (x + pad - left, y + pad - top)
        self._draw.text(at, text, fill=readable_on(color), font=font)


def _pixel(point: Point) -> tuple[int, int]:
    """Pixel that a continuous point falls into."""
    return int(np.floor(point[0])), int(np.floor(point[1]))


def _border(mask: NDArray[np.bool_], thickness: int) -> NDArray[np.bool_]:
    """Pixels of the mask at most `thickness` steps from its outside."""
    inner = np.pad(mask, 1)
    for _ in range(thickness):
        eroded = inner.copy()
        for axis in (0, 1):
            for step in (-1, 1):
                eroded &= np.roll(inner, step, axis)
        inner = eroded
    return mask & ~inner[1:-1, 1:-1]
