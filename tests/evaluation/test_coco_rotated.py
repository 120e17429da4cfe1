"""AP of rotated boxes: equal to the official tool with exact polygon overlaps."""

import json
import math

import numpy as np
import pytest
import torch

from geodet.evaluation import CocoEvaluator
from geodet.structures import Boxes, ImageSize, Instances, RotatedBoxes

SIZE = ImageSize(200, 200)


def polygon(cx, cy, w, h, angle):
    """The rotated box as a shapely polygon; counter-clockwise as seen, y down."""
    geometry = pytest.importorskip("shapely.geometry")
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    corners = [(-w / 2, -h / 2), (w / 2, -h / 2), (w / 2, h / 2), (-w / 2, h / 2)]
    return geometry.Polygon([(cx + x * cos + y * sin, cy - x * sin + y * cos) for x, y in corners])


def exact_overlaps(found, targets, crowd) -> np.ndarray:
    """Every pair, one after another: IoU, and over the prediction's area for crowds."""
    table = np.zeros((len(found), len(targets)))
    for row, box in enumerate(found):
        for column, (target, many) in enumerate(zip(targets, crowd, strict=True)):
            a, b = polygon(*box), polygon(*target)
            shared = a.intersection(b).area
            table[row, column] = shared / (a.area if many else a.area + b.area - shared)
    return table


def random_boxes(rng, count) -> torch.Tensor:
    """[count, 5] boxes of all sizes and angles."""
    center = rng.uniform(20, 180, (count, 2))
    sides = rng.choice([9.0, 31.0, 33.0, 60.0, 110.0], (count, 2)) * rng.uniform(
        0.9, 1.1, (count, 2)
    )
    angle = rng.uniform(-180, 180, (count, 1))
    return torch.from_numpy(np.concatenate([center, sides, angle], 1))


def random_case(seed, *, images=8, classes=3):
    """{image id: (predictions, targets)}: jittered, doubled, missed, invented; some crowds."""
    rng = np.random.default_rng(seed)
    case = {}
    for image_id in rng.permutation(100)[:images].tolist():
        count = int(rng.integers(0, 9))
        truth, labels = random_boxes(rng, count), rng.integers(0, classes, count)
        copies = rng.integers(0, max(count, 1), 2 * count)
        noise = rng.normal(0, [1.5, 1.5, 2, 2, 4], (len(copies), 5))
        strays = int(rng.integers(0, 6))
        guesses = torch.cat([truth[copies] + torch.from_numpy(noise), random_boxes(rng, strays)])
        guessed = np.concatenate([labels[copies], rng.integers(0, classes, strays)])
        predictions = Instances(
            SIZE,
            boxes=RotatedBoxes(guesses),
            labels=torch.from_numpy(guessed),
            scores=torch.from_numpy(rng.integers(0, 21, len(guesses)) / 20),
        )
        targets = Instances(
            SIZE,
            boxes=RotatedBoxes(truth),
            labels=torch.from_numpy(labels),
            is_crowd=torch.from_numpy(rng.random(count) < 0.25),
        )
        case[image_id] = (predictions, targets)
    return case


def evaluate(case, classes, kind="rotated_boxes"):
    """Result of one kind."""
    evaluator = CocoEvaluator(num_classes=classes, iou_types=[kind])
    for image_id, (predictions, targets) in case.items():
        evaluator.update(image_id, predictions, targets)
    return evaluator.result()[kind]


def to_coco(case, classes):
    """The case as a COCO data set and results whose "bbox" has five numbers."""
    annotations, results = [], []
    for image_id, (predictions, targets) in case.items():
        for row in range(len(targets)):
            box = targets.boxes.cxcywha[row].tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(targets.labels[row]),
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": int(targets.is_crowd[row]),
                }
            )
        results.extend(
            {
                "image_id": image_id,
                "category_id": int(predictions.labels[row]),
                "bbox": predictions.boxes.cxcywha[row].tolist(),
                "score": float(predictions.scores[row]),
            }
            for row in range(len(predictions))
        )
    images = [{"id": image_id, "height": 200, "width": 200} for image_id in case]
    categories = [{"id": label, "name": str(label)} for label in range(classes)]
    return {"images": images, "categories": categories, "annotations": annotations}, results


@pytest.mark.parametrize("seed", range(6))
def test_arrays_equal_the_official_tools_over_exact_polygons(pycocotools_evaluation, seed):
    """Crowds, ties in score, empty images: every array, to the last digit."""
    case = random_case(seed)
    assert any(bool(targets.is_crowd.any()) for _, targets in case.values())
    ours = evaluate(case, 3)
    official = pycocotools_evaluation(*to_coco(case, 3), "rotated_boxes", iou=exact_overlaps)

    np.testing.assert_array_equal(ours.precision, official.eval["precision"])
    np.testing.assert_array_equal(ours.recall, official.eval["recall"])
    np.testing.assert_array_equal(ours.scores, official.eval["scores"])
    assert 0.05 < ours.ap < 0.95


@pytest.mark.parametrize("seed", range(3))
def test_at_angle_zero_the_numbers_are_those_of_boxes(coco_case, seed):
    """Boxes on whole pixels give the same arrays as boxes and as rotated boxes."""
    case = coco_case(seed)
    upright, turned = {}, {}
    for image_id, pair in case.images.items():
        whole = [each.with_(boxes=Boxes(each.boxes.xyxy.round()), masks=None) for each in pair]
        upright[image_id] = whole
        turned[image_id] = [each.with_(boxes=each.boxes.to_rotated()) for each in whole]
    expected = evaluate(upright, case.num_classes, "boxes")

    for images in (upright, turned):
        found = evaluate(images, case.num_classes)
        np.testing.assert_array_equal(found.precision, expected.precision)
        np.testing.assert_array_equal(found.recall, expected.recall)
    assert expected.ap > 0


def test_half_a_turn_is_the_same_box_and_a_quarter_is_not():
    """The region repeats at 180 degrees; width and height exchange at 90."""
    truth = RotatedBoxes(torch.tensor([[60.0, 60.0, 80.0, 20.0, 30.0]]))
    targets = Instances(SIZE, boxes=truth, labels=torch.tensor([0]))

    def ap(*row):
        boxes = RotatedBoxes(torch.tensor([row]))
        found = targets.with_(boxes=boxes, scores=torch.tensor([0.9]))
        return evaluate({1: (found, targets)}, 1).ap

    assert ap(60.0, 60.0, 80.0, 20.0, -150.0) == pytest.approx(1.0)
    assert ap(60.0, 60.0, 20.0, 80.0, 120.0) == pytest.approx(1.0)
    assert ap(60.0, 60.0, 80.0, 20.0, 120.0) == 0.0


def test_published_rotated_numbers_are_reproduced(shared_dir, eval_reference):
    """Twelve statistics that exact polygon overlap gives for real aerial pictures."""
    folder = eval_reference / "rotated_hit_uav"
    expected = json.loads((folder / "expected.json").read_text())["coco_style"]
    dataset = json.loads((shared_dir / "data/hit_uav/annotations/rotated_val.json").read_text())
    rows = {image["id"]: ([], []) for image in dataset["images"]}
    for row in json.loads((folder / "rbox_results.json").read_text()):
        rows[row["image_id"]][0].append(row)
    for row in dataset["annotations"]:
        rows[row["image_id"]][1].append(row)

    def build(size, found, **columns):
        # The file's angle is in radians and turns the other way.
        values = torch.tensor([row["rbox"] for row in found], dtype=torch.float64).reshape(-1, 5)
        values[:, 4] = -torch.rad2deg(values[:, 4])
        labels = torch.tensor([row["category_id"] for row in found], dtype=torch.int64)
        return Instances(size, boxes=RotatedBoxes(values), labels=labels, **columns)

    case = {}
    for image in dataset["images"]:
        size = ImageSize(image["height"], image["width"])
        found, truth = rows[image["id"]]
        scores = torch.tensor([row["score"] for row in found], dtype=torch.float64)
        areas = torch.tensor([row["area"] for row in truth], dtype=torch.float64)
        case[image["id"]] = (
            build(size, found, scores=scores),
            build(size, truth, extras={"area": areas}),
        )
    result = evaluate(case, len(dataset["categories"]))

    assert result.to_dict()["stats"] == pytest.approx(expected, abs=1e-12)
