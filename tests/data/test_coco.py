"""COCO files: what is sound is read exactly, what is broken is named."""

import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from geodet.data.sources.coco import CocoSource
from geodet.data.sources.source import Source
from geodet.errors import DataError, DtypeError, ImageDecodeError, InvalidValueError
from geodet.structures import ImageSize, PolygonMasks, RleMasks, Skeleton

SQUARE = [[2, 3, 12, 3, 12, 9, 2, 9]]


def dataset(**changes):
    """Two images of 16 x 12 and one of 10 x 20; three annotations on the first, one on the last."""
    data = {
        "images": [
            {"id": 5, "file_name": "a.png", "width": 16, "height": 12},
            {"id": 3, "file_name": "b.png", "width": 16, "height": 12},
            {"id": 9, "file_name": "c.png", "width": 10, "height": 20},
        ],
        "categories": [{"id": 7, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            annotation(id=20, image_id=9, bbox=[1, 1, 4, 10], segmentation=[[1, 1, 5, 1, 3, 11]]),
            annotation(id=10),
            annotation(id=11, category_id=7, bbox=[0, 0, 16, 12], iscrowd=1, segmentation=rle(12)),
            annotation(id=12, bbox=[2.5, 3, 9.25, 6]),
        ],
    }
    return data | changes


def annotation(**changes):
    """A sound annotation of the first image."""
    sound = {"id": 1, "image_id": 5, "category_id": 2, "bbox": [2, 3, 10, 6], "iscrowd": 0}
    return sound | {"segmentation": SQUARE, "area": 60.0} | changes


def rle(rows, height=12, width=16):
    """Uncompressed run lengths of the first columns of an image."""
    return {"size": [height, width], "counts": [0, rows, height * width - rows]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images that `dataset` names."""
    path = tmp_path_factory.mktemp("coco")
    for name, size in (("a", (16, 12)), ("b", (16, 12)), ("c", (10, 20))):
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (*size[::-1], 3), np.uint8)
        Image.fromarray(pixels).save(path / f"{name}.png")
    return path


def source(folder, data, **options):
    """The source of a data set given as Python objects."""
    path = folder / "annotations.json"
    path.write_text(json.dumps(data))
    return CocoSource(folder, path, **options)


def test_images_and_annotations_come_in_file_order(folder):
    """Images as listed, annotations of each as listed, labels by ascending category id."""
    coco = source(folder, dataset())

    assert isinstance(coco, Source)
    assert len(coco) == 3
    assert coco.num_annotations == 4
    assert coco.label_map.names == ("dog", "cat")
    assert coco.label_map.dataset_ids == (2, 7)
    assert [coco.image_id(i) for i in range(3)] == [5, 3, 9]
    assert coco.image_sizes() == [ImageSize(12, 16), ImageSize(12, 16), ImageSize(20, 10)]
    first = coco[0]
    assert first.image.shape == (3, 12, 16)
    assert first.source.endswith("a.png")
    assert first.original_size == ImageSize(12, 16)
    assert first.instances.extras["annotation_ids"].tolist() == [10, 11, 12]
    assert first.instances.labels.tolist() == [0, 1, 0]
    assert first.instances.is_crowd.tolist() == [False, True, False]
    assert first.instances.boxes.xyxy.tolist() == [
        [2, 3, 12, 9],
        [0, 0, 16, 12],
        [2.5, 3, 11.75, 9],
    ]
    assert coco[-1].instances.extras["annotation_ids"].tolist() == [20]


def test_images_without_annotations_have_empty_columns(folder):
    """An image without objects has the columns of the others, with no row."""
    instances = source(folder, dataset())[1].instances

    assert len(instances) == 0
    assert instances.boxes.xyxy.shape == (0, 4)
    assert len(instances.masks) == 0
    assert instances.extras["area"].dtype == torch.float64


def test_polygons_stay_polygons_unless_run_lengths_are_among_them(folder):
    """One run-length annotation turns the masks of its image, and of no other, into RLE."""
    coco = source(folder, dataset())
    without_crowd = source(folder, dataset(), keep_crowd=False)

    assert isinstance(coco.instances(0).masks, RleMasks)
    assert isinstance(coco.instances(2).masks, PolygonMasks)
    assert isinstance(without_crowd.instances(0).masks, PolygonMasks)
    assert without_crowd.instances(0).extras["annotation_ids"].tolist() == [10, 12]


def test_box_only_files_have_no_masks(folder):
    """A file without any segmentation gives samples without a mask column."""
    for nothing in ([], None, [[]]):
        data = dataset(annotations=[annotation(segmentation=nothing)])
        coco = source(folder, data)
        assert not coco.has_masks
        assert coco.instances(0).masks is None


def test_masks_can_be_left_unread(folder):
    """masks=False reads boxes from a file whose segmentations are broken."""
    data = dataset(annotations=[annotation(segmentation="nonsense")])

    assert source(folder, data, masks=False).instances(0).masks is None
    with pytest.raises(DataError, match="nonsense"):
        source(folder, data)


def test_missing_areas_are_those_of_the_mask_or_box(folder):
    """Without "area" the pixels of the mask count, without a mask the box."""
    record = annotation(bbox=[2, 3, 10, 6], segmentation=[[2, 3, 12, 3, 12, 6, 2, 6]])
    del record["area"]
    other = annotation(id=2, bbox=[0, 0, 16, 12], segmentation=rle(30))
    other["area"] = None
    data = dataset(annotations=[record, other])

    assert source(folder, data).instances(0).extras["area"].tolist() == [30, 30]
    assert source(folder, data, masks=False).instances(0).extras["area"].tolist() == [60, 192]


def test_boxes_may_overhang_by_one_pixel(folder):
    """Rounding beyond the border is clipped; more is an error with the likely cause."""
    data = dataset(annotations=[annotation(bbox=[-1, -0.5, 17, 13.5], segmentation=[])])

    assert source(folder, data).instances(0).boxes.xyxy.tolist() == [[0, 0, 16, 12]]
    for box, hint in (
        ([-1.5, 0, 5, 5], r"1\.5 px outside\n"),
        ([4, 4, 15, 11], "read as corners"),
        ([8, 1, 4, 14], "width and height of the image were swapped"),
    ):
        with pytest.raises(DataError, match=hint) as caught:
            source(folder, dataset(annotations=[annotation(bbox=box)]))
        assert "annotations[0] (id 1, image 5 'a.png')" in str(caught.value)


def test_double_precision_boxes_keep_the_digits_of_the_file(folder):
    """box_dtype=float64 is for evaluation: 0.1 stays 0.1."""
    data = dataset(annotations=[annotation(bbox=[0.1, 0.2, 10, 6])])
    boxes = source(folder, data, box_dtype=torch.float64).instances(0).boxes

    assert boxes.xyxy.tolist() == [[0.1, 0.2, 10.1, 6.2]]


def test_images_without_objects_can_be_left_out(folder):
    """keep_empty=False drops images that have nothing, or crowd regions only."""
    crowd = annotation(id=30, image_id=3, bbox=[0, 0, 16, 12], iscrowd=1, segmentation=rle(12))
    data = dataset()
    data["annotations"].append(crowd)
    coco = source(folder, data, keep_empty=False)

    assert [coco.image_id(i) for i in range(len(coco))] == [5, 9]
    assert coco[1].image.shape == (3, 20, 10)
    assert len(coco.image_sizes()) == 2


def test_sources_can_be_pickled_and_give_the_same(folder):
    """What a worker process gets is the same source."""
    coco = source(folder, dataset())
    copy = pickle.loads(pickle.dumps(coco))  # noqa: S301

    assert len(copy) == len(coco)
    assert all(copy[i].instances.equal(coco[i].instances) for i in range(3))
    assert all(torch.equal(copy[i].image, coco[i].image) for i in range(3))


def test_columns_are_copies(folder):
    """Writing into a sample does not change the source."""
    coco = source(folder, dataset())
    for column in (coco.instances(0).boxes.xyxy, coco.instances(0).labels):
        column.zero_()

    assert coco.instances(0).boxes.xyxy[1].tolist() == [0, 0, 16, 12]
    assert coco.instances(0).labels.tolist() == [0, 1, 0]


def test_indices_out_of_range_are_index_errors(folder):
    """Iteration over a source ends, and wrong indices are told."""
    coco = source(folder, dataset())

    assert len(list(coco)) == 3
    for index in (3, -4):
        with pytest.raises(IndexError, match="3 images"):
            coco[index]


def test_keypoints_gain_half_a_pixel(folder):
    """Labelled points become positions, unlabelled ones zeros; names tell the flip pairs."""
    category = {
        "id": 2,
        "name": "dog",
        "keypoints": ["nose", "left_ear", "right_ear"],
        "skeleton": [[1, 2], [1, 3]],
    }
    points = [3, 4, 2, 5, 6, 1, 9, 9, 0]
    data = dataset(
        categories=[category, {"id": 7, "name": "cat"}],
        annotations=[
            annotation(keypoints=points, num_keypoints=2),
            annotation(id=2, category_id=7, keypoints=[]),
            annotation(id=3, category_id=7),
        ],
    )
    coco = source(folder, data, keypoints=True)
    xyv = coco.instances(0).keypoints.xyv

    assert coco.skeleton.edges == ((0, 1), (0, 2))
    assert coco.skeleton.flip_pairs == ((1, 2),)
    assert xyv[0].tolist() == [[3.5, 4.5, 2], [5.5, 6.5, 1], [0, 0, 0]]
    assert xyv[1:].eq(0).all()
    assert source(folder, data).skeleton is None
    mine = Skeleton(names=["a", "b", "c"], sigmas=[0.1, 0.1, 0.1])
    assert source(folder, data, keypoints=True, skeleton=mine).skeleton == mine


def test_files_of_another_size_are_refused_on_reading(folder):
    """A listed size that the file does not have is named with both sizes and the cause."""
    data = dataset(annotations=[])
    data["images"][0] |= {"width": 32, "height": 24}
    data["images"][1] |= {"width": 12, "height": 16}
    coco = source(folder, data)

    with pytest.raises(DataError, match=r"a\.png \(image 5.*32 x 24.*decoded 16 x 12; .*another"):
        coco[0]
    with pytest.raises(DataError, match=r"b\.png.*width and height are swapped"):
        coco[1]


def test_exif_and_annotations_that_disagree_are_explained(tmp_path):
    """Boxes drawn on unturned pixels are told apart, and apply_exif=False reads them."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    image = {"id": 1, "file_name": "a.jpg", "width": 16, "height": 12}
    data = dataset(images=[image], annotations=[])

    with pytest.raises(DataError, match=r"EXIF orientation 6.*apply_exif=False"):
        source(tmp_path, data)[0]
    assert source(tmp_path, data, apply_exif=False)[0].image.shape == (3, 12, 16)
    image |= {"width": 12, "height": 16}
    assert source(tmp_path, data)[0].image.shape == (3, 16, 12)
    with pytest.raises(DataError, match=r"EXIF orientation 6.*apply_exif=True"):
        source(tmp_path, data, apply_exif=False)[0]


def test_broken_files_name_image_and_annotation_file(folder, tmp_path):
    """A file that does not decode is reported with the id that the annotations give it."""
    (tmp_path / "a.png").write_bytes(b"junk")
    data = dataset(annotations=[])
    data["images"] = data["images"][:1]

    with pytest.raises(ImageDecodeError, match=r"a\.png.*image 5 of .*annotations\.json"):
        source(tmp_path, data)[0]


BAD_ANNOTATIONS = {
    "bbox: expected four numbers .*it is missing": {"bbox": ...},
    r"bbox: expected four numbers .*got \[1, 2, 3\]": {"bbox": [1, 2, 3]},
    "bbox: expected four finite numbers": {"bbox": [1, 2, float("nan"), 3]},
    "bbox: expected a positive width": {"bbox": [1, 2, 0, 3]},
    "expected a box with an area in single precision": {"bbox": [10, 2, 1e-8, 3]},
    "category_id: class id 99": {"category_id": 99},
    "category_id: expected an integer, got '2'": {"category_id": "2"},
    "image_id: no image of the file has id 99": {"image_id": 99},
    "images list has it as 5": {"image_id": "5"},
    "image_id: .*missing": {"image_id": ...},
    "id: missing": {"id": ...},
    "id 2 already belongs to": {"id": 2},
    "id: expected an integer of 64 bits": {"id": 2**63},
    "iscrowd: expected 0 or 1": {"iscrowd": "0"},
    "area: expected a positive number": {"area": -1},
    "area: .*at most 192": {"area": 1e6},
    "flat list": {"segmentation": SQUARE[0]},
    r"list of \[x, y\] pairs": {"segmentation": [[1, 2], [5, 2], [5, 6]]},
    "pairs; join": {"segmentation": [[[1, 2], [5, 2], [5, 6]]]},
    "odd count of 7": {"segmentation": [[1, 2, 5, 2, 5, 6, 3]]},
    "at least three points": {"segmentation": [SQUARE[0], [1, 2]]},
    "one line: no area": {"segmentation": [[1, 1, 5, 5, 9, 9]]},
    "outside the image": {"segmentation": [[30, 1, 35, 5, 39, 1]]},
    "disagree": {"segmentation": [[13, 10, 15, 10, 15, 11]]},
    "polygons: expected finite": {"segmentation": [[1, 1, float("inf"), 5, 9, 9]]},
    r"size: expected \[12, 16\].*written \(width, height\)": {"segmentation": rle(3, 16, 12)},
    "counts: expected no negative": {"segmentation": rle(-3)},
    "sum to 192 .*got 4": {"segmentation": {"size": [12, 16], "counts": [1, 3]}},
    "holds no pixel": {"segmentation": rle(0)},
    "not a compressed RLE": {"segmentation": {"size": [12, 16], "counts": "\u00e9~~"}},
    "Python literal": {"segmentation": {"size": [12, 16], "counts": "b'abc'"}},
    "counts: .*missing": {"segmentation": {"size": [12, 16]}},
    "as other annotations of the file have": {"segmentation": []},
    "expected a list of polygons or an RLE": {"segmentation": 5},
}


@pytest.mark.parametrize("message", BAD_ANNOTATIONS)
def test_broken_annotations_are_named_or_left_out(folder, message):
    """Each defect is an error with its place; on request it is left out, with one warning."""
    bad = {k: v for k, v in annotation(**BAD_ANNOTATIONS[message]).items() if v is not ...}
    data = dataset(annotations=[annotation(id=2), bad, annotation(id=3)])
    with pytest.raises(DataError, match=message) as caught:
        source(folder, data)
    assert "annotations.json: 1 broken entry:\n  annotations[1]" in str(caught.value)

    with pytest.warns(UserWarning, match=r"left out 1 broken entry"):
        coco = source(folder, data, on_bad="skip")
    assert coco.instances(0).extras["annotation_ids"].tolist() == [2, 3]
    assert len(coco.problems) == 1


BAD_IMAGES = {
    "height: missing": {"height": ...},
    "width: expected an integer, got '16'": {"width": "16"},
    "width: expected a positive": {"width": 0},
    "file_name: .*missing; its coco_url ends in 'b.png'": {
        "file_name": ...,
        "coco_url": "http://x/b.png",
    },
    "no such file": {"file_name": "absent.png"},
    "id 5 already belongs to": {"id": 5},
    "id: expected an integer, got None": {"id": None},
}


@pytest.mark.parametrize("message", BAD_IMAGES)
def test_broken_images_are_named_or_left_out(folder, message):
    """A broken image goes with its annotations when defects are skipped."""
    data = dataset(annotations=[annotation(), annotation(id=2, image_id=9, bbox=[1, 1, 5, 5])])
    data["annotations"][1]["segmentation"] = [[1, 1, 6, 1, 6, 6]]
    bad = data["images"][1] | BAD_IMAGES[message]
    data["images"][1] = {k: v for k, v in bad.items() if v is not ...}
    with pytest.raises(DataError, match=message) as caught:
        source(folder, data)
    assert "1 broken entry:\n  images[1]" in str(caught.value)

    with pytest.warns(UserWarning, match="left out 1"):
        coco = source(folder, data, on_bad="skip")
    assert [coco.image_id(i) for i in range(len(coco))] == [5, 9]
    assert coco.num_annotations == 2


def test_annotations_of_skipped_images_go_quietly(folder):
    """When an image is left out, its annotations are no problems of their own."""
    data = dataset()
    data["images"][0]["width"] = 0
    with pytest.warns(UserWarning, match="left out 1"):
        coco = source(folder, data, on_bad="skip")

    assert coco.num_annotations == 1


def test_many_problems_make_one_short_message(folder):
    """The first eight are shown, and how many there are."""
    bad = [annotation(id=i, bbox=[0, 0, 0, 0]) for i in range(30)]
    with pytest.raises(DataError, match=r"30 broken entries") as caught:
        source(folder, dataset(annotations=bad))

    assert str(caught.value).count("annotations[") == 8
    assert "and 22 more" in str(caught.value)
    assert 'on_bad="skip"' in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "already belongs"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}, "rename or merge"),
        ({"categories": [{"id": 1}]}, "name: expected a text, it is missing"),
        ({"categories": [{"id": "1", "name": "a"}]}, "id: expected an integer, got '1'"),
        ({"categories": ["a"]}, "expected an object"),
        ({"images": {}}, "expected a list, got dict"),
    ],
)
def test_broken_classes_are_errors_even_when_skipping(folder, changes, message):
    """Labels hang on the categories: those are never skipped."""
    for on_bad in ("error", "skip"):
        with pytest.raises(DataError, match=message):
            source(folder, dataset(**changes), on_bad=on_bad)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ('{"images": [', "not legal JSON at line 1"),
        ('{"images": [],}', "not legal JSON"),
        ("[]", "expected an object at the top level, found a list"),
        ('{"images": [], "images": []}', "'images' appears more than once"),
        ('{"a": {"id": 4, "x": 1, "x": 2}}', "'x' .*object with id 4"),
        ('{"categories": [], "images": []}', "expected a key 'annotations'"),
        ('{"categories": [], "images": [], "annotation": []}', "found 'annotation' instead"),
    ],
)
def test_broken_json_is_refused(folder, text, message):
    """Text that is no COCO file says what is wrong with it."""
    path = folder / "broken.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        CocoSource(folder, path)
    assert "broken.json" in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_read(folder, encoding):
    """What other tools save on Windows is read as it is."""
    path = folder / "marked.json"
    path.write_bytes(json.dumps(dataset()).encode(encoding))

    assert len(CocoSource(folder, path)) == 3


def test_absent_files_and_wrong_options_are_refused(folder):
    """Paths and options are checked first."""
    with pytest.raises(DataError, match="no such file"):
        CocoSource(folder, folder / "absent.json")
    (folder / "ok.json").write_text(json.dumps(dataset()))
    with pytest.raises(DataError, match="no such folder of images"):
        CocoSource(folder / "absent", folder / "ok.json")
    with pytest.raises(InvalidValueError, match="on_bad"):
        source(folder, dataset(), on_bad="ignore")
    with pytest.raises(DtypeError, match="box_dtype"):
        source(folder, dataset(), box_dtype=torch.float16)


def test_ids_may_be_texts_floats_or_huge(folder):
    """Image ids come back as they were, whole floats as integers, of any size."""
    data = dataset(annotations=[annotation(image_id=5)])
    data["images"][0]["id"] = 5.0
    data["images"][1]["id"] = 2**63
    data["images"][2]["id"] = "n\u00e4me"
    coco = source(folder, data)

    assert [coco.image_id(i) for i in range(3)] == [5, 2**63, "n\u00e4me"]
    assert len(coco.instances(0)) == 1


coordinates = st.floats(-5, 25, allow_nan=False).map(lambda x: round(x, 2))
polygons = st.lists(st.lists(coordinates, min_size=6, max_size=16), min_size=1, max_size=3)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@settings(max_examples=30)
@given(
    st.lists(st.one_of(polygons, st.integers(1, 190)), min_size=1, max_size=4),
    st.booleans(),
)
def test_masks_agree_with_pycocotools(tmp_path_factory, shapes, compressed):
    """Every mask has the pixels that pycocotools decodes from the same file."""
    from pycocotools import mask as oracle

    folder = tmp_path_factory.mktemp("masks")
    Image.new("RGB", (16, 12)).save(folder / "a.png")
    expected, annotations = [], []
    for row, shape in enumerate(shapes):
        box = [0, 0, 16, 12]
        if isinstance(shape, int):
            segment = rle(shape)
            encoded = oracle.frPyObjects(segment, 12, 16)
            if compressed:
                segment = {"size": [12, 16], "counts": encoded["counts"].decode()}
        else:
            segment = [ring[: len(ring) // 2 * 2] for ring in shape]
            encoded = oracle.merge(oracle.frPyObjects(segment, 12, 16))
            box = hull([x for ring in segment for x in ring])
        if box is None or not oracle.area(encoded):
            continue  # such outlines are refused, as other tests tell
        annotations.append(annotation(id=row, bbox=box, segmentation=segment, area=None))
        expected.append(oracle.decode(encoded).astype(bool))
    data = dataset(images=dataset()["images"][:1], annotations=annotations)
    try:
        coco = source(folder, data)
    except DataError as error:
        assert "no area" in str(error)  # noqa: PT017 (random outlines may be lines)
        return
    instances = coco.instances(0)

    assert len(instances) == len(expected)
    for row, mask in enumerate(expected):
        assert np.array_equal(instances.masks[row].to_bit_masks().data[0].numpy(), mask)
        assert instances.extras["area"][row] == mask.sum()


def hull(flat):
    """Box x, y, width, height of the part of a polygon inside the image; None without any."""
    left, right = max(0, min(flat[::2])), min(16, max(flat[::2]))
    top, bottom = max(0, min(flat[1::2])), min(12, max(flat[1::2]))
    if right - left < 0.01 or bottom - top < 0.01:
        return None
    return [left, top, right - left, bottom - top]
