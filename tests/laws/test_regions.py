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


@on_every_region
@given(data=st.data())
def test_iou_is_a_symmetric_share(device, regions, data):
    """IoU lies in [0, 1], is symmetric, is 1 for a region with itself and 0 without area."""
    a, b = draw_two(data, regions, device)
    gt.assert_iou_laws(pairwise_iou, a, b, areas=a.area(), atol=1e-9)


@on_every_region
@given(data=st.data())
def test_iou_survives_moves_mirrors_and_equal_scaling(device, regions, data):
    """IoU is unchanged when both sides are translated, mirrored, turned or scaled alike."""
    a, b = draw_two(data, regions, device)
    steps = [lambda r: r.rotate_90(1, SIZE)]
    if regions is gt.rotated_boxes:  # upright boxes turned by other angles become rotated ones
        steps.append(lambda r: r.rotate(33.0, center=(5.0, 9.0)))
    for step in (
        *steps,
        lambda r: r.translate(5.5, -3.25),
        lambda r: r.translate(2.0**20, -(2.0**20)),
        lambda r: r.flip_horizontally(SIZE),
        lambda r: r.flip_vertically(SIZE),
        lambda r: r.scale(3.0, 3.0),
        lambda r: r.scale(2.0**-10, 2.0**-10),
    ):
        gt.assert_iou_is_unchanged_by(pairwise_iou, step, a, b, atol=1e-7)


@on_every_region
@given(data=st.data())
def test_matched_measures_are_the_diagonals(device, regions, data):
    """Row by row, every overlap is that of the same pair in the matrix."""
    rows = data.draw(st.integers(0, 5))
    a, b = draw_two(data, regions, device, min_rows=rows, max_rows=rows)
    for measure in ("iou", "ioa", "intersection", "giou", "diou", "distance"):
        gt.assert_matched_is_diagonal(
            lambda x, y, name=measure: getattr(x, f"matched_{name}")(y),
            lambda x, y, name=measure: getattr(x, f"pairwise_{name}")(y),
            a,
            b,
            atol=1e-9,
        )


@on_every_region
@given(data=st.data())
def test_areas_survive_turning(device, regions, data):
    """Turning keeps every area; so does turning back keep every region."""
    drawn = data.draw(regions(image_size=SIZE, dtype=torch.float64, device=device))
    angle = data.draw(st.integers(-720, 720))

    def turn(r, degrees=angle):
        return r.rotate(degrees, center=(3.0, 4.0))

    gt.assert_area_scales(lambda r: r.area(), turn, drawn, rtol=1e-12, atol=1e-9)
    back = turn(turn(drawn), -angle)
    assert bool(back.same_region(drawn.to_rotated(), atol=1e-6).all())


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
