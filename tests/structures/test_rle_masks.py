"""Run-length masks against pycocotools and against their decoded bits."""

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
    RleMasks,
    ShapeError,
)
from geodet import testing as gt

SIZE = ImageSize(3, 4)

# pycocotools still uses NumPy 1's protocol; its results are right.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def coco_mask():
    """The oracle: COCO's own mask functions."""
    return pytest.importorskip("pycocotools.mask")


def runs(*counts):
    """One mask of 3 x 4 pixels from its run lengths."""
    return RleMasks(torch.tensor(counts, dtype=torch.int32), torch.tensor([0, len(counts)]), SIZE)


def encoded(coco_mask, masks):
    """COCO's records of bit masks, made by COCO's tool."""
    return [coco_mask.encode(np.asfortranarray(mask.numpy().astype(np.uint8))) for mask in masks]


@given(masks=gt.bit_masks())
def test_encoding_agrees_with_pycocotools_byte_for_byte(coco_mask, masks):
    """to_coco writes the text that COCO's tool writes."""
    expected = [record["counts"].decode() for record in encoded(coco_mask, masks.data)]
    records = masks.to_rle_masks().to_coco()
    assert [record["counts"] for record in records] == expected
    assert all(record["size"] == list(masks.image_size) for record in records)


@given(masks=gt.bit_masks(min_rows=1))
def test_reading_agrees_with_pycocotools(coco_mask, masks):
    """Text as str or bytes and plain lists of runs all give the mask back."""
    records = encoded(coco_mask, masks.data)
    texts = [{**record, "counts": record["counts"].decode()} for record in records]
    plain = masks.to_rle_masks()
    lists = [{"size": list(masks.image_size), "counts": rle.counts.tolist()} for rle in plain]
    for form in (records, texts, lists):
        read = RleMasks.from_coco(form).validated()
        assert read.equal(plain)
        assert read.to_bit_masks().equal(masks)


@given(rles=gt.rle_masks())
def test_bits_and_runs_round_trip(rles):
    """Decoding and encoding are exact inverses."""
    assert isinstance(rles, Masks)
    assert rles.to_bit_masks().to_rle_masks().equal(rles)
    assert rles.to_rle_masks() is rles


@given(rles=gt.rle_masks())
def test_area_and_boxes_are_those_of_the_bits(rles):
    """Counting runs equals counting pixels."""
    bits = rles.to_bit_masks()
    assert torch.equal(rles.area(), bits.area())
    assert rles.boxes().equal(bits.boxes())


@given(rles=gt.rle_masks(), size=gt.image_sizes())
def test_mirrors_and_resizing_are_those_of_the_bits(rles, size):
    """Working on runs equals working on pixels."""
    bits = rles.to_bit_masks()
    assert rles.flip_horizontally().to_bit_masks().equal(bits.flip_horizontally())
    assert rles.flip_vertically().to_bit_masks().equal(bits.flip_vertically())
    assert rles.resize(size).to_bit_masks().equal(bits.resize(size))
    for changed in (rles.flip_horizontally(), rles.flip_vertically(), rles.resize(size)):
        changed.validated()
        assert changed.equal(changed.to_bit_masks().to_rle_masks())


@given(rles=gt.rle_masks(image_size=ImageSize(7, 8)))
def test_windows_are_those_of_the_bits(rles):
    """Cropping runs equals slicing pixels."""
    cropped = rles.crop((2, 1, 7, 5)).validated()
    assert torch.equal(cropped.to_bit_masks().data, rles.to_bit_masks().data[:, 1:5, 2:7])


@given(rles=gt.rle_masks())
def test_union_and_intersection_are_those_of_the_bits(rles):
    """Or and and over the rows; no rows give nothing and everything."""
    bits = rles.to_bit_masks().data
    assert torch.equal(rles.union_all().to_bit_masks().data[0], bits.any(0))
    assert torch.equal(rles.intersection_all().to_bit_masks().data[0], bits.all(0))


@given(
    a=gt.rle_masks(image_size=SIZE, min_rows=2, max_rows=2),
    b=gt.rle_masks(image_size=SIZE, min_rows=2, max_rows=2),
)
def test_difference_is_that_of_the_bits(a, b):
    """Row by row, a and not b."""
    expected = a.to_bit_masks().data & ~b.to_bit_masks().data
    assert torch.equal(a.difference(b).to_bit_masks().data, expected)


@given(a=gt.rle_masks(image_size=SIZE), b=gt.rle_masks(image_size=SIZE))
def test_pairwise_iou_agrees_with_pycocotools(coco_mask, a, b):
    """Plain and crowd overlaps are those of COCO's tool; it has no 0 / 0."""
    is_crowd = torch.arange(len(b)) % 2 == 0
    got = a.pairwise_iou(b, is_crowd)
    assert got.shape == (len(a), len(b))
    if len(a) and len(b):
        records = [encoded(coco_mask, masks.to_bit_masks().data) for masks in (a, b)]
        expected = coco_mask.iou(*records, is_crowd.numpy().astype(np.uint8))
        assert np.array_equal(got.numpy(), np.nan_to_num(expected))


@given(rles=gt.rle_masks(min_rows=1))
def test_crops_are_those_of_the_bits(rles):
    """crop_and_resize decodes first."""
    height, width = rles.image_size
    boxes = Boxes(torch.tensor([[0.0, 0.5, width, height]]).expand(len(rles), 4))
    assert torch.equal(
        rles.crop_and_resize(boxes, 4), rles.to_bit_masks().crop_and_resize(boxes, 4)
    )


def test_empty_masks_go_through_every_method():
    """No mask is a normal table that keeps its image size."""
    none = RleMasks.empty(SIZE)
    assert none.boxes().equal(Boxes.empty())
    assert none.area().shape == (0,)
    assert none.to_coco() == []
    assert none.to_bit_masks().equal(BitMasks.empty(SIZE))
    assert none.resize(ImageSize(5, 5)).equal(RleMasks.empty(ImageSize(5, 5)))
    assert none.pairwise_iou(runs(12)).shape == (0, 1)
    assert none.union_all().area().tolist() == [0]
    assert none.intersection_all().area().tolist() == [12]
    assert none.crop_and_resize(Boxes.empty(), 3).shape == (0, 3, 3)
    assert RleMasks.from_coco([], SIZE).equal(none)


def test_metadata_is_checked_at_construction():
    """Dtypes, ranks and host memory."""
    counts, offsets = torch.tensor([12], dtype=torch.int32), torch.tensor([0, 1])
    with pytest.raises(DtypeError, match=r"counts: expected torch\.int32, got torch\.int64"):
        RleMasks(counts.long(), offsets, SIZE)
    with pytest.raises(DtypeError, match=r"offsets: expected torch\.int64, got torch\.int32"):
        RleMasks(counts, offsets.int(), SIZE)
    with pytest.raises(ShapeError, match=r"offsets: expected 1 rows \(a leading 0"):
        RleMasks(counts, offsets[:0], SIZE)
    with pytest.raises(DeviceError, match="counts: expected a CPU tensor, got one on meta"):
        RleMasks(counts.to("meta"), offsets, SIZE)
    with pytest.raises(DtypeError, match="image_size: expected ImageSize, got tuple"):
        RleMasks(counts, offsets, (3, 4))


@pytest.mark.parametrize(
    ("counts", "offsets", "message"),
    [
        ([12], [1, 1], "offsets: expected 0 ... 1, got 1 ... 1"),
        ([12, 12], [0, 2, 1, 2], "offsets row 1: expected offsets that never go back, got [2, 1]"),
        ([12, 15, -3], [0, 1, 3], "masks row 1: expected run lengths of at least 0, got -3"),
        ([12, 7], [0, 1, 2], "masks row 1: expected runs that add up to 3 * 4 = 12 pixels, got 7"),
    ],
)
def test_broken_values_name_place_row_and_numbers(counts, offsets, message):
    """Validation checks offsets first, then runs, then their sum."""
    masks = RleMasks(torch.tensor(counts, dtype=torch.int32), torch.tensor(offsets), SIZE)
    with pytest.raises(InvalidValueError) as caught:
        masks.validated(where="a.json")
    assert str(caught.value) == f"a.json: {message}"


def test_wrong_arguments_are_refused():
    """Sizes that differ, windows outside, counts of another type, no size at all."""
    one, other = runs(12), RleMasks.empty(ImageSize(5, 5))
    with pytest.raises(ShapeError, match=r"other: expected masks of ImageSize.* got ImageSize"):
        one.pairwise_iou(other)
    with pytest.raises(ShapeError, match="other: expected 1 rows"):
        one.difference(RleMasks.empty(SIZE))
    with pytest.raises(InvalidValueError, match="xyxy: expected a window inside 4 x 3"):
        one.crop((0, 0, 5, 3))
    with pytest.raises(ShapeError, match="from_coco: expected image_size when there are no masks"):
        RleMasks.from_coco([])
    with pytest.raises(ShapeError, match="masks row 0: expected masks of ImageSize"):
        RleMasks.from_coco([{"size": [3, 4], "counts": [12]}], ImageSize(5, 5))
    with pytest.raises(DtypeError, match="masks row 0: expected counts as str, bytes or a list"):
        RleMasks.from_coco([{"size": [3, 4], "counts": 12}])


@pytest.mark.parametrize("text", ["~~~", b"\xff", "\u00e9", "zz"])
def test_broken_text_names_the_mask(text):
    """Characters outside of COCO's alphabet and texts that are cut off."""
    records = [{"size": [3, 4], "counts": counts} for counts in ([12], text)]
    with pytest.raises(InvalidValueError, match="masks row 1: "):
        RleMasks.from_coco(records)


@pytest.mark.parametrize("count", [-1, 12.0, 2**31, "12"])
def test_broken_run_lengths_name_the_mask(count):
    """Nothing is rounded, wrapped around or parsed."""
    with pytest.raises(InvalidValueError, match="masks row 0: expected run lengths as whole"):
        RleMasks.from_coco([{"size": [3, 4], "counts": [0, count]}])
