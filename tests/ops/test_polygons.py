"""Polygon rasterisation against pycocotools and the walked outline, and areas of rings."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import example, given

from geodet import errors, ops
from geodet.ops import _run_events
from geodet.ops.reference import polygons as reference


def flat(masks):
    """Points and offsets of masks given as lists of parts, parts as lists of rings."""
    parts = [part for mask in masks for part in mask]
    rings = [np.asarray(ring, dtype=np.float64).reshape(-1, 2) for part in parts for ring in part]

    def offsets(groups):
        return torch.tensor([0, *np.cumsum([len(g) for g in groups])], dtype=torch.int64)

    points = torch.from_numpy(np.concatenate([np.zeros((0, 2)), *rings]))
    return points, offsets(rings), offsets(parts), offsets(masks)


def rasterize(masks, size):
    """Runs of masks given as lists of parts."""
    return ops.polygons_to_rle(*flat(masks), size)


def coco_texts(rings, size):
    """What pycocotools makes of rings, one text each, and their union."""
    coco = pytest.importorskip("pycocotools.mask")
    from pycocotools import _mask

    rles = _mask.frPoly([np.ravel(ring).tolist() for ring in rings], *size)
    return [rle["counts"] for rle in rles], coco.merge(rles)["counts"]


def coordinates(low, high):
    """Real numbers, tenths (on the grid's rounding edges) and whole numbers."""
    return st.one_of(
        st.floats(low, high, allow_nan=False),
        st.integers(int(low) * 10, int(high) * 10).map(lambda tenths: tenths / 10),
        st.integers(int(low), int(high)).map(float),
    )


def rings(low=-15.0, high=40.0, min_points=1):
    """Rings around and outside of an image."""
    points = st.tuples(coordinates(low, high), coordinates(low, high))
    return st.lists(points, min_size=min_points, max_size=9)


sizes = st.tuples(st.integers(1, 30), st.integers(1, 30))


@given(st.lists(rings(), min_size=1, max_size=4), sizes)
@example([[(0.0, 0.0), (0.0, 10.0), (10.0, 10.0), (10.0, 0.0)]], (10, 10))
@example([[(2.5, 2.5)] * 4], (5, 5))
@example([[(0.3, 0.3), (0.31, 0.3), (0.31, 0.31)]], (1, 1))
def test_rings_and_their_union_equal_coco(many, size):
    """One ring a mask, and all rings as parts of one mask, byte for byte."""
    each, union = coco_texts(many, size)

    assert ops.rle_to_strings(*rasterize([[[ring]] for ring in many], size)) == each
    assert ops.rle_to_strings(*rasterize([[[ring] for ring in many]], size)) == [union]


@given(rings(-1e5, 1e5, 3), sizes)
@example([(-1e6, -987_654.3), (1e6, 3.7), (12.4, 999_999.9)], (30, 20))
def test_rings_far_outside_equal_coco(ring, size):
    """Edges of up to millions of pixels still round as COCO's do."""
    each, _ = coco_texts([ring], size)

    assert ops.rle_to_strings(*rasterize([[[ring]]], size)) == each


def test_thousands_of_random_polygons_equal_coco():
    """Stars, slivers, repeated and collinear points, tiny and huge, on images of many sizes."""
    rng = np.random.default_rng(0)
    for _ in range(600):
        h, w = (int(side) for side in rng.integers(1, rng.choice([8, 80, 500]), 2))
        many = []
        for _ in range(8):
            count = int(rng.integers(3, 15))
            points = rng.choice(
                [
                    rng.uniform(-0.3, 1.3, (count, 2)) * [w, h],
                    rng.uniform(0, 1, 2) * [w, h] + rng.normal(0, 0.5, (count, 2)),
                    rng.uniform(-1, 1, (count, 2)) * 10.0 ** rng.uniform(0, 4, (count, 1)),
                    np.repeat(rng.uniform(-0.1, 1.1, (1, 2)) * [w, h], count, axis=0)
                    + rng.integers(-3, 3, (count, 2)) / 2,
                ]
            )
            many.append(np.round(points, int(rng.choice([0, 1, 9]))))
        each, union = coco_texts(many, (h, w))

        assert ops.rle_to_strings(*rasterize([[[ring]] for ring in many], (h, w))) == each
        assert ops.rle_to_strings(*rasterize([[[ring] for ring in many]], (h, w))) == [union]


@given(st.lists(st.lists(rings(), min_size=1, max_size=3), max_size=3), sizes)
def test_holes_are_taken_out_of_their_part_only(parts, size):
    """A mask is the union of parts, a part its first ring without its further ones."""
    wanted = np.zeros(size, dtype=np.bool_)
    for part in parts:
        wanted |= reference.part_reference(part, size)

    batch = rasterize([parts], size)

    assert np.array_equal(wanted, ops.rle_decode(*batch, size)[0].numpy())


@given(st.lists(st.lists(rings(), min_size=1, max_size=3), max_size=4), st.data(), sizes)
def test_event_sums_compose_as_run_by_run(parts, data, size):
    """What CUDA computes by sorting and summing is what the CPU computes by walking runs."""
    cut = data.draw(st.integers(0, len(parts)))
    masks = [parts[:cut], parts[cut:]]
    points, ring_offsets, part_offsets, mask_offsets = flat(masks)
    each = torch.arange(len(ring_offsets))
    rings_alone = ops.polygons_to_rle(points, ring_offsets, each, each, size)

    sums = _run_events.compose_parts(rings_alone, part_offsets, mask_offsets, size[0] * size[1])

    runs = rasterize(masks, size)
    assert torch.equal(runs[0], sums[0])
    assert torch.equal(runs[1], sums[1])


def test_a_square_with_a_hole_and_an_island():
    """Area 100 - 36 + 4: the island in the hole is a part of its own."""

    def square(low, high):
        return [(low, low), (high, low), (high, high), (low, high)]

    batch = rasterize([[[square(0, 10), square(2, 8)], [square(4, 6)]]], (10, 10))

    assert ops.rle_area(*batch).tolist() == [68]


def test_work_is_bounded_however_long_or_many_the_edges():
    """Edges of 1e8 pixels cost no more than the columns they cross; repeats cancel in place."""
    far = [(-1e8, -1e8), (1e8, 1e8), (-1e8, 1e8)]
    zigzag = [(0.0 if k % 2 else 64.0, float(k % 7)) for k in range(20_001)]

    triangle = rasterize([[[far]]], (100, 100))
    many = rasterize([[[zigzag]]], (8, 64))

    assert 4900 <= int(ops.rle_area(*triangle)) <= 5100
    assert ops.rle_to_strings(*many) == coco_texts([zigzag], (8, 64))[0]


@given(st.lists(st.tuples(coordinates(-9, 9), coordinates(-9, 9)), max_size=9))
def test_ring_areas_are_signed_shoelace(ring):
    """Equal to the formula; turning the ring around changes the sign."""
    points, offsets, _, _ = flat([[[ring]], [[ring[::-1]]]])

    areas = ops.ring_areas(points, offsets)

    # Sums in another order differ in the last digits of numbers up to 9 * 81.
    assert areas[0].item() == pytest.approx(reference.ring_area_reference(ring), abs=1e-11)
    assert areas[1].item() == pytest.approx(-areas[0].item(), abs=1e-11)


def test_ring_area_equals_shapely():
    """Size and sign: shapely counts counter-clockwise with y up, which is clockwise here."""
    shapely = pytest.importorskip("shapely")
    angles = np.linspace(0, 2 * np.pi, 17)[:-1]
    ring = np.stack([5 + 3 * np.cos(angles), 1e6 + 2 * np.sin(angles)], axis=1)
    points, offsets, _, _ = flat([[[ring]]])
    polygon = shapely.Polygon(ring)

    assert polygon.exterior.is_ccw
    # shapely sums at the origin and loses what 1e6 costs.
    assert ops.ring_areas(points, offsets).item() == pytest.approx(polygon.area, rel=1e-8)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.1e8, 1e300])
def test_unusable_coordinates_name_the_ring(bad):
    """Not finite or absurdly far: an error, not a long wait."""
    good = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]

    with pytest.raises(errors.InvalidValueError, match="ring 2"):
        rasterize([[[good], [good, [(0.0, bad), (1.0, 0.0), (1.0, 1.0)]]]], (5, 5))


def test_wrong_offsets_are_errors():
    """Every level of offsets is checked before use."""
    points, ring_offsets, part_offsets, mask_offsets = flat([[[[(0, 0), (4, 0), (4, 4)]]]] * 2)
    bad = {
        "ring_offsets": [torch.tensor(v) for v in ([0, 7, 6], [0, 3], [1, 6], [0, 3, 7])],
        "part_offsets": [torch.tensor(v) for v in ([0, 2, 2], [0, 1], [0, 3], [1, 2])],
        "mask_offsets": [torch.tensor(v) for v in ([0, 2, 1, 2], [0, 1], [0, 3])],
    }
    good = {
        "ring_offsets": ring_offsets,
        "part_offsets": part_offsets,
        "mask_offsets": mask_offsets,
    }
    for name, values in bad.items():
        for value in values:
            with pytest.raises(errors.InvalidValueError, match="offsets"):
                ops.polygons_to_rle(points, **{**good, name: value}, size_hw=(5, 5))
    with pytest.raises(errors.DtypeError):
        ops.polygons_to_rle(points.float(), *good.values(), (5, 5))
    with pytest.raises(errors.InvalidValueError, match="size_hw"):
        ops.polygons_to_rle(points, *good.values(), (-1, 5))


def test_empty_inputs():
    """No masks, masks of no parts, images of no pixels, rings of no points."""
    nothing = flat([])
    triangle = [[[(0.0, 0.0), (4.0, 0.0), (4.0, 4.0)]]]

    assert ops.polygons_to_rle(*nothing, (4, 5))[1].tolist() == [0]
    assert rasterize([[], []], (4, 5))[0].tolist() == [20, 20]
    assert rasterize([triangle], (0, 5))[0].tolist() == [0]
    assert rasterize([triangle], (5, 0))[0].tolist() == [0]
    assert rasterize([[[[]]]], (4, 5))[0].tolist() == [20]
    assert ops.ring_areas(*nothing[:2]).shape == (0,)


def test_operators_meet_torchs_contract():
    """Schema, fake and dispatch agree, so that the operators trace and compile."""
    batch = flat([[[[(0, 0), (4, 0), (4, 4)], [(2, 1), (3, 1), (3, 2)]]]] * 2)

    torch.library.opcheck(torch.ops.geodet.polygons_to_rle, (*batch, 6, 7))
    torch.library.opcheck(torch.ops.geodet.ring_areas, batch[:2])


@pytest.mark.cuda
def test_cuda_equals_cpu(cuda):
    """Rings, holes and unions give the same runs, rings the same areas."""
    rng = np.random.default_rng(0)
    masks = [
        [[rng.uniform(-20, 120, (9, 2)) for _ in range(k % 3 + 1)] for k in range(n % 4)]
        for n in range(12)
    ]
    batch = flat(masks)
    there = [tensor.to(cuda) for tensor in batch]

    here = ops.polygons_to_rle(*batch, (90, 100))
    on_gpu = ops.polygons_to_rle(*there, (90, 100))

    assert [t.tolist() for t in here] == [t.tolist() for t in on_gpu]
    assert ops.ring_areas(*there[:2]).cpu().equal(ops.ring_areas(*batch[:2]))
