"""Run lengths taken in pairs: set operations row by row, and overlaps."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra import numpy as hnp

from geodet import errors, ops
from geodet.ops import _rle_cuda
from geodet.ops.reference import rle as reference

sides = st.integers(1, 10)
mask_pairs = st.tuples(st.integers(0, 4), sides, sides).flatmap(
    lambda shape: st.tuples(*[hnp.arrays(np.bool_, shape, fill=st.booleans())] * 2)
)


def encode(masks):
    """Runs of a NumPy stack."""
    return ops.rle_encode(torch.from_numpy(masks.copy()))


def equal(a, b):
    """Whether two batches are the same runs."""
    return torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


@given(mask_pairs)
def test_set_operations_are_pixelwise(pair):
    """Row by row or, and, and not."""
    a, b = pair
    batches = (*encode(a), *encode(b))
    assert equal(ops.matched_rle_union(*batches), encode(a | b))
    assert equal(ops.matched_rle_intersection(*batches), encode(a & b))
    difference = reference.rle_difference_reference(a, b)
    assert equal(ops.rle_difference(*batches), encode(difference))


@given(mask_pairs, st.sampled_from(["union", "intersection", "difference"]))
def test_event_sums_equal_walking_along_runs(pair, operation):
    """What CUDA computes by sorting and summing is what the CPU computes."""
    a, b = pair
    batches = (*encode(a), *encode(b))
    walked = torch.ops.geodet.rle_combine(*batches, operation)
    assert equal(_rle_cuda.combine_rows(*batches, operation), walked)


@given(mask_pairs)
def test_areas_of_union_and_intersection_add_up(pair):
    """|a or b| + |a and b| = |a| + |b|."""
    a, b = (encode(masks) for masks in pair)
    union = ops.rle_area(*ops.matched_rle_union(*a, *b))
    common = ops.rle_area(*ops.matched_rle_intersection(*a, *b))
    assert torch.equal(union + common, ops.rle_area(*a) + ops.rle_area(*b))


@given(mask_pairs)
def test_matched_overlaps_are_the_diagonals_of_pairwise_ones(pair):
    """Bit for bit, and equal to counting pixels."""
    a, b = pair
    batches = (*encode(a), *encode(b))

    iou, ioa = ops.matched_rle_iou(*batches), ops.matched_rle_ioa(*batches)

    assert torch.equal(iou, ops.pairwise_rle_iou(*batches).diagonal())
    assert torch.equal(ioa, ops.pairwise_rle_ioa(*batches).diagonal())
    expected = [reference.rle_iou_reference(x, y) for x, y in zip(a, b, strict=True)]
    assert iou.tolist() == expected
    swapped = [reference.rle_iou_reference(y, x, is_crowd=True) for x, y in zip(a, b, strict=True)]
    assert ioa.tolist() == swapped


@given(mask_pairs)
def test_ioa_equals_coco_against_crowds(pair):
    """The overlap of pycocotools with crowds, which divides by the other mask's area."""
    coco = pytest.importorskip("pycocotools.mask")
    a, b = pair
    if len(a) == 0:
        return
    theirs = [
        coco.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))
        for masks in (b, a)
    ]
    expected = coco.iou(*theirs, np.ones(len(a), dtype=np.uint8)).T
    ours = ops.pairwise_rle_ioa(*encode(a), *encode(b), height=a.shape[1])
    assert np.array_equal(ours.numpy(), np.nan_to_num(expected))


def test_wrong_pairs_are_errors():
    """Different numbers of rows, and masks of different sizes, named."""
    three, two = (encode(np.ones((n, 4, 5), dtype=bool)) for n in (3, 2))
    other = encode(np.ones((3, 5, 5), dtype=bool))
    for operator in (
        ops.matched_rle_union,
        ops.matched_rle_intersection,
        ops.rle_difference,
        ops.matched_rle_iou,
        ops.matched_rle_ioa,
    ):
        with pytest.raises(errors.ShapeError, match="b_offsets"):
            operator(*three, *two)
        with pytest.raises(errors.InvalidValueError, match="b: counts"):
            operator(*three, *other)


def test_operators_meet_torchs_contract():
    """Schema, fake and dispatch agree, so that the operators trace and compile."""
    batch = encode(np.eye(5, dtype=bool)[None].repeat(2, axis=0))
    library = torch.ops.geodet
    torch.library.opcheck(library.rle_combine, (*batch, *batch, "union"))
    torch.library.opcheck(library.matched_rle_intersection, (*batch, *batch))


@pytest.mark.cuda
def test_cuda_equals_cpu(cuda):
    """Set operations and overlaps agree."""
    masks = torch.rand(2, 4, 20, 30, generator=torch.Generator().manual_seed(0)) < 0.4
    here = [tensor for own in masks for tensor in ops.rle_encode(own)]
    there = [tensor.to(cuda) for tensor in here]
    for operator in (ops.matched_rle_union, ops.matched_rle_intersection, ops.rle_difference):
        on_gpu = tuple(tensor.cpu() for tensor in operator(*there))
        assert equal(operator(*here), on_gpu)
    for operator in (ops.matched_rle_iou, ops.matched_rle_ioa, ops.pairwise_rle_ioa):
        assert torch.equal(operator(*here), operator(*there).cpu())
