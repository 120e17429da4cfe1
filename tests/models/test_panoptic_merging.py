"""Merging against a slow, obvious reference, pixel by pixel; ties, thresholds, messages."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet import testing as gt
from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.models import PanopticMerging
from geodet.structures import (
    BitMasks,
    Boxes,
    ImageSize,
    Instances,
    RoiMasks,
    SceneLabels,
    SemanticScores,
)

LABELS = SceneLabels.with_things_as_one(num_things=3, num_stuff=3)
ALL = SceneLabels.all_semantic(num_things=3, num_stuff=3)
SIZE = ImageSize(6, 8)


def reference(instances, classes, rule):
    """[h, w] ids and (label, is_thing) of each, by loops over objects and pixels."""
    height, width = instances.image_size
    ids = [[0] * width for _ in range(height)]
    segments = []
    masks = instances.masks.to_bit_masks().data.tolist()
    scores = instances.scores.tolist()
    for row in sorted(range(len(scores)), key=lambda row: (-scores[row], row)):
        pixels = [(y, x) for y in range(height) for x in range(width) if masks[row][y][x]]
        free = [(y, x) for y, x in pixels if ids[y][x] == 0]
        taken = len(pixels) - len(free)
        if scores[row] < rule.score_threshold or not pixels:
            continue
        if taken / len(pixels) > rule.overlap_threshold:
            continue
        segments.append((rule.labels.things[int(instances.labels[row])], True))
        for y, x in free:
            ids[y][x] = len(segments)
    for index, label in enumerate(rule.labels.semantic):
        if label is None or label in rule.labels.things:
            continue
        free = [
            (y, x)
            for y in range(height)
            for x in range(width)
            if ids[y][x] == 0 and classes[y][x] == index
        ]
        if free and len(free) >= rule.min_stuff_area:
            segments.append((label, False))
            for y, x in free:
                ids[y][x] = len(segments)
    return ids, segments


@st.composite
def scenes(draw):
    """Objects with scores of few values, scores of classes, and a rule."""
    labels = draw(st.sampled_from([LABELS, ALL]))
    table = draw(gt.instances(image_size=SIZE, columns=("boxes", "labels", "masks"), max_rows=5))
    scores = st.sampled_from([0.25, 0.5, 0.75, 1.0])
    drawn = draw(st.lists(scores, min_size=len(table), max_size=len(table)))
    rule = PanopticMerging(
        labels=labels,
        score_threshold=draw(scores),
        overlap_threshold=draw(st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        min_stuff_area=draw(st.integers(0, 12)),
    )
    semantic = draw(gt.semantic_scores(image_size=SIZE, num_classes=len(labels.semantic)))
    return table.with_(scores=torch.tensor(drawn)), semantic, rule


@given(scenes())
def test_merging_is_that_of_the_reference(scene):
    """Every pixel's id and every segment, for masks of every kind."""
    instances, semantic, rule = scene
    found = rule.merge(instances, semantic)
    ids, segments = reference(instances, semantic.to_semantic_map().labels.tolist(), rule)
    assert found.ids.tolist() == ids
    assert [(s.label, s.is_thing) for s in found.segments] == segments
    assert [s.id for s in found.segments] == list(range(1, len(segments) + 1))
    assert found.validated(num_classes=rule.labels.num_classes) is found


def objects(*rows):
    """Objects of (first column, one past the last, score, label), as tall as the image."""
    masks = torch.zeros((len(rows), *SIZE), dtype=torch.bool)
    for mask, (left, right, _, _) in zip(masks, rows, strict=True):
        mask[:, left:right] = True
    return Instances(
        SIZE,
        boxes=BitMasks(masks).boxes(),
        labels=torch.tensor([row[3] for row in rows]),
        scores=torch.tensor([row[2] for row in rows]),
        masks=BitMasks(masks),
    )


def background(index):
    """Scores by which every pixel has class `index`."""
    logits = torch.zeros(4, *SIZE)
    logits[index] = 1.0
    return SemanticScores.from_logits(logits)


def test_thresholds_are_detectron2s():
    """A score of 0.5 counts; half of a mask may be taken; stuff of the least area stays."""
    rule = PanopticMerging(labels=LABELS, min_stuff_area=6)
    found = rule.merge(
        objects((0, 4, 0.9, 0), (2, 6, 0.5, 1), (2, 7, 0.4999, 2), (0, 6, 0.6, 2)), background(2)
    )
    # Of the third-best object, columns 0 to 5, four of six are taken: more than half.
    assert [(s.label, s.is_thing) for s in found.segments] == [(0, True), (1, True), (4, False)]
    assert found.ids[0].tolist() == [1, 1, 1, 1, 2, 2, 3, 3]
    no_stuff = PanopticMerging(labels=LABELS, min_stuff_area=13)
    assert (
        no_stuff.merge(objects((0, 6, 0.9, 0)), background(2)).ids[0].tolist() == [1] * 6 + [0] * 2
    )
    things = rule.merge(objects((0, 4, 0.9, 0)), background(0))
    assert things.ids[0].tolist() == [1] * 4 + [0] * 4


def test_nothing_gives_nothing():
    """No object and no stuff: a map without segments; empty tables need no columns."""
    rule = PanopticMerging(labels=LABELS)
    assert rule.merge(Instances.empty(SIZE), background(2)).segments == ()
    low = objects((0, 4, 0.1, 0))
    assert rule.merge(low, background(0)).segments == ()


def test_soft_masks_are_cut_at_one_half_in_the_image():
    """Pasting happens at the size that is asked for."""
    size = ImageSize(60, 80)
    boxes = Boxes(torch.tensor([[10.0, 10.0, 50.0, 40.0]]))
    instances = Instances(
        size,
        boxes=boxes,
        labels=torch.tensor([1]),
        scores=torch.tensor([0.8]),
        masks=RoiMasks(torch.full((1, 28, 28), 0.7), boxes=boxes, image_size=size),
    )
    scores = SemanticScores.from_logits(torch.zeros(4, *size))
    found = PanopticMerging(labels=LABELS).merge(instances, scores)
    assert torch.equal(found.ids == 1, instances.masks.to_bit_masks().data[0])


def test_what_cannot_be_merged_is_refused():
    """Missing columns, other numbers of classes, other sizes, numbers out of range."""
    rule = PanopticMerging(labels=LABELS)
    table = objects((0, 4, 0.9, 0))
    for name in ("labels", "scores", "masks"):
        with pytest.raises((DtypeError, InvalidValueError), match=name):
            rule.merge(table.with_(**{name: None}), background(2))
    with pytest.raises(InvalidValueError, match="classes below 3"):
        rule.merge(objects((0, 4, 0.9, 3)), background(2))
    with pytest.raises(InvalidValueError, match="expected 4 classes"):
        rule.merge(table, SemanticScores.from_logits(torch.zeros(5, *SIZE)))
    with pytest.raises(ShapeError, match="resize"):
        rule.merge(table, background(2).resize(ImageSize(7, 8)))
    for changes in ({"score_threshold": 2.0}, {"overlap_threshold": -1.0}, {"min_stuff_area": -1}):
        with pytest.raises(InvalidValueError, match=next(iter(changes))):
            PanopticMerging(labels=LABELS, **changes)
