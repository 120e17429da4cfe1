"""Dense masks of polygons against pycocotools, and exact coverage against shapely."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import example, given

from geodet import ImageSize, PolygonMasks, errors, ops

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


def test_many_masks_are_filled_alike_on_two_threads():
    """Ranges of masks do not touch each other."""
    rng = np.random.default_rng(0)
    masks = [[[rng.uniform(0, 500, (12, 2)).tolist()]] for _ in range(80)]
    xyxy = torch.tensor([[0.0, 0.0, 500.0, 500.0]]).expand(80, 4)
    flat = levels(masks)
    once = ops.polygons_to_bit_masks(*flat, (500, 500))
    many = ops.polygon_roi_targets(*flat, xyxy, 500)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.equal(ops.polygons_to_bit_masks(*flat, (500, 500)), once)
        assert torch.equal(ops.polygon_roi_targets(*flat, xyxy, 500), many)
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
        with pytest.raises(errors.InvalidValueError, match="mask 1"):
            ops.polygon_roi_targets(*flat, torch.ones(2, 4), 5)
    far = levels([[[SQUARE]], [[[(0.0, 0.0), (1e7, 0.0), (0.0, 1e7)]]]])
    with pytest.raises(errors.InvalidValueError, match="mask 1: a coordinate, moved into"):
        ops.polygon_roi_targets(*far, torch.zeros(2, 4), 5)
    boxes = torch.tensor([[0, 0, 1, 1], [0, np.nan, 1, 1]], dtype=torch.float32)
    with pytest.raises(errors.InvalidValueError, match="mask 1"):
        ops.polygon_roi_targets(*levels([[[SQUARE]], [[SQUARE]]]), boxes, 5)


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
    with pytest.raises(errors.DtypeError, match="points"):
        ops.polygons_to_bit_masks(points.float(), *good.values(), (5, 5))


def test_empty_inputs():
    """No masks, masks of no parts, images of no pixels."""
    assert ops.polygons_to_bit_masks(*levels([]), (4, 5)).shape == (0, 4, 5)
    assert ops.polygon_roi_targets(*levels([]), torch.zeros(0, 4), 7).shape == (0, 7, 7)
    assert not ops.polygons_to_bit_masks(*levels([[], [[[]]]]), (4, 5)).any()
    assert ops.polygons_to_bit_masks(*levels([[[SQUARE]]]), (0, 5)).shape == (1, 0, 5)
    assert ops.polygons_to_bit_masks(*levels([[[SQUARE]]]), (5, 0)).shape == (1, 5, 0)


def test_operators_meet_torchs_contract():
    """Schema, fake and dispatch agree, so that the operators trace and compile."""
    flat = levels([[[SQUARE, [(2, 2), (3, 2), (3, 3)]]], []])
    boxes = torch.tensor([[0.0, 0, 5, 5], [1, 1, 2, 2]], dtype=torch.float64)

    torch.library.opcheck(torch.ops.geodet.polygons_to_bit_masks, (*flat, 6, 7))
    torch.library.opcheck(torch.ops.geodet.polygon_roi_targets, (*flat, boxes, 6))


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
