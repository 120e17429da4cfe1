"""Polygon masks combined, moved, cut and measured, against shapely, pycocotools and pixels."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from geodet import (
    BitMasks,
    Boxes,
    DtypeError,
    HardMasks,
    ImageSize,
    InvalidValueError,
    PolygonMasks,
    RotatedBoxes,
    ShapeError,
)
from geodet import testing as gt

shapely = pytest.importorskip("shapely")

SIZE = ImageSize(9, 14)
SQUARE = [(1.0, 1.0), (8.0, 1.0), (8.0, 8.0), (1.0, 8.0)]
HOLE = [(3.0, 3.0), (6.0, 3.0), (6.0, 6.0), (3.0, 6.0)]
ISLAND = [(4.0, 4.0), (5.0, 4.0), (5.0, 5.0), (4.0, 5.0)]
BOW_TIE = [(0.0, 0.0), (2.0, 2.0), (2.0, 0.0), (0.0, 2.0)]
NESTED = PolygonMasks.from_rings([[[SQUARE, HOLE], [ISLAND]], []], SIZE)

pairs = st.shared(st.integers(0, 3), key="rows").flatmap(
    lambda rows: st.tuples(
        *[gt.polygon_masks(image_size=SIZE, min_rows=rows, max_rows=rows) for _ in range(2)]
    )
)


def regions(masks):
    """What shapely makes of each mask: its parts, joined; flat rings enclose nothing."""
    polygons = [
        [shapely.make_valid(shapely.Polygon(part[0], part[1:])) for part in parts]
        for parts in masks.to_rings()
    ]
    return [shapely.union_all(parts) for parts in polygons]


def test_polygon_masks_are_hard_masks():
    """They meet the whole protocol."""
    assert isinstance(NESTED, HardMasks)
    assert NESTED.contours() is NESTED
    assert NESTED.to_polygon_masks() is NESTED


@given(pairs)
def test_unions_keep_the_parts_and_holes_of_both(two):
    """Row by row all parts of both; pixels are those of either mask."""
    a, b = two
    union = a.union(b)

    joined = [x + y for x, y in zip(a.to_rings(), b.to_rings(), strict=True)]
    assert union.validated().to_rings() == joined
    assert torch.equal(union.to_bit_masks().data, a.to_bit_masks().data | b.to_bit_masks().data)


@given(pairs)
def test_set_operations_in_pixels_are_those_of_run_lengths(two):
    """Intersection, difference, IoU and IoA are named after pixels and are theirs."""
    a, b = two
    here, there = a.to_bit_masks().data, b.to_bit_masks().data
    both = (here[:, None] & there[None]).sum((2, 3)).double()
    either = (here[:, None] | there[None]).sum((2, 3)).double()
    areas = there.sum((1, 2)).double()

    assert torch.equal(a.intersection(b).to_bit_masks().data, here & there)
    assert torch.equal(a.difference(b).to_bit_masks().data, here & ~there)
    assert torch.equal(a.pairwise_iou(b), torch.where(either > 0, both / either, 0.0))
    assert torch.equal(a.pairwise_ioa(b), torch.where(areas > 0, both / areas, 0.0))


def test_iou_against_a_crowd_is_cocos():
    """The third argument reaches pycocotools' own iscrowd."""
    coco = pytest.importorskip("pycocotools.mask")
    masks = PolygonMasks.from_rings([[[SQUARE]], [[HOLE]]], SIZE)
    rles = masks.to_rle_masks().to_coco()
    crowd = torch.tensor([True, False])

    expected = coco.iou(rles, rles, crowd.numpy().astype(np.uint8))

    assert np.array_equal(masks.pairwise_iou(masks, crowd).numpy(), expected)


@given(gt.polygon_masks(image_size=SIZE, max_parts=1), st.data())
def test_crops_are_shapelys_windows(masks, data):
    """Of every part the region inside the window, moved to its corner."""
    x1, x2 = sorted(data.draw(st.tuples(*[st.integers(0, SIZE.width)] * 2)))
    y1, y2 = sorted(data.draw(st.tuples(*[st.integers(0, SIZE.height)] * 2)))
    if x1 == x2 or y1 == y2:
        with pytest.raises(InvalidValueError, match="xyxy: expected a window inside 14 x 9"):
            masks.crop((x1, y1, x2, y2))
        return
    valid = masks[[region.is_valid and region.area > 0 for region in regions(masks)]]
    simple = [shapely.Polygon(p[0], p[1:]).is_valid for (p,) in valid.to_rings()]
    valid = valid[torch.tensor(simple, dtype=torch.bool)]
    crop = valid.crop((x1, y1, x2, y2))

    assert crop.image_size == ImageSize(y2 - y1, x2 - x1)
    window = shapely.box(x1, y1, x2, y2)
    for region, area in zip(regions(valid), crop.area().tolist(), strict=True):
        assert area == pytest.approx(region.intersection(window).area, rel=1e-9, abs=1e-9)
    for x, y in crop.points.tolist():
        assert 0 <= x <= x2 - x1
        assert 0 <= y <= y2 - y1
    kept = valid.clip_to_window((x1, y1, x2, y2))
    assert kept.image_size == SIZE
    assert torch.equal(kept.points, crop.points + torch.tensor([x1, y1]).double())


@given(gt.polygon_masks(), st.tuples(*[st.integers(0, 5)] * 4))
def test_cropping_undoes_padding(masks, padding):
    """The window of the old image gives the masks back, parts and holes and all."""
    height, width = masks.image_size
    left, top, right, bottom = padding
    padded = masks.pad(*padding)

    assert padded.image_size == ImageSize(top + height + bottom, left + width + right)
    assert padded.area().tolist() == pytest.approx(masks.area().tolist(), abs=1e-9)
    back = padded.crop((left, top, left + width, top + height))
    assert back.allclose(masks, rtol=0, atol=1e-12)


@given(gt.polygon_masks(), st.integers(-5, 5))
def test_turns_and_mirrors_move_the_exact_coverage(masks, turns):
    """What a pixel is covered by follows it: counter-clockwise turns, and both mirrors."""
    coverage = masks.coverage(dtype=torch.float64)
    # Holes carry rounding, and so do sums of shares in another order.
    close = {"rtol": 0, "atol": 2e-9}

    turned = masks.rotate_90(turns)
    moved = {
        "turn": (turned, torch.rot90(coverage, turns, (1, 2))),
        "left and right": (masks.flip_horizontally(), coverage.flip(2)),
        "top and bottom": (masks.flip_vertically(), coverage.flip(1)),
    }
    for got, expected in moved.values():
        torch.testing.assert_close(got.coverage(dtype=torch.float64), expected, **close)
    back = turned.rotate_90(-turns)
    assert back.allclose(masks, rtol=0, atol=1e-12)


@given(gt.polygon_masks(min_rows=1), st.floats(-400, 400), st.tuples(*[st.floats(-9, 9)] * 2))
def test_rotations_are_shapelys(masks, angle, center):
    """Points turn counter-clockwise as seen; shapely's y points up, so its angle is -angle."""
    from shapely import affinity

    turned = masks.rotate(angle, center=center)

    assert turned.image_size == masks.image_size
    if len(masks.points):
        line = shapely.MultiPoint(masks.points.numpy())
        expected = affinity.rotate(line, -angle, origin=center)
        found = turned.points.numpy()
        np.testing.assert_allclose(found, shapely.get_coordinates(expected), rtol=0, atol=1e-11)
    assert turned.area().tolist() == pytest.approx(masks.area().tolist(), abs=1e-9)


def test_whole_quarters_turn_without_rounding():
    """Around the middle of a square image, rotate is rotate_90 to the last bit."""
    square = PolygonMasks.from_rings(NESTED.to_rings(), ImageSize(12, 12))
    for quarters in range(-3, 4):
        assert square.rotate(90.0 * quarters, center=(6.0, 6.0)).equal(square.rotate_90(quarters))


@given(gt.polygon_masks(min_rows=1), st.lists(st.floats(-3, 3), min_size=6, max_size=6))
def test_affine_maps_are_shapelys(masks, numbers):
    """[a b x; c d y] is shapely's [a, b, c, d, x, y]; areas scale with the determinant."""
    from shapely import affinity

    a, b, x, c, d, y = numbers
    size = ImageSize(30, 40)
    mapped = masks.affine(torch.tensor(numbers, dtype=torch.float64).view(2, 3), size)

    assert mapped.image_size == size
    if len(masks.points):
        line = shapely.MultiPoint(masks.points.numpy())
        expected = shapely.get_coordinates(affinity.affine_transform(line, [a, b, c, d, x, y]))
        np.testing.assert_allclose(mapped.points.numpy(), expected, rtol=0, atol=1e-11)
    scaled = (masks.area() * abs(a * d - b * c)).tolist()
    assert mapped.area().tolist() == pytest.approx(scaled, rel=1e-9, abs=1e-8)


@given(gt.polygon_masks(max_points=9))
def test_hulls_are_shapelys(masks):
    """One part, no holes, the hull of all points; points on a line have none."""
    hulls = masks.hulls().validated(simple=True)

    assert len(hulls) == len(masks)
    for parts, hull in zip(masks.to_rings(), hulls.to_rings(), strict=True):
        points = [point for part in parts for ring in part for point in ring]
        expected = shapely.MultiPoint(points).convex_hull.area
        assert sum(shapely.Polygon(*part).area for part in hull) == pytest.approx(expected)
        assert len(hull) == (1 if expected > 0 else 0)


@given(gt.polygon_masks(max_points=9))
def test_rotated_boxes_hold_every_point_on_the_smallest_area(masks):
    """Shapely's smallest rectangle has the same area; a mask without points gives zeros."""
    boxes = masks.to_rotated_boxes()

    assert boxes.cxcywha.dtype == torch.float32
    for parts, box in zip(masks.to_rings(), boxes, strict=True):
        points = [point for part in parts for ring in part for point in ring]
        if not points:
            assert box.cxcywha.tolist() == [[0.0] * 5]
            continue
        expected = shapely.MultiPoint(points).minimum_rotated_rectangle.area
        assert box.area().item() == pytest.approx(expected, rel=1e-4, abs=1e-3)


@given(gt.boxes(degenerate=False))
def test_boxes_become_outlines_and_come_back(boxes):
    """Corners are taken as they are: boxes, areas and coverage come back exactly."""
    masks = PolygonMasks.from_boxes(boxes, SIZE).validated(simple=True)

    assert masks.boxes().equal(boxes.to(dtype=torch.float32))
    assert torch.equal(masks.area(), boxes.to(dtype=torch.float64).area())


@given(gt.rotated_boxes())
def test_rotated_boxes_become_outlines_and_come_back(boxes):
    """The area is width times height, and the smallest rectangle around it has no other."""
    masks = PolygonMasks.from_rotated_boxes(boxes, SIZE)
    expected = boxes.to(dtype=torch.float64).area().tolist()

    assert len(masks) == len(boxes)
    assert masks.area().tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)
    # Single precision rounds sides and their product.
    assert masks.to_rotated_boxes().area().tolist() == pytest.approx(expected, rel=1e-4, abs=1e-3)
    again = RotatedBoxes.from_points(masks.points, torch.arange(len(masks) + 1) * 4)
    assert again.to(dtype=torch.float32).equal(masks.to_rotated_boxes())


@given(gt.polygon_masks())
def test_geojson_round_trips_and_is_shapelys(masks):
    """Shapely reads what is written, and what shapely writes is read; parts and holes survive."""
    written = masks.to_geojson()

    assert PolygonMasks.from_geojson(written, masks.image_size).equal(masks)
    shapes = [shapely.geometry.shape(geometry) for geometry in written]
    again = [shapely.geometry.mapping(shape) for shape in shapes]
    assert PolygonMasks.from_geojson(again, masks.image_size).equal(masks)


def test_a_geojson_polygon_is_one_part():
    """A Polygon is read as a mask of one part; heights of points are left out."""
    polygon = {"type": "Polygon", "coordinates": [[*SQUARE, SQUARE[0]], [*HOLE, HOLE[0]]]}
    flat = PolygonMasks.from_geojson([polygon], SIZE)
    high = {"type": "Polygon", "coordinates": [[(*p, 7.0) for p in (*SQUARE, SQUARE[0])]]}

    assert flat.to_rings() == [[[SQUARE, HOLE]]]
    assert PolygonMasks.from_geojson([high], SIZE).to_rings() == [[[SQUARE]]]
    for bad in ({"type": "Point", "coordinates": [0, 0]}, {"type": "Polygon"}, {}):
        with pytest.raises(InvalidValueError, match="masks row 1: expected a Polygon"):
            PolygonMasks.from_geojson([polygon, bad], SIZE)
    with pytest.raises(InvalidValueError, match="masks row 0: expected rings that end where"):
        PolygonMasks.from_geojson([{"type": "Polygon", "coordinates": [SQUARE]}], SIZE)


@given(gt.polygon_masks())
def test_components_are_the_parts(masks):
    """Every part is a mask, in order; their rows tell where they come from."""
    components, rows = masks.connected_components()

    flat = [[part] for parts in masks.to_rings() for part in parts]
    assert components.to_rings() == flat
    assert rows.tolist() == [row for row, parts in enumerate(masks.to_rings()) for _ in parts]


@given(gt.polygon_masks(max_parts=1, max_holes=1))
def test_pixels_by_area_are_covered_by_half(masks):
    """Half or more of the pixel lies inside, by shapely."""
    bits = masks.to_bit_masks_by_area().data
    y, x = np.mgrid[0 : masks.image_size.height, 0 : masks.image_size.width]
    pixels = shapely.box(x, y, x + 1, y + 1)

    assert bits.dtype == torch.bool
    for region, got in zip(regions(masks), bits.numpy(), strict=True):
        share = shapely.area(shapely.intersection(pixels, region))
        sure = np.abs(share - 0.5) > 1e-6
        assert np.array_equal(got[sure], share[sure] >= 0.5)


@given(gt.polygon_masks(), st.integers(0, 3))
def test_morphology_is_that_of_the_pixels(masks, radius):
    """Dilation, erosion and boundary of COCO's pixels."""
    runs = masks.to_rle_masks()

    assert masks.dilate(radius).equal(runs.dilate(radius))
    assert masks.erode(radius).equal(runs.erode(radius))
    assert masks.boundary(radius).equal(runs.boundary(radius))


def test_simplifying_keeps_parts_and_holes():
    """A bump of half a pixel goes, and every ring stays one."""
    bumpy = [SQUARE[0], (4.0, 0.6), *SQUARE[1:]]
    masks = PolygonMasks.from_rings([[[bumpy, HOLE], [ISLAND]], []], SIZE)

    assert masks.simplify(0.5).equal(NESTED)
    assert masks.simplify(0.25).equal(masks)


def test_rings_that_cross_are_refused_on_request():
    """The row, the part and the ring are named; without the request nothing is said."""
    crossed = PolygonMasks.from_rings([[[SQUARE]], [[SQUARE], [SQUARE, BOW_TIE]]], SIZE)

    assert crossed.validated() is crossed
    with pytest.raises(
        InvalidValueError, match=r"x\.json: masks row 1, part 1: .* but hole 0 does"
    ):
        crossed.validated(where="x.json", simple=True)
    with pytest.raises(InvalidValueError, match=r"masks row 0, part 0: .* but the outline does"):
        PolygonMasks.from_rings([[[BOW_TIE]]], SIZE).validated(simple=True)
    assert NESTED.validated(simple=True) is NESTED


def test_partners_must_fit():
    """Another kind, another image and another number of masks are errors."""
    other_size = PolygonMasks.empty(ImageSize(9, 15))
    for call in ("pairwise_iou", "pairwise_ioa", "union", "intersection", "difference"):
        with pytest.raises(DtypeError, match="other: expected PolygonMasks, got BitMasks"):
            getattr(NESTED, call)(BitMasks.empty(SIZE))
        with pytest.raises(ShapeError, match="other: expected masks of"):
            getattr(NESTED, call)(other_size)
    for call in ("union", "intersection", "difference"):
        with pytest.raises(ShapeError, match="other: expected 2 rows"):
            getattr(NESTED, call)(NESTED[:1])
    with pytest.raises(InvalidValueError, match="pad: expected left, top, right, bottom"):
        NESTED.pad(0, -1, 0, 0)
    with pytest.raises(ShapeError, match=r"matrix: expected \[2, 3\]"):
        NESTED.affine(torch.eye(3), SIZE)
    with pytest.raises(DtypeError, match="matrix"):
        NESTED.affine(torch.ones(2, 3, dtype=torch.int64), SIZE)


def test_empty_masks_go_through_all_of_it():
    """No mask, and a mask without parts, are normal."""
    for masks in (PolygonMasks.empty(SIZE), PolygonMasks.from_rings([[]], SIZE)):
        rows = len(masks)
        assert masks.nonempty().tolist() == [False] * rows
        assert masks.pairwise_iou(masks).tolist() == [[0.0] * rows] * rows
        assert masks.union(masks).equal(masks)
        assert masks.intersection(masks).area().tolist() == [0] * rows
        assert masks.crop((1, 1, 4, 4)).to_rings() == masks.to_rings()
        assert masks.pad(1, 2, 3, 4).to_rings() == masks.to_rings()
        assert masks.rotate_90().image_size == ImageSize(14, 9)
        assert masks.rotate(30.0, center=(0.0, 0.0)).equal(masks)
        assert masks.hulls().equal(masks)
        assert masks.simplify(1.0).equal(masks)
        assert masks.to_rotated_boxes().cxcywha.tolist() == [[0.0] * 5] * rows
        assert masks.coverage().shape == (rows, 9, 14)
        assert not masks.to_bit_masks_by_area().data.any()
        assert masks.connected_components()[1].shape == (0,)
        assert [g["coordinates"] for g in masks.to_geojson()] == [[]] * rows
    assert PolygonMasks.from_boxes(Boxes.empty(), SIZE).equal(PolygonMasks.empty(SIZE))
