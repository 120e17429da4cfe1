"""Panoptic segmentations: masks of segments, mirrors, messages."""

import numpy as np
import pytest
import torch
from hypothesis import given

from geodet import (
    DtypeError,
    ImageSize,
    InvalidValueError,
    PanopticSegmentation,
    Segment,
    ShapeError,
)
from geodet import testing as gt

IDS = torch.tensor([[0, 5, 5], [9, 9, 5]], dtype=torch.int32)
SEGMENTS = (Segment(9, 0, is_thing=True), Segment(5, 2, is_thing=False))


@given(gt.panoptic_segmentations())
def test_masks_of_segments_share_no_pixel(segmentation):
    """One mask a segment, in order; together they cover the pixels that have an id."""
    masks = segmentation.to_bit_masks()
    assert masks.image_size == segmentation.image_size
    assert torch.equal(masks.data.sum(0), (segmentation.ids != 0).long())
    for segment, mask in zip(segmentation.segments, masks.data, strict=True):
        assert bool((segmentation.ids[mask] == segment.id).all())


@given(segmentation=gt.panoptic_segmentations(), size=gt.image_sizes())
def test_geometry_is_that_of_the_masks(segmentation, size):
    """Mirrors and resizing move the map as they move the masks."""
    masks = segmentation.to_bit_masks()
    assert segmentation.flip_horizontally().to_bit_masks().equal(masks.flip_horizontally())
    assert segmentation.flip_vertically().to_bit_masks().equal(masks.flip_vertically())
    assert segmentation.resize(size).to_bit_masks().equal(masks.resize(size))
    assert np.array_equal(segmentation.flip_vertically().ids, np.flipud(segmentation.ids))


def test_a_map_without_segments_is_normal():
    """Every pixel is 0, and there is no mask."""
    none = PanopticSegmentation.empty(ImageSize(2, 3)).validated(num_classes=1)
    assert none.to_bit_masks().data.shape == (0, 2, 3)


def test_metadata_is_checked_at_construction():
    """Dtype, rank, pixels and the type of segments."""
    with pytest.raises(DtypeError, match=r"ids: expected torch\.int32, got torch\.int64"):
        PanopticSegmentation(IDS.long(), SEGMENTS)
    with pytest.raises(ShapeError, match=r"ids: expected \[h, w\], got \[6\]"):
        PanopticSegmentation(IDS.flatten(), SEGMENTS)
    with pytest.raises(ShapeError, match="ids: expected at least one pixel"):
        PanopticSegmentation(IDS[:0], SEGMENTS)
    with pytest.raises(DtypeError, match=r"segments\[0\]: expected Segment, got int"):
        PanopticSegmentation(IDS, [5])


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (SEGMENTS[:1], "ids: expected ids of segments, got 5, which has no segment"),
        ((*SEGMENTS, SEGMENTS[0]), "segments: expected each id once, got id 9 2 times"),
        ((Segment(0, 0, is_thing=True),), "segments[0]: expected an id of at least 1, got 0"),
        ((Segment(1, 3, is_thing=True),), "segments[0]: expected a label in [0, 3), got 3"),
    ],
)
def test_broken_values_name_place_and_number(segments, message):
    """Map and segments must agree."""
    with pytest.raises(InvalidValueError) as caught:
        PanopticSegmentation(IDS, segments).validated(num_classes=3, where="a.png")
    assert str(caught.value) == f"a.png: {message}"
