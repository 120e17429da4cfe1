"""Dense masks of polygons against pycocotools, and exact coverage against shapely."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import example, given

from geodet import ImageSize, PolygonMasks, errors, ops
from geodet import testing as gt
from geodet.ops.reference import polygons as reference

# pycocotools still uses NumPy 1's protocol; its results are right.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

coordinates = st.one_of(
    st.floats(-15, 40, allow_nan=False),
    st.integers(-150, 400).map(lambda tenths: tenths / 10),
)
rings = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=8)
parts = st.lists(rings, min_size=1, max_size=3)
masks_of_parts = st.lists(st.lists(parts, max_size=3), max_size=3)
sizes = st.tuples(st.integers(1, 30), st.integers(1, 30))


def levels(masks):
    """The four tensors of masks given as lists of parts."""
    table = PolygonMasks.from_rings(masks, ImageSize(1, 1))
    return table.points, table.ring_offsets, table.part_offsets, table.mask_offsets


def coco_pixels(ring, size):
    """Pixels of one ring by pycocotools; rings of less than three points cover none."""
    coco = pytest.importorskip("pycocotools.mask")
    from pycocotools import _mask

    if len(ring) < 3:
        return np.zeros(size, dtype=np.bool_)
    return coco.decode(_mask.frPoly([np.ravel(ring).tolist()], *size))[:, :, 0].astype(np.bool_)


def coco_mask(masks_parts, size):
    """Union of outlines without their holes, each by pycocotools."""
    wanted = np.zeros(size, dtype=np.bool_)
    for outline, *holes in masks_parts:
        part = coco_pixels(outline, size)
        for hole in holes:
            part &= ~coco_pixels(hole, size)
        wanted |= part
    return wanted


@given(masks_of_parts, sizes)
@example([[[[(0.0, 0.0), (0.0, 10.0), (10.0, 10.0), (10.0, 0.0)]]]], (10, 10))
@example([[[[(-5.0, 3.0), (40.0, 3.0), (40.0, 99.0), (-5.0, 99.0)]]]], (8, 8))
def test_filled_pixels_agree_with_pycocotools(masks, size):
    """Parts, holes, rings that cross themselves or lie outside: every pixel is COCO's."""
    filled = ops.polygons_to_bit_masks(*levels(masks), size).numpy()

    assert filled.shape == (len(masks), *size)
    for mask, got in zip(masks, filled, strict=True):
        assert np.array_equal(coco_mask(mask, size), got)
    runs = ops.polygons_to_rle(*levels(masks), size)
    assert np.array_equal(ops.rle_decode(*runs, size).numpy(), filled)


@given(st.data(), st.integers(1, 28))
def test_roi_targets_agree_with_pycocotools(data, side):
    """Outlines are moved and scaled in double precision, box sides at least 0.1, then filled."""
    masks = data.draw(masks_of_parts)
    lines = st.tuples(coordinates, coordinates, st.floats(0, 30), st.floats(0, 30))
    drawn = data.draw(st.lists(lines, min_size=len(masks), max_size=len(masks)))
    xyxy = torch.tensor([(x, y, x + w, y + h) for x, y, w, h in drawn]).view(-1, 4)

    targets = ops.polygon_roi_targets(*levels(masks), xyxy, side).numpy()

    for mask, box, got in zip(masks, xyxy.double().numpy(), targets, strict=True):
        scale = side / np.maximum(box[2:] - box[:2], 0.1)
        moved = [[(np.array(ring) - box[:2]) * scale for ring in part] for part in mask]
        assert np.array_equal(coco_mask(moved, (side, side)), got)


@given(rings, st.tuples(st.integers(1, 8), st.integers(1, 8)))
@example([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)], (1, 1))
@example([(-9.0, 3.0), (30.0, 3.0), (30.0, 99.0), (-9.0, 99.0)], (8, 8))
@example([(0.0, -5e-324), (8.0, 5e-324), (4.0, 6.0)], (8, 8))
def test_coverage_of_one_ring_is_what_clipping_to_each_pixel_leaves(ring, size):
    """Also for rings that cross themselves: there both count how often a ring winds."""
    expected = np.minimum(reference.ring_coverage_reference(ring, size), 1)

    got = ops.polygon_coverage(*levels([[[ring]]]), size, dtype=torch.float64)[0].numpy()

    # Cutting rounds coordinates of tens of pixels; shares under 1e-9 are none.
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-9)


@given(gt.polygon_masks(max_parts=1, max_holes=2))
def test_coverage_sums_to_the_area(masks):
    """Of one part inside the image, to rounding; holes one inside the other never occur."""
    flat = (masks.points, masks.ring_offsets, masks.part_offsets, masks.mask_offsets)
    size = masks.image_size.as_tuple()
    first_hole = [
        [[part[0], *part[1:2]] for part in parts]
        for parts in masks.to_rings()  # further holes lie in the first
    ]
    flat = levels(first_hole)
    areas = PolygonMasks.from_rings(first_hole, masks.image_size).area()

    sums = ops.polygon_coverage(*flat, size, dtype=torch.float64).sum(dim=(1, 2))
    rounded = ops.polygon_coverage(*flat, size)

    assert sums.tolist() == pytest.approx(areas.tolist(), abs=1e-9)
    assert rounded.dtype == torch.float32
    assert rounded.double().sum(dim=(1, 2)).tolist() == pytest.approx(areas.tolist(), abs=1e-4)


def test_coverage_agrees_with_shapely():
    """Random stars, holes, parts, partly outside: every pixel to 1e-9, the sum to 1e-9 of it."""
    shapely = pytest.importorskip("shapely")
    rng = np.random.default_rng(0)

    def star(center, reach):
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 20))))
        arms = reach * rng.uniform(0.6, 1, angles.shape)
        points = center + arms[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return [(float(x), float(y)) for x, y in points]

    checked = 0
    for _ in range(80):
        size = (int(rng.integers(1, 90)), int(rng.integers(1, 150)))
        center = rng.uniform(-0.2, 1.2, 2) * size[::-1]
        reach = float(rng.choice([2, 30, 300]))
        parts = [[star(center, reach), star(center, reach / 9)], [star(center, reach / 20)]]
        hole = shapely.Polygon(parts[0][1])
        island = shapely.Polygon(parts[1][0])
        outline = shapely.Polygon(parts[0][0])
        if not (outline.is_valid and outline.contains(hole) and hole.contains(island)):
            continue
        checked += 1
        region = outline.difference(hole).union(island)
        y, x = np.mgrid[0 : size[0], 0 : size[1]]
        expected = shapely.area(shapely.intersection(shapely.box(x, y, x + 1, y + 1), region))

        got = ops.polygon_coverage(*levels([parts]), size, dtype=torch.float64)[0].numpy()

        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)
        window = shapely.box(0, 0, *size[::-1])
        assert got.sum() == pytest.approx(region.intersection(window).area, rel=1e-9, abs=1e-9)
    assert checked > 20


def test_coverage_of_overlapping_parts_ends_at_one():
    """Two halves of a pixel that overlap add up; what is covered twice is covered."""
    left = [(0.0, 0.0), (0.75, 0.0), (0.75, 2.0), (0.0, 2.0)]
    right = [(0.5, 0.0), (2.0, 0.0), (2.0, 1.0), (0.5, 1.0)]
    got = ops.polygon_coverage(*levels([[[left], [right]]]), (2, 2))

    assert got.tolist() == [[[1.0, 1.0], [0.75, 0.0]]]


def test_many_masks_are_filled_alike_on_two_threads():
    """Ranges of masks do not touch each other."""
    rng = np.random.default_rng(0)
    masks = [[[rng.uniform(0, 500, (12, 2)).tolist()]] for _ in range(80)]
    xyxy = torch.tensor([[0.0, 0.0, 500.0, 500.0]]).expand(80, 4)
    flat = levels(masks)
    once = ops.polygons_to_bit_masks(*flat, (500, 500))
    many = ops.polygon_roi_targets(*flat, xyxy, 500)
    shares = ops.polygon_coverage(*flat, (500, 500))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.equal(ops.polygons_to_bit_masks(*flat, (500, 500)), once)
        assert torch.equal(ops.polygon_roi_targets(*flat, xyxy, 500), many)
        assert torch.equal(ops.polygon_coverage(*flat, (500, 500)), shares)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(once, many)  # a box of 500 pixels on 500 cells moves nothing


SQUARE = [(1.0, 1.0), (4.0, 1.0), (4.0, 4.0), (1.0, 4.0)]


def test_unusable_coordinates_name_ring_or_mask():
    """Not finite, absurdly far, or so once moved into a box: an error, not a long wait."""
    for bad in (np.nan, np.inf, 1e9):
        flat = levels([[[SQUARE]], [[SQUARE, [(0.0, bad), (1.0, 0.0), (1.0, 1.0)]]]])
        with pytest.raises(errors.InvalidValueError, match="points: ring 2"):
            ops.polygons_to_bit_masks(*flat, (5, 5))
        with pytest.raises(errors.InvalidValueError, match="points: ring 2"):
            ops.polygon_coverage(*flat, (5, 5))
        with pytest.raises(errors.InvalidValueError, match="mask 1"):
            ops.polygon_roi_targets(*flat, torch.ones(2, 4), 5)
    far = levels([[[SQUARE]], [[[(0.0, 0.0), (1e7, 0.0), (0.0, 1e7)]]]])
    with pytest.raises(errors.InvalidValueError, match="mask 1: a coordinate, moved into"):
        ops.polygon_roi_targets(*far, torch.zeros(2, 4), 5)
    boxes = torch.tensor([[0, 0, 1, 1], [0, np.nan, 1, 1]], dtype=torch.float32)
    with pytest.raises(errors.InvalidValueError, match="mask 1"):
        ops.polygon_roi_targets(*levels([[[SQUARE]], [[SQUARE]]]), boxes, 5)


def test_broken_outlines_are_found_before_memory_is_asked_for():
    """A thousand masks of 2^31 pixels do not fit anywhere: the coordinate is what is wrong."""
    points, ring_offsets, part_offsets, mask_offsets = levels([[[[(0.0, np.nan), *SQUARE]]]])
    many = torch.cat([mask_offsets, mask_offsets[-1:].expand(1_000_000)])
    for operator in (ops.polygons_to_bit_masks, ops.polygon_coverage):
        with pytest.raises(errors.InvalidValueError, match="points: ring 0"):
            operator(points, ring_offsets, part_offsets, many, (46_340, 46_340))


def test_wrong_calls_are_errors():
    """Offsets of every level, sizes, dtypes and counts."""
    points, ring_offsets, part_offsets, mask_offsets = levels([[[SQUARE]]] * 2)
    good = {"ring": ring_offsets, "part": part_offsets, "mask": mask_offsets}
    bad = {
        "ring": [[0, 9, 8], [0, 4], [1, 8], [0, 4, 9]],
        "part": [[0, 2, 2], [0, 1], [0, 3], [1, 2]],
        "mask": [[0, 2, 1, 2], [0, 1], [0, 3]],
    }
    for name, values in bad.items():
        for value in values:
            with pytest.raises(errors.InvalidValueError, match=f"{name}_offsets"):
                ops.polygons_to_bit_masks(
                    points, *{**good, name: torch.tensor(value)}.values(), (5, 5)
                )
    flat = (points, *good.values())
    for size in ((-1, 5), (1 << 20, 1 << 20)):
        with pytest.raises(errors.InvalidValueError, match="size_hw"):
            ops.polygons_to_bit_masks(*flat, size)
    for side in (0, -3, 1 << 17):
        with pytest.raises(errors.InvalidValueError, match="side"):
            ops.polygon_roi_targets(*flat, torch.ones(2, 4), side)
    with pytest.raises(errors.ShapeError, match="xyxy"):
        ops.polygon_roi_targets(*flat, torch.ones(3, 4), 5)
    with pytest.raises(errors.DtypeError, match="xyxy"):
        ops.polygon_roi_targets(*flat, torch.ones(2, 4, dtype=torch.int64), 5)
    with pytest.raises(errors.DtypeError, match=r"dtype: expected torch\.float32 or"):
        ops.polygon_coverage(*flat, (5, 5), dtype=torch.float16)
    with pytest.raises(errors.DtypeError, match="points"):
        ops.polygons_to_bit_masks(points.float(), *good.values(), (5, 5))


def test_empty_inputs():
    """No masks, masks of no parts, images of no pixels."""
    assert ops.polygons_to_bit_masks(*levels([]), (4, 5)).shape == (0, 4, 5)
    assert ops.polygon_roi_targets(*levels([]), torch.zeros(0, 4), 7).shape == (0, 7, 7)
    assert not ops.polygons_to_bit_masks(*levels([[], [[[]]]]), (4, 5)).any()
    assert ops.polygon_coverage(*levels([]), (4, 5)).shape == (0, 4, 5)
    assert not ops.polygon_coverage(*levels([[], [[[]]]]), (4, 5)).any()
    assert ops.polygon_coverage(*levels([[[SQUARE]]]), (0, 5)).shape == (1, 0, 5)
    assert ops.polygons_to_bit_masks(*levels([[[SQUARE]]]), (0, 5)).shape == (1, 0, 5)
    assert ops.polygons_to_bit_masks(*levels([[[SQUARE]]]), (5, 0)).shape == (1, 5, 0)


def test_operators_meet_torchs_contract():
    """Schema, fake and dispatch agree, so that the operators trace and compile."""
    flat = levels([[[SQUARE, [(2, 2), (3, 2), (3, 3)]]], []])
    boxes = torch.tensor([[0.0, 0, 5, 5], [1, 1, 2, 2]], dtype=torch.float64)

    torch.library.opcheck(torch.ops.geodet.polygons_to_bit_masks, (*flat, 6, 7))
    torch.library.opcheck(torch.ops.geodet.polygon_roi_targets, (*flat, boxes, 6))
    torch.library.opcheck(torch.ops.geodet.polygon_coverage, (*flat, 6, 7, False))
    torch.library.opcheck(torch.ops.geodet.polygon_coverage, (*flat, 6, 7, True))


@pytest.mark.cuda
def test_cuda_equals_cpu(cuda):
    """Holes, unions and boxes give the same pixels."""
    rng = np.random.default_rng(0)
    masks = [
        [[rng.uniform(-20, 120, (9, 2)).tolist() for _ in range(k % 3 + 1)] for k in range(n % 4)]
        for n in range(12)
    ]
    flat = levels(masks)
    there = [tensor.to(cuda) for tensor in flat]
    xyxy = torch.tensor(rng.uniform(0, 40, (12, 4))) + torch.tensor([0, 0, 50, 50])

    assert torch.equal(
        ops.polygons_to_bit_masks(*there, (90, 100)).cpu(),
        ops.polygons_to_bit_masks(*flat, (90, 100)),
    )
    assert torch.equal(
        ops.polygon_roi_targets(*there, xyxy.to(cuda), 28).cpu(),
        ops.polygon_roi_targets(*flat, xyxy, 28),
    )
