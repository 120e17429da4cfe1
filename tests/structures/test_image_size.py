"""ImageSize: a value type of two whole numbers."""

import numpy as np
import pytest

from geodet import DtypeError, ImageSize, InvalidValueError


def test_sizes_compare_and_hash_by_value():
    """Two sizes with the same sides are the same dictionary key."""
    assert {ImageSize(3, 4): "a"}[ImageSize(3, 4)] == "a"
    assert ImageSize(3, 4) != ImageSize(4, 3)


def test_height_comes_first():
    """Iteration and as_tuple give (height, width), and area is their product."""
    height, width = ImageSize(3, 4)
    assert (height, width) == ImageSize(3, 4).as_tuple() == (3, 4)
    assert ImageSize(3, 4).area == 12


def test_numpy_integers_become_python_ints():
    """Shapes read from arrays are accepted and stored as plain ints."""
    assert type(ImageSize(np.int64(3), np.uint8(4)).width) is int


def test_scaling_rounds_half_up_and_keeps_a_pixel():
    """Sides are floor(side * factor + 0.5), never 0."""
    assert ImageSize(3, 5).scaled_by(0.5) == ImageSize(2, 3)
    assert ImageSize(3, 400).scaled_by(0.01) == ImageSize(1, 4)


@pytest.mark.parametrize("side", [2.0, "2", True, None])
def test_a_side_that_is_no_int_is_refused(side):
    """Floats are not rounded silently, and True is not 1."""
    with pytest.raises(DtypeError, match="ImageSize: expected whole numbers of pixels, got"):
        ImageSize(side, 2)


@pytest.mark.parametrize("sides", [(0, 2), (2, -1)])
def test_an_image_without_pixels_is_refused(sides):
    """Both sides are at least 1."""
    with pytest.raises(InvalidValueError, match=r"expected at least 1 x 1 pixels, got"):
        ImageSize(*sides)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_a_factor_that_is_not_positive_and_finite_is_refused(factor):
    """A scale of 0 or NaN has no size."""
    with pytest.raises(InvalidValueError, match="factor: expected a positive finite number"):
        ImageSize(2, 2).scaled_by(factor)
