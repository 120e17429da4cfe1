"""Preprocess: values, order, padding and what it refuses."""

import pytest
import torch

from geodet.errors import CompositionError, DtypeError, InvalidValueError, ShapeError
from geodet.models import Preprocess


def _make(**changes):
    options = {
        "channel_order": "rgb",
        "mean": (1.0, 2.0, 3.0),
        "std": (2.0, 4.0, 5.0),
        "size_divisor": 8,
    }
    return Preprocess(**{**options, **changes})


def test_values_are_normalised_and_padding_is_zero():
    """Each channel is (x - mean) / std; padding comes after that and is exactly 0."""
    image = torch.arange(3 * 5 * 6, dtype=torch.uint8).view(3, 5, 6)
    batch = _make()([image])
    assert batch.tensor.shape == (1, 3, 8, 8)
    assert batch.sizes[0].as_tuple() == (5, 6)
    mean, std = torch.tensor([1.0, 2, 3]).view(3, 1, 1), torch.tensor([2.0, 4, 5]).view(3, 1, 1)
    torch.testing.assert_close(batch.tensor[0, :, :5, :6], (image.float() - mean) / std)
    assert not batch.tensor[0, :, 5:].any()
    assert not batch.tensor[0, :, :, 6:].any()


def test_bgr_swaps_channels_before_mean_and_std():
    """Images are RGB always; a BGR network's mean belongs to blue first."""
    image = torch.tensor([10, 20, 30], dtype=torch.uint8).view(3, 1, 1).expand(3, 4, 4)
    batch = _make(channel_order="bgr")([image])
    assert batch.tensor[0, :, 0, 0].tolist() == [14.5, 4.5, pytest.approx(1.4)]


def test_batch_is_padded_to_the_largest_image_and_square_on_request():
    """One common size, a multiple of the divisor; square takes the longer side."""
    images = [torch.zeros(3, 5, 20, dtype=torch.uint8), torch.zeros(3, 9, 3, dtype=torch.uint8)]
    assert _make()(images).tensor.shape == (2, 3, 16, 24)
    assert _make(square=True)(images).tensor.shape == (2, 3, 24, 24)


def test_fixed_square_is_one_size_for_every_batch():
    """Small batches are padded to the same square as large ones; true sizes stay."""
    preprocess = _make(square_side=24)
    small = preprocess([torch.full((3, 5, 20), 9, dtype=torch.uint8)])
    large = preprocess([torch.zeros(3, 24, 3, dtype=torch.uint8) for _ in range(2)])
    assert small.tensor.shape == (1, 3, 24, 24)
    assert large.tensor.shape == (2, 3, 24, 24)
    assert small.sizes[0].as_tuple() == (5, 20)
    assert not small.tensor[0, :, 5:].any()
    assert not small.tensor[0, :, :, 20:].any()


@pytest.mark.parametrize("size", [(25, 3), (3, 25)])
def test_image_larger_than_the_fixed_square_is_refused_and_never_cropped(size):
    """Detectron2 pads such an image by a negative amount, which cuts it off without a word."""
    images = [torch.zeros(3, 24, 24, dtype=torch.uint8), torch.zeros(3, *size, dtype=torch.uint8)]
    with pytest.raises(ShapeError, match=r"images\[1\].*24 x 24.*square_side=24.*resize it first"):
        _make(square_side=24)(images)


def test_sizes_to_resize_to_are_told_and_not_applied():
    """Whoever reads images asks for them; the module itself takes images as they come."""
    preprocess = _make(short_edge=800, max_long_edge=1333)
    assert (preprocess.short_edge, preprocess.max_long_edge) == (800, 1333)
    assert preprocess([torch.zeros(3, 8, 16, dtype=torch.uint8)]).tensor.shape == (1, 3, 8, 16)
    assert (_make().short_edge, _make().max_long_edge) == (None, None)


def test_float_images_of_0_to_255_equal_uint8_ones():
    """A float image with the same numbers gives the same batch."""
    image = torch.randint(0, 256, (3, 7, 9), generator=torch.Generator().manual_seed(0))
    as_uint8, as_float = (_make()([image.to(t)]) for t in (torch.uint8, torch.float64))
    assert torch.equal(as_uint8.tensor, as_float.tensor)


def test_black_float_image_and_slight_overshoot_are_fine():
    """All zeros is a black image, and interpolation may leave 0..255 by a little."""
    _make()([torch.zeros(3, 4, 4)])
    _make()([torch.tensor([-20.0, 270.0]).view(1, 2, 1).expand(3, 2, 2)])


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (torch.rand(3, 4, 4), InvalidValueError, r"images\[1\].*look like 0..1.*multiply by 255"),
        (torch.full((3, 4, 4), 4000.0), InvalidValueError, r"images\[1\].*far outside 0..255"),
        (torch.full((3, 4, 4), -200.0), InvalidValueError, r"images\[1\].*far outside 0..255"),
        (torch.full((3, 4, 4), torch.nan), InvalidValueError, r"images\[1\].*NaN"),
        (torch.full((3, 4, 4), torch.inf), InvalidValueError, r"images\[1\].*infinite"),
        (torch.ones(3, 4, 4, dtype=torch.int16), DtypeError, r"images\[1\].*int16.*257"),
        (torch.ones(3, 4, 4, dtype=torch.int32), DtypeError, r"images\[1\].*int32"),
        (torch.ones(3, 4, 4, dtype=torch.uint16), DtypeError, r"images\[1\].*uint16"),
        (torch.ones(3, 4, 4, dtype=torch.bool), DtypeError, r"images\[1\].*bool"),
        (torch.zeros(1, 4, 4, dtype=torch.uint8), ShapeError, r"images\[1\].*3 channels, got 1"),
        (torch.zeros(4, 4, dtype=torch.uint8), ShapeError, r"images\[1\].*\[c, h, w\]"),
        (torch.zeros(3, 0, 4, dtype=torch.uint8), ShapeError, r"images\[1\].*empty"),
    ],
)
def test_wrong_image_is_named_by_position(image, error, message):
    """An image of another range, dtype or shape is refused, and the message says which."""
    with pytest.raises(error, match=message):
        _make()([torch.zeros(3, 4, 4, dtype=torch.uint8), image])


def test_no_images_is_an_error():
    """There is no batch of nothing."""
    with pytest.raises(ShapeError, match="at least one image"):
        _make()([])


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": (1.0,)},
        {"channel_order": "gbr"},
        {"channel_order": "bgr", "mean": (1.0,), "std": (1.0,)},
        {"std": (1.0, 0.0, 1.0)},
        {"size_divisor": 0},
        {"mean": (), "std": ()},
        {"short_edge": 0},
        {"square_side": -8},
        {"max_long_edge": 100},
        {"short_edge": 800, "max_long_edge": 600},
        {"square_side": 20},
        {"square_side": 24, "square": True},
        {"square_side": 24, "short_edge": 24},
        {"square_side": 24, "short_edge": 16, "max_long_edge": 32},
    ],
)
def test_numbers_that_do_not_fit_fail_at_construction(changes):
    """Wrong counts, orders and scales are found before the first image."""
    with pytest.raises(CompositionError, match="Preprocess"):
        _make(**changes)


def test_it_has_no_weights_to_save():
    """Mean and std describe the model; checkpoints of others do not hold them."""
    assert not _make().state_dict()
