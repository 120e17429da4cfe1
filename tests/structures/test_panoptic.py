"""Panoptic segmentations: masks of segments, mirrors, messages."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geodet import (
    DtypeError,
    ImageSize,
    InvalidValueError,
    PanopticSegmentation,
    Segment,
    ShapeError,
)
from geodet import testing as gt

IDS = torch.tensor([[0, 5, 5], [9, 9, 5]], dtype=torch.int32)
SEGMENTS = (Segment(9, 0, is_thing=True), Segment(5, 2, is_thing=False))


@given(gt.panoptic_segmentations())
def test_masks_of_segments_share_no_pixel(segmentation):
    """One mask a segment, in order; together they cover the pixels that have an id."""
    masks = segmentation.to_bit_masks()
    assert masks.image_size == segmentation.image_size
    assert torch.equal(masks.data.sum(0), (segmentation.ids != 0).long())
    for segment, mask in zip(segmentation.segments, masks.data, strict=True):
        assert bool((segmentation.ids[mask] == segment.id).all())


@given(segmentation=gt.panoptic_segmentations(), size=gt.image_sizes())
def test_geometry_is_that_of_the_masks(segmentation, size):
    """Mirrors and resizing move the map as they move the masks."""
    masks = segmentation.to_bit_masks()
    assert segmentation.flip_horizontally().to_bit_masks().equal(masks.flip_horizontally())
    assert segmentation.flip_vertically().to_bit_masks().equal(masks.flip_vertically())
    assert segmentation.resize(size).to_bit_masks().equal(masks.resize(size))
    assert np.array_equal(segmentation.flip_vertically().ids, np.flipud(segmentation.ids))


@given(gt.panoptic_segmentations())
def test_areas_and_boxes_are_those_of_the_masks(segmentation):
    """Segments without pixels have area 0 and the box (0, 0, 0, 0)."""
    masks = segmentation.to_bit_masks()
    assert torch.equal(segmentation.area(), masks.data.sum((1, 2)))
    assert segmentation.boxes().equal(masks.boxes())
    kept = segmentation.drop_empty()
    assert [s.id for s in kept.segments] == [
        s.id for s, mask in zip(segmentation.segments, masks.data, strict=True) if mask.any()
    ]


@given(gt.panoptic_segmentations())
def test_rows_of_pixels_are_those_of_their_segments(segmentation):
    """Each pixel names the row of its segment, or one past the last."""
    rows = segmentation.segment_rows()
    for row, mask in enumerate(segmentation.to_bit_masks().data):
        assert torch.equal(rows == row, mask)
    assert torch.equal(rows == len(segmentation), segmentation.ids == 0)


@given(segmentation=gt.panoptic_segmentations(), turns=st.integers(-5, 5), data=st.data())
def test_turns_crops_and_padding_move_pixels_alone(segmentation, turns, data):
    """NumPy's turns and slices; a crop of the padding is the map again."""
    ids = segmentation.ids.numpy()
    assert np.array_equal(segmentation.rotate_90(turns).ids, np.rot90(ids, turns))
    height, width = segmentation.image_size
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right = data.draw(st.integers(left + 1, width))
    bottom = data.draw(st.integers(top + 1, height))
    cropped = segmentation.crop((left, top, right, bottom))
    assert np.array_equal(cropped.ids, ids[top:bottom, left:right])
    assert cropped.segments == segmentation.segments
    padded = segmentation.pad(left, top, 3, 1)
    assert padded.image_size == ImageSize(height + top + 1, width + left + 3)
    assert int((padded.ids != 0).sum()) == int((ids != 0).sum())
    assert padded.crop((left, top, left + width, top + height)).equal(segmentation)


@given(gt.panoptic_segmentations())
def test_classes_of_pixels_are_those_of_their_segments(segmentation):
    """Pixels without a segment get the number that was asked for."""
    classes = segmentation.to_semantic(unlabelled=99)
    for segment, mask in zip(segmentation.segments, segmentation.to_bit_masks().data, strict=True):
        assert bool((classes[mask] == segment.label).all())
    assert bool((classes[segmentation.ids == 0] == 99).all())


@given(gt.panoptic_segmentations())
def test_coco_format_round_trips(segmentation):
    """Colours and dictionaries give the map and the segments that have pixels."""
    ids = [7, 3, 90, 41]
    rgb, infos = segmentation.to_coco(category_ids=ids)
    things = {s.label for s in segmentation.segments if s.is_thing}
    back = PanopticSegmentation.from_coco(
        rgb, infos, labels={c: i for i, c in enumerate(ids)}, things={ids[t] for t in things}
    )
    kept = segmentation.drop_empty()
    assert torch.equal(back.ids, kept.ids)
    assert [(s.id, s.label) for s in back.segments] == [(s.id, s.label) for s in kept.segments]
    assert [info["area"] for info in infos] == kept.area().tolist()


def coco_panoptic(file):
    """Segmentation, annotation and category ids of every image of a COCO panoptic file."""
    data = json.loads(file.read_text())
    categories = sorted(category["id"] for category in data["categories"])
    things = {category["id"] for category in data["categories"] if category["isthing"]}
    for annotation in data["annotations"]:
        with Image.open(file.with_suffix("") / annotation["file_name"]) as picture:
            rgb = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
        labels = {category: label for label, category in enumerate(categories)}
        found = PanopticSegmentation.from_coco(
            rgb, annotation["segments_info"], labels=labels, things=things
        )
        yield found, rgb, annotation, categories


@pytest.mark.parametrize(
    "path",
    [
        "panoptic_sample/panoptic_examples.json",
        "coco_panoptic_mini/annotations/panoptic_val.json",
    ],
)
def test_coco_files_are_written_as_they_were_read(shared_dir, path):
    """Areas and boxes are those that the file states; colours come back byte by byte."""
    images = 0
    for found, rgb, annotation, categories in coco_panoptic(shared_dir / "data" / path):
        found.validated(num_classes=len(categories))
        written, infos = found.to_coco(category_ids=categories)
        assert torch.equal(written, rgb)
        keys = ("id", "category_id", "iscrowd", "area", "bbox")
        assert infos == [{k: info[k] for k in keys} for info in annotation["segments_info"]]
        images += 1
    assert images >= 2


def test_classes_of_pixels_are_those_of_the_semantic_files(shared_dir):
    """Category id of every pixel, as another program wrote it beside the panoptic files."""
    folder = shared_dir / "data" / "coco_panoptic_mini"
    file = folder / "annotations" / "panoptic_val.json"
    for found, _, annotation, categories in coco_panoptic(file):
        with Image.open(folder / "semantic" / "val" / annotation["file_name"]) as picture:
            expected = torch.from_numpy(np.array(picture)).long()
        ids = torch.tensor([*categories, 0])
        assert torch.equal(ids[found.to_semantic(unlabelled=len(categories))], expected)


def test_things_become_instances():
    """Stuff and segments without pixels stay behind; crowds are flagged."""
    segments = (
        Segment(9, 0, is_thing=True, is_crowd=True),
        Segment(4, 1, is_thing=True),
        Segment(5, 2, is_thing=False),
    )
    found = PanopticSegmentation(IDS, segments).to_instances().validated(num_classes=3)
    assert found.labels.tolist() == [0]
    assert found.is_crowd.tolist() == [True]
    assert found.boxes.xyxy.tolist() == [[0.0, 1.0, 2.0, 2.0]]
    assert int(found.masks.area()) == 2
    ignored = PanopticSegmentation(IDS, segments).to_semantic(crowd=255)
    assert ignored.tolist() == [[255, 2, 2], [255, 255, 2]]


def test_a_map_without_segments_is_normal():
    """Every pixel is 0, and there is no mask."""
    none = PanopticSegmentation.empty(ImageSize(2, 3)).validated(num_classes=1)
    assert len(none) == len(none.area()) == len(none.boxes()) == len(none.to_instances()) == 0
    assert none.to_bit_masks().data.shape == (0, 2, 3)
    assert none.to_semantic().tolist() == [[255] * 3] * 2
    assert none.to_coco(category_ids=[])[1] == []


def test_wrong_windows_colours_and_categories_are_refused():
    """The message says what was expected and what was found."""
    segmentation = PanopticSegmentation(IDS, SEGMENTS)
    for window in ((0, 0, 4, 2), (1, 1, 1, 2), (-1, 0, 2, 2)):
        with pytest.raises(InvalidValueError, match=r"xyxy: .* inside 3 x 2 \(width x height\)"):
            segmentation.crop(window)
    with pytest.raises(InvalidValueError, match="pad: expected numbers of at least 0"):
        segmentation.pad(0, 0, -1, 0)
    rgb = torch.zeros(3, 2, 2, dtype=torch.uint8)
    with pytest.raises(ShapeError, match=r"rgb: expected \[3, h, w\], got \[2, 2, 3\]"):
        PanopticSegmentation.from_coco(rgb.permute(1, 2, 0), [], labels={}, things=())
    with pytest.raises(DtypeError, match=r"rgb: expected torch\.uint8"):
        PanopticSegmentation.from_coco(rgb.int(), [], labels={}, things=())
    info = {"id": 1, "category_id": 7}
    with pytest.raises(InvalidValueError, match=r"segments_info\[0\]: .* a label, got 7"):
        PanopticSegmentation.from_coco(rgb, [info], labels={1: 0}, things=())
    large = PanopticSegmentation(IDS, (Segment(1 << 24, 0, is_thing=True),))
    with pytest.raises(InvalidValueError, match=r"segments\[0\]: expected an id below 2\^24"):
        large.to_coco(category_ids=[1])


def test_metadata_is_checked_at_construction():
    """Dtype, rank, pixels and the type of segments."""
    with pytest.raises(DtypeError, match=r"ids: expected torch\.int32, got torch\.int64"):
        PanopticSegmentation(IDS.long(), SEGMENTS)
    with pytest.raises(ShapeError, match=r"ids: expected \[h, w\], got \[6\]"):
        PanopticSegmentation(IDS.flatten(), SEGMENTS)
    with pytest.raises(ShapeError, match="ids: expected at least one pixel"):
        PanopticSegmentation(IDS[:0], SEGMENTS)
    with pytest.raises(DtypeError, match=r"segments\[0\]: expected Segment, got int"):
        PanopticSegmentation(IDS, [5])


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (SEGMENTS[:1], "ids: expected ids of segments, got 5, which has no segment"),
        ((*SEGMENTS, SEGMENTS[0]), "segments: expected each id once, got id 9 2 times"),
        ((Segment(0, 0, is_thing=True),), "segments[0]: expected an id of at least 1, got 0"),
        ((Segment(1, 3, is_thing=True),), "segments[0]: expected a label in [0, 3), got 3"),
    ],
)
def test_broken_values_name_place_and_number(segments, message):
    """Map and segments must agree."""
    with pytest.raises(InvalidValueError) as caught:
        PanopticSegmentation(IDS, segments).validated(num_classes=3, where="a.png")
    assert str(caught.value) == f"a.png: {message}"
