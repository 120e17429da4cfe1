"""Detectors trained with other losses than the usual ones, and what always holds of proposals."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import generalized_box_iou_loss

from geodet.errors import CompositionError
from geodet.models import (
    ROTATED,
    UPRIGHT,
    BoxCoder,
    FederatedClasses,
    IouLoss,
    Preprocess,
    RotatedBoxCoder,
    SigmoidClasses,
    SmoothL1,
    faster_rcnn_fpn,
    group_norm,
)
from geodet.models.heads import BoxPredictor

NAMES = {"rpn_objectness", "rpn_boxes", "box_classes", "box_deltas"}


def _detector(class_loss=None, box_loss=None, **options):
    torch.manual_seed(0)
    return faster_rcnn_fpn(
        num_classes=2,
        preprocess=Preprocess(channel_order="rgb", mean=(60.0,) * 3, std=(60.0,) * 3),
        depth=18,
        width=8,
        fpn_channels=16,
        freeze_at=0,
        norm=group_norm(8),
        anchor_sizes=(16, 32, 64, 128, 256),
        box_features=(16,),
        class_loss=class_loss,
        box_loss=box_loss,
        rpn_box_loss=box_loss,
        **options,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"class_loss": SigmoidClasses()},
        {"class_loss": FederatedClasses((3, 5), num_classes_used=1)},
        {"box_loss": IouLoss("giou")},
        {"box_loss": IouLoss("ciou"), "class_agnostic": True},
        {"box_loss": SmoothL1(0.5, weight=2.0)},
    ],
    ids=["sigmoid", "federated", "giou", "agnostic-ciou", "weighted"],
)
def test_every_choice_trains(pictures, options):
    """Finite losses, a gradient for every parameter, probabilities at the end."""
    model = _detector(**options)
    images, targets = pictures
    losses = model(images, targets)
    assert set(losses) == NAMES
    assert all(torch.isfinite(loss) and loss > 0 for loss in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert [name for name, p in model.named_parameters() if not p.grad.any()] == []
    for found in model(images):
        found.validated(num_classes=2)


def test_overlap_losses_are_normalised_like_distances():
    """RPN: sum over positives by the wanted sample; box head: by all sampled regions."""
    model = _detector(box_loss=IouLoss("giou"))
    features = {f"p{level}": torch.rand(1, 16, 64 >> level, 64 >> level) for level in range(2, 7)}
    truth = [torch.tensor([[4.0, 6, 34, 40]])]
    output = model.proposals(features)
    seen = []
    model.proposals.box_loss = _Spy(IouLoss("giou"), seen)
    losses, counts = model.proposals.losses(output, truth)
    references, deltas, boxes = seen[0]
    assert len(references) == counts["rpn_positive"] > 0
    decoded = BoxCoder().decode(references, deltas)
    wanted = generalized_box_iou_loss(decoded, boxes, reduction="sum") / 256
    torch.testing.assert_close(losses["rpn_boxes"], wanted, rtol=1e-4, atol=1e-6)

    head = model.box_head
    head.box_loss = _Spy(IouLoss("giou", weight=10.0), seen)
    trained = head.learn(features, truth, truth, [torch.tensor([1])], sizes=[])
    references, deltas, boxes = seen[1]
    decoded = head.coder.decode(references, deltas)
    wanted = 10 * generalized_box_iou_loss(decoded, boxes, reduction="sum")
    wanted = wanted / len(trained.sampled.rois)
    torch.testing.assert_close(trained.losses["box_deltas"], wanted, rtol=1e-3, atol=1e-6)


class _Spy:
    """A loss that remembers what it was asked."""

    def __init__(self, loss, seen):
        self.loss, self.seen = loss, seen

    def __call__(self, coder, references, deltas, boxes):
        self.seen.append((references, deltas.detach(), boxes))
        return self.loss(coder, references, deltas, boxes)


def test_losses_and_parts_of_another_kind_are_refused_at_construction():
    """The box head names itself and the kind."""
    head = _detector().box_head
    options = {"pooler": head.pooler, "features": head.features, "roi_sampler": head.roi_sampler}
    with pytest.raises(CompositionError, match=r"RoiPooler is made for Boxes, RotatedBoxCoder"):
        type(head)(**options, predictor=head.predictor, coder=RotatedBoxCoder())
    turned = BoxPredictor(16, num_classes=2, kind=ROTATED)
    with pytest.raises(CompositionError, match=r"BoxPredictor is made for RotatedBoxes, BoxCoder"):
        type(head)(**options, predictor=turned)
    with pytest.raises(CompositionError, match="counts of 3 classes, BoxHead has num_classes=2"):
        _detector(class_loss=FederatedClasses((1, 2, 3)))


@given(
    seed=st.integers(0, 2**20),
    scale=st.sampled_from([0.1, 3.0, 1e3, 1e30]),
    width=st.integers(1, 64),
    height=st.integers(1, 64),
)
def test_proposals_lie_inside_their_image_whatever_the_network_says(seed, scale, width, height):
    """Also with offsets of an untrained or broken branch; sides stay positive."""
    boxes = torch.rand(50, 4, generator=torch.Generator().manual_seed(seed)) * 64
    deltas = torch.randn(50, 4, generator=torch.Generator().manual_seed(seed + 1)) * scale
    decoded = BoxCoder().decode(boxes, deltas)
    clipped = UPRIGHT.clip(decoded, torch.tensor([float(width), float(height)]))
    clipped = clipped[torch.isfinite(decoded).all(1)]
    assert (clipped >= 0).all()
    assert (clipped[:, 0::2] <= width).all()
    assert (clipped[:, 1::2] <= height).all()
