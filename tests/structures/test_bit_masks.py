"""Bit masks against torchvision and pycocotools, and their messages."""

import numpy as np
import pytest
import torch
from hypothesis import given

from geodet import BitMasks, Boxes, DtypeError, ImageSize, InvalidValueError, Masks, ShapeError
from geodet import testing as gt


@given(gt.bit_masks())
def test_boxes_agree_with_torchvision(masks):
    """Tight boxes are torchvision's plus the far edge of the last pixel; empty gives zeros."""
    ops = pytest.importorskip("torchvision.ops")
    some = masks.data.any(2).any(1)
    expected = torch.zeros(len(masks), 4)
    if bool(some.any()):
        edge = torch.tensor([0.0, 0.0, 1.0, 1.0])
        expected[some] = ops.masks_to_boxes(masks.data[some]) + edge
    assert torch.equal(masks.boxes().xyxy, expected)


@given(gt.bit_masks())
def test_area_agrees_with_numpy(masks):
    """Area counts pixels."""
    assert masks.area().tolist() == [int(np.count_nonzero(mask)) for mask in masks.data.numpy()]


@given(masks=gt.bit_masks(), size=gt.image_sizes())
def test_resizing_agrees_with_torch(masks, size):
    """Nearest at pixel centres is torch's nearest-exact, up to its rounding of single precision."""
    resized = masks.resize(size)
    assert resized.image_size == size
    old = masks.image_size
    y = [int((i + 0.5) * old.height / size.height) for i in range(size.height)]
    x = [int((i + 0.5) * old.width / size.width) for i in range(size.width)]
    assert torch.equal(resized.data, masks.data[:, y][:, :, x])
    assert masks.resize(old).equal(masks)


@given(masks=gt.bit_masks())
def test_mirrors_agree_with_numpy(masks):
    """Mirrors are numpy's fliplr and flipud of each mask."""
    for mask, across, down in zip(
        masks.data.numpy(),
        masks.flip_horizontally().data.numpy(),
        masks.flip_vertically().data.numpy(),
        strict=True,
    ):
        assert np.array_equal(across, np.fliplr(mask))
        assert np.array_equal(down, np.flipud(mask))


@given(gt.bit_masks())
def test_mirrored_masks_have_mirrored_boxes(masks):
    """Box of the mirror is mirror of the box, for masks with pixels."""
    some = masks[masks.area() > 0]
    size = masks.image_size
    assert some.flip_horizontally().boxes().equal(some.boxes().flip_horizontally(size))
    assert some.flip_vertically().boxes().equal(some.boxes().flip_vertically(size))


@given(masks=gt.bit_masks(min_rows=1))
def test_crops_agree_with_torchvision(masks):
    """A crop is RoIAlign of the mask, cut at one half."""
    ops = pytest.importorskip("torchvision.ops")
    height, width = masks.image_size
    boxes = Boxes(torch.tensor([[0.25, 0.5, width - 0.125, height + 0.25]]).expand(len(masks), 4))
    soft = ops.roi_align(masks.data[:, None].float(), list(boxes.xyxy[:, None]), 5, aligned=True)
    sure = (soft[:, 0] - 0.5).abs() > 1e-4  # the two may round differently at exactly one half
    got = masks.crop_and_resize(boxes, 5)
    assert got.shape == (len(masks), 5, 5)
    assert torch.equal(got[sure], (soft[:, 0] >= 0.5)[sure])


def test_one_pixel_has_a_half_open_box():
    """Pixel (0, 0) gives (0, 0, 1, 1)."""
    data = torch.zeros(1, 3, 4, dtype=torch.bool)
    data[0, 0, 0] = True
    assert BitMasks(data).boxes().xyxy.tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_empty_masks_go_through_every_method():
    """No mask is a normal table that keeps its image size."""
    none = BitMasks.empty(ImageSize(3, 4))
    assert isinstance(none, Masks)
    assert none.image_size == ImageSize(3, 4)
    assert none.boxes().equal(Boxes.empty())
    assert none.area().tolist() == []
    assert none.resize(ImageSize(5, 6)).equal(BitMasks.empty(ImageSize(5, 6)))
    assert none.crop_and_resize(Boxes.empty(), 7).shape == (0, 7, 7)
    assert none.validated() is none


def test_metadata_is_checked():
    """Dtype, rank, pixels and the arguments of a crop."""
    with pytest.raises(DtypeError, match=r"data: expected torch.bool, got torch.uint8"):
        BitMasks(torch.zeros(1, 2, 2, dtype=torch.uint8))
    with pytest.raises(ShapeError, match=r"data: expected \[n, h, w\], got \[2, 2\]"):
        BitMasks(torch.zeros(2, 2, dtype=torch.bool))
    with pytest.raises(ShapeError, match=r"data: expected .* with at least one pixel"):
        BitMasks(torch.zeros(0, 0, 2, dtype=torch.bool))
    one = BitMasks(torch.zeros(1, 2, 2, dtype=torch.bool))
    with pytest.raises(ShapeError, match=r"boxes: expected 1 rows \(one for each mask\), got 0"):
        one.crop_and_resize(Boxes.empty(), 2)
    with pytest.raises(InvalidValueError, match="side: expected at least 1, got 0"):
        one.crop_and_resize(Boxes(torch.zeros(1, 4)), 0)
