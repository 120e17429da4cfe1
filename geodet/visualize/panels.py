"""Several pictures in one, and pictures on disk."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from geodet.errors import InvalidValueError
from geodet.visualize.canvas import (
    Canvas,
    caption_font_px,
    check_picture,
    to_pillow,
    writable_suffixes,
)

__all__ = ["save_image", "side_by_side"]

_GROUND = 255


def side_by_side(images: Sequence[Tensor], titles: Sequence[str] = ()) -> Tensor:
    """Set pictures beside each other, such as prediction and ground truth.

    Args:
        images: k pictures, uint8 [3, h, w], of any sizes; they are aligned at the top.
        titles: k captions that go above them, or none.
    Returns:
        uint8 [3, H, W], white where nothing is.
    Raises:
        InvalidValueError: no image, or not one title per image.
        DtypeError, ShapeError: an image is not uint8 [3, h, w].
    """
    if not images:
        raise InvalidValueError("images: expected at least one")
    if titles and len(titles) != len(images):
        raise InvalidValueError(
            f"titles: expected one per image ({len(images)}) or none, got {len(titles)}"
        )
    images = [check_picture(f"images[{i}]", image).cpu() for i, image in enumerate(images)]
    height = max(image.shape[1] for image in images)
    font_px = caption_font_px(height, max(image.shape[2] for image in images))
    strip = 2 * font_px if titles else 0
    gap = max(2, font_px // 2)
    width = sum(image.shape[2] for image in images) + gap * (len(images) - 1)
    panel = torch.full((3, strip + height, width), _GROUND, dtype=torch.uint8)
    left = 0
    for index, image in enumerate(images):
        right = left + image.shape[2]
        if titles:
            panel[:, :strip, left:right] = _caption(titles[index], strip, right - left, font_px)
        panel[:, strip : strip + image.shape[1], left:right] = image
        left = right + gap
    return panel


def _caption(text: str, height: int, width: int, font_px: int) -> Tensor:
    """Black text on white, uint8 [3, height, width]; text that is too long is cut."""
    canvas = Canvas(torch.full((3, height, width), _GROUND, dtype=torch.uint8))
    canvas.font_px = font_px
    canvas.label(text, (0.0, float((height - font_px) // 4)), (_GROUND, _GROUND, _GROUND))
    return canvas.to_tensor()


def save_image(image: Tensor, path: str | Path) -> None:
    """Write a picture; the suffix chooses the format, folders are made.

    Args:
        image: uint8 [3, h, w], RGB.
        path: for example runs/x/pictures/0001.png.
    Raises:
        DtypeError, ShapeError: the image is not uint8 [3, h, w].
        InvalidValueError: Pillow cannot write files with this suffix.
    """
    check_picture("image", image)
    path = Path(path)
    if path.suffix.lower() not in writable_suffixes():
        raise InvalidValueError(f"path: no image format is known by the suffix of {path.name!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    to_pillow(image).save(path)
