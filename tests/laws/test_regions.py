"""Laws of horizontal and rotated boxes and of their overlaps, on every device."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from geodet import Boxes, ImageSize
from geodet import testing as gt

SIZE = ImageSize(20, 24)

REGIONS = {"boxes": gt.boxes, "rotated_boxes": gt.rotated_boxes}
on_every_region = pytest.mark.parametrize("regions", REGIONS.values(), ids=REGIONS.keys())
on_overlapping = pytest.mark.parametrize("regions", [gt.boxes], ids=["boxes"])


def draw_two(data, regions, device, **options):
    """Two tables of regions in one image, in double precision."""
    strategy = regions(image_size=SIZE, dtype=torch.float64, device=device, **options)
    return data.draw(strategy), data.draw(strategy)


def pairwise_iou(a, b):
    """What the structures call pairwise IoU."""
    return a.pairwise_iou(b)


@on_every_region
@given(data=st.data())
def test_methods_of_regions_keep_their_promises(device, regions, data):
    """Mirrors, moves, scales, areas, centres and hulls fit each other and change no receiver."""
    gt.assert_region_laws(data.draw(regions(image_size=SIZE, device=device)), SIZE)


@on_overlapping
@given(data=st.data())
def test_iou_is_a_symmetric_share(device, regions, data):
    """IoU lies in [0, 1], is symmetric, is 1 for a region with itself and 0 without area."""
    a, b = draw_two(data, regions, device)
    gt.assert_iou_laws(pairwise_iou, a, b, areas=a.area(), atol=1e-9)


@on_overlapping
@given(data=st.data())
def test_iou_survives_moves_mirrors_and_equal_scaling(device, regions, data):
    """IoU is unchanged when both sides are translated, mirrored or scaled alike."""
    a, b = draw_two(data, regions, device)
    for step in (
        lambda r: r.translate(5.5, -3.25),
        lambda r: r.translate(2.0**20, -(2.0**20)),
        lambda r: r.flip_horizontally(SIZE),
        lambda r: r.flip_vertically(SIZE),
        lambda r: r.scale(3.0, 3.0),
        lambda r: r.scale(2.0**-10, 2.0**-10),
    ):
        gt.assert_iou_is_unchanged_by(pairwise_iou, step, a, b, atol=1e-7)


@given(data=st.data())
def test_clipped_boxes_are_inside_and_stay_so(device, data):
    """Clipping gives boxes inside the image, changes none that is inside, and does so once."""
    boxes = data.draw(gt.boxes(image_size=SIZE, inside=False, device=device))
    gt.assert_clipping_laws(
        lambda b: b.clip_to(SIZE),
        lambda b: b.inside(SIZE),
        lambda a, b: (a.xyxy == b.xyxy).all(1),
        boxes,
    )


@given(data=st.data())
def test_iou_of_boxes_of_any_scale_is_finite(device, data):
    """Sides from 1e-6 to 1e6 and centres to 1e7 in single precision give shares, never NaN."""
    sides = st.floats(2.0**-20, 2.0**20, width=32)
    place = st.floats(-1e7, 1e7, width=32)
    rows = st.lists(st.tuples(place, place, sides, sides), min_size=1, max_size=5)
    table = torch.tensor(data.draw(rows), dtype=torch.float32, device=device)
    boxes = Boxes.from_cxcywh(table)
    iou = boxes.pairwise_iou(boxes)
    assert bool(((iou >= 0) & (iou <= 1)).all())
    assert bool((iou == iou.T).all())
    has_area = boxes.area() > 0  # centres this far away swallow small sides
    assert bool((iou.diagonal()[has_area] == 1).all())
