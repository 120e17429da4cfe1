"""Clipping, simplifying and checking polygons against shapely."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import assume, example, given

from geodet import ImageSize, PolygonMasks, errors, ops
from geodet import testing as gt

shapely = pytest.importorskip("shapely")

SIZE = ImageSize(24, 24)
INF = float("inf")


def levels(masks):
    """The four tensors of masks given as lists of parts."""
    table = PolygonMasks.from_rings(masks, SIZE)
    return table.points, table.ring_offsets, table.part_offsets, table.mask_offsets


def clipped(parts, window):
    """Parts of one mask after clipping, as nested lists."""
    return PolygonMasks(*ops.clip_polygons(*levels([parts]), window), SIZE).to_rings()[0]


def region(parts):
    """What shapely makes of parts: their union."""
    return shapely.union_all([shapely.Polygon(rings[0], rings[1:]) for rings in parts])


def assert_clipped(parts, window):
    """The pieces are shapely's: valid, apart, inside, and of the very region."""
    pieces = clipped(parts, window)
    polygons = [shapely.Polygon(rings[0], rings[1:]) for rings in pieces]
    assert all(polygon.is_valid for polygon in polygons)
    expected = region(parts).intersection(shapely.box(*window))
    area = sum(polygon.area for polygon in polygons)
    assert area == pytest.approx(expected.area, rel=1e-9, abs=1e-9)
    union = shapely.union_all(polygons)
    assert union.area == pytest.approx(area, rel=1e-9, abs=1e-9)  # pieces do not overlap
    assert union.symmetric_difference(expected).area == pytest.approx(0, abs=1e-8)
    for x, y in (point for rings in pieces for ring in rings for point in ring):
        assert window[0] <= x <= window[2]
        assert window[1] <= y <= window[3]
    areal = [piece for piece in getattr(expected, "geoms", [expected]) if piece.area > 1e-9]
    if not any(a.touches(b) for a in areal for b in areal if a is not b):
        assert len([polygon for polygon in polygons if polygon.area > 1e-9]) == len(areal)


windows = st.tuples(*[st.integers(0, 192).map(lambda step: step / 8)] * 4).map(
    lambda w: (min(w[0], w[2]), min(w[1], w[3]), max(w[0], w[2]), max(w[1], w[3]))
)


# A hole with a side on the border, and a notch whose tip is on it.
SIDE_ON_BORDER = [
    [(0.0, 0.0), (1.0, 0.0), (0.0, 0.25), (0.0, 0.125)],
    [(0.125, 0.046875), (0.625, 0.046875), (0.125, 0.171875), (0.125, 0.109375)],
]
TIP_ON_BORDER = [[(0.0, 0.25), (0.125, 2.0), (0.0, 0.0), (0.625, 9.375)]]


@given(gt.polygon_masks(image_size=SIZE, max_parts=1, min_rows=1, max_points=12), windows)
@example(PolygonMasks.from_rings([[SIDE_ON_BORDER]], SIZE), (0.125, 0.0, 0.25, 0.125))
@example(PolygonMasks.from_rings([[TIP_ON_BORDER]], SIZE), (0.0, 0.0, 0.125, 2.0))
def test_clipping_agrees_with_shapely(masks, window):
    """Stars with a hole, on the grid of the window, so that corners lie on its border."""
    for parts in masks.to_rings():
        valid = [p for p in parts if shapely.Polygon(p[0], p[1:]).is_valid]
        assert_clipped(valid, window)


def test_clipping_random_shapes_agrees_with_shapely():
    """Concave outlines with several holes, cut in many pieces."""
    rng = np.random.default_rng(0)
    cut = 0
    for _ in range(250):
        noise = shapely.union_all(
            [shapely.Point(*rng.uniform(0, 24, 2)).buffer(rng.uniform(1, 6), 3) for _ in range(6)]
        ).difference(
            shapely.union_all(
                [shapely.box(x, y, x + 1.5, y + 1.5) for x, y in rng.uniform(0, 24, (9, 2))]
            )
        )
        parts = [
            [list(piece.exterior.coords)[:-1], *(list(h.coords)[:-1] for h in piece.interiors)]
            for piece in getattr(noise, "geoms", [noise])
        ]
        x, y = rng.uniform(0, 18, 2)
        window = (x, y, x + rng.uniform(1, 9), y + rng.uniform(1, 9))
        assert_clipped(parts, window)
        cut += len(clipped(parts, window)) > 1
    assert cut > 20  # else the shapes would be too plain


def square(low, high):
    """A ring."""
    return [(low, low), (high, low), (high, high), (low, high)]


COMB = [(0, 0), (9, 0), (9, 6), (7, 6), (7, 2), (5, 2), (5, 6), (3, 6), (3, 2), (1, 2), (1, 6)]
COMB.append((0, 6))


def test_teeth_of_a_comb_come_apart():
    """Below its back a comb is three parts, with no bridges along the border."""
    pieces = clipped([[[(float(x), float(y)) for x, y in COMB]]], (0.0, 3.0, 9.0, 9.0))

    assert len(pieces) == 3
    assert all(len(rings) == 1 and len(rings[0]) == 4 for rings in pieces)
    assert sorted({x for rings in pieces for x, _ in rings[0]}) == [0, 1, 3, 5, 7, 9]


def test_holes_stay_or_join_the_outline():
    """A hole inside stays one, a hole on the border opens, a hole outside is gone."""
    part = [square(0.0, 12.0), square(2.0, 4.0), square(6.0, 8.0)]

    (kept,) = clipped([part], (0.0, 0.0, 5.0, 5.0))
    (opened,) = clipped([part], (0.0, 0.0, 7.0, 7.0))
    frame = clipped([[square(0.0, 12.0), square(1.0, 11.0)]], (-1.0, 5.0, 13.0, 7.0))

    assert [len(ring) for ring in kept] == [4, 4]
    assert len(opened) == 2
    assert abs(shapely.Polygon(opened[0], opened[1:]).area - (49 - 4 - 1)) < 1e-12
    assert len(frame) == 2


@given(gt.polygon_masks(image_size=SIZE), windows)
def test_clipping_twice_changes_nothing(masks, window):
    """What lies inside is returned bit for bit; infinite borders cut nothing."""
    flat = (masks.points, masks.ring_offsets, masks.part_offsets, masks.mask_offsets)
    once = ops.clip_polygons(*flat, window)
    twice = ops.clip_polygons(*once, window)
    whole = ops.clip_polygons(*flat, (-INF, -INF, INF, INF))

    assert all(torch.equal(a, b) for a, b in zip(once, twice, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(flat, whole, strict=True))


coordinates = st.integers(0, 80).map(lambda step: step / 8)
rings = st.lists(st.tuples(coordinates, coordinates), max_size=9)


@given(rings)
@example([(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 0.0)])
@example([(0.0, 0.0), (4.0, 0.0), (2.0, 0.0), (2.0, 2.0)])
@example([(0.0, 0.0), (2.0, 2.0), (2.0, 0.0), (0.0, 2.0)])
def test_simple_rings_are_those_of_valid_polygons(ring):
    """Shapely's validity of a polygon of one ring; it takes no rings under three points."""
    points, offsets, _, _ = levels([[[ring]]])
    places = [place for k, place in enumerate(ring) if k == 0 or place != ring[k - 1]]
    expected = len(set(places)) >= 3 and shapely.Polygon(places).is_valid

    assert ops.rings_are_simple(points, offsets).tolist() == [expected]


def test_simple_rings_among_thousands_agree_with_shapely():
    """Random rings of many points, simple and not, in one batch on two threads."""
    rng = np.random.default_rng(0)
    shapes = []
    for k in range(400):
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 60))))
        arms = rng.uniform(0.3, 1, angles.shape)
        points = arms[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1) + 1e6 * (k % 2)
        if k % 3 == 0:
            points[rng.integers(0, len(points), 2)] = points[rng.integers(0, len(points), 2)]
        shapes.append([(float(x), float(y)) for x, y in points])
    expected = shapely.is_valid([shapely.Polygon(shape) for shape in shapes])
    points, offsets, _, _ = levels([[[shape]] for shape in shapes])
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        got = ops.rings_are_simple(points, offsets).numpy()
    finally:
        torch.set_num_threads(before)

    assert 50 < expected.sum() < 390
    assert np.array_equal(got, expected)


@given(rings.filter(lambda ring: len(ring) >= 3), st.sampled_from([0.0, 0.25, 1.0, 3.0]))
def test_simplified_rings_stay_within_the_tolerance(ring, tolerance):
    """Points left out lie within the tolerance, those kept keep their order, three remain."""
    points, offsets, _, _ = levels([[[ring]]])
    kept, kept_offsets = ops.simplify_polygons(points, offsets, tolerance)
    left = [(x, y) for x, y in kept.tolist()]

    assert kept_offsets.tolist() == [0, len(left)]
    assert len(left) >= 3
    rest = iter(ring)
    assert all(point in rest for point in left)
    assert left[0] == ring[0]
    outline = shapely.LinearRing(left) if len(set(left)) > 2 else shapely.LineString(left)
    for point in ring:
        # Distances of numbers up to 10 round at 1e-15.
        assert outline.distance(shapely.Point(point)) <= tolerance + 1e-9


@given(rings.filter(lambda ring: len(ring) >= 4), st.sampled_from([0.3, 0.7, 1.3]))
def test_simplified_rings_agree_with_shapely(ring, tolerance):
    """As a closed line that starts at the first point, where more than three points remain."""
    points, offsets, _, _ = levels([[[ring]]])
    kept, _ = ops.simplify_polygons(points, offsets, tolerance)
    line = shapely.LineString([*ring, ring[0]]).simplify(tolerance, preserve_topology=False)
    theirs = list(line.coords)[:-1]
    assume(len(theirs) > 3 and len(kept) > 3)
    # Of points equally far away either may be kept, and the rest then follows from that.
    x, y = np.array(ring).T
    assume(len({round(float(d), 9) for d in np.hypot(x - x[0], y - y[0])}) == len(ring))

    assert len(kept) <= len(ring)
    assert abs(len(theirs) - len(kept)) <= 1


def test_a_wavy_line_loses_its_small_waves():
    """Points on a line go at tolerance 0; a bump goes when the tolerance reaches it."""
    ring = [(0.0, 0.0), (2.0, 0.0), (4.0, 0.5), (6.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0)]
    points, offsets, _, _ = levels([[[ring, square(2.0, 4.0)]]])

    at_zero, _ = ops.simplify_polygons(points, offsets, 0.0)
    at_half, ends = ops.simplify_polygons(points, offsets, 0.5)

    assert at_zero.tolist()[:7] == [list(point) for point in ring]
    assert [tuple(point) for point in at_half.tolist()[:4]] == [ring[0], ring[4], ring[5], ring[6]]
    assert ends.tolist() == [0, 4, 8]


def test_wrong_calls_are_errors():
    """Coordinates, offsets, windows and tolerances that cannot be used."""
    flat = levels([[[square(0.0, 4.0)]], [[square(1.0, 2.0)]]])
    for bad in (np.nan, np.inf, 1e9):
        wild = flat[0].clone()
        wild[5, 0] = bad
        for call in (
            lambda wild=wild: ops.clip_polygons(wild, *flat[1:], (0, 0, 1, 1)),
            lambda wild=wild: ops.simplify_polygons(wild, flat[1], 1.0),
            lambda wild=wild: ops.rings_are_simple(wild, flat[1]),
        ):
            with pytest.raises(errors.InvalidValueError, match="points: ring 1"):
                call()
    for window in ((1, 0, 0, 1), (0, 1, 1, 0), (0, 0, np.nan, 1)):
        with pytest.raises(errors.InvalidValueError, match="window_xyxy"):
            ops.clip_polygons(*flat, window)
    for tolerance in (-1.0, np.nan, np.inf):
        with pytest.raises(errors.InvalidValueError, match="tolerance"):
            ops.simplify_polygons(*flat[:2], tolerance)
    with pytest.raises(errors.InvalidValueError, match="part_offsets"):
        ops.clip_polygons(*flat[:2], torch.tensor([0, 2, 1]), flat[3], (0, 0, 1, 1))
    with pytest.raises(errors.InvalidValueError, match="ring_offsets"):
        ops.rings_are_simple(flat[0], torch.tensor([0, 9]))


def test_empty_inputs():
    """No masks, masks of no parts, rings of no points, windows of no area."""
    nothing = levels([])
    bare = levels([[], [[[]]], [[square(0.0, 4.0), []]]])

    assert [t.tolist() for t in ops.clip_polygons(*nothing, (0, 0, 1, 1))] == [[], [0], [0], [0]]
    assert ops.clip_polygons(*bare, (1, 1, 3, 3))[3].tolist() == [0, 0, 1, 2]
    assert ops.clip_polygons(*bare, (1, 1, 1, 3))[3].tolist() == [0, 0, 1, 1]
    assert ops.simplify_polygons(*nothing[:2], 1.0)[1].tolist() == [0]
    assert ops.simplify_polygons(*bare[:2], 1.0)[1].tolist() == [0, 0, 4, 4]
    assert ops.rings_are_simple(*nothing[:2]).shape == (0,)
    assert ops.rings_are_simple(*bare[:2]).tolist() == [False, True, False]


def test_operators_meet_torchs_contract():
    """Schema, fake and dispatch agree, so that the operators trace and compile."""
    flat = levels([[[square(0.0, 4.0), square(1.0, 2.0)]], []])

    torch.library.opcheck(torch.ops.geodet.clip_polygons, (*flat, 0.5, 0.5, 3.0, 3.0))
    torch.library.opcheck(torch.ops.geodet.simplify_polygons, (*flat[:2], 0.5))
    torch.library.opcheck(torch.ops.geodet.rings_are_simple, flat[:2])
