"""AP of keypoints: equal to the official tool for any skeleton."""

import json

import numpy as np
import pytest
import torch

from geodet.errors import EvaluationError
from geodet.evaluation import CocoEvaluator
from geodet.structures import BitMasks, Boxes, ImageSize, Instances, Keypoints, Skeleton

SIZE = ImageSize(240, 240)
SKELETONS = {
    "person": Skeleton.coco_person(),
    "arrow": Skeleton(names=("tip", "left", "right"), sigmas=(0.03, 0.1, 0.05)),
}


def random_case(seed, skeleton, *, images=8, classes=2, dtype=torch.float64):
    """{image id: (predictions, targets)}; coordinates are quarter pixels, so no shift rounds."""
    rng = np.random.default_rng(seed)
    count_points = len(skeleton)
    case = {}
    for image_id in rng.permutation(100)[:images].tolist():
        count = int(rng.integers(0, 14))
        side = rng.choice([20.0, 60.0, 130.0], count)[:, None, None]
        center = rng.uniform(60, 180, (count, 1, 2))
        xy = center + rng.uniform(-0.5, 0.5, (count, count_points, 2)) * side
        v = rng.integers(0, 3, (count, count_points, 1)).astype(float)
        v[rng.random(count) < 0.2] = 0  # objects without a labelled point
        labels = rng.integers(0, classes, count)
        copies = np.repeat(np.arange(count), 2)
        guesses = xy[copies] + rng.normal(0, 0.06, (len(copies), count_points, 2)) * side[copies]
        strays = rng.uniform(0, 240, (int(rng.integers(0, 6)), count_points, 2))
        found = np.concatenate([guesses, strays])
        guessed = np.concatenate([labels[copies], rng.integers(0, classes, len(strays))])
        half = side[:, 0] * 0.5
        boxes = np.concatenate([center[:, 0] - half, center[:, 0] + half], 1)
        crowd = rng.random(count) < 0.15
        areas = rng.choice([500.0, 1024.0, 5000.0, 9216.0, 2e4], count)
        predictions = Instances(
            SIZE,
            keypoints=keypoints(found, np.ones((len(found), count_points, 1)), skeleton, dtype),
            labels=torch.from_numpy(guessed),
            scores=torch.from_numpy(rng.integers(0, 21, len(found)) / 20),
        )
        targets = Instances(
            SIZE,
            boxes=Boxes(torch.from_numpy(np.round(boxes * 4) / 4)),
            keypoints=keypoints(xy, v, skeleton, dtype),
            labels=torch.from_numpy(labels),
            is_crowd=torch.from_numpy(crowd),
            extras={"area": torch.from_numpy(areas)},
        )
        case[image_id] = (predictions, targets)
    return case


def keypoints(xy, v, skeleton, dtype) -> Keypoints:
    """Keypoints on quarter pixels."""
    xyv = np.concatenate([np.round(xy * 4) / 4, v], 2)
    return Keypoints(torch.from_numpy(xyv).to(dtype), skeleton)


def to_coco(case, classes):
    """The case as a COCO data set and results."""
    annotations, results = [], []
    for image_id, (predictions, targets) in case.items():
        for row, points in enumerate(targets.keypoints.to_coco()):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(targets.labels[row]),
                    "bbox": targets.boxes.to_xywh()[row].tolist(),
                    "area": float(targets.extras["area"][row]),
                    "iscrowd": int(targets.is_crowd[row]),
                    "keypoints": points,
                    "num_keypoints": int(targets.keypoints.num_labelled()[row]),
                }
            )
        for row, points in enumerate(predictions.keypoints.to_coco()):
            results.append(
                {
                    "image_id": image_id,
                    "category_id": int(predictions.labels[row]),
                    "keypoints": points,
                    "score": float(predictions.scores[row]),
                }
            )
    images = [{"id": image_id, "height": 240, "width": 240} for image_id in case]
    categories = [{"id": label, "name": str(label)} for label in range(classes)]
    return {"images": images, "categories": categories, "annotations": annotations}, results


def evaluate(case, classes, **options):
    """Result for keypoints."""
    evaluator = CocoEvaluator(num_classes=classes, iou_types=["keypoints"], **options)
    for image_id, (predictions, targets) in case.items():
        evaluator.update(image_id, predictions, targets)
    return evaluator.result()["keypoints"]


@pytest.mark.parametrize("name", SKELETONS)
@pytest.mark.parametrize("seed", range(4))
def test_arrays_equal_the_official_tools_to_the_last_digit(pycocotools_evaluation, name, seed):
    """More than 20 predictions a class, crowds, objects without points, any skeleton."""
    skeleton = SKELETONS[name]
    dtype = (torch.float32, torch.float64)[seed % 2]
    classes = 1 if seed < 2 else 2
    case = random_case(seed, skeleton, classes=classes, dtype=dtype)
    ours = evaluate(case, classes)
    official = pycocotools_evaluation(*to_coco(case, classes), "keypoints", sigmas=skeleton.sigmas)

    np.testing.assert_array_equal(ours.precision, official.eval["precision"])
    np.testing.assert_array_equal(ours.recall, official.eval["recall"])
    np.testing.assert_array_equal(ours.scores, official.eval["scores"])
    np.testing.assert_array_equal(ours.stats, official.stats)
    assert ours.to_table().startswith(official.summary.rstrip("\n"))
    assert 0.02 < ours.ap < 0.98
    if classes == 1:
        assert max(len(predictions) for predictions, _ in case.values()) > 20


def test_published_keypoint_numbers_are_reproduced(shared_dir, eval_reference):
    """The ten statistics that pycocotools gave for real annotations."""
    folder = eval_reference / "coco_mini_predictions"
    expected = json.loads((folder / "expected_keypoints.json").read_text())["results"]["keypoints"]
    file = shared_dir / "data/coco_mini/annotations/person_keypoints_val2017.json"
    dataset = json.loads(file.read_text())
    rows = {image["id"]: ([], []) for image in dataset["images"]}
    for row in json.loads((folder / "keypoints_results.json").read_text()):
        rows[row["image_id"]][0].append(row)
    for row in dataset["annotations"]:
        rows[row["image_id"]][1].append(row)
    person = Skeleton.coco_person()

    def build(size, found, **columns):
        points = [row["keypoints"] for row in found]
        table = Keypoints.from_coco(points, person, dtype=torch.float64)
        return Instances(
            size, keypoints=table, labels=torch.zeros(len(found), dtype=torch.int64), **columns
        )

    case = {}
    for image in dataset["images"]:
        size = ImageSize(image["height"], image["width"])
        found, truth = rows[image["id"]]
        scores = torch.tensor([row["score"] for row in found], dtype=torch.float64)
        xywh = torch.tensor([row["bbox"] for row in truth], dtype=torch.float64).reshape(-1, 4)
        areas = torch.tensor([row["area"] for row in truth], dtype=torch.float64)
        crowd = torch.tensor([bool(row["iscrowd"]) for row in truth], dtype=torch.bool)
        case[image["id"]] = (
            build(size, found, scores=scores),
            build(
                size,
                truth,
                boxes=Boxes.from_xywh(xywh),
                is_crowd=crowd,
                extras={"area": areas},
            ),
        )
    result = evaluate(case, 1)

    assert result.to_dict()["stats"] == expected["stats"]
    assert result.class_ap()[0] == expected["per_category"]["1"]["AP"]


def one(skeleton=SKELETONS["arrow"], score=None, **columns) -> Instances:
    """One object with three labelled points."""
    xyv = torch.tensor([[[10.0, 10.0, 2.0], [30.0, 12.0, 2.0], [20.0, 30.0, 1.0]]])
    scores = None if score is None else torch.tensor([score])
    defaults = {"labels": torch.tensor([0]), "keypoints": Keypoints(xyv, skeleton)}
    return Instances(SIZE, scores=scores, **(defaults | columns))


def test_the_area_comes_from_masks_or_boxes_when_the_annotation_has_none():
    """Without extras["area"] the mask's area counts, else the box's; with none it is an error."""
    box = Boxes(torch.tensor([[10.0, 10.0, 30.0, 30.0]]))
    mask = torch.zeros(1, 240, 240, dtype=torch.bool)
    mask[0, :100, :100] = True
    near = one(score=0.5)
    near = near.with_(keypoints=near.keypoints.translate(2.0, 0.0))
    aps = {
        name: evaluate({1: (near, one(**columns))}, 1).ap
        for name, columns in {
            "box": {"boxes": box},
            "mask": {"boxes": box, "masks": BitMasks(mask)},
            "given": {"boxes": box, "extras": {"area": torch.tensor([10000.0])}},
        }.items()
    }

    assert aps["mask"] == aps["given"] > aps["box"]
    with pytest.raises(EvaluationError, match=r"image 1.*extras\['area'\], masks or boxes"):
        evaluate({1: (near, one())}, 1)


def test_keypoints_of_another_kind_are_an_error():
    """Missing keypoints, another skeleton and broken numbers name the image."""
    target = one(boxes=Boxes(torch.tensor([[10.0, 10.0, 30.0, 30.0]])))
    other = Skeleton(names=("a", "b", "c"), sigmas=(1.0, 1.0, 1.0))
    broken = one(score=0.5)
    broken.keypoints.xyv[0, 1, 0] = torch.nan

    for predictions, message in (
        (one(other, 0.5), "image 1: predictions: expected the keypoints tip, left, right"),
        (one(score=0.5, keypoints=None), "image 1: predictions.*no column 'keypoints'"),
        (broken, "image 1: predictions: keypoints of row 0 is not finite"),
    ):
        with pytest.raises(EvaluationError, match=message):
            evaluate({1: (predictions, target)}, 1)
    with pytest.raises(EvaluationError, match="max_keypoint_detections"):
        evaluate({}, 1, max_keypoint_detections=0)
