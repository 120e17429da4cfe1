"""Panoptic-DeepLab: grouping against a slow reference, predictions, learning."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet import testing as gt
from geodet.data.sources.shapes import ShapesSource
from geodet.errors import CompositionError, InvalidValueError, ShapeError
from geodet.evaluation import PanopticEvaluator
from geodet.models import (
    CenterTargets,
    Preprocess,
    group_norm,
    panoptic_deeplab,
    rescale_prediction,
)
from geodet.models.detectors import center_grouping
from geodet.models.detectors.center_grouping import CenterGrouping, find_centers, group_pixels
from geodet.structures import ImageSize, PanopticSegmentation, SceneLabels, SemanticScores

SIZE = ImageSize(10, 12)
LABELS = SceneLabels.all_semantic(num_things=2, num_stuff=2)
SHAPES = ShapesSource(
    2, size=ImageSize(64, 64), seed=5, max_objects=3, lengths=(0.3, 0.5), pattern=0
)
NUM_THINGS = len(SHAPES.label_map)
SHAPE_LABELS = SceneLabels.all_semantic(
    num_things=NUM_THINGS, num_stuff=len(SHAPES.panoptic_label_map) - NUM_THINGS
)


@given(
    values=st.lists(st.integers(0, 6), min_size=120, max_size=120),
    side=st.sampled_from([1, 3, 7]),
    most=st.integers(1, 8),
)
def test_centers_are_the_peaks(values, side, most):
    """Greatest around them, the first of equal ones; of too many those above the last."""
    heat = torch.tensor(values).view(SIZE.as_tuple()) / 10
    peaks = []
    for y in range(SIZE.height):
        for x in range(SIZE.width):
            r = side // 2
            around = heat[max(0, y - r) : y + r + 1, max(0, x - r) : x + r + 1]
            if heat[y, x] > 0.1 and heat[y, x] >= around.max():
                peaks.append((float(heat[y, x]), y, x))
    r = side // 2
    peaks = [
        (v, y, x)
        for v, y, x in peaks
        if not any(abs(a - y) <= r and abs(b - x) <= r and (a, b) < (y, x) for _, a, b in peaks)
    ]
    if len(peaks) >= most:
        limit = sorted((p[0] for p in peaks), reverse=True)[most - 1]
        peaks = [p for p in peaks if p[0] > limit]
    found = find_centers(heat, threshold=0.1, side=side, most=most)
    assert found.tolist() == [[y, x] for _, y, x in peaks]


def test_pixels_go_to_the_nearest_center():
    """Distances one by one, in steps of any size; the first of equally near ones."""
    torch.manual_seed(0)
    centers = torch.randint(0, 30, (7, 2))
    ends = torch.rand(50, 2) * 30
    wanted = [
        min(range(7), key=lambda k: (float((centers[k] - end).square().sum()), k)) for end in ends
    ]
    assert group_pixels(centers, ends).tolist() == wanted
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(center_grouping, "_CHUNK_NUMBERS", 20)
        assert group_pixels(centers, ends).tolist() == wanted
    twins = torch.tensor([[0, 0], [0, 4]])
    assert group_pixels(twins, torch.tensor([[0.0, 2.0]])).tolist() == [0]
    assert group_pixels(twins, torch.zeros(0, 2)).tolist() == []


def reference(classes, centers, offsets, rule):
    """Ids and segments by loops over pixels."""
    height, width = classes.shape
    groups = {}
    ids = torch.zeros(height, width, dtype=torch.int32)
    for y in range(height):
        for x in range(width):
            if centers and int(classes[y, x]) < 2:
                end = (y + float(offsets[0, y, x]), x + float(offsets[1, y, x]))
                near = min(
                    range(len(centers)),
                    key=lambda k: (centers[k][0] - end[0]) ** 2 + (centers[k][1] - end[1]) ** 2,
                )
                groups.setdefault(near, []).append((y, x))
    segments = []
    for key in sorted(groups):
        votes = [int(classes[y, x]) for y, x in groups[key]]
        segments.append((max(sorted(set(votes)), key=votes.count), True))
        for y, x in groups[key]:
            ids[y, x] = len(segments)
    for label in (2, 3):
        if int((classes == label).sum()) >= max(1, rule.min_stuff_area):
            segments.append((label, False))
            ids[classes == label] = len(segments)
    return ids, segments


@given(st.data())
def test_scenes_are_those_of_the_reference(data):
    """Any heat, offsets and classes: groups, majorities and areas pixel by pixel."""
    semantic = data.draw(gt.semantic_scores(image_size=SIZE, num_classes=4))
    heat = torch.tensor(data.draw(st.lists(st.integers(0, 9), min_size=120, max_size=120))).view(
        1, *SIZE
    )
    # Odd sixteenths: no pixel is equally far from two centres, so no rounding decides.
    steps = data.draw(st.lists(st.integers(-40, 40), min_size=240, max_size=240))
    offsets = (torch.tensor(steps) / 8 + 0.0625).view(2, *SIZE)
    offsets[1] *= 1.37
    rule = CenterGrouping(
        SemanticScores.from_logits(heat / 10),
        SemanticScores.from_logits(offsets),
        labels=LABELS,
        threshold=0.5,
        suppression_side=3,
        min_stuff_area=data.draw(st.integers(0, 40)),
    )
    found = rule.merge(None, semantic)
    centers = [tuple(center) for center in rule.centers(SIZE).tolist()]
    classes = semantic.to_semantic_map().labels
    ids, segments = reference(classes, centers, offsets, rule)
    assert [(s.label, s.is_thing) for s in found.segments] == segments
    assert torch.equal(found.ids, ids)
    assert found.validated(num_classes=4) is found


def test_groupings_are_structures_that_scale():
    """They move and pickle; offsets grow with the image."""
    heat = torch.zeros(1, *SIZE)
    heat[0, 5, 3] = heat[0, 5, 9] = 1.0
    offsets = torch.zeros(2, *SIZE)
    offsets[1, :, :6], offsets[1, :, 6:] = 6.0, -6.0  # each half points at the other's centre
    rule = CenterGrouping(
        SemanticScores.from_logits(heat), SemanticScores.from_logits(offsets), labels=LABELS
    )
    gt.assert_structure_laws(rule)
    classes = torch.zeros(4, *SIZE)
    classes[1, :, 6:] = 1.0
    semantic = SemanticScores.from_logits(classes)
    for factor in (1, 2):
        size = ImageSize(SIZE.height * factor, SIZE.width * factor)
        found = rule.merge(None, semantic.resize(size))
        assert [segment.label for segment in found.segments] == [1, 0]
        assert found.ids[0, 4 * factor] == 2
        assert found.ids[0, 7 * factor] == 1


def tiny(**changes):
    """Panoptic-DeepLab of a narrow ResNet-18 for the shapes data."""
    torch.manual_seed(0)
    options = {
        "labels": SHAPE_LABELS,
        "preprocess": Preprocess(
            channel_order="rgb", mean=(110.0,) * 3, std=(60.0,) * 3, size_divisor=1
        ),
        "depth": 18,
        "width": 8,
        "norm": group_norm(4),
        "multi_grid": (1, 2),
        "project_channels": (8, 8),
        "aspp_channels": 16,
        "dilations": (1, 2),
        "dropout": 0.0,
        "separable": False,
        "semantic_channels": (16, 16),
        "center_channels": (16, 16),
        "hard_fraction": 1.0,
        "targets": CenterTargets(labels=SHAPE_LABELS, sigma=4, small_area=0),
        "min_stuff_area": 64,
    }
    return panoptic_deeplab(**{**options, **changes})


def samples():
    """Two pictures and their scenes."""
    found = [SHAPES[index] for index in range(2)]
    return [sample.image for sample in found], [sample.panoptic for sample in found]


@pytest.mark.parametrize("separable", [False, True])
def test_losses_reach_every_parameter(separable):
    """Three named losses; without segments all are 0 and gradients still there."""
    images, scenes = samples()
    model = tiny(separable=separable)
    losses = model(images, scenes)
    assert set(losses) == {"semantic", "centers", "offsets"}
    assert all(loss.dtype == torch.float32 and loss > 0 for loss in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
    model.zero_grad()
    empty = [PanopticSegmentation.empty(scene.image_size) for scene in scenes]
    losses = model(images, empty)
    sum(losses.values()).backward()
    assert all(loss == 0 for loss in losses.values())
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


def test_losses_are_those_of_the_formulas():
    """Enlarged first; squared and absolute errors over the sum of weights."""
    images, scenes = samples()
    model = tiny().eval()
    losses = model(images, scenes)
    batch = model.preprocess(images)
    truth = model.targets.make(scenes, batch)
    heat, offsets = model.center_head(model.backbone(batch.tensor))
    heat, offsets = (
        torch.nn.functional.interpolate(one, scale_factor=4, mode="bilinear")
        for one in (heat, offsets)
    )
    weights = truth.centers.heat_weights
    squares = ((heat[:, 0] - truth.centers.heat) ** 2 * weights).sum() / weights.sum()
    weights = truth.centers.offset_weights
    lengths = ((offsets - truth.centers.offsets).abs() * weights[:, None]).sum() / weights.sum()
    assert torch.allclose(losses["centers"], 200 * squares, rtol=1e-4)
    assert torch.allclose(losses["offsets"], 0.01 * lengths, rtol=1e-4)


def test_predictions_are_scenes_with_objects():
    """Objects are the things of the scene, with scores; all scale together."""
    images, _ = samples()
    images[1] = images[1][:, :50, :39]
    model = tiny().eval()
    with torch.no_grad():
        found = model(images)
        bare = tiny()
        bare.find_instances = False
        assert len(bare.eval()(images)[0].instances) == 0
    for image, scene in zip(images, found, strict=True):
        size = ImageSize(*image.shape[1:])
        assert scene.panoptic.image_size == size
        things = [s for s in scene.panoptic.segments if s.is_thing]
        assert len(scene.instances) == len(things)
        scene.instances.validated(num_classes=NUM_THINGS)
        larger = rescale_prediction(scene, ImageSize(100, 80))
        assert larger.panoptic.image_size == larger.instances.image_size == ImageSize(100, 80)
        gt.assert_structure_laws(scene)


def test_what_does_not_fit_is_refused():
    """Things without a class of their own, numbers, channels, other numbers of classes."""
    one = SemanticScores.from_logits(torch.zeros(1, 4, 4))
    two = SemanticScores.from_logits(torch.zeros(2, 4, 4))
    as_one = SceneLabels.with_things_as_one(num_things=2, num_stuff=2)
    with pytest.raises(InvalidValueError, match="all_semantic"):
        CenterGrouping(one, two, labels=as_one)
    with pytest.raises(ShapeError, match="1 and 2 channels"):
        CenterGrouping(two, two, labels=LABELS)
    with pytest.raises(InvalidValueError, match="odd"):
        tiny(suppression_side=4)
    with pytest.raises(CompositionError, match="CenterTargets"):
        tiny(targets=CenterTargets(labels=LABELS))


def quality(steps):
    """PQ on the two pictures themselves after so many steps."""
    images, scenes = samples()
    model = tiny(loss_weights=(1.0, 20.0, 0.05))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(model(images, scenes).values()).backward()
        optimizer.step()
    evaluator = PanopticEvaluator(num_classes=SHAPE_LABELS.num_classes, things=SHAPE_LABELS.things)
    with torch.no_grad():
        for index, scene in enumerate(model.eval()(images)):
            evaluator.update(index, scene.panoptic, scenes[index])
    return evaluator.result()


def test_losses_fall():
    """Fifteen steps on two pictures take a fifth off the loss of classes and half off heat's."""
    images, scenes = samples()
    model = tiny(loss_weights=(1.0, 20.0, 0.05))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    before = model(images, scenes)
    for _ in range(15):
        optimizer.zero_grad()
        losses = model(images, scenes)
        sum(losses.values()).backward()
        optimizer.step()
    assert losses["semantic"] < before["semantic"] * 0.8
    assert losses["centers"] < before["centers"] / 2


@pytest.mark.learning
@pytest.mark.slow
def test_it_learns_two_pictures():
    """After 300 steps PQ of the two pictures is above 0.85, and every object is found."""
    report = quality(300)
    assert report.pq > 0.85
    assert report.quality("things").rq == 1.0
