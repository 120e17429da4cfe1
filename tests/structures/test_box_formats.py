"""Other ways to write boxes: torchvision, OpenCV, MMRotate's ranges, and back."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import example, given

from geodet import Boxes, DtypeError, ImageSize, InvalidValueError, RotatedBoxes, ShapeError
from geodet import testing as gt

SIZE = ImageSize(9, 14)
ATOL = 1e-4  # single precision at some tens of pixels, through cosines

dtypes = st.sampled_from([torch.float32, torch.float64])


@pytest.fixture(scope="module")
def box_convert():
    """The oracle: torchvision's conversions."""
    return pytest.importorskip("torchvision.ops").box_convert


def rotated(*row):
    """One rotated box."""
    return RotatedBoxes(torch.tensor([row], dtype=torch.float64))


@given(boxes=gt.boxes(image_size=SIZE))
def test_relative_formats_round_trip(boxes):
    """Parts of the image's sides come back, and the whole image is (0, 0, 1, 1)."""
    wide = boxes.to(dtype=torch.float64)
    relative, yolo = wide.to_relative(SIZE), wide.to_relative_cxcywh(SIZE)
    assert ((relative >= 0) & (relative <= 1)).all()
    assert Boxes.from_relative(relative, SIZE).allclose(wide, rtol=0, atol=1e-12)
    assert Boxes.from_relative_cxcywh(yolo, SIZE).allclose(wide, rtol=0, atol=1e-12)
    whole = Boxes(torch.tensor([[0.0, 0, SIZE.width, SIZE.height]]))
    assert whole.to_relative(SIZE).tolist() == [[0, 0, 1, 1]]
    assert whole.to_relative_cxcywh(SIZE).tolist() == [[0.5, 0.5, 1, 1]]


@given(boxes=gt.boxes(), order=st.permutations(range(4)))
def test_corners_of_boxes_round_trip(boxes, order):
    """Four corners in any order, as pairs or eight numbers, give the box back."""
    corners = boxes.corners()
    assert torch.equal(corners[:, 0], boxes.xyxy[:, :2])
    assert torch.equal(corners[:, 2], boxes.xyxy[:, 2:])
    assert Boxes.from_corners(corners[:, order]).equal(boxes)
    assert Boxes.from_corners(corners[:, order].flatten(1)).equal(boxes)
    assert torch.equal(corners, RotatedBoxes.from_boxes(boxes).corners())


@given(boxes=gt.rotated_boxes(dtype=torch.float64))
def test_rotated_formats_agree_with_torchvision(box_convert, boxes):
    """CXCYWHR is what is stored, XYWHR holds the turned corner, XYXYXYXY the corners."""
    xywhr = box_convert(boxes.cxcywha, "cxcywhr", "xywhr")
    torch.testing.assert_close(boxes.to_xywhr(), xywhr)
    torch.testing.assert_close(boxes.corners().flatten(1), box_convert(xywhr, "xywhr", "xyxyxyxy"))
    assert RotatedBoxes.from_xywhr(xywhr).allclose(boxes, rtol=0, atol=1e-9)
    sided = boxes[boxes.nonempty()]
    back = RotatedBoxes(box_convert(sided.corners().flatten(1), "xyxyxyxy", "cxcywhr"))
    assert back.same_region(sided).all()
    assert back.same_orientation(sided).all()


@given(boxes=gt.boxes(dtype=torch.float64))
def test_horizontal_corners_agree_with_torchvision(box_convert, boxes):
    """Boxes turned by nothing have torchvision's eight numbers."""
    corners = box_convert(boxes.to_rotated().cxcywha, "cxcywhr", "xyxyxyxy")
    torch.testing.assert_close(boxes.corners().flatten(1), corners)


@given(boxes=gt.rotated_boxes(), start=st.sampled_from([False, True]), dtype=dtypes)
def test_corners_fix_winding_and_orientation(boxes, start, dtype):
    """Corners give the box back, whichever way round they run, with its top on top."""
    boxes = boxes.to(dtype=dtype)
    corners = boxes.corners()
    if start:  # the other way round, from the same corner
        corners = corners[:, [0, 3, 2, 1]]
    sided = boxes.nonempty()
    back = RotatedBoxes.from_corners(corners)
    assert back[sided].same_region(boxes[sided], atol=ATOL).all()
    assert back[sided].same_orientation(boxes[sided], atol_deg=0.1).all()
    # Without area the way round cannot be told; the points are the same.
    assert back.same_region(boxes, atol=ATOL).all()


def test_another_first_corner_is_another_top():
    """Starting at the next corner turns the box by a quarter, region kept."""
    box = rotated(5, 5, 4, 2, 30)
    turned = RotatedBoxes.from_corners(box.corners().roll(-1, dims=1))
    assert turned.same_region(box).all()
    assert turned.same_orientation(rotated(5, 5, 2, 4, -60)).all()


def test_corners_of_a_kite_give_means():
    """Of what is no rectangle, corners and sides are averaged."""
    kite = torch.tensor([[[0.0, 0], [4, 0], [6, 2], [0, 2]]])
    fitted = RotatedBoxes.from_corners(kite)
    assert fitted.centers().tolist() == [[2.5, 1.0]]
    assert fitted.widths().item() == 5


@given(boxes=gt.rotated_boxes(), dtype=dtypes)
def test_radians_count_both_ways(boxes, dtype):
    """Both senses come back with orientation, and one is the negative of the other."""
    boxes = boxes.to(dtype=dtype)
    ours, theirs = boxes.to_radians(), boxes.to_radians_clockwise()
    assert torch.equal(ours[:, 4], -theirs[:, 4])
    assert RotatedBoxes.from_radians(ours).allclose(boxes, rtol=0, atol=ATOL)
    assert RotatedBoxes.from_radians_clockwise(theirs).allclose(boxes, rtol=0, atol=ATOL)


@given(boxes=gt.rotated_boxes(), dtype=dtypes, tiny=st.floats(-1e-6, 1e-6))
@example(boxes=rotated(5, 5, 4, 2, 90), dtype=torch.float32, tiny=1e-9)
@example(boxes=rotated(5, 5, 2, 4, -90), dtype=torch.float32, tiny=-1e-9)
def test_named_ranges_hold_and_keep_the_region(boxes, dtype, tiny):
    """Le90, le135, oc and OpenCV's two ranges are kept to the last bit, regions up to rounding."""
    boxes = boxes.to(dtype=dtype)
    boxes = RotatedBoxes(boxes.cxcywha + boxes.cxcywha.new_tensor([0, 0, 0, 0, tiny]))
    pi = math.pi
    for written, low, high, longer, closed_above in (
        (boxes.to_le90(), -pi / 2, pi / 2, True, False),
        (boxes.to_le135(), -pi / 4, 3 * pi / 4, True, False),
        (boxes.to_oc(), 0, pi / 2, False, True),
    ):
        angle = written[:, 4]
        # The bounds themselves are rounded to the dtype when they are stored.
        start, end = (torch.tensor(bound, dtype=dtype) for bound in (low, high))
        assert (angle > start if closed_above else angle >= start).all()
        assert (angle <= end if closed_above else angle < end).all()
        assert not longer or (written[:, 2] >= written[:, 3]).all()
        assert RotatedBoxes.from_radians_clockwise(written).same_region(boxes, atol=ATOL).all()
    for written in (boxes.to_opencv(), -boxes.to_opencv_positive()):
        assert ((written[:, 4] >= -90) & (written[:, 4] < 0)).all()
    for written in (boxes.to_opencv(), boxes.to_opencv_positive()):
        assert RotatedBoxes.from_opencv(written).same_region(boxes, atol=ATOL).all()


@given(boxes=gt.rotated_boxes(dtype=torch.float64, degenerate=False))
def test_long_edges_agree_with_mmrotates_definition(boxes):
    """The angle of le90 and le135 is the direction of the longer side, clockwise, modulo pi."""
    for box in boxes[(boxes.widths() - boxes.heights()).abs() > 0.05]:
        corners = box.corners()[0].numpy()
        sides = corners[1] - corners[0], corners[2] - corners[1]
        x, y = max(sides, key=lambda side: np.hypot(*side))
        direction = math.atan2(y, x)  # y down: clockwise as seen
        for written, start in ((box.to_le90(), -math.pi / 2), (box.to_le135(), -math.pi / 4)):
            apart = (written[0, 4].item() - direction + math.pi / 2) % math.pi - math.pi / 2
            assert apart == pytest.approx(0, abs=1e-6)
            assert written[0, 2].item() == pytest.approx(max(np.hypot(*s) for s in sides))
            assert start <= written[0, 4].item() < start + math.pi


def test_the_bars_of_the_conventions_page():
    """The table of docs/conventions.md, number by number."""
    bars = RotatedBoxes(
        torch.tensor([[0.0, 0, 8, 2, angle] for angle in (30, 60, 90, 120)], dtype=torch.float64)
    )
    table = {
        "le90": [[8, 2, -30], [8, 2, -60], [8, 2, -90], [8, 2, 60]],
        "le135": [[8, 2, -30], [8, 2, 120], [8, 2, 90], [8, 2, 60]],
        "oc": [[2, 8, 60], [2, 8, 30], [8, 2, 90], [8, 2, 60]],
        "opencv": [[8, 2, -30], [8, 2, -60], [8, 2, -90], [2, 8, -30]],
        "opencv_positive": [[2, 8, 60], [2, 8, 30], [8, 2, 90], [8, 2, 60]],
    }
    for name, expected in table.items():
        written = getattr(bars, f"to_{name}")()[:, 2:]
        if "opencv" not in name:
            written[:, 2] = torch.rad2deg(written[:, 2])
        torch.testing.assert_close(written, torch.tensor(expected).double())


def test_opencvs_numbers_of_a_turned_box():
    """A box of 8 x 2 turned clockwise by 30 degrees, by the documentation of OpenCV."""
    box = RotatedBoxes.from_opencv(torch.tensor([[10.0, 10, 8, 2, 30]]))
    assert box.angles_deg().item() == -30
    assert box.to_opencv_positive().tolist() == [[10, 10, 8, 2, 30]]
    assert box.to_opencv().tolist() == [[10, 10, 2, 8, -60]]
    square = RotatedBoxes(torch.tensor([[5.5, 5.5, 9, 9, 0]]))
    # What minAreaRect gives for the square (1, 1)..(10, 10): 4.5.1 has 90.0, 4.2.0 has -90.0.
    assert square.to_opencv_positive().tolist() == [[5.5, 5.5, 9, 9, 90]]
    assert square.to_opencv().tolist() == [[5.5, 5.5, 9, 9, -90]]


@given(boxes=gt.rotated_boxes())
def test_opencv_draws_the_same_points(boxes):
    """BoxPoints of what is written for OpenCV are the corners, in some order."""
    cv2 = pytest.importorskip("cv2")
    for written in (boxes.to_opencv(), boxes.to_opencv_positive()):
        for row, corners in zip(written.tolist(), boxes.corners(), strict=True):
            theirs = torch.from_numpy(cv2.boxPoints((tuple(row[:2]), tuple(row[2:4]), row[4])))
            nearest = torch.cdist(corners, theirs).amin(1)
            assert (nearest < 1e-3).all()


def test_opencvs_smallest_rectangle_is_ours():
    """MinAreaRect of random points, read as OpenCV's, has the area of from_points."""
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    sets = (rng.random((100, 7, 2)) * 50).astype(np.float32)
    theirs = [cv2.minAreaRect(points) for points in sets]
    rows = torch.tensor([[*center, *sides, angle] for center, sides, angle in theirs])
    ours = RotatedBoxes.from_polygons(torch.from_numpy(sets))
    read = RotatedBoxes.from_opencv(rows)
    torch.testing.assert_close(ours.area(), read.area(), rtol=1e-4, atol=1e-3)
    # Three of the points may span several rectangles of one area, as a triangle does: 7 of 100.
    assert ours.same_region(read, atol=0.001).float().mean() > 0.9


@given(boxes=gt.rotated_boxes(dtype=torch.float64, degenerate=False))
def test_smallest_boxes_around_corners_are_the_boxes(boxes):
    """The smallest rectangle around a rectangle is itself."""
    assert RotatedBoxes.from_polygons(boxes.corners()).same_region(boxes, atol=1e-6).all()


def test_smallest_boxes_around_points_agree_with_shapely():
    """Areas are those of shapely's minimum rotated rectangle; all points lie inside."""
    shapely = pytest.importorskip("shapely")
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(3, 9, (60,), generator=generator)
    points = torch.rand(int(counts.sum()), 2, generator=generator) * 40
    offsets = torch.cat((torch.zeros(1, dtype=torch.int64), counts.cumsum(0)))
    boxes = RotatedBoxes.from_points(points, offsets)
    assert boxes.cxcywha.dtype == torch.float32
    for row, box in enumerate(boxes):
        own = points[offsets[row] : offsets[row + 1]]
        theirs = shapely.MultiPoint(own.tolist()).minimum_rotated_rectangle.area
        assert box.area().item() == pytest.approx(theirs, rel=1e-4)
        grown = RotatedBoxes(box.cxcywha + torch.tensor([0, 0, 1e-3, 1e-3, 0]))
        assert grown.contains(own).all()


@given(boxes=gt.boxes(dtype=torch.float64), turns=st.integers(-5, 5))
def test_quarter_turns_go_back_to_boxes(boxes, turns):
    """Multiples of 90 degrees become horizontal boxes of the same points; others are refused."""
    rotated_boxes = boxes.to_rotated()
    turned = rotated_boxes.rotate(90.0 * turns, center=(3.0, 4.0))
    assert turned.to_boxes().to_rotated().same_region(turned).all()
    assert rotated_boxes.to_boxes().equal(boxes)
    assert boxes.to_boxes() is boxes
    assert turned.to_rotated() is turned


def test_other_angles_do_not_become_boxes():
    """The message names the row, its angle and the way out."""
    boxes = RotatedBoxes(torch.tensor([[5.0, 5, 2, 2, 90], [5, 5, 2, 2, 30]]))
    with pytest.raises(InvalidValueError, match=r"boxes row 1: .*multiple of 90 .*30.0; hull\(\)"):
        boxes.to_boxes()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: Boxes.from_relative(t, SIZE), r"xyxy: expected \[n, 4\]"),
        (lambda t: Boxes.from_relative_cxcywh(t, SIZE), r"cxcywh: expected \[n, 4\]"),
        (Boxes.from_corners, r"corners: expected \[n, 4, 2\] or \[n, 8\], got \[2, 3\]"),
        (RotatedBoxes.from_corners, r"corners: expected \[n, 4, 2\] or \[n, 8\]"),
        (RotatedBoxes.from_radians_clockwise, r"cxcywhr: expected \[n, 5\]"),
        (RotatedBoxes.from_opencv, r"cxcywha: expected \[n, 5\]"),
        (RotatedBoxes.from_xywhr, r"xywhr: expected \[n, 5\]"),
        (RotatedBoxes.from_polygons, r"corners: expected \[n, k, 2\]"),
        (lambda t: RotatedBoxes.from_points(t, torch.tensor([0])), r"points: expected \[p, 2\]"),
    ],
)
def test_each_format_names_its_argument(make, message):
    """Wrong shapes are told by the name of the argument; integers and lists are refused."""
    with pytest.raises(ShapeError, match=message):
        make(torch.zeros(2, 3))
    with pytest.raises(DtypeError):
        make([[0.0] * 4])


def test_empty_tables_go_through_every_format():
    """No box is a normal table in every format."""
    none = RotatedBoxes.empty()
    for written in (
        none.to_radians(),
        none.to_radians_clockwise(),
        none.to_xywhr(),
        none.to_le90(),
        none.to_le135(),
        none.to_oc(),
        none.to_opencv(),
        none.to_opencv_positive(),
    ):
        assert written.shape == (0, 5)
    assert RotatedBoxes.from_corners(none.corners()).equal(none)
    assert RotatedBoxes.from_corners(torch.zeros(0, 8)).equal(none)
    assert RotatedBoxes.from_polygons(torch.zeros(0, 5, 2)).equal(none)
    assert none.to_boxes().equal(Boxes.empty())
    flat = Boxes.empty()
    assert flat.to_relative(SIZE).shape == flat.to_relative_cxcywh(SIZE).shape == (0, 4)
    assert Boxes.from_corners(flat.corners()).equal(flat)
    assert flat.to_rotated().equal(none)
