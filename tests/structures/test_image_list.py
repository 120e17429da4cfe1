"""ImageList: padding at the right and bottom, and messages that name the odd image."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet import DtypeError, ImageList, ImageSize, InvalidValueError, ShapeError
from geodet import testing as gt


def images():
    """Two images of different sizes, each of one value."""
    return [torch.full((3, 4, 7), 1.0), torch.full((3, 6, 2), 2.0)]


def test_images_come_back_unpadded():
    """Each image is a view of its own pixels."""
    batch = ImageList.from_images(images(), size_divisor=4, pad_value=-1.0)
    assert batch.tensor.shape == (2, 3, 8, 8)
    assert batch.sizes == (ImageSize(4, 7), ImageSize(6, 2))
    for image, got in zip(images(), batch, strict=True):
        assert torch.equal(image, got)
        assert got.untyped_storage().data_ptr() == batch.tensor.untyped_storage().data_ptr()


def test_the_padding_mask_marks_exactly_the_padding():
    """Where the mask is False the images are, and nowhere else."""
    batch = ImageList.from_images(images(), size_divisor=4, pad_value=-1.0)
    assert torch.equal(batch.padding_mask(), (batch.tensor == -1).all(1))


def test_no_padding_is_added_without_need():
    """Equal sizes and divisor 1 give the stacked images."""
    alike = [torch.rand(2, 3, 5) for _ in range(3)]
    assert torch.equal(ImageList.from_images(alike).tensor, torch.stack(alike))


def test_square_padding_takes_the_longest_side():
    """A larger single image is never cut."""
    batch = ImageList.from_images(images(), square=True, size_divisor=5)
    assert batch.tensor.shape == (2, 3, 10, 10)


def test_small_batches_can_have_the_size_of_large_ones():
    """A least size fixes the shape; a larger image still fits."""
    batch = ImageList.from_images(images(), min_size=ImageSize(16, 5), size_divisor=4)
    assert batch.padded_size == ImageSize(16, 8)
    assert batch.sizes == (ImageSize(4, 7), ImageSize(6, 2))


@given(batch=gt.image_lists(), data=st.data())
def test_selections_agree_with_lists(batch, data):
    """Slices, masks and positions select images and sizes together; an int is one image."""
    index = data.draw(gt.row_indices(rows=len(batch)))
    if isinstance(index, int):
        assert torch.equal(batch[index], list(batch)[index])
        return
    chosen = batch[index]
    everything = np.arange(len(batch))
    rows = everything[index if isinstance(index, slice) else index.numpy()].tolist()
    assert chosen.sizes == tuple(batch.sizes[row] for row in rows)
    assert torch.equal(chosen.tensor, batch.tensor[rows])


@given(gt.image_lists())
def test_maps_are_cut_like_their_images(batch):
    """Per-pixel maps with any dimensions between lose the padding of their image."""
    for one, image in zip(batch.unpad(), batch, strict=True):
        assert torch.equal(one, image)
    outside = [cut.any() for cut in batch.unpad(batch.padding_mask())]
    assert not any(outside)
    with pytest.raises(ShapeError, match=r"maps: expected \["):
        batch.unpad(batch.tensor[:, :, 1:])


def test_the_dtype_of_the_images_is_kept():
    """Raw bytes stay raw bytes."""
    assert (
        ImageList.from_images([torch.zeros(1, 2, 2, dtype=torch.uint8)]).tensor.dtype == torch.uint8
    )


def test_mixed_channel_counts_name_the_image():
    """A gray image among RGB ones is called by its position."""
    with pytest.raises(ShapeError, match=r"images\[1\]: expected 3 channels as images\[0\] has"):
        ImageList.from_images([torch.zeros(3, 2, 2), torch.zeros(1, 2, 2)])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], ShapeError, "images: expected at least one image, got none"),
        ([torch.zeros(2, 2)], ShapeError, r"images\[0\]: expected \[c, h, w\], got \[2, 2\]"),
        ([torch.zeros(3, 0, 2)], ShapeError, r"images\[0\]: expected at least one pixel"),
        (
            [torch.zeros(3, 2, 2), torch.zeros(3, 2, 2, dtype=torch.uint8)],
            DtypeError,
            r"images\[1\]: expected torch.float32 as images\[0\], got torch.uint8",
        ),
    ],
)
def test_images_that_cannot_share_a_tensor_are_refused(given, error, message):
    """The message names the image and both sides of the difference."""
    with pytest.raises(error, match=message):
        ImageList.from_images(given)


def test_wrong_arguments_are_refused():
    """A divisor of 0, a missing size, a size beyond the batch and a tuple for a size are errors."""
    with pytest.raises(InvalidValueError, match="size_divisor: expected at least 1, got 0"):
        ImageList.from_images(images(), size_divisor=0)
    with pytest.raises(ShapeError, match="sizes: expected 1 rows"):
        ImageList(torch.zeros(1, 3, 2, 2), ())
    with pytest.raises(ShapeError, match=r"sizes\[0\]: expected at most 2 x 2"):
        ImageList(torch.zeros(1, 3, 2, 2), (ImageSize(3, 2),))
    with pytest.raises(DtypeError, match=r"sizes\[0\]: expected ImageSize"):
        ImageList(torch.zeros(1, 3, 2, 2), ((2, 2),))
    with pytest.raises(IndexError, match="image 2 is out of range for 2 images"):
        ImageList.from_images(images())[2]


@given(batch=gt.image_lists(), cut=st.integers(0, 8))
def test_batches_that_are_cut_and_joined_come_back(batch, cut):
    """Joining keeps images, sizes and the padded size; all padding holds the value asked for."""
    joined = ImageList.cat([batch[:cut], batch[cut:]], pad_value=7.0)

    assert joined.sizes == batch.sizes
    assert joined.tensor.shape == batch.tensor.shape
    assert all(torch.equal(a, b) for a, b in zip(joined, batch, strict=True))
    padding = joined.tensor.movedim(1, -1)[joined.padding_mask()]
    assert (padding == 7).all()


def test_joined_batches_take_the_largest_padded_size():
    """Smaller batches are padded further; one without images counts with its size."""
    small, large = ImageList.from_images(images()[:1]), ImageList.from_images(images()[1:])

    joined = ImageList.cat([small, large, ImageList.empty()])

    assert joined.tensor.shape == (2, 3, 6, 7)
    assert joined.padding_mask().sum() == 2 * 6 * 7 - 4 * 7 - 6 * 2
    assert ImageList.cat([ImageList.empty(channels=4)]).tensor.shape == (0, 4, 0, 0)


def test_batches_that_do_not_fit_are_named():
    """Nothing at all, and mixed channel counts or dtypes, are errors."""
    with pytest.raises(ShapeError, match="expected at least one batch"):
        ImageList.cat([])
    with pytest.raises(ShapeError, match=r"batches\[1\]: expected 3 channels as batches\[0\]"):
        ImageList.cat([ImageList.empty(), ImageList.empty(channels=1)])
    with pytest.raises(DtypeError, match=r"batches\[1\]: expected torch.float32"):
        ImageList.cat([ImageList.empty(), ImageList.empty(dtype=torch.float64)])
