"""Prediction from checkpoints of Detectron2: every kind of output, drawn and written."""

import json
import runpy

import numpy as np
import pytest
import torch
from PIL import Image

from geodet import cli
from geodet.data.coco_classes import coco_person, coco_stuff, coco_things
from geodet.interop.detectron2 import save_checkpoint
from geodet.models import Preprocess, zoo
from geodet.models.detectors import (
    keypoint_rcnn_fpn,
    mask_rcnn_fpn,
    panoptic_fpn,
    rotated_faster_rcnn_fpn,
    semantic_fpn,
)
from geodet.structures import RleMasks, SceneLabels

TINY = {"depth": 18, "width": 8, "fpn_channels": 16, "box_features": (16,), "score_threshold": 0.0}
TINY |= {"max_detections": 5, "train_proposals": (50, 20), "test_proposals": (50, 20)}


def pixels():
    """Small images."""
    return Preprocess(
        channel_order="bgr", mean=(103.5, 116.3, 123.7), std=(1.0,) * 3, short_edge=64
    )


def tiny_panoptic(num_things=80, num_stuff=53):
    """All of COCO's classes at toy width."""
    labels = SceneLabels.with_things_as_one(num_things=num_things, num_stuff=num_stuff)
    detector = mask_rcnn_fpn(**TINY, num_classes=num_things, preprocess=pixels(), mask_convs=(8,))
    return panoptic_fpn(
        detector,
        labels=labels,
        head_channels=8,
        head_norm=None,
        score_threshold=0.0,
        min_stuff_area=0,
    )


def tiny_mask(num_classes=80):
    """Mask R-CNN at toy width."""
    return mask_rcnn_fpn(**TINY, num_classes=num_classes, preprocess=pixels(), mask_convs=(8,))


def tiny_rotated(num_classes=3):
    """Rotated Faster R-CNN at toy width."""
    return rotated_faster_rcnn_fpn(**TINY, num_classes=num_classes, preprocess=pixels())


def tiny_keypoints():
    """Keypoint R-CNN at toy width."""
    return keypoint_rcnn_fpn(**TINY, preprocess=pixels(), keypoint_convs=(8,))


def tiny_semantic():
    """Semantic FPN at toy width."""
    numbers = {name: TINY[name] for name in ("depth", "width", "fpn_channels")}
    return semantic_fpn(
        **numbers, num_classes=54, preprocess=pixels(), head_channels=8, head_norm=None
    )


@pytest.fixture
def predict(tmp_path, monkeypatch, capsys):
    """Run the command with the weights of a toy model that the zoo knows for a moment."""
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("a.png", (50, 80, 3)), ("b.png", (64, 64, 3))):
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(photos / name)

    def run(function, *arguments):
        torch.manual_seed(0)
        weights = tmp_path / "weights.pkl"
        save_checkpoint(function(), weights)
        name = function.__name__
        monkeypatch.setattr(zoo, name, function, raising=False)
        monkeypatch.setattr(zoo, "__all__", [*zoo.__all__, name])
        out = tmp_path / "out"
        options = ["--weights", weights, "--model", name, "--out", out, "--score", "0"]
        given = [str(each) for each in (*options, *arguments, photos)]
        code = cli.main(["predict", *given])
        captured = capsys.readouterr()
        return code, out, captured.out, captured.err

    return run


def rows_of(out):
    """The rows of predictions.json."""
    return json.loads((out / "predictions.json").read_text())


def test_masks_with_the_names_and_ids_of_coco(predict):
    """Eighty classes are COCO's; masks are run lengths of the picture's size."""
    code, out, text, errors = predict(tiny_mask)
    rows = rows_of(out)

    assert code == 0, errors
    assert "2 images" in text
    assert {row["image_id"] for row in rows} == {"a.png", "b.png"}
    assert {row["category_id"] for row in rows} <= set(coco_things().dataset_ids)
    assert all(
        row["segmentation"]["size"] == {"a.png": [50, 80], "b.png": [64, 64]}[row["image_id"]]
        for row in rows
    )
    with Image.open(out / "a.png") as picture:
        assert picture.size == (80, 50)


def test_class_names_of_ones_own(predict, tmp_path):
    """A file of names decides how many classes the model has, and its ids count from 1."""
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"class {index}" for index in range(80)))
    code, out, _, errors = predict(tiny_mask, "--labels", names)
    assert code == 0, errors
    assert {row["category_id"] for row in rows_of(out)} <= set(range(1, 81))
    names.write_text("cat\ndog\n\n")
    code, _, _, errors = predict(tiny_mask, "--labels", names)
    assert code == 1, "a checkpoint of 80 classes does not fit a model of two"
    assert "[81, 16]" in errors


def test_keypoints_of_persons(predict):
    """One class with keypoints is a person; rows hold 17 points."""
    code, out, _, errors = predict(tiny_keypoints)
    rows = rows_of(out)

    assert code == 0, errors
    assert len(rows) > 0
    assert {row["category_id"] for row in rows} == set(coco_person().dataset_ids)
    assert all(len(row["keypoints"]) == 51 for row in rows)


def test_rotated_boxes_have_five_numbers(predict):
    """Centre, sides and degrees; classes that nobody knows are numbers."""
    code, out, _, errors = predict(tiny_rotated)
    rows = rows_of(out)

    assert code == 0, errors
    assert len(rows) > 0
    assert all(len(row["bbox"]) == 5 for row in rows)
    assert {row["category_id"] for row in rows} <= {1, 2, 3}


def test_scenes_are_written_in_cocos_panoptic_format(predict):
    """A PNG file of ids an image, and what each id is, in COCO's numbers."""
    code, out, _, errors = predict(tiny_panoptic)
    assert code == 0, errors
    scenes = json.loads((out / "panoptic.json").read_text())["annotations"]
    ids = {*coco_things().dataset_ids, *coco_stuff().dataset_ids}

    assert {scene["image_id"] for scene in scenes} == {"a.png", "b.png"}
    for scene in scenes:
        with Image.open(out / "panoptic" / scene["file_name"]) as picture:
            rgb = np.asarray(picture).astype(np.int64)
        drawn = set(np.unique(rgb @ [1, 256, 65536]).tolist()) - {0}
        assert drawn == {segment["id"] for segment in scene["segments_info"]}
        assert {segment["category_id"] for segment in scene["segments_info"]} <= ids
    assert (out / "predictions.json").is_file()


def test_classes_of_pixels_are_written_as_numbers(predict):
    """A PNG file of class numbers an image; there are no objects to write."""
    code, out, _, errors = predict(tiny_semantic, "--json")
    assert code == 0, errors
    with Image.open(out / "semantic" / "a.png") as picture:
        assert picture.size == (80, 50)
        assert np.asarray(picture).max() < 54
    assert not (out / "predictions.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "w.pkl", "a.png"], "--weights: needs --model too"),
        (["--model", "mask_rcnn_r50_fpn", "a.png"], "--model: needs --weights too"),
        (["runs/x"], "expected a run and images, got runs/x alone"),
        (["runs/x", "a.png", "--labels", "l.txt"], "--labels: goes with --model"),
        (
            ["--weights", "w.pkl", "--model", "mask_rcnn_r50_fnp", "a.png"],
            "did you mean 'mask_rcnn_r50_fpn'",
        ),
        (
            ["--weights", "w.pkl", "--model", "mask_rcnn_r50_fpn", "a.png", "--set", "a=1"],
            "--set: changes the recipe of a run",
        ),
        (
            ["--weights", "no.pkl", "--model", "mask_rcnn_r50_fpn", "a.png"],
            "no.pkl: no such file",
        ),
    ],
)
def test_options_that_do_not_go_together_are_one_message(
    arguments, message, tmp_path, monkeypatch, capsys
):
    """Said before anything is loaded."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (9, 9)).save("a.png")
    assert cli.main(["predict", *arguments]) in (1, 2)
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_parity_weights_give_detectron2s_objects(shared_dir, tmp_path, capsys):
    """A whole checkpoint, made from its key list: as many objects as Detectron2 finds."""
    parity = shared_dir / "parity"
    drawn = runpy.run_path(str(parity / "weights.py"))
    keys = json.loads((parity / "keys" / "mask_rcnn_R_50_FPN.keys.json").read_text())
    state = {key: torch.from_numpy(each) for key, each in drawn["state_dict"](keys).items()}
    torch.save({"model": state}, tmp_path / "weights.pth")
    image = shared_dir / "data/coco_mini/train2017/000000000790.jpg"
    arguments = ["--weights", tmp_path / "weights.pth", "--model", "mask_rcnn_r50_fpn", image]
    arguments += ["--out", tmp_path / "out", "--score", "0"]
    assert cli.main(["predict", *map(str, arguments)]) == 0
    capsys.readouterr()
    rows = rows_of(tmp_path / "out")
    expected = np.load(parity / "expected" / "mask_rcnn_R_50_FPN.npz")

    assert len(rows) == len(expected["scores"])
    found = np.array([row["score"] for row in rows])
    np.testing.assert_allclose(found, expected["scores"], atol=1e-3)
    size = tuple(int(each) for each in expected["image_size"])
    masks = RleMasks.from_coco([row["segmentation"] for row in rows])
    assert tuple(masks.image_size) == size
    areas = masks.area().numpy()
    assert np.mean(np.abs(areas - expected["mask_area"]) <= 0.01 * expected["mask_area"] + 2) > 0.95
