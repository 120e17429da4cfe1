"""mIoU and its kin against cityscapesScripts' numbers and sets of pixels."""

import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from PIL import Image

from geodet import testing as gt
from geodet.errors import EvaluationError
from geodet.evaluation import SemanticEvaluator
from geodet.structures import ImageSize, SemanticMap, SemanticScores

SIZE = ImageSize(5, 7)


def read_labels(file, table):
    """A map of label ids, in the classes of `table`."""
    with Image.open(file) as picture:
        return SemanticMap(torch.from_numpy(np.array(picture)).long()).relabelled(table)


def test_numbers_are_those_of_cityscapes(shared_dir):
    """Label ids of a stand-in for Cityscapes: IoU by class and their mean."""
    folder = shared_dir / "data" / "eval_reference" / "cityscapes_layout_predictions"
    truth = shared_dir / "data" / "cityscapes_layout" / "gtFine" / "val" / "cocoville"
    expected = json.loads((folder / "expected.json").read_text())["semantic"]
    names = list(expected["classScores"])
    # The official script does not count these, whatever stands in the truth.
    ignored = {
        *("unlabeled", "ego vehicle", "rectification border", "out of roi", "static"),
        *("dynamic", "ground", "parking", "rail track", "guard rail", "bridge", "tunnel"),
        *("polegroup", "caravan", "trailer"),
    }
    kept = [name for name in names if name not in ignored]
    table = [kept.index(name) if name in kept else -1 for name in names]
    evaluator = SemanticEvaluator(num_classes=len(kept), class_names=kept)
    for file in sorted((folder / "semantic").glob("*_pred.png")):
        name = file.name.removesuffix("_pred.png")
        target = read_labels(truth / f"{name}_gtFine_labelIds.png", table)
        evaluator.update(name, read_labels(file, table), target)
    report = evaluator.result()
    for name, iou in zip(kept, report.class_iou(), strict=True):
        wanted = expected["classScores"][name]
        assert iou == (-1.0 if wanted is None else pytest.approx(wanted, rel=1e-12))
    assert report.miou == pytest.approx(expected["averageScoreClasses"], rel=1e-12)


@given(prediction=gt.semantic_maps(image_size=SIZE), target=gt.semantic_maps(image_size=SIZE))
def test_numbers_are_those_of_sets_of_pixels(prediction, target):
    """IoU and accuracy by their definitions; -1 in the truth leaves a pixel out everywhere."""
    evaluator = SemanticEvaluator(num_classes=4)
    evaluator.update(3, prediction, target)
    report = evaluator.result()
    pairs = [
        (p, t)
        for p, t in zip(
            prediction.labels.flatten().tolist(), target.labels.flatten().tolist(), strict=True
        )
        if t >= 0
    ]
    ious, accuracies, weights = {}, {}, {}
    for label in range(4):
        true = sum(t == label for _, t in pairs)
        right = sum(p == t == label for p, t in pairs)
        either = sum(label in pair for pair in pairs)
        if true:
            ious[label], accuracies[label] = right / either, right / true
            weights[label] = true / len(pairs)
    assert report.class_iou().tolist() == pytest.approx([ious.get(k, -1) for k in range(4)])
    assert report.class_accuracy().tolist() == pytest.approx(
        [accuracies.get(k, -1) for k in range(4)]
    )
    if pairs:
        assert report.miou == pytest.approx(sum(ious.values()) / len(ious))
        assert report.macc == pytest.approx(sum(accuracies.values()) / len(ious))
        assert report.fwiou == pytest.approx(sum(ious[k] * weights[k] for k in ious))
        assert report.pacc == pytest.approx(sum(p == t for p, t in pairs) / len(pairs))
    else:
        assert set(report.stats.values()) == {-1.0}


def drawn(seed):
    """A random prediction and truth of three classes."""
    maps = torch.randint(-1, 3, (2, *SIZE), generator=torch.Generator().manual_seed(seed))
    return [SemanticMap(one) for one in maps]


def test_sharing_images_changes_nothing():
    """Any split, through pickle: the same counts; images are not counted twice."""
    alone, parts = (
        SemanticEvaluator(num_classes=3),
        [SemanticEvaluator(num_classes=3) for _ in "12"],
    )
    for seed in range(6):
        alone.update(str(seed), *drawn(seed))
        parts[seed % 2].update(str(seed), *drawn(seed))
    merged = pickle.loads(pickle.dumps(parts[1]))  # noqa: S301 (made here)
    merged.merge(parts[0])
    assert len(merged) == 6
    assert merged.result().to_dict() == alone.result().to_dict()
    with pytest.raises(EvaluationError, match="already evaluated"):
        merged.merge(parts[0])
    with pytest.raises(EvaluationError, match="num_classes"):
        merged.merge(SemanticEvaluator(num_classes=2))


def test_scores_are_resized_to_the_truth():
    """Scores of a network are accepted as they are."""
    logits = torch.zeros(2, 2, 2)
    logits[0, :, 0] = logits[1, :, 1] = 1.0
    evaluator = SemanticEvaluator(num_classes=2, class_names=("left", "right"))
    target = SemanticMap(torch.tensor([[0, 0, 1, 1]] * 4))
    evaluator.update(0, SemanticScores.from_logits(logits), target)
    report = evaluator.result()
    assert report.miou == 1.0
    assert report.to_table().splitlines()[0].split() == ["mIoU", "=", "100.0"]
    assert "left" in report.to_table()
    assert json.loads(json.dumps(report.to_dict()))["per_class"]["right"]["pixels"] == 8


def test_maps_that_cannot_be_compared_are_refused():
    """Sizes, classes and arguments."""
    evaluator = SemanticEvaluator(num_classes=2)
    empty = SemanticMap.empty(SIZE)
    with pytest.raises(EvaluationError, match="image 'a': expected a prediction"):
        evaluator.update("a", SemanticMap.empty(ImageSize(1, 1)), empty)
    with pytest.raises(EvaluationError, match=r"image 'a': prediction: .*got 2"):
        evaluator.update("a", SemanticMap(empty.labels + 3), empty)
    assert len(evaluator) == 0
    assert evaluator.result().miou == -1
    for options in ({"num_classes": 0}, {"num_classes": 2, "class_names": ("a",)}):
        with pytest.raises(EvaluationError):
            SemanticEvaluator(**options)
