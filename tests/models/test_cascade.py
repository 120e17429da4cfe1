"""Cascade box head: what each stage sees, learns from and adds to the detections."""

import attrs
import pytest
import torch

from geodet.errors import CompositionError
from geodet.models import Matcher
from geodet.models.box_coding import BoxCoder, RotatedBoxCoder
from geodet.models.box_kinds import ROTATED, UPRIGHT
from geodet.models.heads import (
    BoxHead,
    BoxPredictor,
    CascadeBoxHead,
    ConvFcFeatures,
    RoiPooler,
    RoiSampler,
    rois_from_boxes,
)
from geodet.models.sampling import BalancedSampler
from geodet.structures import Boxes, ImageSize, RotatedBoxes

SIZES = [ImageSize(64, 64), ImageSize(48, 60)]


def stage(iou, scale, *, kind=UPRIGHT, class_agnostic=True, num_classes=2, **changes):
    """One small box head."""
    weights = (10.0 * scale, 10.0 * scale, 5.0 * scale, 5.0 * scale)
    coder = BoxCoder(weights) if kind == UPRIGHT else RotatedBoxCoder((*weights, 1.0))
    options = {
        "pooler": RoiPooler({"p2": 4}, output_side=3, kind=kind),
        "features": ConvFcFeatures(4, side=3, fc_features=(16,)),
        "predictor": BoxPredictor(
            16, num_classes=num_classes, class_agnostic=class_agnostic, kind=kind
        ),
        "roi_sampler": RoiSampler(Matcher((iou,), (0, 1)), BalancedSampler(16, 0.5)),
        "coder": coder,
        "score_threshold": 0.0,
    }
    return BoxHead(**{**options, **changes})


def cascade(kind=UPRIGHT, **changes):
    """Three stages whose boxes move."""
    torch.manual_seed(0)
    stages = [stage(iou, k, kind=kind) for iou, k in ((0.5, 1), (0.6, 2), (0.7, 3))]
    for one in stages:
        torch.nn.init.normal_(one.predictor.deltas.weight, std=0.3)
        torch.nn.init.normal_(one.predictor.class_logits.weight, std=0.3)
    return CascadeBoxHead(stages, **changes)


def scene(kind=UPRIGHT):
    """Maps of two images, proposals and objects."""
    features = {"p2": torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(1))}
    truth = [torch.tensor([[5.0, 5, 30, 40], [30, 20, 60, 60]]), torch.tensor([[10.0, 8, 50, 40]])]
    labels = [torch.tensor([0, 1]), torch.tensor([1])]
    noise = torch.randn(20, 4, generator=torch.Generator().manual_seed(2)) * 2
    proposals = [truth[0].repeat(6, 1) + noise[:12], truth[1].repeat(8, 1) + noise[12:]]
    if kind == ROTATED:
        truth = [RotatedBoxes.from_boxes(Boxes(rows)).cxcywha for rows in truth]
        proposals = [RotatedBoxes.from_boxes(Boxes(rows)).cxcywha for rows in proposals]
    return features, proposals, truth, labels


@pytest.mark.parametrize("kind", [UPRIGHT, ROTATED])
def test_detections_are_those_of_the_stages_in_turn(kind):
    """Boxes cut and fed forward, probabilities averaged, the last stage's boxes: written out."""
    head = cascade(kind)
    features, proposals, _, _ = scene(kind)
    boxes, scores = torch.cat(proposals), []
    limits = torch.tensor([[64.0, 64.0]] * 12 + [[60.0, 48.0]] * 8)
    images = torch.tensor([0.0] * 12 + [1.0] * 8)[:, None]
    with torch.no_grad():
        for one in head.stages:
            logits, deltas = one(features, torch.cat([images, boxes], dim=1))
            scores.append(logits.softmax(dim=1)[:, :2])
            boxes = kind.clip(one.coder.decode(boxes, deltas), limits)
        found = head.detect(features, proposals, SIZES)
    mean = sum(scores) / 3
    for image, rows in ((0, slice(0, 12)), (1, slice(12, 20))):
        kept = found[image]
        assert len(kept.scores) > 0
        for box, score, label in zip(kept.boxes, kept.scores, kept.labels, strict=True):
            near = (boxes[rows] - box).abs().amax(dim=1)
            row = int(near.argmin())
            assert near[row] < 1e-3
            assert abs(float(mean[rows][row, label] - score)) < 1e-5


@pytest.mark.parametrize("kind", [UPRIGHT, ROTATED])
def test_each_stage_learns_from_the_boxes_before_it(kind):
    """Later stages draw nothing: all boxes that have sides, matched anew at their own overlap."""
    head = cascade(kind)
    features, proposals, truth, labels = scene(kind)
    seen = []
    for one in head.stages:
        inner = one.losses

        def spy(logits, deltas, sampled, *, inner=inner, **options):
            seen.append((sampled, deltas))
            return inner(logits, deltas, sampled, **options)

        one.losses = spy
    trained = head.learn(features, proposals, truth, labels, sizes=SIZES)
    names = {f"{name}_stage{k}" for name in ("box_classes", "box_deltas") for k in range(3)}
    assert set(trained.losses) == names
    assert torch.equal(trained.sampled.rois, seen[0][0].rois)
    assert len(trained.maps) == len(seen[0][0].rois)
    limits = torch.tensor([[64.0, 64.0], [60.0, 48.0]])
    for k, iou in ((1, 0.6), (2, 0.7)):
        before, deltas = seen[k - 1]
        sampled = seen[k][0]
        boxes = head.stages[k - 1].coder.decode(before.rois[:, 1:], deltas.detach())
        boxes = kind.clip(boxes, limits[before.rois[:, 0].long()])
        sided = (kind.sides(boxes) > 0).all(1)
        assert torch.equal(sampled.rois[:, 1:], boxes[sided])
        assert not sampled.rois.requires_grad
        for image in range(2):
            own = sampled.rois[:, 0] == image
            overlap = kind.pairwise_iou(truth[image], sampled.rois[own, 1:])
            best, row = overlap.max(dim=0)
            foreground = best >= iou
            expected = torch.where(foreground, labels[image][row], 2)
            assert torch.equal(sampled.labels[own], expected)
            assert torch.equal(sampled.target_boxes[own][foreground], truth[image][row][foreground])
            assert torch.equal(sampled.target_indices[own][foreground], row[foreground])


def test_stages_share_what_they_send_into_the_maps():
    """Gradients of a stage reach the maps at a third; its own weights get them whole."""
    features, proposals, truth, labels = scene()
    grads = []
    for scale in (1.0, None):
        head = cascade(gradient_scale=scale)
        maps = {"p2": features["p2"].clone().requires_grad_()}
        torch.manual_seed(3)
        losses = head.learn(maps, proposals, truth, labels, sizes=SIZES).losses
        sum(losses.values()).backward()
        grads.append((maps["p2"].grad, head.stages[0].predictor.deltas.weight.grad))
    torch.testing.assert_close(grads[1][0], grads[0][0] / 3)
    torch.testing.assert_close(grads[1][1], grads[0][1])


def test_a_cascade_of_one_stage_is_that_stage():
    """Same losses under the same seed, same detections."""
    one = stage(0.5, 1)
    alone = CascadeBoxHead([one])
    features, proposals, truth, labels = scene()
    torch.manual_seed(5)
    expected = one.learn(features, proposals, truth, labels, sizes=SIZES)
    torch.manual_seed(5)
    found = alone.learn(features, proposals, truth, labels, sizes=SIZES)
    for name, value in expected.losses.items():
        torch.testing.assert_close(found.losses[f"{name}_stage0"], value)
    for a, b in zip(
        one.detect(features, proposals, SIZES),
        alone.detect(features, proposals, SIZES),
        strict=True,
    ):
        assert torch.equal(a.boxes, b.boxes)
        assert torch.equal(a.scores, b.scores)
    rois = rois_from_boxes(proposals)
    assert torch.equal(one.maps(features, rois), alone.maps(features, rois))


@pytest.mark.parametrize("kind", [UPRIGHT, ROTATED])
def test_no_proposal_and_no_object_are_normal(kind):
    """Losses of 0 with gradients, and no detection."""
    head = cascade(kind)
    features, _, truth, labels = scene(kind)
    none = [rows[:0] for rows in truth]
    trained = head.learn(features, none, none, [rows[:0] for rows in labels], sizes=SIZES)
    assert all(loss == 0 for loss in trained.losses.values())
    sum(trained.losses.values()).backward()
    assert all(value.grad is not None for value in head.parameters())
    assert [len(found.scores) for found in head.detect(features, none, SIZES)] == [0, 0]
    background = head.learn(
        features, [rows + 3 for rows in truth], none, [rows[:0] for rows in labels], sizes=SIZES
    )
    assert (background.sampled.labels == 2).all()


def test_boxes_that_vanish_train_nothing_and_stay_when_predicting():
    """A first stage that throws every box out of the image leaves later ones without regions."""
    head = cascade()
    with torch.no_grad():
        head.stages[0].predictor.deltas.weight.zero_()
        head.stages[0].predictor.deltas.bias.copy_(torch.tensor([500.0, 500.0, 0.0, 0.0]))
    features, proposals, truth, labels = scene()
    losses = head.learn(features, proposals, truth, labels, sizes=SIZES).losses
    assert losses["box_classes_stage0"] > 0
    assert losses["box_classes_stage1"] == losses["box_classes_stage2"] == 0
    found = head.detect(features, proposals, SIZES)
    assert all(torch.isfinite(rows.boxes).all() for rows in found)


def test_stages_that_do_not_fit_are_refused():
    """Boxes per class, other classes, other kinds and no stage at all."""
    with pytest.raises(CompositionError, match="at least one stage"):
        CascadeBoxHead([])
    with pytest.raises(CompositionError, match="stage 1 predicts a box per class"):
        CascadeBoxHead([stage(0.5, 1), stage(0.6, 2, class_agnostic=False)])
    with pytest.raises(CompositionError, match="stage 1 has num_classes 3, stage 0 has 2"):
        CascadeBoxHead([stage(0.5, 1), stage(0.6, 2, num_classes=3)])
    with pytest.raises(CompositionError, match="stage 1 has boxes RotatedBoxes, stage 0 has Boxes"):
        CascadeBoxHead([stage(0.5, 1), stage(0.6, 2, kind=ROTATED)])


def test_refined_regions_are_the_boxes_of_their_classes():
    """A box head hands on what it predicts for each region's class; off by default."""
    torch.manual_seed(0)
    head = stage(0.5, 1, class_agnostic=False, refine_regions=True)
    torch.nn.init.normal_(head.predictor.deltas.weight, std=0.3)
    features, proposals, truth, labels = scene()
    torch.manual_seed(5)
    refined = head.learn(features, proposals, truth, labels, sizes=SIZES).sampled
    head.refine_regions = False
    torch.manual_seed(5)
    given = head.learn(features, proposals, truth, labels, sizes=SIZES).sampled
    with torch.no_grad():
        _, deltas = head(features, given.rois)
    boxes = head.coder.decode(given.rois[:, 1:], deltas).unflatten(1, (2, 4))
    rows = torch.nonzero(given.labels < 2).flatten()
    expected = boxes[rows, given.labels[rows]]
    torch.testing.assert_close(refined.rois[rows, 1:], expected)
    changed = attrs.evolve(refined, rois=given.rois)
    assert all(
        torch.equal(getattr(changed, field.name), getattr(given, field.name))
        for field in attrs.fields(type(given))
    )
