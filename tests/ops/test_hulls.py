"""Convex hulls and smallest rectangles against shapely, and the laws that need no oracle."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import example, given

from geodet import errors, ops
from geodet.ops.reference import hulls as reference

coordinates = st.one_of(
    st.integers(-4, 4).map(float),
    st.integers(-40, 40).map(lambda tenths: tenths / 10),
    st.floats(-1e3, 1e3, allow_nan=False).map(lambda value: value if abs(value) > 1e-9 else 0.0),
)
point_sets = st.lists(st.tuples(coordinates, coordinates), max_size=10)


def flat(sets):
    """Points and offsets of lists of points."""
    points = [point for one in sets for point in one]
    offsets = torch.tensor([0, *np.cumsum([len(one) for one in sets])], dtype=torch.int64)
    return torch.tensor(points, dtype=torch.float64).view(-1, 2), offsets


def rectangle(points):
    """The smallest rectangle of one set, as five numbers."""
    return ops.min_area_rectangles(*flat([points]))[0].tolist()


def in_frame(points, box):
    """Coordinates of points along the width and the height of a box, from its centre."""
    cx, cy, _, _, angle = box
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    x, y = np.asarray(points, dtype=np.float64).reshape(-1, 2).T
    return (x - cx) * cos - (y - cy) * sin, (x - cx) * sin + (y - cy) * cos


@given(point_sets)
@example([(0.1, 0.1), (0.2, 0.2), (0.3, 0.3)])
@example([(0.0, 0.0), (0.0, -0.0), (1.0, 0.0)])
def test_hulls_have_exactly_the_extreme_points(points):
    """Corners are those of whole-number arithmetic, clockwise, from the leftmost and topmost."""
    corners, offsets = ops.convex_hulls(*flat([points]))
    found = [(x + 0.0, y + 0.0) for x, y in corners.tolist()]

    assert offsets.tolist() == [0, len(found)]
    assert len(set(found)) == len(found)
    assert set(found) == reference.hull_corners_reference(points)
    if found:
        assert found[0] == min(found)
    if len(found) > 2:
        assert ops.ring_areas(corners, offsets).item() > 0


@given(point_sets.filter(lambda points: len(points) > 0))
def test_hulls_agree_with_shapely(points):
    """The region is shapely's convex hull."""
    shapely = pytest.importorskip("shapely")
    theirs = shapely.MultiPoint(points).convex_hull
    corners, _ = ops.convex_hulls(*flat([points]))

    if len(corners) > 2:
        assert theirs.area == pytest.approx(shapely.Polygon(corners.numpy()).area, rel=1e-12)
    assert all(theirs.distance(shapely.Point(corner)) == 0 for corner in corners.numpy())


@given(point_sets)
@example([(0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (0.0, 2.0)])
@example([(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)])
def test_smallest_rectangles_contain_their_points_and_touch_them(points):
    """All points are inside, every side has one on it, and angles lie in [-45, 45)."""
    box = rectangle(points)
    if not points:
        assert box == [0.0] * 5
        return
    along, across = in_frame(points, box)
    # Coordinates up to 1e3 and sines in double precision.
    close = {"abs": 1e-10}
    assert max(along) == pytest.approx(box[2] / 2, **close)
    assert min(along) == pytest.approx(-box[2] / 2, **close)
    assert max(across) == pytest.approx(box[3] / 2, **close)
    assert min(across) == pytest.approx(-box[3] / 2, **close)
    assert -45 <= box[4] < 45


@given(point_sets)
def test_smallest_rectangles_are_no_larger_than_any_of_the_reference(points):
    """The area is the smallest of all rectangles along a pair of points."""
    box = rectangle(points)
    expected = reference.min_area_reference(points)

    # Rounding of products of lengths up to 3e3.
    assert box[2] * box[3] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_areas_equal_shapely():
    """Thousands of random sets, thin ones and far ones too."""
    shapely = pytest.importorskip("shapely")
    rng = np.random.default_rng(0)
    sets = []
    for k in range(3000):
        points = rng.normal(size=(int(rng.integers(3, 30)), 2)) * (1.0, 10.0 ** rng.integers(-3, 4))
        turn = rng.uniform(0, 2 * np.pi)
        spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        sets.append(points @ spin + rng.uniform(-1, 1, 2) * (100 if k % 2 else 0))
    boxes = ops.min_area_rectangles(*flat([points.tolist() for points in sets]))

    theirs = shapely.minimum_rotated_rectangle([shapely.MultiPoint(points) for points in sets])
    # Coordinates of hundreds round at 1e-13, and widths begin at 1e-3: shapely's area of
    # corners far from the origin loses the rest.
    np.testing.assert_allclose((boxes[:, 2] * boxes[:, 3]).numpy(), shapely.area(theirs), rtol=1e-6)


@pytest.mark.parametrize("angle", [0.0, -45.0, 44.9, 12.5, -30.0])
@pytest.mark.parametrize(("width", "height"), [(8.0, 2.0), (2.0, 8.0), (5.0, 4.999)])
def test_a_rectangle_comes_back(angle, width, height):
    """Corners of a box with an angle in [-45, 45) give that box."""
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    corners = [
        (100 + u * cos + v * sin, -50 - u * sin + v * cos)
        for u in (-width / 2, width / 2)
        for v in (-height / 2, height / 2)
    ]
    box = rectangle(corners)
    if angle == -45.0 and box[4] > 0:  # rounding may fall on the other end of the range
        box = [box[0], box[1], box[3], box[2], box[4] - 90]
    assert box == pytest.approx([100, -50, width, height, angle], abs=1e-9)


def test_upright_boxes_come_back_to_the_last_bit():
    """Angle 0, width along x and height along y, whatever is longer."""
    assert rectangle([(1.5, 2.25), (1.5, 10.0), (4.0, 10.0), (4.0, 2.25)]) == [
        2.75,
        6.125,
        2.5,
        7.75,
        0.0,
    ]


def test_ties_go_to_the_angle_closest_to_zero_then_to_the_positive():
    """An equilateral triangle has three smallest rectangles: at 0, 30 and -30 degrees."""
    spins = np.deg2rad([90, 210, 330])
    flat_side = [(10 * np.cos(t), 10 * np.sin(t)) for t in spins]
    leaning = [(10 * np.cos(t), 10 * np.sin(t)) for t in spins + np.deg2rad(15)]

    assert rectangle(flat_side)[4] == pytest.approx(0, abs=1e-9)
    # The sides lie at -15, 45 (which is -45) and 15 degrees.
    assert rectangle(leaning)[4] == pytest.approx(15, abs=1e-9)


def test_degenerate_sets_have_degenerate_boxes():
    """No points, one place, points on a line: level, upright and leaning."""
    assert rectangle([]) == [0.0] * 5
    assert rectangle([(3.0, 4.0)] * 3) == [3.0, 4.0, 0.0, 0.0, 0.0]
    assert rectangle([(1.0, 4.0), (5.0, 4.0), (2.0, 4.0)]) == [3.0, 4.0, 4.0, 0.0, 0.0]
    assert rectangle([(1.0, 4.0), (1.0, 8.0)]) == [1.0, 6.0, 0.0, 4.0, 0.0]
    assert rectangle([(0.0, 0.0), (4.0, -3.0)]) == pytest.approx([2, -1.5, 5, 0, 36.8698976458])


def test_sets_do_not_touch_each_other():
    """A batch gives what its sets give alone, on two threads as on one."""
    rng = np.random.default_rng(1)
    sets = [rng.normal(size=(int(n), 2)).tolist() for n in rng.integers(0, 300, 300)]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        together = ops.min_area_rectangles(*flat(sets))
        corners, offsets = ops.convex_hulls(*flat(sets))
    finally:
        torch.set_num_threads(before)

    assert together.tolist() == [rectangle(one) for one in sets]
    for row in (0, 7, 299):
        alone, _ = ops.convex_hulls(*flat([sets[row]]))
        assert torch.equal(corners[offsets[row] : offsets[row + 1]], alone)


@pytest.mark.parametrize("operator", [ops.convex_hulls, ops.min_area_rectangles])
def test_bad_sets_are_errors(operator):
    """Types, ranks, offsets and coordinates that cannot be used; the set is named."""
    points, offsets = flat([[(0, 0)], [(1, 1), (2, 0)]])
    with pytest.raises(errors.DtypeError, match="points"):
        operator(points.float(), offsets)
    with pytest.raises(errors.ShapeError, match="points"):
        operator(points.flatten(), offsets)
    for wrong in ([0, 2], [0, 3, 2], [1, 3], [0, 4]):
        with pytest.raises(errors.InvalidValueError, match="offsets"):
            operator(points, torch.tensor(wrong))
    for bad in (np.nan, np.inf, 1.1e8):
        wild = points.clone()
        wild[2, 1] = bad
        with pytest.raises(errors.InvalidValueError, match="points: set 1"):
            operator(wild, offsets)


def test_operators_meet_torchs_contract():
    """Schema, fake and dispatch agree, so that the operators trace and compile."""
    batch = flat([[(0, 0), (4, 0), (4, 4)], [], [(2, 1), (3, 1)]])

    torch.library.opcheck(torch.ops.geodet.convex_hulls, batch)
    torch.library.opcheck(torch.ops.geodet.min_area_rectangles, batch)


@pytest.mark.cuda
def test_cuda_tensors_are_refused_in_words(cuda):
    """Hulls are made on the host; nothing is copied behind the caller's back."""
    points, offsets = flat([[(0, 0), (4, 0)]])
    with pytest.raises(errors.BackendError, match=r"\.to\('cpu'\)"):
        ops.min_area_rectangles(points.to(cuda), offsets.to(cuda))
