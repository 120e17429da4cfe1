"""Set operations, crops, flips and resizes of run lengths."""

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra import numpy as hnp

from geodet import errors, ops
from geodet.ops import _rle_cuda
from geodet.ops.reference import rle as reference

sides = st.integers(1, 12)
mask_batches = st.tuples(st.integers(0, 5), sides, sides).flatmap(
    lambda shape: hnp.arrays(np.bool_, shape)
)


def encode(masks):
    """Runs of a NumPy stack."""
    return ops.rle_encode(torch.from_numpy(masks.copy()))


def equal(a, b):
    """Whether two batches are the same runs."""
    return torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


@st.composite
def grouped_batches(draw):
    """Masks [n, h, w] and group offsets that cover them, empty groups included."""
    masks = draw(mask_batches)
    cuts = sorted(draw(st.lists(st.integers(0, len(masks)), max_size=3)))
    return masks, torch.tensor([0, *cuts, len(masks)])


@given(grouped_batches())
def test_union_and_intersection_of_groups(grouped):
    """Each group gives the pixelwise any or all of its masks, in canonical runs."""
    masks, groups = grouped
    pieces = [masks[a:b] for a, b in itertools.pairwise(groups)]
    if len(masks) == 0:
        pieces = [masks[:0, :0]] * len(pieces)  # no mask tells the size

    union = ops.rle_union(*encode(masks), groups)
    common = ops.rle_intersection(*encode(masks), groups)

    assert equal(union, encode(np.stack([reference.rle_union_reference(p) for p in pieces])))
    assert equal(
        common, encode(np.stack([reference.rle_intersection_reference(p) for p in pieces]))
    )


@given(mask_batches)
def test_union_and_intersection_equal_coco(masks):
    """The merge of pycocotools gives the same bytes."""
    coco = pytest.importorskip("pycocotools.mask")
    if len(masks) == 0:
        return
    theirs = coco.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))
    one = torch.tensor([0, len(masks)])

    union = ops.rle_to_strings(*ops.rle_union(*encode(masks), one))
    common = ops.rle_to_strings(*ops.rle_intersection(*encode(masks), one))

    assert union == [coco.merge(theirs)["counts"]]
    assert common == [coco.merge(theirs, intersect=True)["counts"]]


@given(mask_batches)
def test_de_morgan(masks):
    """What is outside of a union is outside of both: U - (a | b) = (U - a) & (U - b)."""
    if len(masks) == 0:
        return
    n = len(masks)
    every = encode(np.ones_like(masks))
    one = encode(np.ones_like(masks[:1]))
    group = torch.tensor([0, n])

    left = ops.rle_difference(*one, *ops.rle_union(*encode(masks), group))
    right = ops.rle_intersection(*ops.rle_difference(*every, *encode(masks)), group)

    assert equal(left, right)


@given(mask_batches)
def test_difference_is_pixelwise(masks):
    """Row by row a and not b."""
    other = masks[::-1]

    result = ops.rle_difference(*encode(masks), *encode(other))

    assert equal(result, encode(reference.rle_difference_reference(masks, other)))


@given(mask_batches, st.booleans())
def test_flip_mirrors_and_twice_is_nothing(masks, horizontal):
    """Flipped runs are the runs of the flipped mask; flipping again restores them."""
    size = masks.shape[1:]
    batch = encode(masks)

    flipped = ops.rle_flip(*batch, size, horizontal=horizontal)

    mirrored = [reference.rle_flip_reference(mask, horizontal=horizontal) for mask in masks]
    assert equal(flipped, encode(np.array(mirrored, dtype=bool).reshape(masks.shape)))
    assert equal(batch, ops.rle_flip(*flipped, size, horizontal=horizontal))


@given(mask_batches, st.data())
def test_crop_is_a_slice(masks, data):
    """Cropped runs are the runs of the sliced mask, boxes without area included."""
    h, w = masks.shape[1:]
    x1, x2 = sorted(data.draw(st.tuples(st.integers(0, w), st.integers(0, w))))
    y1, y2 = sorted(data.draw(st.tuples(st.integers(0, h), st.integers(0, h))))

    cropped = ops.rle_crop(*encode(masks), (h, w), (x1, y1, x2, y2))

    assert equal(cropped, encode(masks[:, y1:y2, x1:x2]))


@given(mask_batches, st.integers(0, 30), st.integers(0, 30))
def test_resize_samples_pixel_centres(masks, height, width):
    """Resized runs are the runs of the mask sampled by whole-number arithmetic."""
    size = masks.shape[1:]

    resized = ops.rle_resize(*encode(masks), size, (height, width))

    sampled = [reference.rle_resize_reference(mask, (height, width)) for mask in masks]
    assert equal(resized, encode(np.array(sampled, dtype=bool).reshape(len(masks), height, width)))


def test_resize_equals_torch_nearest_exact():
    """The nearest-exact interpolation of torch picks the same pixels."""
    masks = torch.rand(2, 37, 53, generator=torch.Generator().manual_seed(0)) < 0.5
    batch = ops.rle_encode(masks)
    for size in [(37, 53), (74, 106), (18, 26), (50, 20), (100, 211)]:
        theirs = torch.nn.functional.interpolate(masks[None].float(), size, mode="nearest-exact")

        ours = ops.rle_decode(*ops.rle_resize(*batch, (37, 53), size), size)

        assert theirs[0].bool().equal(ours)


@given(grouped_batches())
def test_event_sums_equal_run_by_run(grouped):
    """What CUDA computes by sorting and summing is what the CPU computes by walking runs."""
    masks, groups = grouped
    batch, other = encode(masks), encode(masks[::-1])
    fast = [
        ops.rle_union(*batch, groups),
        ops.rle_intersection(*batch, groups),
        ops.rle_difference(*batch, *other),
    ]

    sums = [
        _rle_cuda.reduce(*batch, groups, False),
        _rle_cuda.reduce(*batch, groups, True),
        _rle_cuda.combine_rows(*batch, *other, "difference"),
    ]

    assert all(equal(a, b) for a, b in zip(fast, sums, strict=True))


def test_wrong_groups_boxes_and_sizes_are_errors():
    """Groups that do not cover the batch, boxes outside, and pixels out of nothing."""
    batch = encode(np.ones((3, 4, 5), dtype=np.bool_))
    nothing = encode(np.ones((3, 0, 5), dtype=np.bool_))
    for groups in ([0, 2], [1, 3], [0, 4], [0, 2, 1, 3]):
        with pytest.raises(errors.InvalidValueError, match="group_offsets"):
            ops.rle_union(*batch, torch.tensor(groups))
    for box in [(-1, 0, 2, 2), (0, 0, 6, 4), (2, 0, 1, 4), (0, 3, 5, 2)]:
        with pytest.raises(errors.InvalidValueError, match="box_xyxy"):
            ops.rle_crop(*batch, (4, 5), box)
    with pytest.raises(errors.InvalidValueError, match="no pixels"):
        ops.rle_resize(*nothing, (0, 5), (3, 3))
    with pytest.raises(errors.InvalidValueError, match="size_hw"):
        ops.rle_flip(*batch, (1 << 16, 1 << 16), horizontal=True)
    with pytest.raises(errors.InvalidValueError, match="b: counts"):
        ops.rle_difference(*batch, *encode(np.ones((3, 5, 5), dtype=np.bool_)))


def test_operators_meet_torchs_contract():
    """Schema, fake and dispatch agree, so that the operators trace and compile."""
    masks = torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    counts, offsets = ops.rle_encode(masks)
    columns = torch.arange(5, dtype=torch.int32)
    boundaries = torch.arange(7, dtype=torch.int32)
    library = torch.ops.geodet

    torch.library.opcheck(library.rle_reduce, (counts, offsets, torch.tensor([0, 2, 3]), True))
    torch.library.opcheck(library.rle_remap, (counts, offsets, 5, columns, boundaries, 6))


@pytest.mark.cuda
def test_cuda_equals_cpu(cuda):
    """Set operations, crops, mirrors and resizes give the same runs on the device."""
    masks = torch.rand(4, 20, 30, generator=torch.Generator().manual_seed(0)) < 0.4
    here, there = ops.rle_encode(masks), ops.rle_encode(masks.to(cuda))
    groups = torch.tensor([0, 1, 1, 4])

    for operator in (ops.rle_union, ops.rle_intersection):
        on_gpu = operator(*there, groups.to(cuda))
        assert equal(operator(*here, groups), tuple(t.cpu() for t in on_gpu))
    moves = [
        lambda batch: ops.rle_flip(*batch, (20, 30), horizontal=True),
        lambda batch: ops.rle_flip(*batch, (20, 30), horizontal=False),
        lambda batch: ops.rle_crop(*batch, (20, 30), (3, 4, 20, 18)),
        lambda batch: ops.rle_crop(*batch, (20, 30), (3, 4, 3, 18)),
        lambda batch: ops.rle_resize(*batch, (20, 30), (47, 11)),
        lambda batch: ops.rle_resize(*batch, (20, 30), (7, 90)),
    ]
    for move in moves:
        assert equal(move(here), tuple(t.cpu() for t in move(there)))
