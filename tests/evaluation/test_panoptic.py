"""Panoptic quality against panopticapi's own numbers and a slow, obvious reference."""

import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geodet import testing as gt
from geodet.errors import EvaluationError
from geodet.evaluation import PanopticEvaluator
from geodet.structures import ImageSize, PanopticSegmentation, Segment

SIZE = ImageSize(4, 6)


def read_scenes(file, labels, things):
    """Scenes of a COCO panoptic file by image id, in contiguous classes."""
    scenes = {}
    for annotation in json.loads(file.read_text())["annotations"]:
        with Image.open(file.with_suffix("") / annotation["file_name"]) as picture:
            rgb = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
        scenes[annotation["image_id"]] = PanopticSegmentation.from_coco(
            rgb, annotation["segments_info"], labels=labels, things=things
        )
    return scenes


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("panoptic_sample_predictions", "panoptic_sample/panoptic_examples.json"),
        ("coco_panoptic_mini_predictions", "coco_panoptic_mini/annotations/panoptic_val.json"),
    ],
)
def test_numbers_are_panopticapis(shared_dir, name, truth):
    """Real annotations with void and crowds, generated predictions: equal to the last digits."""
    file = shared_dir / "data" / truth
    folder = shared_dir / "data" / "eval_reference" / name
    categories = sorted(json.loads(file.read_text())["categories"], key=lambda c: c["id"])
    labels = {category["id"]: label for label, category in enumerate(categories)}
    things = {category["id"] for category in categories if category["isthing"]}
    targets = read_scenes(file, labels, things)
    found = read_scenes(folder / "panoptic_predictions.json", labels, things)
    evaluator = PanopticEvaluator(
        num_classes=len(labels), things={labels[thing] for thing in things}
    )
    for image_id, target in targets.items():
        evaluator.update(image_id, found[image_id], target)
    report = evaluator.result()
    expected = json.loads((folder / "expected.json").read_text())
    for group, numbers in expected["results"].items():
        quality = report.quality(group.lower())
        assert quality.num_classes == numbers["n"]
        for key in ("pq", "sq", "rq"):
            # Sums of at most 41 fractions in another order.
            assert getattr(quality, key) == pytest.approx(numbers[key], rel=1e-13)
    for category, numbers in expected["per_category"].items():
        row = labels[int(category)]
        assert report.true_positives[row] == numbers["tp"]
        assert report.false_positives[row] == numbers["fp"]
        assert report.false_negatives[row] == numbers["fn"]
        assert report.class_pq()[row] == pytest.approx(numbers["pq"], rel=1e-13)
        assert report.class_sq()[row] == pytest.approx(numbers["sq"], rel=1e-13)
        assert report.class_rq()[row] == pytest.approx(numbers["rq"], rel=1e-13)


def reference(prediction, target):
    """(label, iou) of matches, labels of missed and of false segments, by sets of pixels."""

    def pixels(scene, segment_id):
        return {tuple(place) for place in (scene.ids == segment_id).nonzero().tolist()}

    known = {segment.id for segment in target.segments}
    void = {
        (y, x)
        for y in range(target.image_size.height)
        for x in range(target.image_size.width)
        if int(target.ids[y, x]) not in known
    }
    true = [(s, pixels(target, s.id)) for s in target.segments]
    found = [(s, pixels(prediction, s.id)) for s in prediction.segments]
    matches, partners = [], set()
    for s, own in true:
        for q, other in found:
            union = own | (other - void)
            if s.is_crowd or s.label != q.label or not union:
                continue
            iou = len(own & other) / len(union)
            if iou > 0.5:
                matches.append((s.label, iou))
                partners |= {("true", s.id), ("found", q.id)}
    missed = [
        s.label for s, own in true if own and not s.is_crowd and ("true", s.id) not in partners
    ]
    crowds = {s.label: own for s, own in true if s.is_crowd and own}
    false = [
        q.label
        for q, other in found
        if other
        and ("found", q.id) not in partners
        and len(other & (void | crowds.get(q.label, set()))) / len(other) <= 0.5
    ]
    return sorted(matches), sorted(missed), sorted(false)


@st.composite
def crowded(draw):
    """A scene of which some segments are crowds."""
    scene = draw(gt.panoptic_segmentations(image_size=SIZE))
    segments = [
        Segment(s.id, s.label, is_thing=s.is_thing, is_crowd=draw(st.booleans()))
        for s in scene.segments
    ]
    return PanopticSegmentation(scene.ids, segments)


@given(st.data())
def test_matching_is_that_of_sets_of_pixels(data):
    """Also for predictions that are the truth with some pixels changed, which match."""
    target = data.draw(crowded())
    if data.draw(st.booleans()):
        prediction = data.draw(gt.panoptic_segmentations(image_size=SIZE))
    else:
        other = data.draw(gt.panoptic_segmentations(image_size=SIZE))
        some = other.ids > 0
        known = torch.tensor([0, *(s.id for s in target.segments)], dtype=torch.int32)
        ids = torch.where(some, known[other.ids.remainder(len(known))], target.ids)
        prediction = PanopticSegmentation(ids, target.segments)
    evaluator = PanopticEvaluator(num_classes=4, things=(0, 1))
    evaluator.update(0, prediction, target)
    report = evaluator.result()
    matches, missed, false = reference(prediction, target)
    for label in range(4):
        own = [iou for one, iou in matches if one == label]
        assert report.true_positives[label] == len(own)
        assert report.ious[label] == pytest.approx(sum(own))
        assert report.false_negatives[label] == missed.count(label)
        assert report.false_positives[label] == false.count(label)


@given(target=gt.panoptic_segmentations(image_size=SIZE))
def test_the_truth_matches_itself(target):
    """Every class that occurs has quality 1, the others have none."""
    evaluator = PanopticEvaluator(num_classes=4, things=(1,))
    evaluator.update("one", target, target)
    report = evaluator.result()
    labels = {segment.label for segment in target.drop_empty().segments}
    assert report.class_pq().tolist() == [1.0 if label in labels else -1.0 for label in range(4)]
    assert report.pq == (1.0 if labels else -1.0)
    assert report.quality("things").num_classes == (1 in labels)


def drawn(seed):
    """A random prediction and truth."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 4, (2, *SIZE), generator=generator).int()
    segments = [Segment(number, number - 1, is_thing=number == 1) for number in (1, 2, 3)]
    return [PanopticSegmentation(one, segments) for one in ids]


def test_sharing_images_changes_no_bit():
    """Any order, any split, through pickle: the same sums."""
    options = {"num_classes": 3, "things": (0,), "class_names": ("a", "b", "c")}
    alone, parts = PanopticEvaluator(**options), [PanopticEvaluator(**options) for _ in range(2)]
    for seed in range(8):
        alone.update(seed, *drawn(seed))
    for seed in reversed(range(8)):
        parts[seed % 2].update(seed, *drawn(seed))
    merged = pickle.loads(pickle.dumps(parts[0]))  # noqa: S301 (made here)
    merged.merge(parts[1])
    assert len(merged) == 8
    assert merged.result().ious.tolist() == alone.result().ious.tolist()
    assert merged.result().to_dict() == alone.result().to_dict()
    with pytest.raises(EvaluationError, match="already evaluated"):
        merged.merge(parts[1])
    with pytest.raises(EvaluationError, match="merge: things"):
        merged.merge(PanopticEvaluator(num_classes=3, things=(), class_names=("a", "b", "c")))


def test_the_table_shows_what_occurs():
    """Groups first, then classes; numbers in percent; JSON has fractions."""
    evaluator = PanopticEvaluator(num_classes=3, things=(0,), class_names=("cat", "sky", "sea"))
    assert evaluator.result().pq == -1
    ids = torch.tensor([[1, 1, 2, 2]], dtype=torch.int32)
    segments = (Segment(1, 0, is_thing=True), Segment(2, 1, is_thing=False))
    target = PanopticSegmentation(ids, segments)
    wrong = PanopticSegmentation(ids, (segments[0], Segment(2, 2, is_thing=False)))
    evaluator.update(1, target, target)
    evaluator.update(2, wrong, target)
    report = evaluator.result()
    assert report.quality("all").pq == pytest.approx((1 + 1 / 1.5 + 0) / 3)
    assert report.quality("stuff").sq == pytest.approx(0.5)
    lines = report.to_table().splitlines()
    assert lines[1].split() == ["all", "55.6", "66.7", "55.6", "3"]
    assert lines[6].split() == ["cat", "100.0", "100.0", "100.0", "2", "0", "0"]
    numbers = json.loads(json.dumps(report.to_dict()))
    assert numbers["per_class"]["sea"]["FP"] == 1
    assert numbers["things"]["PQ"] == 1.0


def test_scenes_that_cannot_be_compared_are_refused():
    """Sizes, classes, ids without segments, ids of images."""
    evaluator = PanopticEvaluator(num_classes=2, things=(0,))
    empty = PanopticSegmentation.empty(SIZE)
    evaluator.update(1, empty, empty)
    with pytest.raises(EvaluationError, match="image 1: already"):
        evaluator.update(1, empty, empty)
    with pytest.raises(EvaluationError, match="all numbers or all strings"):
        evaluator.update("x", empty, empty)
    with pytest.raises(EvaluationError, match="image_id"):
        evaluator.update(None, empty, empty)
    with pytest.raises(EvaluationError, match="image 2: expected a prediction"):
        evaluator.update(2, PanopticSegmentation.empty(ImageSize(1, 1)), empty)
    scene = PanopticSegmentation(empty.ids, [Segment(1, 2, is_thing=True)])
    with pytest.raises(EvaluationError, match=r"image 3: target: .*label in"):
        evaluator.update(3, empty, scene)
    for options in (
        {"num_classes": 0, "things": ()},
        {"num_classes": 2, "things": (2,)},
        {"num_classes": 2, "things": (), "class_names": ("a",)},
    ):
        with pytest.raises(EvaluationError):
            PanopticEvaluator(**options)
    with pytest.raises(KeyError, match="all"):
        evaluator.result().quality("everything")
