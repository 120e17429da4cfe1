"""Run lengths against their specification and against pycocotools."""

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra import numpy as hnp

from geodet import errors, ops
from geodet.ops.reference import rle as reference

sides = st.integers(1, 12)


@st.composite
def mask_batches(draw, max_masks=4):
    """[n, h, w] bool arrays: noise, or rectangles as objects are."""
    n, h, w = draw(st.integers(1, max_masks)), draw(sides), draw(sides)
    if draw(st.booleans()):
        return draw(hnp.arrays(np.bool_, (n, h, w)))
    masks = np.zeros((n, h, w), dtype=np.bool_)
    for mask in masks:
        y1, y2 = sorted((draw(st.integers(0, h)), draw(st.integers(0, h))))
        x1, x2 = sorted((draw(st.integers(0, w)), draw(st.integers(0, w))))
        mask[y1:y2, x1:x2] = True
    return masks


def encode(masks):
    """Runs of a NumPy stack."""
    return ops.rle_encode(torch.from_numpy(masks.copy()))


def rows(batch):
    """The runs of each mask as a list."""
    counts, offsets = batch
    return [counts[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def batch_of(runs):
    """A flat batch from lists of runs."""
    counts = torch.tensor([length for mask in runs for length in mask], dtype=torch.int32)
    return counts, torch.tensor([0, *np.cumsum([len(mask) for mask in runs])], dtype=torch.int64)


def coco_of(masks):
    """What pycocotools makes of dense masks."""
    coco = pytest.importorskip("pycocotools.mask")
    return coco.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))


@given(mask_batches())
def test_encode_equals_specification_and_coco(masks):
    """Runs are the specified ones, and their text is byte for byte what pycocotools writes."""
    batch = encode(masks)

    assert rows(batch) == [reference.rle_encode_reference(mask) for mask in masks]
    assert ops.rle_to_strings(*batch) == [rle["counts"] for rle in coco_of(masks)]


@given(mask_batches())
def test_decode_undoes_encode(masks):
    """Dense masks survive the way through runs, into new memory and into memory given."""
    counts, offsets = encode(masks)
    out = torch.ones(masks.shape, dtype=torch.bool)

    decoded = ops.rle_decode(counts, offsets, masks.shape[1:])
    same = ops.rle_decode(counts, offsets, masks.shape[1:], out=out)

    assert np.array_equal(masks, decoded.numpy())
    assert same is out
    assert np.array_equal(masks, out.numpy())


@pytest.mark.parametrize("threads", [1, 2])
def test_large_masks_survive_every_block_and_strip(threads):
    """Widths around the sizes of words, blocks and strips, with threads."""
    rng = np.random.default_rng(0)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for width in (1, 7, 8, 9, 63, 64, 65, 1023, 1024, 1025, 2100):
            masks = rng.random((3, 37, width)) < rng.choice([0.001, 0.5])
            big = np.zeros((24, 700, width), dtype=np.bool_)
            big[:, 333:370] = np.repeat(masks, 8, axis=0)
            for dense in (masks, big):
                batch = encode(dense)
                assert rows(batch)[-1] == reference.rle_encode_reference(dense[-1])
                decoded = ops.rle_decode(*batch, dense.shape[1:])
                assert np.array_equal(dense, decoded.numpy())
    finally:
        torch.set_num_threads(before)


@given(mask_batches())
def test_area_and_boxes_equal_specification_and_coco(masks):
    """Areas and half-open boxes; COCO's are x, y, width, height."""
    coco = pytest.importorskip("pycocotools.mask")
    counts, offsets = encode(masks)

    areas = ops.rle_area(counts, offsets)
    boxes = ops.rle_boxes(counts, offsets, masks.shape[1])

    theirs = coco.toBbox(coco_of(masks))
    theirs[:, 2:] += theirs[:, :2]
    theirs[~masks.any((1, 2))] = 0
    assert areas.tolist() == coco.area(coco_of(masks)).tolist()
    assert areas.tolist() == [reference.rle_area_reference(mask) for mask in masks]
    assert boxes.tolist() == theirs.tolist()
    assert boxes.tolist() == [list(reference.rle_box_reference(mask)) for mask in masks]


@given(mask_batches(5), st.data())
def test_iou_equals_specification_and_coco_to_the_last_bit(masks, data):
    """Overlap with and without crowds, told the height or not, is the very same double."""
    coco = pytest.importorskip("pycocotools.mask")
    split = data.draw(st.integers(0, len(masks)))
    a, b = masks[:split], masks[split:]
    crowd = data.draw(hnp.arrays(np.bool_, len(b)))
    height = data.draw(st.sampled_from([0, masks.shape[1]]))

    iou = ops.pairwise_rle_iou(
        *encode(a), *encode(b), torch.from_numpy(crowd), height=height
    ).numpy()

    assert iou.tolist() == [
        [reference.rle_iou_reference(x, y, c) for y, c in zip(b, crowd, strict=True)] for x in a
    ]
    if len(a) and len(b):
        theirs = coco.iou(coco_of(a), coco_of(b), crowd.astype(np.uint8).tolist())
        assert np.array_equal(theirs, iou)


@given(mask_batches(4), hnp.arrays(np.bool_, 8), st.integers(0, 20))
def test_many_masks_overlap_like_few(masks, crowd, place):
    """Laid out column by column, for many masks, overlaps are the doubles of the runs."""
    many = np.concatenate([masks, ~masks, masks[:, ::-1], np.roll(masks, 1, 2)])[:8]
    crowds = torch.from_numpy(crowd[: len(many)].copy())
    height = masks.shape[1]
    counts, offsets = encode(many)

    table = ops.pairwise_rle_iou(counts, offsets, counts, offsets, crowds, height=height)

    assert table.equal(ops.pairwise_rle_iou(counts, offsets, counts, offsets, crowds))
    assert table.tolist() == [
        [reference.rle_iou_reference(x, y, c) for y, c in zip(many, crowds, strict=True)]
        for x in many
    ]
    odd = [list(mask) for mask in rows((counts, offsets))]
    for mask in odd:
        at = min(place, len(mask))
        mask[at:at] = [0, 0]
    odd_batch = batch_of(odd)
    assert table.equal(ops.pairwise_rle_iou(*odd_batch, *odd_batch, crowds, height=height))


def test_overlaps_of_many_layers_and_threads():
    """Masks with more intervals in a column than are laid out, and whole images, on two threads."""
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:97, :130]
    stripes = [(y // period + x // 9) % 2 == 0 for period in (1, 2, 5, 12, 40)]
    blobs = [(y - 50) ** 2 + (x - c) ** 2 < 900 for c in (10, 40, 90)]
    masks = np.stack([*stripes, *blobs, y >= 0, y < 0, rng.random(y.shape) < 0.5])
    batch = encode(masks)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        table = ops.pairwise_rle_iou(*batch, *batch, height=97)
    finally:
        torch.set_num_threads(before)

    theirs = coco.iou(coco_of(masks), coco_of(masks), [0] * len(masks))
    assert np.array_equal(table, theirs)
    with pytest.raises(errors.InvalidValueError, match=r"height: masks of .* do not have 96 rows"):
        ops.pairwise_rle_iou(*batch, *batch, height=96)


def test_iou_of_one_row_of_two_billion_pixels_is_told_from_its_runs():
    """Masks of few runs and very many columns take neither the time nor the memory of columns."""
    resource = pytest.importorskip("resource")
    width = 2**31 - 1
    counts = torch.tensor([0, width, 5, width - 5, 0, 10, width - 10], dtype=torch.int32)
    batch = (counts, torch.tensor([0, 2, 4, 7]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    table = ops.pairwise_rle_iou(*batch, *batch, height=1)

    assert table.diagonal().tolist() == [1, 1, 1]
    assert table[1].tolist() == [(width - 5) / width, 1, 5 / width]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # KiB: 1 GiB


@given(st.lists(st.integers(0, 2**31 - 1), max_size=40), st.data())
def test_texts_of_any_runs_are_read_and_broken_ones_refused(runs, data):
    """Numbers of every length come back; one spoiled character never gives other runs silently."""
    batch = batch_of([runs])
    text = reference.rle_to_string_reference(runs)
    assert ops.rle_from_strings([text])[0].equal(batch[0])
    if not text:
        return
    at = data.draw(st.integers(0, len(text) - 1))
    spoiled = bytearray(text)
    spoiled[at] = data.draw(st.integers(0, 255).filter(lambda code: not 48 <= code < 112))
    with pytest.raises(errors.InvalidValueError, match=f"character {at} "):
        ops.rle_from_strings([bytes(spoiled)])


@given(mask_batches(), st.lists(st.integers(0, 5), max_size=6))
def test_runs_of_zero_change_no_result(masks, places):
    """Batches that split runs by empty ones mean the same masks."""
    runs = rows(encode(masks))
    padded = [list(mask) for mask in runs]
    for place in places:
        for mask in padded:
            at = min(place, len(mask))
            mask[at:at] = [0, 0]
    h, w = masks.shape[1:]
    clean, odd = batch_of(runs), batch_of(padded)

    assert ops.rle_area(*clean).equal(ops.rle_area(*odd))
    assert ops.rle_boxes(*clean, h).equal(ops.rle_boxes(*odd, h))
    assert ops.rle_decode(*clean, (h, w)).equal(ops.rle_decode(*odd, (h, w)))
    assert ops.pairwise_rle_iou(*clean, *clean).equal(ops.pairwise_rle_iou(*odd, *odd))
    each = torch.arange(len(masks) + 1)
    assert rows(ops.rle_union(*odd, each)) == runs
    assert (
        rows(ops.rle_flip(*ops.rle_flip(*odd, (h, w), horizontal=True), (h, w), horizontal=True))
        == runs
    )


@given(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=8), max_size=4))
def test_text_equals_specification_both_ways(runs):
    """Any non-negative 31-bit runs survive COCO's text; sums are not its business."""
    texts = [reference.rle_to_string_reference(mask) for mask in runs]

    assert rows(ops.rle_from_strings(texts)) == runs
    assert rows(ops.rle_from_strings([text.decode() for text in texts])) == runs
    assert [reference.rle_from_string_reference(text) for text in texts] == runs
    if all(sum(mask) == sum(runs[0]) < 2**31 for mask in runs):
        assert ops.rle_to_strings(*batch_of(runs)) == texts


@given(st.one_of(st.binary(max_size=20), st.text(alphabet="0PQoO1`~/", max_size=20)))
def test_garbage_text_is_an_error_or_sound_runs(text):
    """Whatever the bytes: runs that fit, or an error that names the mask; never anything else."""
    try:
        counts, offsets = ops.rle_from_strings([b"3", text])
    except errors.InvalidValueError as error:
        message = str(error)
    else:
        raw = text.encode() if isinstance(text, str) else text
        message = "mask 1"
        assert counts.tolist() == [3, *reference.rle_from_string_reference(raw)]
        assert (counts >= 0).all()
        assert offsets[-1] == len(counts)
    assert "mask 1" in message


@given(
    hnp.arrays(np.int32, st.integers(0, 8), elements=st.integers(-3, 9)),
    hnp.arrays(np.int64, st.integers(1, 5), elements=st.integers(-2, 10)),
)
def test_garbage_batches_are_errors_everywhere(counts, offsets):
    """Run lengths and offsets from anywhere either are a batch of 2 x 3 masks or are refused."""
    batch = torch.from_numpy(counts), torch.from_numpy(offsets)
    sound = (
        offsets[0] == 0
        and offsets[-1] == len(counts)
        and (np.diff(offsets) >= 0).all()
        and (counts >= 0).all()
        and all(counts[a:b].sum() == 6 for a, b in itertools.pairwise(offsets))
    )
    uses = [
        lambda: ops.rle_check(*batch, (2, 3)),
        lambda: ops.rle_decode(*batch, (2, 3)),
        lambda: ops.rle_crop(*batch, (2, 3), (1, 0, 2, 2)),
        lambda: ops.rle_flip(*batch, (2, 3), horizontal=False),
        lambda: ops.rle_resize(*batch, (2, 3), (5, 5)),
    ]
    for use in uses:
        if sound:
            use()
        else:
            with pytest.raises(errors.InvalidValueError, match=r"mask|offsets"):
                use()


def test_errors_name_the_mask():
    """The message says which mask and what was found."""
    counts, offsets = batch_of([[6], [2, 5], [6]])

    with pytest.raises(errors.InvalidValueError, match="mask 1 to add up to 6 pixels, got 7"):
        ops.rle_area(counts, offsets)
    with pytest.raises(errors.InvalidValueError, match="-1 in the runs of mask 2"):
        ops.rle_area(*batch_of([[6], [2, 4], [7, -1]]))
    with pytest.raises(errors.InvalidValueError, match="b: counts"):
        ops.pairwise_rle_iou(*batch_of([[6]]), *batch_of([[5]]))
    with pytest.raises(errors.InvalidValueError, match="do not have 4 rows"):
        ops.rle_boxes(*batch_of([[6]]), 4)
    with pytest.raises(errors.DtypeError):
        ops.rle_area(counts.long(), offsets)
    with pytest.raises(errors.ShapeError):
        ops.rle_area(counts, offsets[:0])
    with pytest.raises(errors.DtypeError, match="mask 0"):
        ops.rle_from_strings([3])


def test_empty_batches_and_masks_without_pixels():
    """No masks, and masks of no pixels, are normal."""
    none = ops.rle_encode(torch.zeros(0, 4, 5, dtype=torch.bool))
    flat = ops.rle_encode(torch.zeros(2, 0, 5, dtype=torch.bool))

    assert rows(none) == []
    assert rows(flat) == [[0], [0]]
    assert ops.rle_decode(*none, (4, 5)).shape == (0, 4, 5)
    assert ops.rle_decode(*flat, (0, 5)).shape == (2, 0, 5)
    assert ops.rle_area(*none).shape == (0,)
    assert ops.rle_boxes(*none, 4).shape == (0, 4)
    assert ops.rle_boxes(*flat, 0).tolist() == [[0, 0, 0, 0]] * 2
    assert ops.pairwise_rle_iou(*none, *flat).shape == (0, 2)
    assert ops.rle_to_strings(*none) == []
    assert rows(ops.rle_from_strings([])) == []


def test_operators_meet_torchs_contract():
    """Schema, fake and dispatch agree, so that the operators trace and compile."""
    masks = torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    counts, offsets = ops.rle_encode(masks)
    library = torch.ops.geodet
    crowd = torch.tensor([True, False, True])

    torch.library.opcheck(library.rle_encode, (masks,))
    torch.library.opcheck(library.rle_decode, (counts, offsets, 6, 5))
    torch.library.opcheck(library.rle_area, (counts, offsets))
    torch.library.opcheck(library.rle_boxes, (counts, offsets, 6))
    torch.library.opcheck(library.pairwise_rle_iou, (counts, offsets, counts, offsets, crowd, 6))


@pytest.mark.cuda
def test_cuda_equals_cpu(cuda):
    """Every kernel gives on the GPU what it gives on the CPU."""
    masks = torch.rand(5, 40, 70, generator=torch.Generator().manual_seed(0)) < 0.3
    masks[1] = False
    masks[2, 5:20, 10:60] = True
    here = ops.rle_encode(masks)
    there = ops.rle_encode(masks.to(cuda))
    crowd = torch.tensor([True, False, True, False, False])

    assert [t.tolist() for t in here] == [t.tolist() for t in there]
    assert ops.rle_decode(*there, (40, 70)).cpu().equal(masks)
    assert ops.rle_area(*there).cpu().equal(ops.rle_area(*here))
    assert ops.rle_boxes(*there, 40).cpu().equal(ops.rle_boxes(*here, 40))
    for height in (0, 40):
        on_gpu = ops.pairwise_rle_iou(*there, *there, crowd.to(cuda), height=height)
        assert on_gpu.cpu().equal(ops.pairwise_rle_iou(*here, *here, crowd, height=height))
    with pytest.raises(errors.InvalidValueError):
        ops.rle_decode(*there, (40, 71))
