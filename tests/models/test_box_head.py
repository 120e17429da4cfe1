"""Box head: losses and selection against torchvision's."""

from types import SimpleNamespace

import pytest
import torch
from torchvision.models.detection._utils import BoxCoder as TorchvisionCoder
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss

from geodet.errors import CompositionError
from geodet.models import UPRIGHT, BalancedSampler, BoxHead, Matcher, RoiPooler, SmoothL1
from geodet.models.heads import (
    BoxPredictor,
    ConvFcFeatures,
    RoiSampler,
    SampledRois,
    rois_from_boxes,
)
from geodet.structures import ImageSize

CLASSES = 3


def _head(**changes):
    options = {
        "pooler": RoiPooler({"p2": 4, "p3": 8}, output_side=4),
        "features": ConvFcFeatures(6, side=4, conv_channels=(5,), fc_features=(16,)),
        "predictor": BoxPredictor(16, num_classes=CLASSES),
        "roi_sampler": RoiSampler(Matcher((0.5,), (0, 1)), BalancedSampler(16, 0.25)),
    }
    return BoxHead(**{**options, **changes})


def _random_boxes(n, generator):
    corner = torch.rand(n, 2, generator=generator) * 50
    return torch.cat([corner, corner + 2 + torch.rand(n, 2, generator=generator) * 40], dim=1)


def _predictions(n, seed=0):
    """Random boxes, logits and offsets of n regions."""
    generator = torch.Generator().manual_seed(seed)
    boxes = _random_boxes(n, generator)
    logits = torch.randn(n, CLASSES + 1, generator=generator) * 2
    deltas = torch.randn(n, 4 * CLASSES, generator=generator)
    return boxes, logits, deltas


def test_losses_equal_torchvision():
    """Same regions, labels and offsets: same two losses, though torchvision's background is 0."""
    boxes, logits, deltas = _predictions(40)
    generator = torch.Generator().manual_seed(1)
    truth = _random_boxes(40, generator)
    labels = torch.randint(0, CLASSES + 1, (40,), generator=generator)
    sampled = SampledRois(rois_from_boxes([boxes]), labels, truth, torch.zeros_like(labels))
    losses, counts = _head(box_loss=SmoothL1(1 / 9)).losses(logits, deltas, sampled)
    peer_labels = torch.where(labels == CLASSES, 0, labels + 1)
    peer_logits = torch.cat([logits[:, -1:], logits[:, :-1]], dim=1)
    peer_deltas = torch.cat([torch.zeros(40, 4), deltas], dim=1)
    wanted_deltas = TorchvisionCoder((10.0, 10.0, 5.0, 5.0)).encode([truth], [boxes])
    classes, regression = fastrcnn_loss(peer_logits, peer_deltas, [peer_labels], wanted_deltas)
    torch.testing.assert_close(losses["box_classes"], classes)
    torch.testing.assert_close(losses["box_deltas"], regression)
    assert counts["box_foreground"] == (labels < CLASSES).sum()
    assert counts["box_background"] == (labels == CLASSES).sum()


def test_selection_equals_torchvision():
    """Two images: the same boxes, scores and labels as torchvision keeps."""
    size = ImageSize(60, 70)
    parts = [_predictions(60, seed) for seed in (0, 1)]
    boxes = [part[0] for part in parts]
    logits, deltas = torch.cat([p[1] for p in parts]), torch.cat([p[2] for p in parts])
    found = _head(max_detections=20).select(logits, deltas, boxes, [size, size])
    peer = SimpleNamespace(
        box_coder=TorchvisionCoder((10.0, 10.0, 5.0, 5.0)),
        score_thresh=0.05,
        nms_thresh=0.5,
        detections_per_img=20,
    )
    wanted_boxes, wanted_scores, wanted_labels = RoIHeads.postprocess_detections(
        peer,
        torch.cat([logits[:, -1:], logits[:, :-1]], dim=1),
        torch.cat([torch.zeros(120, 4), deltas], dim=1),
        boxes,
        [size.as_tuple()] * 2,
    )
    for image, detections in enumerate(found):
        assert len(detections.boxes) == 20
        torch.testing.assert_close(detections.boxes, wanted_boxes[image])
        torch.testing.assert_close(detections.scores, wanted_scores[image])
        assert torch.equal(detections.labels, wanted_labels[image] - 1)


def test_class_agnostic_boxes_serve_every_class():
    """One box per region: equal to class-specific ones that are all the same."""
    boxes, logits, deltas = _predictions(30)
    agnostic = _head(predictor=BoxPredictor(16, num_classes=CLASSES, class_agnostic=True))
    sizes = [ImageSize(80, 80)]
    (a,) = agnostic.select(logits, deltas[:, :4], [boxes], sizes)
    (b,) = _head().select(logits, deltas[:, :4].repeat(1, CLASSES), [boxes], sizes)
    assert torch.equal(a.boxes, b.boxes)
    assert torch.equal(a.labels, b.labels)


def test_broken_regions_and_boxes_outside_are_dropped():
    """NaN never becomes a detection, nor does a box that clipping leaves without area."""
    boxes, logits, deltas = _predictions(4)
    logits, deltas = torch.zeros_like(logits), torch.zeros_like(deltas)
    logits[0], deltas[1] = torch.nan, torch.inf
    boxes[2] = torch.tensor([500.0, 500, 520, 520])
    (found,) = _head().select(logits, deltas, [boxes], [ImageSize(100, 100)])
    assert len(found.boxes) == CLASSES
    torch.testing.assert_close(found.boxes, boxes[3].expand(CLASSES, 4))
    assert found.labels.tolist() == [0, 1, 2]  # equal scores in the order of classes


def test_sampler_labels_and_balances():
    """Ground truth joins in; positives first, at most their share; background is the last label."""
    torch.manual_seed(0)
    truth = [torch.tensor([[10.0, 10, 30, 30], [40, 40, 60, 60]]), torch.zeros(0, 4)]
    labels = [torch.tensor([2, 0]), torch.zeros(0, dtype=torch.int64)]
    generator = torch.Generator().manual_seed(3)
    near = truth[0][torch.arange(40) % 2] + torch.rand(40, 4, generator=generator)
    far = torch.rand(40, 4, generator=generator) + torch.tensor([70.0, 70, 80, 80])
    sampler = RoiSampler(Matcher((0.5,), (0, 1)), BalancedSampler(16, 0.25))
    sampled = sampler(
        [torch.cat([far, near]), far], truth, labels, num_classes=CLASSES, kind=UPRIGHT
    )
    first = sampled.rois[:, 0] == 0
    assert first.sum() == 16
    assert (sampled.labels[first] < CLASSES).tolist() == [True] * 4 + [False] * 12
    assert (sampled.labels[~first] == CLASSES).all()
    foreground = sampled.labels < CLASSES
    assert torch.equal(labels[0][sampled.target_indices[foreground]], sampled.labels[foreground])
    assert torch.equal(
        truth[0][sampled.target_indices[foreground]], sampled.target_boxes[foreground]
    )


def test_ground_truth_is_a_proposal_when_the_rpn_finds_nothing():
    """The first step has positives; without truth there is nothing to sample."""
    truth = [torch.tensor([[10.0, 10, 30, 30]]), torch.zeros(0, 4)]
    labels = [torch.tensor([1]), torch.zeros(0, dtype=torch.int64)]
    sampler = _head().roi_sampler
    sampled = sampler([torch.zeros(0, 4)] * 2, truth, labels, num_classes=CLASSES, kind=UPRIGHT)
    assert sampled.rois.tolist() == [[0, 10, 10, 30, 30]]
    assert sampled.labels.tolist() == [1]


def test_no_regions_cost_nothing():
    """Losses of 0 with gradients of 0 for every parameter, and no detections."""
    head = _head()
    features = {"p2": torch.randn(1, 6, 16, 16), "p3": torch.randn(1, 6, 8, 8)}
    logits, deltas = head(features, torch.zeros(0, 5))
    none = torch.zeros(0, dtype=torch.int64)
    sampled = SampledRois(torch.zeros(0, 5), none, torch.zeros(0, 4), none)
    losses, _ = head.losses(logits, deltas, sampled)
    sum(losses.values()).backward()
    assert all(loss == 0 for loss in losses.values())
    assert all(p.grad is not None and not p.grad.any() for p in head.parameters())
    (found,) = head.select(logits, deltas, [torch.zeros(0, 4)], [ImageSize(64, 64)])
    assert found.boxes.shape == (0, 4)


def test_parts_that_do_not_fit_fail_at_construction():
    """Sides and features must agree."""
    with pytest.raises(CompositionError, match=r"ConvFcFeatures expects regions of 7.*gives 4 x 4"):
        _head(features=ConvFcFeatures(6, side=7, fc_features=(16,)))
    with pytest.raises(CompositionError, match=r"BoxPredictor expects 9.*ConvFcFeatures gives 16"):
        _head(predictor=BoxPredictor(9, num_classes=CLASSES))
    with pytest.raises(CompositionError, match="fc_features"):
        ConvFcFeatures(6, side=7, fc_features=())
