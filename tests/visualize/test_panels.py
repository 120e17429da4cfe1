"""Panels and files."""

import numpy as np
import pytest
import torch
from PIL import Image

from geodet.errors import InvalidValueError, ShapeError
from geodet.visualize import save_image, side_by_side


def picture(height: int, width: int, value: int) -> torch.Tensor:
    """Picture of one grey value."""
    return torch.full((3, height, width), value, dtype=torch.uint8)


def test_panel_holds_every_picture_unchanged():
    """Pictures stand left to right, aligned at the top, on white."""
    left, right = picture(40, 30, 10), picture(20, 50, 20)
    panel = side_by_side([left, right])

    assert panel.shape[1] == 40
    assert torch.equal(panel[:, :40, :30], left)
    assert torch.equal(panel[:, :20, -50:], right)
    assert (panel[:, 20:, -50:] == 255).all()
    assert (panel[:, :, 30:-50] == 255).all()


def test_titles_go_into_a_strip_of_their_own():
    """Captions are dark on white above the pictures, which stay whole."""
    images = [picture(100, 120, 50), picture(100, 120, 60)]
    panel = side_by_side(images, ["prediction", "ground truth"])
    strip = panel.shape[1] - 100

    assert strip > 0
    assert torch.equal(panel[:, strip:, :120], images[0])
    assert panel[:, :strip, :120].min() < 80
    assert panel[:, :strip, -120:].min() < 80
    assert not torch.equal(panel[:, :strip, :120], panel[:, :strip, -120:])


def test_titles_must_fit_the_pictures():
    """One title per picture, and at least one picture."""
    with pytest.raises(InvalidValueError, match="one per image"):
        side_by_side([picture(4, 4, 0)], ["a", "b"])
    with pytest.raises(InvalidValueError, match="at least one"):
        side_by_side([])
    with pytest.raises(ShapeError, match=r"images\[1\]"):
        side_by_side([picture(4, 4, 0), picture(4, 4, 0)[:1]])


def test_saved_png_is_read_back_bit_for_bit(tmp_path):
    """PNG is lossless, folders are made, channels keep their order."""
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 7, 9), dtype=np.uint8))
    path = tmp_path / "a" / "b.png"
    save_image(image, path)
    with Image.open(path) as file:
        read = np.asarray(file)

    assert (read == image.permute(1, 2, 0).numpy()).all()


def test_unknown_suffix_is_an_error(tmp_path):
    """A name that says no format is refused before anything is written."""
    with pytest.raises(InvalidValueError, match=r"picture\.xyz"):
        save_image(picture(4, 4, 0), tmp_path / "picture.xyz")
    assert not list(tmp_path.iterdir())
