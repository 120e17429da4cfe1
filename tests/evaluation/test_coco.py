"""COCO's AP: equal to the official tool, robust in its order, strict in its input."""

import json
import pickle
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet.errors import EvaluationError
from geodet.evaluation import CocoEvaluator, CocoReport
from geodet.structures import (
    BitMasks,
    Boxes,
    ImageSize,
    Instances,
    PolygonMasks,
    RleMasks,
    RoiMasks,
    RotatedBoxes,
)

KINDS = ("boxes", "masks")
SIZE = ImageSize(20, 30)


def evaluate(images, num_classes, kinds=KINDS, **options) -> CocoReport:
    """Report over {image id: (predictions, targets)}."""
    evaluator = CocoEvaluator(num_classes=num_classes, iou_types=kinds, **options)
    for image_id, (predictions, targets) in images.items():
        evaluator.update(image_id, predictions, targets)
    return evaluator.result()


def check_equal_to_official(case, kind, run) -> None:
    """Every array, every statistic and the twelve lines, to the last digit."""
    ours = evaluate(case.images, case.num_classes, [kind])[kind]
    official = run(case.dataset(kind), case.results(kind), kind)

    np.testing.assert_array_equal(ours.precision, official.eval["precision"])
    np.testing.assert_array_equal(ours.recall, official.eval["recall"])
    np.testing.assert_array_equal(ours.scores, official.eval["scores"])
    np.testing.assert_array_equal(ours.stats, official.stats)
    assert ours.to_table().startswith(official.summary.rstrip("\n"))


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32 - 1))
def test_arrays_equal_the_official_tools_to_the_last_digit(
    coco_case, pycocotools_evaluation, kind, seed
):
    """Ties, crowds, empty images, given and measured areas, float32 and float64 boxes."""
    check_equal_to_official(coco_case(seed, images=6), kind, pycocotools_evaluation)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_more_than_100_predictions_of_a_class_are_cut_as_the_official_tool_does(
    coco_case, pycocotools_evaluation, seed, kind
):
    """One class, up to 150 targets an image and twice as many predictions with tied scores."""
    case = coco_case(seed, images=3, classes=1, most=120)
    assert max(len(predictions) for predictions, _ in case.images.values()) > 100

    check_equal_to_official(case, kind, pycocotools_evaluation)


@pytest.mark.parametrize("kind", KINDS)
def test_no_predictions_at_all_equals_the_official_tool(coco_case, pycocotools_evaluation, kind):
    """Targets without a single prediction have AP and AR 0, absent classes -1."""
    case = coco_case(3)
    case.images = {
        image_id: (predictions[:0], targets)
        for image_id, (predictions, targets) in case.images.items()
    }

    check_equal_to_official(case, kind, pycocotools_evaluation)


REFERENCES = {
    "coco_val2014_bbox": "eval_reference/coco_val2014_bbox/instances_val2014_100.json",
    "coco_mini_predictions": "coco_mini/annotations/instances_val2017.json",
    "nuclei_predictions": "nuclei/annotations/instances_val.json",
}


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("coco_val2014_bbox", "boxes"),
        *((folder, kind) for folder in list(REFERENCES)[1:] for kind in KINDS),
    ],
)
def test_published_numbers_are_reproduced(shared_dir, eval_reference, folder, kind):
    """The twelve statistics and the per-class AP that pycocotools gave for real annotations."""
    dataset = json.loads((shared_dir / "data" / REFERENCES[folder]).read_text())
    name = {"boxes": "bbox", "masks": "segm"}[kind]
    expected = json.loads((eval_reference / folder / "expected.json").read_text())["results"][name]
    file = next((eval_reference / folder).glob(f"*{name}*results.json"))
    images = instances_from_coco(dataset, json.loads(file.read_text()), kind)
    ids = sorted(category["id"] for category in dataset["categories"])
    result = evaluate(images, len(ids), [kind])[kind]

    # Equal, not close. Decimal xywh come back from xyxy with a rounding of 1e-13 pixels, which AP
    # would only feel if an IoU sat on a threshold; none does in these data.
    assert result.to_dict()["stats"] == expected["stats"]
    for label, category_id in enumerate(ids):
        wanted = expected["per_category"].get(str(category_id))
        if wanted is not None:
            assert result.class_ap()[label] == wanted["AP"]
            assert result.class_ap(0.5)[label] == wanted["AP50"]
            assert result.class_ar()[label] == wanted["AR"]


def instances_from_coco(dataset, results, kind):
    """{image id: (predictions, targets)} of COCO dictionaries, in file order, float64."""
    categories = sorted(category["id"] for category in dataset["categories"])
    rows = {image["id"]: ([], []) for image in dataset["images"]}
    for row in results:
        rows[row["image_id"]][0].append(row)
    for row in dataset["annotations"]:
        rows[row["image_id"]][1].append(row)

    def build(image, found, is_target):
        size = ImageSize(image["height"], image["width"])
        columns = {
            "labels": torch.tensor([categories.index(row["category_id"]) for row in found]).long()
        }
        if kind == "boxes":
            xywh = torch.tensor([row["bbox"] for row in found], dtype=torch.float64)
            columns["boxes"] = Boxes.from_xywh(xywh.reshape(-1, 4))
        else:
            parts = [coco_mask(row["segmentation"], size) for row in found]
            columns["masks"] = RleMasks.cat([RleMasks.empty(size), *parts])
        if is_target:
            areas = torch.tensor([row["area"] for row in found], dtype=torch.float64)
            crowd = torch.tensor([bool(row["iscrowd"]) for row in found], dtype=torch.bool)
            return Instances(size, **columns, is_crowd=crowd, extras={"area": areas})
        scores = torch.tensor([row["score"] for row in found], dtype=torch.float64)
        return Instances(size, **columns, scores=scores)

    return {
        image["id"]: (
            build(image, rows[image["id"]][0], is_target=False),
            build(image, rows[image["id"]][1], is_target=True),
        )
        for image in dataset["images"]
    }


def coco_mask(segmentation, size) -> RleMasks:
    """One mask of a COCO `segmentation`: polygons, or run lengths packed or plain."""
    if isinstance(segmentation, list):
        return PolygonMasks.from_coco([segmentation], size).to_rle_masks()
    if isinstance(segmentation["counts"], list):
        counts = torch.tensor(segmentation["counts"], dtype=torch.int32)
        return RleMasks(counts, torch.tensor([0, len(counts)]), size)
    return RleMasks.from_coco([segmentation])


def test_order_of_images_and_ranks_does_not_matter(coco_case):
    """Images given backwards, or split over two evaluators and merged, give the same report."""
    case = coco_case(11)
    items = list(case.images.items())
    expected = evaluate(case.images, case.num_classes)
    backwards = evaluate(dict(reversed(items)), case.num_classes)
    ranks = [CocoEvaluator(num_classes=case.num_classes) for _ in range(2)]
    for index, (image_id, pair) in enumerate(items):
        ranks[index % 2].update(image_id, *pair)
    ranks[1].merge(pickle.loads(pickle.dumps(ranks[0])))  # noqa: S301 (as ranks exchange them)

    for report in (backwards, ranks[1].result()):
        assert report.num_images == len(items)
        for kind in KINDS:
            np.testing.assert_array_equal(report[kind].precision, expected[kind].precision)
            np.testing.assert_array_equal(report[kind].recall, expected[kind].recall)
            np.testing.assert_array_equal(report[kind].scores, expected[kind].scores)


def test_perfect_predictions_have_ap_one():
    """Targets used as predictions all find themselves."""
    rng = np.random.default_rng(0)
    masks = np.zeros((5, 60, 80), bool)
    for index, mask in enumerate(masks):
        mask[index * 10 : index * 10 + 8, 3 : 20 + index] = True
    targets = Instances(
        ImageSize(60, 80),
        boxes=BitMasks(torch.from_numpy(masks)).boxes(),
        labels=torch.from_numpy(rng.integers(0, 3, 5)),
        masks=BitMasks(torch.from_numpy(masks)),
    )
    predictions = targets.with_(scores=torch.linspace(0.1, 0.9, 5))
    report = evaluate({1: (predictions, targets)}, 3)

    for kind in KINDS:
        assert report[kind].ap == pytest.approx(1.0, abs=1e-12)


def test_soft_masks_are_evaluated_as_their_pasted_masks():
    """RoiMasks give what the BitMasks pasted from them give."""
    torch.manual_seed(0)
    boxes = Boxes(torch.tensor([[2.0, 2.0, 14.0, 15.0], [10.0, 4.0, 28.0, 18.0]]))
    soft = RoiMasks(torch.rand(2, 7, 7).round(decimals=1), boxes, SIZE)
    predictions = Instances(
        SIZE, labels=torch.tensor([0, 1]), scores=torch.tensor([0.5, 0.75]), masks=soft
    )
    hard = soft.to_bit_masks()
    targets = Instances(SIZE, labels=torch.tensor([0, 1]), masks=hard)
    a = evaluate({1: (predictions, targets)}, 2, ["masks"])
    b = evaluate({1: (predictions.with_(masks=hard), targets)}, 2, ["masks"])

    assert a["masks"].ap == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_array_equal(a["masks"].precision, b["masks"].precision)


def test_no_images_and_no_targets_give_minus_one():
    """Nothing to find is -1 in every statistic, never 0 and never a warning."""
    nothing = evaluate({}, 2)
    only_predictions = evaluate({1: (row(0.5), Instances(SIZE))}, 2, ["boxes"])

    for report in (nothing, only_predictions):
        for result in report.results.values():
            assert (result.stats == -1).all()
            assert "(2 of 2 classes have no target)" in result.to_table()


def row(score: float | None = None, label: int = 0, **columns) -> Instances:
    """One box of 20 x 10 pixels."""
    scores = None if score is None else torch.tensor([score])
    boxes = Boxes(torch.tensor([[1.0, 2.0, 21.0, 12.0]]))
    defaults = {"boxes": boxes, "labels": torch.tensor([label]), "scores": scores}
    return Instances(SIZE, **(defaults | columns))


BAD_UPDATES = {
    "score above 1": ((row(1.5), row()), "image 7.*row 0 has score 1.5"),
    "score below 0": ((row(-0.1), row()), "image 7.*probability"),
    "score not a number": ((row(float("nan")), row()), "image 7.*score nan"),
    "label of a prediction": ((row(0.5, 2), row()), "image 7.*predictions: row 0 has label 2"),
    "label of a target": ((row(0.5), row(None, -1)), "image 7.*targets: row 0 has label -1"),
    "no scores": ((row(), row()), "image 7.*no column 'scores'"),
    "no labels": ((row(0.5), row(labels=None)), "image 7.*targets.*no column 'labels'"),
    "no boxes": ((row(0.5), row(boxes=None)), "image 7.*targets.*no column 'boxes'"),
    "other size": (
        (row(0.5), Instances(ImageSize(30, 20), labels=torch.tensor([0]))),
        r"image 7.*\(20, 30\), targets for \(30, 20\)",
    ),
    "box not finite": (
        (row(0.5, boxes=Boxes(torch.full((1, 4), torch.inf))), row()),
        "image 7.*not finite",
    ),
    "rotated boxes": (
        (row(0.5, boxes=RotatedBoxes(torch.ones(1, 5))), row()),
        "image 7.*expected boxes of type Boxes",
    ),
    "area of wrong shape": (
        (row(0.5), row(extras={"area": torch.ones(1, 2)})),
        "image 7.*extras",
    ),
    "area not finite": (
        (row(0.5), row(extras={"area": torch.tensor([torch.nan])})),
        "image 7.*row 0 has area nan",
    ),
}


@pytest.mark.parametrize("case", BAD_UPDATES)
def test_bad_input_is_an_error_that_names_the_image(case):
    """Each silent assumption is checked when the image comes in."""
    (predictions, targets), message = BAD_UPDATES[case]
    evaluator = CocoEvaluator(num_classes=2, iou_types=["boxes"])
    with pytest.raises(EvaluationError, match=message):
        evaluator.update(7, predictions, targets)

    assert len(evaluator) == 0


def test_errors_name_the_row_as_it_was_given():
    """Rows are sorted inside; the message counts them as the caller does."""
    boxes = Boxes(torch.tensor([[1.0, 2.0, 3.0, torch.inf], [1.0, 2.0, 3.0, 4.0]]))
    predictions = Instances(
        SIZE, boxes=boxes, labels=torch.tensor([1, 0]), scores=torch.tensor([0.1, 0.9])
    )
    with pytest.raises(EvaluationError, match="box of row 0 is not finite"):
        evaluate({1: (predictions, row())}, 2, ["boxes"])


def test_missing_masks_are_an_error_only_when_masks_are_asked_for():
    """Box evaluation does not need masks; mask evaluation says which side lacks them."""
    evaluate({1: (row(0.5), row())}, 1, ["boxes"])
    with pytest.raises(EvaluationError, match=r"image 1.*no column 'masks'"):
        evaluate({1: (row(0.5), row())}, 1)


def test_image_ids_are_unique_and_of_one_kind():
    """An image given twice, or ids that cannot be sorted together, are errors."""
    evaluator = CocoEvaluator(num_classes=1, iou_types=["boxes"])
    evaluator.update(1, row(0.5), row())
    other = CocoEvaluator(num_classes=1, iou_types=["boxes"])
    other.update(1, row(0.5), row())

    with pytest.raises(EvaluationError, match="image 1: already evaluated"):
        evaluator.update(1, row(0.5), row())
    with pytest.raises(EvaluationError, match="image 1: already evaluated"):
        evaluator.merge(other)
    with pytest.raises(EvaluationError, match="all numbers or all strings"):
        evaluator.update("1", row(0.5), row())
    with pytest.raises(EvaluationError, match="merge: num_classes is 1 here and 2 there"):
        evaluator.merge(CocoEvaluator(num_classes=2, class_names=["0", "1"], iou_types=["boxes"]))


@pytest.mark.parametrize(
    "options",
    [
        {"num_classes": 0},
        {"num_classes": 2, "class_names": ["one"]},
        {"num_classes": 1, "iou_types": []},
        {"num_classes": 1, "iou_types": ["bbox"]},
        {"num_classes": 1, "max_detections": (1, 100, 10)},
        {"num_classes": 1, "max_detections": (1, 100)},
    ],
)
def test_senseless_settings_are_errors(options):
    """Wrong settings fail at construction, not at the end of an evaluation."""
    with pytest.raises(EvaluationError):
        CocoEvaluator(**options)


def test_report_goes_to_json_and_text(tmp_path: Path):
    """to_dict holds plain numbers by name; the table names every class that has targets."""
    report = evaluate({1: (row(0.5), row())}, 2, ["boxes"], class_names=["cat", "dog"])
    file = tmp_path / "report.json"
    file.write_text(json.dumps(report.to_dict()))
    read = json.loads(file.read_text())

    assert read["num_images"] == 1
    assert read["boxes"]["stats"]["AP"] == pytest.approx(1.0)
    assert read["boxes"]["per_class"]["cat"]["targets"] == 1
    assert read["boxes"]["per_class"]["dog"]["AP"] == -1
    lines = report.to_table().splitlines()
    assert lines[0] == "boxes"
    assert " cat          1  1.000  1.000  1.000  1.000" in lines
    assert not any("dog" in line for line in lines)
    with pytest.raises(KeyError, match=r"0\.55"):
        report["boxes"].class_ap(0.51)


def test_result_cannot_be_changed():
    """Reports are frozen: nobody edits a number by accident."""
    report = evaluate({}, 1)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        report.num_images = 5
