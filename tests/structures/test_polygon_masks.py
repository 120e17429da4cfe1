"""Polygon masks against pycocotools and shapely: parts, holes, crops, messages."""

import numpy as np
import pytest
import torch
from hypothesis import given

from geodet import (
    BitMasks,
    Boxes,
    DeviceError,
    DtypeError,
    ImageSize,
    InvalidValueError,
    Masks,
    PolygonMasks,
    ShapeError,
)
from geodet import testing as gt

SIZE = ImageSize(9, 14)
SQUARE = [(1.0, 1.0), (8.0, 1.0), (8.0, 8.0), (1.0, 8.0)]
HOLE = [(3.0, 3.0), (6.0, 3.0), (6.0, 6.0), (3.0, 6.0)]

# pycocotools still uses NumPy 1's protocol; its results are right.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def coco_mask():
    """The oracle: COCO's own mask functions."""
    return pytest.importorskip("pycocotools.mask")


def rasterised(coco_mask, polygons, height, width):
    """Bool masks of COCO's flat polygons, made by COCO's tool."""
    masks = np.zeros((len(polygons), height, width), dtype=bool)
    for mask, parts in zip(masks, polygons, strict=True):
        if parts:
            records = coco_mask.frPyObjects(parts, height, width)
            mask[:] = coco_mask.decode(coco_mask.merge(records)).astype(bool)
    return masks


@given(masks=gt.polygon_masks(max_holes=0))
def test_pixels_agree_with_pycocotools(coco_mask, masks):
    """Without holes, every pixel is COCO's."""
    expected = rasterised(coco_mask, masks.to_coco(), *masks.image_size)
    assert np.array_equal(masks.to_bit_masks().data.numpy(), expected)


@given(masks=gt.polygon_masks())
def test_holes_take_their_pixels_away(coco_mask, masks):
    """A part is COCO's pixels of its outline without COCO's pixels of its holes."""
    height, width = masks.image_size
    for parts, got in zip(masks.to_rings(), masks.to_bit_masks().data.numpy(), strict=True):
        expected = np.zeros((height, width), dtype=bool)
        for rings in parts:
            flat = [[[value for point in ring for value in point]] for ring in rings]
            outline, *holes = rasterised(coco_mask, flat, height, width)
            for hole in holes:
                outline &= ~hole
            expected |= outline
        assert np.array_equal(got, expected)


@given(masks=gt.polygon_masks(max_parts=1))
def test_areas_agree_with_shapely(masks):
    """Of one part, the enclosed area without the holes; holes one inside the other never occur."""
    geometry = pytest.importorskip("shapely.geometry")
    for parts, area in zip(masks.to_rings(), masks.area().tolist(), strict=True):
        expected = sum(
            geometry.Polygon(rings[0]).area - sum(geometry.Polygon(hole).area for hole in rings[1:])
            for rings in parts
        )
        assert area == pytest.approx(expected, abs=1e-9)


@given(masks=gt.polygon_masks())
def test_boxes_agree_with_numpy(masks):
    """Boxes reach from the smallest to the largest coordinate; no points give zeros."""
    for parts, box in zip(masks.to_rings(), masks.boxes().xyxy.tolist(), strict=True):
        points = np.array([point for rings in parts for ring in rings for point in ring])
        expected = [*points.min(0), *points.max(0)] if len(points) else [0.0] * 4
        assert box == pytest.approx(expected)


@given(masks=gt.polygon_masks())
def test_nested_lists_round_trip(masks):
    """to_rings and from_rings are inverse; parts and holes survive."""
    assert isinstance(masks, Masks)
    assert PolygonMasks.from_rings(masks.to_rings(), masks.image_size).equal(masks)


@given(masks=gt.polygon_masks(max_holes=0))
def test_coco_lists_round_trip(masks):
    """Without holes, to_coco and from_coco are inverse."""
    assert PolygonMasks.from_coco(masks.to_coco(), masks.image_size).equal(masks)


@given(masks=gt.polygon_masks())
def test_mirrors_and_resizing_move_every_point(masks):
    """Outlines move as points do, and the size follows."""
    height, width = masks.image_size
    x, y = masks.points.unbind(1)
    assert torch.equal(masks.flip_horizontally().points, torch.stack((width - x, y), dim=1))
    assert torch.equal(masks.flip_vertically().points, torch.stack((x, height - y), dim=1))
    doubled = masks.resize(ImageSize(2 * height, 3 * width))
    assert torch.equal(doubled.points, torch.stack((x * 3, y * 2), dim=1))
    assert doubled.image_size == ImageSize(2 * height, 3 * width)
    moved = masks.translate(1.0, -2.0, SIZE)
    assert torch.equal(moved.points, torch.stack((x + 1, y - 2), dim=1))


@given(masks=gt.polygon_masks(max_holes=0, min_rows=1), boxes=gt.boxes(min_rows=4, max_rows=4))
def test_crops_agree_with_pycocotools(coco_mask, masks, boxes):
    """The outline is moved and scaled, its box sides at least 0.1, then rasterised by COCO."""
    boxes = boxes[: len(masks)]
    expected = np.zeros((len(masks), 7, 7), dtype=bool)
    for row, (parts, box) in enumerate(zip(masks.to_coco(), boxes.xyxy.tolist(), strict=True)):
        scale = [7 / max(box[2] - box[0], 0.1), 7 / max(box[3] - box[1], 0.1)]
        scaled = [
            [(value - box[i % 2]) * scale[i % 2] for i, value in enumerate(part)] for part in parts
        ]
        expected[row] = rasterised(coco_mask, [scaled], 7, 7)[0]
    assert np.array_equal(masks.crop_and_resize(boxes, 7).numpy(), expected)


def test_a_hole_is_in_pixels_area_and_box():
    """A square with a square hole: 49 - 9 pixels, area and outer box."""
    ring = PolygonMasks.from_rings([[[SQUARE, HOLE]]], SIZE)
    assert ring.area().tolist() == [40.0]
    assert ring.to_rle_masks().area().tolist() == [40]
    assert ring.boxes().xyxy.tolist() == [[1.0, 1.0, 8.0, 8.0]]


def test_empty_masks_go_through_every_method():
    """No mask, and a mask without parts, are normal."""
    none = PolygonMasks.empty(SIZE)
    assert none.area().shape == (0,)
    assert none.boxes().equal(Boxes.empty())
    assert none.to_bit_masks().equal(BitMasks.empty(SIZE))
    assert none.crop_and_resize(Boxes.empty(), 5).shape == (0, 5, 5)
    assert none.to_coco() == none.to_rings() == []
    bare = PolygonMasks.from_coco([[]], SIZE).validated()
    assert bare.area().tolist() == [0.0]
    assert bare.boxes().xyxy.tolist() == [[0.0, 0.0, 0.0, 0.0]]
    assert not bare.to_bit_masks().data.any()


def test_metadata_is_checked_at_construction():
    """Dtypes, ranks and host memory."""
    points, offsets = torch.zeros(3, 2, dtype=torch.float64), torch.tensor([0, 3])
    one = torch.tensor([0, 1])
    with pytest.raises(DtypeError, match=r"points: expected torch\.float64, got torch\.float32"):
        PolygonMasks(points.float(), offsets, one, one, SIZE)
    with pytest.raises(ShapeError, match=r"points: expected \[p, 2\], got \[6\]"):
        PolygonMasks(points.flatten(), offsets, one, one, SIZE)
    with pytest.raises(DtypeError, match=r"part_offsets: expected torch\.int64"):
        PolygonMasks(points, offsets, one.int(), one, SIZE)
    with pytest.raises(ShapeError, match="mask_offsets: expected 1 rows"):
        PolygonMasks(points, offsets, one, one[:0], SIZE)
    with pytest.raises(DeviceError, match="points: expected a CPU tensor, got one on meta"):
        PolygonMasks(points.to("meta"), offsets, one, one, SIZE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ring_offsets": [0, 4, 9]}, "ring_offsets: expected 0 ... 8, got 0 ... 9"),
        ({"ring_offsets": [0, 7, 6, 8]}, "ring_offsets row 1: expected offsets that never go back"),
        ({"part_offsets": [0, 1, 1, 2]}, "masks row 1: expected parts with a ring, got none"),
        ({"ring_offsets": [0, 6, 8]}, "masks row 1: expected at least 3 points a ring, got 2"),
        ({"points": float("nan")}, "masks row 1: expected finite x, y, got [nan, nan]"),
    ],
)
def test_broken_values_name_place_row_and_numbers(change, message):
    """Validation goes from the offsets to the points."""
    sound = PolygonMasks.from_rings([[[SQUARE]], [[HOLE]]], SIZE)
    fields = {
        "points": sound.points.clone(),
        "ring_offsets": sound.ring_offsets,
        "part_offsets": sound.part_offsets,
        "mask_offsets": sound.mask_offsets,
    }
    ((name, value),) = change.items()
    if name == "points":
        fields["points"][5] = value
    else:
        fields[name] = torch.tensor(value)
    if name == "part_offsets":
        fields["mask_offsets"] = torch.tensor([0, 1, 3])
    with pytest.raises(InvalidValueError) as caught:
        PolygonMasks(**fields, image_size=SIZE).validated(where="a.json")
    assert str(caught.value).startswith(f"a.json: {message}")


def test_lists_that_make_no_sense_are_refused():
    """Odd coordinates on reading, holes on writing COCO's lists."""
    with pytest.raises(ShapeError, match="masks row 1, polygon 0: expected x, y pairs, got 5"):
        PolygonMasks.from_coco([[], [[1, 2, 3, 4, 5]]], SIZE)
    with pytest.raises(InvalidValueError, match="masks row 0: expected no holes, as COCO"):
        PolygonMasks.from_rings([[[SQUARE, HOLE]]], SIZE).to_coco()
