"""Connected components, contours and quarter turns of run lengths."""

import importlib
import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis.extra import numpy as hnp

from geodet import errors, ops
from geodet.ops.reference import rle_shapes as reference

sides = st.integers(1, 12)
mask_batches = st.tuples(st.integers(0, 4), sides, sides).flatmap(
    lambda shape: hnp.arrays(np.bool_, shape, elements=st.booleans(), fill=st.booleans())
)
connectivities = st.sampled_from([4, 8])

# A ring of pixels that closes at a corner only, around a pixel that is not set.
TOUCHES_ITSELF = np.array([[[0, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]], dtype=bool)
CHESS = np.indices((7, 6)).sum(axis=0)[None] % 2 == 0


@pytest.fixture(params=[1, 2])
def threads(request):
    """Number of threads that kernels may use."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def encode(masks):
    """Runs of a NumPy stack."""
    return ops.rle_encode(torch.from_numpy(masks.copy()))


def loosened(counts, offsets):
    """The same masks with empty runs in the middle: 5 becomes 2, 0, 3."""
    pieces = [
        torch.tensor([n for run in counts[a:b].tolist() for n in (run // 2, 0, run - run // 2)])
        for a, b in itertools.pairwise(offsets.tolist())
    ]
    flat = torch.cat([torch.zeros(0), *pieces]).to(torch.int32)
    return flat, torch.tensor([0, *(len(piece) for piece in pieces)]).cumsum(0)


def equal(a, b):
    """Whether two batches are the same runs."""
    return torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


def nested(points, ring_offsets, part_offsets, mask_offsets):
    """Masks of parts of rings of points."""

    def cut(items, offsets):
        return [items[a:b] for a, b in itertools.pairwise(offsets.tolist())]

    rings = cut([(x, y) for x, y in points.tolist()], ring_offsets)
    return cut(cut(rings, part_offsets), mask_offsets)


@given(mask_batches, connectivities)
@example(CHESS, 4)
@example(CHESS, 8)
def test_components_equal_flood_filling(masks, connectivity):
    """Pieces and their order are those of filling from the first pixel on, again and again."""
    size = masks.shape[1:]

    *pieces, origins = ops.rle_connected_components(*encode(masks), size, connectivity=connectivity)

    expected = [reference.components_reference(mask, connectivity) for mask in masks]
    flat = np.array(list(itertools.chain(*expected)), dtype=bool).reshape(-1, *size)
    assert equal(pieces, encode(flat))
    assert origins.tolist() == [i for i, own in enumerate(expected) for _ in own]


@given(mask_batches, connectivities)
def test_components_equal_scipy(masks, connectivity):
    """ndimage.label of the transposed mask numbers the same pieces."""
    ndimage = pytest.importorskip("scipy.ndimage")
    size = masks.shape[1:]

    *pieces, origins = ops.rle_connected_components(*encode(masks), size, connectivity=connectivity)

    structure = np.ones((3, 3)) if connectivity == 8 else None
    for i, mask in enumerate(masks):
        labels, count = ndimage.label(mask.T, structure)
        mine = ops.rle_decode(*pieces, size)[origins == i].numpy()
        assert len(mine) == count
        assert all(np.array_equal(a, labels.T == k + 1) for k, a in enumerate(mine))


@given(mask_batches, connectivities)
def test_components_partition_their_mask(masks, connectivity):
    """Pieces do not overlap, and together they are the mask."""
    size = masks.shape[1:]
    counts, offsets, origins = ops.rle_connected_components(
        *encode(masks), size, connectivity=connectivity
    )
    groups = torch.searchsorted(origins, torch.arange(len(masks) + 1))

    if len(origins) > 0:
        assert equal(ops.rle_union(counts, offsets, groups), encode(masks))
    areas = ops.rle_area(counts, offsets)
    assert [int(areas[origins == i].sum()) for i in range(len(masks))] == [
        int(mask.sum()) for mask in masks
    ]


@given(mask_batches)
@example(TOUCHES_ITSELF)
@example(CHESS)
def test_contours_equal_following_pixel_edges(masks):
    """Rings, their first points, directions and order are those of walking edge by edge."""
    contours = ops.rle_contours(*encode(masks), masks.shape[1:])

    assert nested(*contours) == [reference.contours_reference(mask) for mask in masks]


@given(mask_batches)
@example(TOUCHES_ITSELF)
@example(CHESS)
@example(~CHESS)
def test_contours_rasterise_back_exactly(masks):
    """COCO's rasteriser and the exact coverage give the very mask back, holes included."""
    size = masks.shape[1:]
    batch = encode(masks)

    contours = ops.rle_contours(*batch, size)

    assert equal(ops.polygons_to_rle(*contours, size), batch)
    assert np.array_equal(ops.polygon_coverage(*contours, size).numpy(), masks.astype(np.float32))


@given(mask_batches)
@example(TOUCHES_ITSELF)
@example(CHESS)
def test_contours_are_valid_polygons_of_the_same_region(masks):
    """Every part is valid for shapely, and the region between rings is that of the pixels."""
    shapely = pytest.importorskip("shapely")
    contours = ops.rle_contours(*encode(masks), masks.shape[1:])

    for mask, parts in zip(masks, nested(*contours), strict=True):
        polygons = [shapely.Polygon(rings[0], rings[1:]) for rings in parts]
        assert all(polygon.is_valid for polygon in polygons)
        pixels = [shapely.box(x, y, x + 1, y + 1) for y, x in zip(*np.nonzero(mask), strict=True)]
        region = shapely.union_all(pixels)
        assert shapely.union_all(polygons).symmetric_difference(region).area == 0
        assert sum(polygon.area for polygon in polygons) == len(pixels)


@given(mask_batches)
def test_outlines_run_clockwise_and_holes_do_not(masks):
    """Areas are positive for the first ring of a part, negative for the others; the sum counts."""
    points, rings, parts, _ = ops.rle_contours(*encode(masks), masks.shape[1:])

    areas = ops.ring_areas(points, rings)

    is_outline = torch.zeros(len(areas), dtype=torch.bool)
    is_outline[parts[:-1]] = True
    assert bool((areas[is_outline] > 0).all())
    assert bool((areas[~is_outline] < 0).all())
    assert int(areas.sum()) == int(masks.sum())


@pytest.mark.usefixtures("threads")
def test_contours_of_large_masks_rasterise_back():
    """Curved shapes, noise and full masks of the size of images; threads share the masks."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:480, 0:640]
    masks = np.stack(
        [
            np.hypot(x - 300, y - 200) < 180,
            (np.hypot(x - 300, y - 200) < 180) & (np.hypot(x - 320, y - 210) > 90),
            rng.random((480, 640)) < 0.5,
            np.ones((480, 640), dtype=bool),
            (x * y) % 97 < 30,
        ]
    )
    batch = encode(masks)
    contours = ops.rle_contours(*batch, (480, 640))
    assert equal(ops.polygons_to_rle(*contours, (480, 640)), batch)


@given(mask_batches, st.integers(-9, 9))
def test_turning_equals_numpy(masks, quarters):
    """Turned runs are the runs of rot90, for any number of quarters."""
    turned = ops.rle_rotate_90(*encode(masks), masks.shape[1:], quarters)

    assert equal(turned, encode(np.rot90(masks, quarters, (1, 2))))


@given(mask_batches)
def test_turning_equals_its_specification_and_four_turns_are_none(masks):
    """One quarter takes the right end to the top; four give the mask back."""
    height, width = masks.shape[1:]
    batch = encode(masks)

    once = ops.rle_rotate_90(*batch, (height, width))
    again = once
    for size in ((width, height), (height, width), (width, height)):
        again = ops.rle_rotate_90(*again, size)

    expected = [reference.rotate_90_reference(mask) for mask in masks]
    assert equal(once, encode(np.array(expected, dtype=bool).reshape(len(masks), width, height)))
    assert equal(again, batch)


@given(mask_batches, connectivities)
def test_empty_runs_change_nothing(masks, connectivity):
    """Runs that are not canonical give what canonical ones give."""
    size = masks.shape[1:]
    tight = encode(masks)
    loose = loosened(*tight)

    for operator in (
        lambda batch: ops.rle_connected_components(*batch, size, connectivity=connectivity),
        lambda batch: ops.rle_contours(*batch, size),
        lambda batch: ops.rle_rotate_90(*batch, size, 1),
        lambda batch: ops.rle_rotate_90(*batch, size, 0),
    ):
        for a, b in zip(operator(tight), operator(loose), strict=True):
            assert torch.equal(a, b)


def test_nothing_has_no_shape():
    """No masks, masks of no set pixel, and masks without pixels."""
    for shape in [(0, 3, 4), (2, 3, 4), (2, 0, 4), (2, 3, 0)]:
        batch, size = encode(np.zeros(shape, dtype=bool)), shape[1:]
        counts, offsets, origins = ops.rle_connected_components(*batch, size)
        assert (counts.shape, offsets.tolist(), origins.shape) == ((0,), [0], (0,))
        points, rings, parts, masks = ops.rle_contours(*batch, size)
        assert points.shape == (0, 2)
        assert (rings.tolist(), parts.tolist(), masks.tolist()) == ([0], [0], [0] * (shape[0] + 1))
        turned = encode(np.zeros((shape[0], shape[2], shape[1]), dtype=bool))
        assert equal(ops.rle_rotate_90(*batch, size), turned)


def test_wrong_arguments_are_errors():
    """Sizes that do not fit the masks, other connectivities, other dtypes."""
    batch = encode(np.ones((2, 3, 4), dtype=bool))
    with pytest.raises(errors.InvalidValueError, match="connectivity: expected 4"):
        ops.rle_connected_components(*batch, (3, 4), connectivity=6)
    for operator in (ops.rle_connected_components, ops.rle_contours, ops.rle_rotate_90):
        with pytest.raises(errors.InvalidValueError, match="add up to 15 pixels, got 12"):
            operator(*batch, (3, 5))
        with pytest.raises(errors.InvalidValueError, match="size_hw"):
            operator(*batch, (1 << 16, 1 << 16))
        with pytest.raises(errors.DtypeError, match=r"counts: expected torch\.int32"):
            operator(batch[0].long(), batch[1], (3, 4))


def test_the_core_refuses_sizes_that_mean_nothing():
    """A wrong call of the compiled functions is an error before memory is touched."""
    counts, offsets = (tensor.numpy() for tensor in encode(np.ones((1, 3, 4), dtype=bool)))
    core = importlib.import_module("geodet._core")
    for height, width in [(-3, -4), (3, -4), (1 << 40, 1 << 24), (1 << 32, 1 << 32)]:
        for call in (
            lambda h, w: core.rle_connected_components(counts, offsets, h, w, 4, 1),
            lambda h, w: core.rle_contours(counts, offsets, h, w, 1),
            lambda h, w: core.rle_turn(counts, offsets, h, w, False, True, 1),
            lambda h, w: core.rle_morphology(counts, offsets, h, w, 1, "disk", True, 1),
            lambda h, w: core.rle_pad(counts, offsets, h, w, 0, 0, 0, 0, 1),
        ):
            with pytest.raises(ValueError, match="height, width: expected 0 to"):
                call(height, width)
    with pytest.raises(ValueError, match="height, width: expected 0 to"):
        core.rle_pad(counts, offsets, 3, 4, 0, 1 << 30, 1 << 30, 0, 1)
    with pytest.raises(ValueError, match="padding: out of range"):
        core.rle_pad(counts, offsets, 3, 4, 0, 1 << 62, 0, 1 << 62, 1)
    with pytest.raises(ValueError, match="connectivity: expected 4 or 8"):
        core.rle_connected_components(counts, offsets, 3, 4, 5, 1)


def test_operators_meet_torchs_contract():
    """Schema, fake and dispatch agree, so that the operators trace and compile."""
    batch = encode(TOUCHES_ITSELF)
    library = torch.ops.geodet
    torch.library.opcheck(library.rle_connected_components, (*batch, 4, 4, 8))
    torch.library.opcheck(library.rle_contours, (*batch, 4, 4))
    torch.library.opcheck(library.rle_turn, (*batch, 4, 4, True, False))


@pytest.mark.cuda
def test_cuda_says_where_to_go(cuda):
    """Run lengths on a GPU are refused with the way to the CPU."""
    there = [tensor.to(cuda) for tensor in encode(CHESS)]
    for operator in (ops.rle_connected_components, ops.rle_contours, ops.rle_rotate_90):
        with pytest.raises(errors.BackendError, match="CPU"):
            operator(*there, CHESS.shape[1:])
