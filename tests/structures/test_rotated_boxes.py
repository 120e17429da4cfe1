"""Rotated boxes against shapely's affine maps, and their messages."""

import pytest
import torch
from hypothesis import given

from geodet import Boxes, DtypeError, ImageSize, InvalidValueError, Region, RotatedBoxes, ShapeError
from geodet import testing as gt

SIZE = ImageSize(9, 14)
# Single precision: a coordinate of some tens of pixels carries about 1e-5.
ATOL = 1e-4


@pytest.fixture(scope="module")
def affinity():
    """The oracle: shapely turns, scales and moves polygons."""
    pytest.importorskip("shapely")
    from shapely import affinity

    return affinity


def polygon(affinity, row):
    """The rotated box as a shapely polygon; shapely turns counter-clockwise with y up."""
    from shapely.geometry import box

    cx, cy, w, h, angle = row.tolist()
    upright = box(cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
    return affinity.rotate(upright, -angle, origin=(cx, cy))


def same_region(a, b):
    """Whether two polygons cover the same points up to rounding.

    Not by the area of their difference: GEOS may lose it where outlines all but coincide.
    """
    return a.hausdorff_distance(b) <= ATOL


@given(boxes=gt.rotated_boxes())
def test_corners_area_and_hull_agree_with_shapely(affinity, boxes):
    """Corners span the turned box, its area is w * h, and its bounds are the hull."""
    from shapely.geometry import Polygon

    hulls = boxes.hull().xyxy
    for row, corners, area, hull in zip(
        boxes.cxcywha, boxes.corners(), boxes.area(), hulls, strict=True
    ):
        expected = polygon(affinity, row)
        assert same_region(Polygon(corners.tolist()), expected)
        assert area.item() == pytest.approx(expected.area, abs=ATOL)
        assert hull.tolist() == pytest.approx(expected.bounds, abs=ATOL)


@given(boxes=gt.rotated_boxes(image_size=SIZE))
def test_mirrors_agree_with_shapely(affinity, boxes):
    """A mirrored box covers the mirrored points."""
    for mirrored, factors, origin in (
        (boxes.flip_horizontally(SIZE), (-1, 1), (SIZE.width / 2, 0)),
        (boxes.flip_vertically(SIZE), (1, -1), (0, SIZE.height / 2)),
    ):
        for before, after in zip(boxes.cxcywha, mirrored.cxcywha, strict=True):
            expected = affinity.scale(polygon(affinity, before), *factors, origin=origin)
            assert same_region(polygon(affinity, after), expected)


@given(boxes=gt.rotated_boxes())
def test_equal_scaling_agrees_with_shapely(affinity, boxes):
    """Scaling both axes alike is exact, and so is any scaling at multiples of 90 degrees."""
    for before, after in zip(boxes.cxcywha, boxes.scale(1.5, 1.5).cxcywha, strict=True):
        expected = affinity.scale(polygon(affinity, before), 1.5, 1.5, origin=(0, 0))
        assert same_region(polygon(affinity, after), expected)
    upright = boxes[boxes.cxcywha[:, 4] % 90 == 0]
    for before, after in zip(upright.cxcywha, upright.scale(0.5, 2.0).cxcywha, strict=True):
        expected = affinity.scale(polygon(affinity, before), 0.5, 2.0, origin=(0, 0))
        assert same_region(polygon(affinity, after), expected)


@given(gt.rotated_boxes())
def test_unequal_scaling_keeps_centres_and_side_lengths(boxes):
    """Of the parallelogram, the lengths of the sides and the direction of the height survive."""
    factors = torch.tensor([0.5, 2.0])
    scaled = boxes.scale(0.5, 2.0)
    assert torch.equal(scaled.centers(), boxes.centers() * factors)
    old, new = boxes.corners() * factors, scaled.corners()
    for side in (0, 1):
        lengths = (old[:, side + 1] - old[:, side]).norm(dim=1)
        torch.testing.assert_close(lengths, scaled.cxcywha[:, 2 + side], atol=ATOL, rtol=1e-5)
    torch.testing.assert_close(new[:, 2] - new[:, 1], old[:, 2] - old[:, 1], atol=ATOL, rtol=1e-5)


@given(gt.rotated_boxes(image_size=SIZE))
def test_both_mirrors_are_half_a_turn(boxes):
    """Mirroring both ways turns the image by 180 degrees, orientation included."""
    turned = boxes.flip_horizontally(SIZE).flip_vertically(SIZE).normalize_angles()
    expected = boxes.cxcywha[:, 4] + 180
    assert torch.equal((turned.cxcywha[:, 4] - expected) % 360, torch.zeros(len(boxes)))


@given(gt.rotated_boxes())
def test_normalized_angles_lie_in_one_turn(boxes):
    """Whole turns are taken off, nothing else changes."""
    spun = RotatedBoxes(boxes.cxcywha + torch.tensor([0.0, 0.0, 0.0, 0.0, 720.0]))
    assert spun.normalize_angles().equal(boxes)


@given(gt.boxes())
def test_angle_zero_is_the_horizontal_box(boxes):
    """Horizontal boxes become rotated ones and come back as their hull."""
    rotated = RotatedBoxes.from_boxes(boxes)
    assert isinstance(rotated, Region)
    assert rotated.hull().equal(boxes)
    assert torch.equal(rotated.area(), boxes.area())
    assert torch.equal(rotated.nonempty(), boxes.nonempty())


def test_angles_count_counter_clockwise_as_seen():
    """At 90 degrees the right side of a box points up, where y is smaller."""
    box = RotatedBoxes.from_radians(torch.tensor([[5.0, 5.0, 4.0, 2.0, torch.pi / 2]]))
    assert box.angles_deg().item() == pytest.approx(90)
    top_right, bottom_right = box.corners()[0, 1], box.corners()[0, 2]
    middle_of_right_side = (top_right + bottom_right) / 2
    assert middle_of_right_side.tolist() == pytest.approx([5.0, 3.0])


def test_empty_rotated_boxes_go_through_every_method():
    """No box is a normal table."""
    none = RotatedBoxes.empty()
    assert none.corners().shape == (0, 4, 2)
    assert none.hull().equal(Boxes.empty())
    assert none.scale(2.0, 3.0).equal(none)
    assert none.validated() is none


def test_metadata_is_checked_at_construction():
    """Rank, last size and dtype family are errors at once."""
    with pytest.raises(ShapeError, match=r"cxcywha: expected \[n, 5\], got \[1, 4\]"):
        RotatedBoxes(torch.zeros(1, 4))
    with pytest.raises(DtypeError, match="cxcywha: expected a floating-point dtype"):
        RotatedBoxes(torch.zeros(1, 5, dtype=torch.int32))
    with pytest.raises(ShapeError, match=r"cxcywhr: expected \[n, 5\]"):
        RotatedBoxes.from_radians(torch.zeros(5))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.0, 0.0, 1.0, float("inf"), 0.0], "expected finite cx, cy, w, h, angle, got [0.0,"),
        ([0.0, 0.0, -1.0, 1.0, 0.0], "expected w >= 0 and h >= 0, got [0.0, 0.0, -1.0, 1.0, 0.0]"),
    ],
)
def test_broken_values_name_place_row_and_numbers(row, message):
    """Validation says where the data came from, which row, and what it holds."""
    with pytest.raises(InvalidValueError) as caught:
        RotatedBoxes(torch.tensor([row])).validated(where="a.txt")
    assert str(caught.value).startswith(f"a.txt: boxes row 0: {message}")
