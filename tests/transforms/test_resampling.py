"""Pictures at another size, against the libraries whose filters they are made with."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from geodet.errors import DeviceError, DtypeError, ShapeError
from geodet.structures import ImageSize
from geodet.transforms import Resize, resize_image

seeds = st.integers(0, 2**32)
sizes = st.builds(ImageSize, st.integers(1, 24), st.integers(1, 24))


@given(sizes, sizes, st.integers(1, 5), seeds)
def test_bytes_are_resized_as_pillow_resizes_each_channel(make, source, target, channels, seed):
    """Every channel is Pillow's BILINEAR of that channel alone, for any number of channels."""
    image = make.image(np.random.default_rng(seed), source, channels)
    found = Resize(source, target).apply_image(image)
    assert found.dtype == torch.uint8
    assert found.is_contiguous()
    for plane, resized in zip(image, found, strict=True):
        pillow = Image.fromarray(plane.numpy()).resize(
            (target.width, target.height), Image.Resampling.BILINEAR
        )
        assert np.array_equal(np.asarray(pillow), resized.numpy())


def _triangle(old, new):
    """Weights [new, old] of the bilinear filter: a triangle, as wide as a new pixel if larger."""
    ratio = old / new
    centres = (np.arange(new)[:, None] + 0.5) * ratio
    gaps = np.abs(np.arange(old) + 0.5 - centres) / max(ratio, 1.0)
    weights = np.maximum(0.0, 1.0 - gaps)
    return weights / weights.sum(axis=1, keepdims=True)


@given(sizes, sizes, seeds)
@example(ImageSize(5, 4), ImageSize(3, 1), 0)  # torch repeats the first row of such a column
@example(ImageSize(2, 1), ImageSize(3, 1), 0)
@example(ImageSize(3, 2), ImageSize(1, 1), 0)
def test_floats_are_resized_with_the_triangle_filter(make, source, target, seed):
    """Every size, one pixel wide or high included, follows the definition of the filter."""
    image = make.image(np.random.default_rng(seed), source, 2, torch.float64)
    rows, columns = _triangle(source.height, target.height), _triangle(source.width, target.width)
    expected = rows @ image.numpy() @ columns.T
    np.testing.assert_allclose(resize_image(image, target).numpy(), expected, atol=1e-9)


# torchvision shares torch's error in pictures that end up one pixel wide.
@given(
    sizes,
    sizes.filter(lambda size: size.width > 1),
    st.sampled_from([torch.float32, torch.float64]),
    seeds,
)
def test_floats_are_resized_as_torchvision_does(make, source, target, dtype, seed):
    """Floating-point pictures go through the antialiased bilinear filter of torchvision."""
    v2 = pytest.importorskip("torchvision.transforms.v2.functional")
    image = make.image(np.random.default_rng(seed), source, 2, dtype)
    found = resize_image(image, target)
    assert found.dtype == dtype
    torch.testing.assert_close(found, v2.resize(image, list(target), antialias=True))


@given(sizes, sizes, seeds)
def test_bytes_and_floats_agree(make, source, target, seed):
    """The two filters are the same up to Pillow's rounding to bytes, twice."""
    image = make.image(np.random.default_rng(seed), source)
    exact = resize_image(image.double(), target)
    # Pillow rounds after each of its two passes, and its weights to 22 bits.
    assert (resize_image(image, target).double() - exact).abs().max() <= 1.05


@given(sizes, sizes, st.integers(0, 255))
def test_a_flat_picture_stays_flat(source, target, value):
    """Resampling weights sum to one: a picture of one value keeps it exactly."""
    image = torch.full((3, *source), value, dtype=torch.uint8)
    assert (resize_image(image, target) == value).all()


def test_inputs_that_are_not_pictures_are_refused():
    """Other dtypes and ranks are errors that say what to do; no channel gives no channel."""
    with pytest.raises(DtypeError, match="int32"):
        resize_image(torch.zeros(3, 4, 4, dtype=torch.int32), ImageSize(2, 2))
    with pytest.raises(ShapeError, match="image"):
        resize_image(torch.zeros(4, 4, dtype=torch.uint8), ImageSize(2, 2))
    for dtype in (torch.uint8, torch.float32):
        none = torch.zeros((0, 4, 4), dtype=dtype)
        assert resize_image(none, ImageSize(2, 3)).shape == (0, 2, 3)


@pytest.mark.cuda
def test_bytes_on_a_gpu_are_refused_and_floats_resized_there(cuda):
    """Nothing moves to the CPU in silence."""
    image = torch.zeros(3, 4, 4, dtype=torch.uint8, device=cuda)
    with pytest.raises(DeviceError, match=r"\.cpu\(\)"):
        resize_image(image, ImageSize(2, 2))
    assert resize_image(image.float(), ImageSize(2, 2)).device.type == "cuda"
