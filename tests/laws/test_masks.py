"""Laws of masks of every kind: what they measure and do is what happens to their pixels."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from geodet import BitMasks, ImageSize
from geodet import testing as gt

SIZE = ImageSize(9, 14)

KINDS = {
    "bit_masks": gt.bit_masks,
    "rle_masks": gt.rle_masks,
    "polygon_masks": gt.polygon_masks,
    "roi_masks": gt.roi_masks,
}
OF_PIXELS = ("bit_masks", "rle_masks")


def draw_masks(data, kind, device, **options):
    """Masks of a kind, on the device if that kind goes there."""
    movable = {"device": device} if kind in {"bit_masks", "roi_masks"} else {}
    return data.draw(KINDS[kind](**movable, **options))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_every_kind_converts_and_mirrors(device, kind, data):
    """Bits and runs of a mask agree, mirrors undo themselves, and nothing changes its receiver."""
    gt.assert_mask_laws(draw_masks(data, kind, device))


@pytest.mark.parametrize("kind", OF_PIXELS)
@given(data=st.data())
def test_pixels_are_measured_and_mirrored(device, kind, data):
    """Area counts pixels, boxes are tight and half-open, and mirrors move every pixel."""
    gt.assert_pixel_mask_laws(draw_masks(data, kind, device))


def draw_pair(data, kind, device, *, same_rows):
    """Two tables of masks of one image."""
    size = data.draw(gt.image_sizes())
    rows = data.draw(st.integers(0, 3))
    options = {"min_rows": rows, "max_rows": rows} if same_rows else {"max_rows": 3}
    first = draw_masks(data, kind, device, image_size=size, **options)
    return first, draw_masks(data, kind, device, image_size=size, **options)


@pytest.mark.parametrize("kind", OF_PIXELS)
@given(data=st.data())
def test_overlaps_count_shared_pixels(device, kind, data):
    """IoU of every pair is shared pixels over pixels of either."""
    gt.assert_mask_iou_is_that_of_pixels(*draw_pair(data, kind, device, same_rows=False))


@pytest.mark.parametrize("kind", OF_PIXELS)
@given(data=st.data())
def test_masks_are_sets_of_pixels(device, kind, data):
    """Union, intersection and difference are those of sets; De Morgan holds; areas add up."""
    a, b = draw_pair(data, kind, device, same_rows=True)
    pixels = torch.ones_like(a.to_bit_masks().data)
    everything = BitMasks(pixels)
    gt.assert_mask_set_laws(a, b, everything if kind == "bit_masks" else everything.to_rle_masks())


@given(data=st.data())
def test_boxes_of_masks_of_boxes_are_the_boxes(device, data):
    """Whole boxes, made masks, have the same area and the same boxes again."""
    sides = [st.integers(0, side) for side in (SIZE.width, SIZE.height) * 2]
    rows = data.draw(st.lists(st.tuples(*sides), max_size=4))
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in rows]
    boxes = [box for box in boxes if box[0] < box[2] and box[1] < box[3]]
    data_ = torch.zeros((len(boxes), *SIZE), dtype=torch.bool, device=device)
    for mask, (x1, y1, x2, y2) in zip(data_, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
    masks = BitMasks(data_)
    assert masks.boxes().xyxy.tolist() == [list(map(float, box)) for box in boxes]
    assert masks.area().tolist() == [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes]
    assert masks.boxes().area().tolist() == masks.area().tolist()
    assert masks.to_rle_masks().boxes().equal(masks.boxes().to("cpu"))
