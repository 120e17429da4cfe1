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
