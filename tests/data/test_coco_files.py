"""Real data sets load in full and agree with pycocotools; each known defect ends as expected."""

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import pytest

from geodet.data.loader import build_loader
from geodet.data.mapping import TrainMapper
from geodet.data.sources.coco import CocoSource
from geodet.errors import DataError
from geodet.transforms import ResizeShortestEdge

# name: images folder, annotation file, images, annotations, has masks
REAL = {
    "coco train": ("coco_mini/train2017", "coco_mini/annotations/instances_train2017", 26, 333),
    "coco val": ("coco_mini/val2017", "coco_mini/annotations/instances_val2017", 25, 213),
    "nuclei train": ("nuclei/images/train", "nuclei/annotations/instances_train", 74, 3108),
    "nuclei val rle": ("nuclei/images/val", "nuclei/annotations/instances_val_rle", 22, 910),
    "bccd train": ("bccd/JPEGImages", "bccd/coco/instances_train", 205, 2805),
    "bccd val": ("bccd/JPEGImages", "bccd/coco/instances_val", 87, 1138),
    "bccd test": ("bccd/JPEGImages", "bccd/coco/instances_test", 72, 945),
    "hit-uav val": ("hit_uav/images/val", "hit_uav/annotations/rotated_val", 30, 232),
}


def real(shared_dir, name, **options):
    """A real data set by name."""
    images, annotations, *_ = REAL[name]
    data = shared_dir / "data"
    return CocoSource(data / images, data / f"{annotations}.json", **options)


@pytest.mark.parametrize("name", REAL)
def test_real_data_sets_load_in_full(shared_dir, name):
    """Every image and every annotation of sound data sets comes through the strict checks."""
    source = real(shared_dir, name)
    _, _, images, annotations = REAL[name]
    rows = [len(source.instances(i)) for i in range(len(source))]

    assert len(source) == images
    assert sum(rows) == source.num_annotations == annotations
    assert source.has_masks == ("bccd" not in name)
    assert source.problems == ()
    for index in range(0, len(source), 10):
        assert source[index].image_size == source.image_sizes()[index]


def test_one_pixel_boxes_are_legal(shared_dir):
    """Two cells of the BCCD set are marked by a single pixel; they are kept."""
    sides = []
    for name in ("bccd train", "bccd val", "bccd test"):
        source = real(shared_dir, name)
        for index in range(len(source)):
            xyxy = source.instances(index).boxes.xyxy
            sides += (xyxy[:, 2:] - xyxy[:, :2]).tolist()

    assert sides.count([1, 1]) == 2


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", ["coco train", "coco val", "nuclei val rle"])
def test_annotations_agree_with_pycocotools(shared_dir, name):
    """Masks are equal to the pixel; boxes, areas, classes and crowds are those of the file."""
    from pycocotools.coco import COCO

    source = real(shared_dir, name)
    with contextlib.redirect_stdout(io.StringIO()):
        oracle = COCO(str(source.annotation_file))
    for index in range(len(source)):
        expected = oracle.imgToAnns[source.image_id(index)]
        ours = source.instances(index)
        to_id = source.label_map.to_dataset_id
        assert ours.extras["annotation_ids"].tolist() == [a["id"] for a in expected]
        assert [to_id(label) for label in ours.labels.tolist()] == [
            a["category_id"] for a in expected
        ]
        assert ours.is_crowd.tolist() == [bool(a["iscrowd"]) for a in expected]
        assert ours.extras["area"].tolist() == [a["area"] for a in expected]
        xywh = np.array([a["bbox"] for a in expected]).reshape(-1, 4)
        # Single precision next to numbers up to 640.
        assert np.allclose(ours.boxes.to_xywh().numpy(), xywh, atol=1e-4)
        for row, one in enumerate(expected):
            mask = ours.masks[row].to_bit_masks().data[0].numpy()
            assert np.array_equal(mask, oracle.annToMask(one).astype(bool)), one["id"]


@pytest.mark.parametrize(("split", "labelled"), [("train", 27), ("val", 16)])
def test_person_keypoints_load(shared_dir, split, labelled):
    """COCO's persons have COCO's skeleton; as many are labelled as the set says."""
    data = shared_dir / "data" / "coco_mini"
    source = CocoSource(
        data / f"{split}2017",
        data / "annotations" / f"person_keypoints_{split}2017.json",
        keypoints=True,
    )
    some = sum(
        int(source.instances(i).keypoints.labelled().any(1).sum()) for i in range(len(source))
    )

    assert len(source.skeleton) == 17
    assert len(source.skeleton.flip_pairs) == 8
    assert some == labelled


def test_spawned_workers_give_what_the_main_process_gives(shared_dir):
    """Workers that start from nothing, with a pickled source, make the same batches."""
    mapper = TrainMapper(
        source=real(shared_dir, "coco val"), choices=ResizeShortestEdge((64, 96), 160), seed=1
    )
    here = build_loader(mapper, batch_size=4)
    there = build_loader(mapper, batch_size=4, num_workers=1, start_method="spawn")
    try:
        for _ in range(3):
            a, b = next(here), next(there)
            assert a.image_ids == b.image_ids
            assert all(x.equal(y) for x, y in zip(a.images, b.images, strict=True))
            assert all(x.equal(y) for x, y in zip(a.targets, b.targets, strict=True))
    finally:
        there.close()


# What each file of defects ends in: "ok" reads in full, else a part of the message.
EXPECTED = {
    "area_missing_or_wrong": "4 broken entries",
    "base_ok": "ok",
    "box_disagrees_with_polygon": "3 broken entries",
    "box_duplicate_annotations": "ok",
    "box_huge_numbers": "2 broken entries",
    "box_missing_or_malformed": "7 broken entries",
    "box_negative_size": "2 broken entries",
    "box_outside": "4 broken entries",
    "box_subpixel": "2 broken entries",
    "box_xyxy": "read as corners",
    "box_zero_area": "3 broken entries",
    "empty_lists": "ok",
    "extra_fields": "ok",
    "file_duplicate_key": "'images' appears more than once",
    "file_empty": "empty",
    "file_nan_literal": "2 broken entries",
    "file_top_level_list": "found a list",
    "file_trailing_comma": "not legal JSON",
    "file_truncated": "not legal JSON",
    "file_utf16": "ok",
    "file_utf8_bom": "ok",
    "id_annotation_all_zero": "17 broken entries",
    "id_annotation_duplicate": "1 broken entry",
    "id_annotation_from_zero": "ok",
    "id_annotation_missing": "2 broken entries",
    "id_category_duplicate": "id 2 already belongs",
    "id_category_from_zero": "ok",
    "id_category_name_duplicate": "name 'square' already belongs",
    "id_category_noncontiguous": "ok",
    "id_category_unknown": "class id 99",
    "id_category_unused": "ok",
    "id_category_without_name": "name: expected a text",
    "id_floats": "ok",
    "id_huge": "ok",
    "id_image_duplicate": "id 2 already belongs to images[1] (another)",
    "id_image_listed_twice": "(the same entry again)",
    "id_image_orphan": "no image of the file has id 777",
    "id_strings": "ok",
    "id_two_ids_one_file": "ok",
    "id_types_mixed": "the images list has it as 1 (int)",
    "image_exif_size_as_displayed": "ok",
    "image_exif_size_as_stored": "EXIF orientation 6",
    "image_file_missing": "no such file",
    "image_file_truncated": "truncated",
    "image_name_missing": "file_name: expected a text",
    "image_size_float": "ok",
    "image_size_missing": "height: missing",
    "image_size_string": "height: expected an integer, got '120'",
    "image_size_swapped": "width and height of the image were swapped",
    "image_size_wrong": "expected 320 x 240 pixels",
    "image_size_zero": "expected a positive number of pixels",
    "image_without_annotations": "ok",
    "iscrowd_missing_or_odd": "3 broken entries",
    "key_annotation_singular": "found 'annotation' instead",
    "kp_category_without_names": "no category has",
    "kp_count_mismatch": "2 broken entries",
    "kp_none_labelled": "ok",
    "kp_ok": "ok",
    "kp_outside": "3 broken entries",
    "kp_skeleton_out_of_range": "[1, 9]",
    "kp_two_skeletons": "one data set has one skeleton",
    "kp_visibility_odd": "4 broken entries",
    "kp_wrong_length": "5 broken entries",
    "missing_key_annotations": "expected a key 'annotations'",
    "missing_key_categories": "expected a key 'categories'",
    "missing_key_images": "expected a key 'images'",
    "rle_compressed": "ok",
    "rle_counts_bytes_repr": "counts.decode()",
    "rle_counts_garbage": "5 broken entries",
    "rle_counts_sum_wrong": "3 broken entries",
    "rle_crowd": "ok",
    "rle_crowd_polygon": "ok",
    "rle_empty_and_full": "holds no pixel",
    "rle_size_other": "got [60, 80]",
    "rle_size_swapped": "written (width, height)",
    "rle_uncompressed": "ok",
    "seg_degenerate": "4 broken entries",
    "seg_empty": "6 broken entries",
    "seg_flat_list": "flat list",
    "seg_multipart": "ok",
    "seg_nan": "3 broken entries",
    "seg_odd_length": "odd count",
    "seg_outside": "2 broken entries",
    "seg_point_pairs": "[x, y] pairs",
    "seg_too_few_points": "4 broken entries",
}
# Defects of the file as a whole, or of an image's pixels: leaving entries out does not help.
BEYOND_SKIPPING = {
    *(f"file_{name}" for name in ("duplicate_key", "empty", "top_level_list", "trailing_comma")),
    *("file_truncated", "key_annotation_singular", "kp_category_without_names"),
    *("kp_skeleton_out_of_range", "kp_two_skeletons", "missing_key_annotations"),
    *("missing_key_categories", "missing_key_images", "id_category_duplicate"),
    *("id_category_name_duplicate", "id_category_without_name", "image_exif_size_as_stored"),
    *("image_file_truncated", "image_size_swapped", "image_size_wrong"),
}


def read_all(path: Path, on_bad: str) -> CocoSource:
    """Make the source of a file of defects, and read every sample of it."""
    source = CocoSource(
        path.parent.parent / "images", path, keypoints=path.name.startswith("kp_"), on_bad=on_bad
    )
    for sample in source:
        assert sample.instances.image_size == sample.image_size
    return source


def test_every_file_of_defects_has_an_expectation(shared_dir):
    """No file of the collection is left to chance."""
    files = {path.stem for path in (shared_dir / "data" / "corrupt" / "coco").glob("*.json")}

    assert files == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_defects_end_as_expected(shared_dir, name):
    """A sound file reads; a broken one is an error that names it; entries can be left out."""
    path = shared_dir / "data" / "corrupt" / "coco" / f"{name}.json"
    if EXPECTED[name] == "ok":
        assert read_all(path, "error").problems == ()
        return
    with pytest.raises(DataError) as caught:
        read_all(path, "error")
    assert EXPECTED[name] in str(caught.value)
    assert path.name in str(caught.value)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name in BEYOND_SKIPPING:
            with pytest.raises(DataError):
                read_all(path, "skip")
        else:
            assert read_all(path, "skip").problems
