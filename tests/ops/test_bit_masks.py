"""Dense masks: connected components, dilation and erosion, overlaps of pairs."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra import numpy as hnp

from geodet import errors, ops
from geodet.ops import bit_masks
from geodet.ops.reference import rle as rle_reference
from geodet.ops.reference import rle_shapes as reference

sides = st.integers(1, 10)
shapes = st.tuples(st.integers(0, 4), sides, sides)
mask_batches = shapes.flatmap(lambda shape: hnp.arrays(np.bool_, shape, fill=st.booleans()))
mask_pairs = st.tuples(st.integers(0, 3), st.integers(0, 3), sides, sides).flatmap(
    lambda s: st.tuples(
        hnp.arrays(np.bool_, (s[0], *s[2:]), fill=st.booleans()),
        hnp.arrays(np.bool_, (s[1], *s[2:]), fill=st.booleans()),
    )
)
neighbourhoods = st.sampled_from(["square", "diamond", "disk"])


def tensor(masks):
    """A NumPy stack as a tensor."""
    return torch.from_numpy(masks.copy())


@given(mask_batches, st.sampled_from([4, 8]))
def test_labels_number_pieces_by_their_first_pixels(masks, connectivity):
    """Label k marks piece k of the flood fill that goes column by column."""
    labels, numbers = ops.bit_mask_components(tensor(masks), connectivity=connectivity)

    assert labels.dtype == torch.int32
    for mask, own, number in zip(masks, labels.numpy(), numbers.tolist(), strict=True):
        pieces = reference.components_reference(mask, connectivity)
        assert number == len(pieces)
        assert np.array_equal(own, sum((k + 1) * p for k, p in enumerate(pieces)) + 0 * own)


@given(mask_batches, st.sampled_from([4, 8]))
def test_labels_equal_scipy(masks, connectivity):
    """ndimage.label of the transposed mask gives the same numbers."""
    ndimage = pytest.importorskip("scipy.ndimage")
    structure = np.ones((3, 3)) if connectivity == 8 else None
    labels, numbers = ops.bit_mask_components(tensor(masks), connectivity=connectivity)
    for mask, own, number in zip(masks, labels.numpy(), numbers.tolist(), strict=True):
        expected, count = ndimage.label(mask.T, structure)
        assert np.array_equal(own, expected.T)
        assert number == count


@given(mask_batches, st.integers(0, 12), neighbourhoods, st.booleans())
def test_dilation_and_erosion_are_the_same_on_runs_and_on_pixels(
    masks, radius, neighbourhood, outside
):
    """Both ways of working equal the specification; the second is the one for GPUs."""
    pixels = tensor(masks)
    for operation, operator, slow in (
        ("dilate", ops.dilate_bit_masks, reference.dilate_reference),
        ("erode", ops.erode_bit_masks, reference.erode_reference),
    ):
        result = operator(pixels, radius, neighbourhood, outside=outside)
        shifted = bit_masks._morphology_by_shifts(pixels, radius, neighbourhood, outside, operation)
        expected = [slow(mask, radius, neighbourhood, outside=outside) for mask in masks]
        assert np.array_equal(result.numpy(), np.array(expected, bool).reshape(masks.shape))
        assert torch.equal(result, shifted)
    assert np.array_equal(pixels.numpy(), masks)


@given(mask_batches, st.integers(0, 6))
def test_boundaries_are_the_same_on_runs_and_on_pixels(masks, radius):
    """What erosion takes away, by both ways of working."""
    pixels = tensor(masks)
    result = ops.bit_mask_boundaries(pixels, radius)
    expected = [reference.boundary_reference(mask, radius) for mask in masks]
    assert np.array_equal(result.numpy(), np.array(expected, bool).reshape(masks.shape))
    shifted = bit_masks._morphology_by_shifts(pixels, radius, "square", False, "boundary")
    assert torch.equal(result, shifted)
    assert np.array_equal(pixels.numpy(), masks)


@given(mask_pairs, st.booleans())
def test_overlaps_are_the_same_on_runs_and_by_products(pair, autocast):
    """Both ways equal counting pixels, bit for bit, also under autocast."""
    a, b = (tensor(masks) for masks in pair)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        iou, ioa = ops.pairwise_bit_mask_iou(a, b), ops.pairwise_bit_mask_ioa(a, b)
        products = [bit_masks._overlap_by_products(a, b, over_b) for over_b in (False, True)]

    shape = (len(a), len(b))
    expected = [rle_reference.rle_iou_reference(x, y) for x in pair[0] for y in pair[1]]
    over_b = [
        rle_reference.rle_iou_reference(y, x, is_crowd=True) for x in pair[0] for y in pair[1]
    ]
    assert np.array_equal(iou.numpy(), np.reshape(expected, shape))
    assert np.array_equal(ioa.numpy(), np.reshape(over_b, shape))
    assert torch.equal(iou, products[0])
    assert torch.equal(ioa, products[1])


def test_overlaps_count_every_pixel_of_large_masks():
    """Beyond 2^24 pixels single precision would lose some; the sums are cut before."""
    a = torch.ones(1, 4099, 4099, dtype=torch.bool)
    b = a.clone()
    b[0, 0, 0] = False
    pixels = 4099 * 4099
    for overlap in (ops.pairwise_bit_mask_iou(a, b), bit_masks._overlap_by_products(a, b, False)):
        assert overlap.tolist() == [[(pixels - 1) / pixels]]


def test_layouts_do_not_matter():
    """Transposed and sliced masks give what their copies give."""
    masks = torch.rand(3, 12, 17, generator=torch.Generator().manual_seed(0)) < 0.5
    for view in (masks.transpose(1, 2), masks[:, 2:, ::3]):
        copy = view.contiguous()
        for a, b in zip(ops.bit_mask_components(view), ops.bit_mask_components(copy), strict=True):
            assert torch.equal(a, b)
        assert torch.equal(ops.dilate_bit_masks(view, 2), ops.dilate_bit_masks(copy, 2))
        assert torch.equal(
            ops.pairwise_bit_mask_iou(view, view), ops.pairwise_bit_mask_iou(copy, copy)
        )


def test_nothing_stays_nothing():
    """No masks, and masks without pixels."""
    for shape in [(0, 3, 4), (2, 0, 4), (2, 3, 0)]:
        masks = torch.zeros(shape, dtype=torch.bool)
        labels, numbers = ops.bit_mask_components(masks)
        assert labels.shape == shape
        assert numbers.tolist() == [0] * shape[0]
        for outside in (False, True):
            assert ops.dilate_bit_masks(masks, 2, outside=outside).shape == shape
            assert ops.erode_bit_masks(masks, 2, outside=outside).shape == shape
        assert ops.bit_mask_boundaries(masks, 2).shape == shape
        assert ops.pairwise_bit_mask_iou(masks, masks).tolist() == [[0.0] * shape[0]] * shape[0]


def test_wrong_arguments_are_errors():
    """Other dtypes, ranks, sizes, connectivities and radii."""
    masks = torch.zeros(2, 3, 4, dtype=torch.bool)
    with pytest.raises(errors.DtypeError, match=r"masks: expected torch\.bool"):
        ops.bit_mask_components(masks.byte())
    with pytest.raises(errors.ShapeError, match="masks: expected"):
        ops.dilate_bit_masks(masks[0], 1)
    with pytest.raises(errors.InvalidValueError, match="connectivity"):
        ops.bit_mask_components(masks, connectivity=6)
    with pytest.raises(errors.InvalidValueError, match="radius"):
        ops.erode_bit_masks(masks, -1)
    with pytest.raises(errors.ShapeError, match="b: expected masks of"):
        ops.pairwise_bit_mask_iou(masks, masks[:, :2])


def test_operators_meet_torchs_contract():
    """Schema, fake and dispatch agree, so that the operators trace and compile."""
    masks = torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    library = torch.ops.geodet
    torch.library.opcheck(library.bit_mask_components, (masks, 8))
    torch.library.opcheck(library.bit_mask_morphology, (masks, 2, "disk", True, "erode"))
    torch.library.opcheck(library.pairwise_bit_mask_overlap, (masks, masks[:2], True))


@pytest.mark.cuda
def test_cuda_equals_cpu(cuda):
    """Labels, grown and shrunk masks and overlaps agree on masks of the size of images."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(4, 97, 203, generator=generator)
    masks = noise < torch.tensor([0.05, 0.4, 0.6, 0.95])[:, None, None]
    there = masks.to(cuda)
    for connectivity in (4, 8):
        here = ops.bit_mask_components(masks, connectivity=connectivity)
        for a, b in zip(
            here, ops.bit_mask_components(there, connectivity=connectivity), strict=True
        ):
            assert torch.equal(a, b.cpu())
    for radius in (0, 1, 6, 300):
        boundaries = ops.bit_mask_boundaries(there, radius)
        assert torch.equal(ops.bit_mask_boundaries(masks, radius), boundaries.cpu())
        for neighbourhood in ("square", "diamond", "disk"):
            for operator in (ops.dilate_bit_masks, ops.erode_bit_masks):
                for outside in (False, True):
                    a = operator(masks, radius, neighbourhood, outside=outside)
                    b = operator(there, radius, neighbourhood, outside=outside)
                    assert torch.equal(a, b.cpu())
    for overlap in (ops.pairwise_bit_mask_iou, ops.pairwise_bit_mask_ioa):
        assert torch.equal(overlap(masks, masks), overlap(there, there).cpu())
