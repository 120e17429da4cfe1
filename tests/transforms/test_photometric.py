"""Changes of colour: what they do to pictures, and that they do nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.structures import ImageSize
from geodet.transforms import Brightness, Contrast, Identity, Saturation

seeds = st.integers(0, 2**32)
sizes = st.builds(ImageSize, st.integers(1, 12), st.integers(1, 12))
factors = st.floats(0, 2)
kinds = st.sampled_from([Brightness, Contrast, Saturation])


@given(kinds, sizes, factors, seeds)
def test_colours_change_as_in_torchvision(make, kind, size, factor, seed):
    """Floating-point pictures agree with torchvision's adjustments, scaled to 0..255."""
    v2 = pytest.importorskip("torchvision.transforms.v2.functional")
    image = make.image(np.random.default_rng(seed), size, dtype=torch.float64)
    adjust = getattr(v2, f"adjust_{kind.__name__.lower()}")
    expected = adjust(image / 255, factor) * 255
    found = kind(size, factor).apply_image(image)
    # torchvision weighs red by 0.2989 instead of 0.299: up to 0.0255 levels of luma.
    torch.testing.assert_close(found, expected, rtol=0, atol=0.03)


@given(kinds, sizes, factors, seeds)
def test_bytes_are_the_rounded_floats(make, kind, size, factor, seed):
    """A uint8 picture changes as its float32 copy does, rounded to the nearest level."""
    image = make.image(np.random.default_rng(seed), size)
    change = kind(size, factor)
    found = change.apply_image(image)
    assert found.dtype == torch.uint8
    assert torch.equal(found, change.apply_image(image.float()).round().to(torch.uint8))


@given(kinds, sizes, st.integers(1, 3), seeds)
def test_factor_one_changes_no_bit(make, kind, size, channels, seed):
    """Factor 1 hands the picture on."""
    image = make.image(np.random.default_rng(seed), size, channels)
    assert torch.equal(kind(size, 1.0).apply_image(image), image)


@given(kinds, sizes, factors, seeds)
def test_nothing_but_the_picture_changes(make, kind, size, factor, seed):
    """Columns and panoptic maps come out equal, and so the inverse is the identity."""
    rng = np.random.default_rng(seed)
    change, rows = kind(size, factor), make.instances(rng, size, 2)
    panoptic = make.panoptic(rng, size)
    assert change.apply_instances(rows).equal(rows)
    assert torch.equal(change.apply_panoptic(panoptic).ids, panoptic.ids)
    assert change.inverse() == Identity(size)


@given(sizes, factors, seeds)
def test_grey_pictures_have_no_colour_to_change(make, size, factor, seed):
    """Saturation leaves a one-channel picture, and three equal channels up to rounding."""
    grey = make.image(np.random.default_rng(seed), size, 1)
    change = Saturation(size, factor)
    assert torch.equal(change.apply_image(grey), grey)
    assert torch.equal(change.apply_image(grey.expand(3, -1, -1)), grey.expand(3, -1, -1))


def test_bad_factors_and_pictures_are_refused():
    """Negative or infinite factors, integer pictures and odd channel counts are errors."""
    size = ImageSize(2, 2)
    for factor in (-0.1, float("inf"), float("nan")):
        with pytest.raises(InvalidValueError, match="factor"):
            Brightness(size, factor)
    with pytest.raises(DtypeError, match="int16"):
        Brightness(size, 2.0).apply_image(torch.zeros(3, 2, 2, dtype=torch.int16))
    with pytest.raises(ShapeError, match="1 or 3 channels"):
        Saturation(size, 2.0).apply_image(torch.zeros(4, 2, 2))
