"""Soft masks: pasting against torch's grid_sample, exact mirrors, messages."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet import (
    BitMasks,
    Boxes,
    DeviceError,
    DtypeError,
    ImageSize,
    InvalidValueError,
    Masks,
    RoiMasks,
    ShapeError,
)
from geodet import testing as gt

SIZE = ImageSize(9, 14)


def sampled(masks):
    """Probabilities at the pixel centres of the image, by torch's own sampler in double."""
    height, width = masks.image_size
    x1, y1, x2, y2 = masks.roi_boxes.xyxy.double()[:, :, None].unbind(1)
    x = (torch.arange(width, dtype=torch.float64) + 0.5 - x1) / (x2 - x1) * 2 - 1
    y = (torch.arange(height, dtype=torch.float64) + 0.5 - y1) / (y2 - y1) * 2 - 1
    grid = torch.stack(
        (x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)), dim=3
    )
    grids = masks.probabilities.double()[:, None]
    return torch.nn.functional.grid_sample(grids, grid, align_corners=False)[:, 0]


@given(gt.roi_masks(image_size=SIZE))
def test_pasting_agrees_with_grid_sample(masks):
    """Bilinear at pixel centres, zero outside the box, cut at one half."""
    assert isinstance(masks, Masks)
    soft = sampled(masks)
    sure = (soft - 0.5).abs() > 1e-5  # single precision may round differently at one half
    assert torch.equal(masks.to_bit_masks().data[sure], (soft >= 0.5)[sure])


@given(gt.roi_masks(image_size=SIZE))
def test_area_and_boxes_are_those_of_the_pasted_masks(masks):
    """Quantities of pixels come from the pixels; the boxes of the grids are roi_boxes."""
    bits = masks.to_bit_masks()
    assert torch.equal(masks.area(), bits.area())
    assert masks.boxes().equal(bits.boxes())


@given(masks=gt.roi_masks(image_size=SIZE, min_rows=2, max_rows=2))
def test_crops_are_those_of_the_pasted_masks(masks):
    """crop_and_resize pastes first."""
    boxes = Boxes(torch.tensor([[0.0, 0.5, 14.0, 9.0], [3.0, 3.0, 7.5, 5.0]]))
    expected = masks.to_bit_masks().crop_and_resize(boxes, 4)
    assert torch.equal(masks.crop_and_resize(boxes, 4), expected)


@given(gt.roi_masks(image_size=SIZE))
def test_mirrored_soft_masks_paste_to_mirrored_pixels(masks):
    """Mirror then paste equals paste then mirror, but for pixels at exactly one half."""
    soft = sampled(masks)
    sure = (soft - 0.5).abs() > 1e-5  # rounding differs between the two orders
    for mirrored, axis in ((masks.flip_horizontally(), 2), (masks.flip_vertically(), 1)):
        back = mirrored.to_bit_masks().data.flip(axis)
        assert torch.equal(back[sure], masks.to_bit_masks().data[sure])


@given(gt.roi_masks(image_size=SIZE), st.integers(-5, 5))
def test_turned_soft_masks_paste_to_turned_pixels(masks, turns):
    """Turning by quarters, then pasting, is the other way round but for ties."""
    sure = (sampled(masks) - 0.5).abs() > 1e-5  # rounding differs between the two orders
    turned = masks.rotate_90(turns).to_bit_masks()
    expected = masks.to_bit_masks().rotate_90(turns)
    assert turned.image_size == expected.image_size
    sure = sure.rot90(turns, (1, 2))
    assert torch.equal(turned.data[sure], expected.data[sure])


@given(gt.roi_masks(image_size=SIZE), st.data())
def test_windows_and_borders_move_the_soft_masks(masks, data):
    """Cropping or padding, then pasting, is the other way round but for ties."""
    x1, y1 = data.draw(st.integers(0, 13)), data.draw(st.integers(0, 8))
    window = (x1, y1, data.draw(st.integers(x1 + 1, 14)), data.draw(st.integers(y1 + 1, 9)))
    sure = BitMasks((sampled(masks) - 0.5).abs() > 1e-5)  # moving rounds the boxes
    bits = masks.to_bit_masks()

    cropped = masks.crop(window).to_bit_masks()
    kept = sure.crop(window).data
    assert torch.equal(cropped.data[kept], bits.crop(window).data[kept])
    padded = masks.pad(3, 1, 2, 4)
    assert padded.image_size == ImageSize(14, 19)
    inside = padded.to_bit_masks().data[:, 1:10, 3:17]
    assert torch.equal(inside[sure.data], bits.data[sure.data])
    with pytest.raises(InvalidValueError, match="xyxy: expected a window inside 14 x 9"):
        masks.crop((0, 0, 15, 9))
    with pytest.raises(InvalidValueError, match="pad: expected"):
        masks.pad(0, -1, 0, 0)


@given(gt.roi_masks(image_size=SIZE), gt.roi_masks(image_size=SIZE))
def test_quantities_are_those_of_the_pasted_masks(masks, others):
    """Overlaps, outlines, rotated boxes and emptiness are those of the pixels, by another path."""
    bits, other_bits = masks.to_bit_masks(), others.to_bit_masks()
    runs = masks.to_rle_masks()
    assert runs.equal(bits.to_rle_masks())
    assert masks.to_rle_masks(0.25).to_bit_masks().equal(masks.to_bit_masks(0.25))
    assert torch.equal(masks.nonempty(), bits.data.flatten(1).any(1))
    torch.testing.assert_close(
        masks.pairwise_iou(others), bits.pairwise_iou(other_bits), check_dtype=False
    )
    torch.testing.assert_close(
        masks.pairwise_ioa(others), bits.pairwise_ioa(other_bits), check_dtype=False
    )
    assert masks.to_polygon_masks().to_bit_masks().equal(bits)
    assert masks.to_rotated_boxes().equal(bits.to_rotated_boxes())


@given(gt.roi_masks(image_size=SIZE))
def test_resizing_moves_the_boxes_and_keeps_the_grids(masks):
    """The soft mask of another image size is the same grid in a scaled box."""
    resized = masks.resize(ImageSize(18, 42))
    assert resized.image_size == ImageSize(18, 42)
    assert torch.equal(resized.probabilities, masks.probabilities)
    assert resized.roi_boxes.equal(masks.roi_boxes.scale(3.0, 2.0))


def test_the_threshold_is_an_argument():
    """A pixel belongs when its probability is at least the threshold."""
    masks = RoiMasks(torch.full((1, 2, 2), 0.25), Boxes(torch.tensor([[0.0, 0.0, 4.0, 4.0]])), SIZE)
    assert masks.area().tolist() == [0]
    assert masks.to_bit_masks(0.25).data[0, 1:3, 1:3].all()


def test_empty_masks_go_through_every_method():
    """No mask is a normal table that keeps its image size."""
    none = RoiMasks.empty(SIZE, side=7)
    assert none.probabilities.shape == (0, 7, 7)
    assert none.to_bit_masks().equal(BitMasks.empty(SIZE))
    assert none.area().tolist() == []
    assert none.boxes().equal(Boxes.empty())
    assert none.crop_and_resize(Boxes.empty(), 3).shape == (0, 3, 3)
    assert none.flip_horizontally().equal(none)
    assert none.nonempty().tolist() == []
    assert none.pairwise_iou(none).shape == none.pairwise_ioa(none).shape == (0, 0)
    assert len(none.crop((0, 0, 2, 2))) == len(none.pad(1, 1, 1, 1)) == len(none.rotate_90()) == 0
    assert len(none.to_rle_masks()) == len(none.to_polygon_masks()) == 0
    assert len(none.to_rotated_boxes()) == 0
    assert none.validated() is none


def test_metadata_is_checked_at_construction():
    """Grids, boxes, size, rows and devices."""
    grids, boxes = torch.zeros(1, 2, 2), Boxes(torch.zeros(1, 4))
    with pytest.raises(ShapeError, match=r"probabilities: expected \[n, s, s\], got \[2, 2\]"):
        RoiMasks(grids[0], boxes, SIZE)
    with pytest.raises(ShapeError, match=r"probabilities: expected square grids, got \[1, 2, 3\]"):
        RoiMasks(torch.zeros(1, 2, 3), boxes, SIZE)
    with pytest.raises(DtypeError, match="probabilities: expected a floating-point dtype"):
        RoiMasks(grids.long(), boxes, SIZE)
    with pytest.raises(DtypeError, match="boxes: expected Boxes or RotatedBoxes, got Tensor"):
        RoiMasks(grids, boxes.xyxy, SIZE)
    with pytest.raises(ShapeError, match=r"boxes: expected 1 rows \(one for each mask\), got 0"):
        RoiMasks(grids, Boxes.empty(), SIZE)
    with pytest.raises(DtypeError, match="image_size: expected ImageSize, got tuple"):
        RoiMasks(grids, boxes, (9, 14))
    with pytest.raises(DeviceError, match="probabilities is on meta, boxes on cpu"):
        RoiMasks(grids.to("meta"), boxes, SIZE)


def test_other_kinds_and_sizes_are_refused():
    """Overlaps are between masks of one kind and one image."""
    masks = RoiMasks(torch.ones(1, 2, 2), Boxes(torch.tensor([[0.0, 0.0, 4.0, 4.0]])), SIZE)
    with pytest.raises(DtypeError, match="other: expected RoiMasks, got BitMasks; convert one"):
        masks.pairwise_iou(masks.to_bit_masks())
    with pytest.raises(ShapeError, match="other: expected masks of"):
        masks.pairwise_ioa(masks.pad(1, 0, 0, 0))


def test_broken_values_name_place_row_and_number():
    """Probabilities outside [0, 1] and NaN, and broken boxes."""
    grids, boxes = torch.zeros(2, 2, 2), Boxes(torch.zeros(2, 4))
    grids[1, 1, 0] = 1.5
    with pytest.raises(InvalidValueError) as caught:
        RoiMasks(grids, boxes, SIZE).validated(where="a.json")
    assert str(caught.value) == "a.json: masks row 1: expected probabilities in [0, 1], got 1.5"
    grids[1, 1, 0] = float("nan")
    with pytest.raises(InvalidValueError, match="got nan"):
        RoiMasks(grids, boxes, SIZE).validated()
    broken = Boxes(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
    with pytest.raises(InvalidValueError, match="boxes row 0: expected x1 <= x2"):
        RoiMasks(torch.zeros(1, 2, 2), broken, SIZE).validated()
