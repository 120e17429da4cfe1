"""Samples and batches: what does not fit together is refused, with the image's name."""

import attrs
import pytest
import torch

from geodet.data.sample import Batch, Sample
from geodet.errors import DataError, DtypeError, InvalidValueError, ShapeError
from geodet.structures import ImageSize, Instances


def sample(height=4, width=6, **changes):
    """A sample without objects."""
    size = ImageSize(height, width)
    values = {
        "image": torch.zeros((3, height, width), dtype=torch.uint8),
        "instances": Instances.empty(size),
        "image_id": 8,
        "source": "x.jpg",
        "original_size": size,
    }
    return Sample(**(values | changes))


def test_truth_may_be_in_pixels_of_the_image_or_of_the_original():
    """Training has truth in the changed image, evaluation in the original one."""
    original = ImageSize(40, 60)
    for size in (ImageSize(4, 6), original):
        assert sample(instances=Instances.empty(size), original_size=original).image_id == 8


def test_truth_of_another_size_is_refused():
    """Objects in pixels of neither size belong to another image: the file is named."""
    with pytest.raises(ShapeError, match=r"instances.*8, x\.jpg.*got .*height=6"):
        sample(instances=Instances.empty(ImageSize(6, 4)))


def test_images_are_bytes_with_channels_first():
    """Floats and missing channels are refused."""
    with pytest.raises(DtypeError, match="uint8"):
        sample(image=torch.zeros(3, 4, 6))
    with pytest.raises(ShapeError, match="image"):
        sample(image=torch.zeros((4, 6), dtype=torch.uint8))


def test_batches_keep_the_order_of_samples():
    """Row i of every field belongs to sample i."""
    batch = Batch.from_samples([sample(4, 6, image_id=1), sample(5, 3, image_id="b")])

    assert len(batch) == 2
    assert batch.image_ids == [1, "b"]
    assert [tuple(image.shape) for image in batch.images] == [(3, 4, 6), (3, 5, 3)]
    assert batch.original_sizes == [ImageSize(4, 6), ImageSize(5, 3)]
    assert batch.to("cpu").image_ids == batch.image_ids
    assert len(Batch.from_samples([])) == 0


def test_batches_refuse_what_does_not_fit():
    """Mixed channel counts name both images; columns of another length are named."""
    gray = sample(image=torch.zeros((1, 4, 6), dtype=torch.uint8), image_id=9)
    with pytest.raises(DataError, match=r"image 9 .* has 1 channels, image 8 .* has 3"):
        Batch.from_samples([sample(), gray])
    with pytest.raises(InvalidValueError, match="image_ids: expected 1 entries"):
        attrs.evolve(Batch.from_samples([sample()]), image_ids=[1, 2])
