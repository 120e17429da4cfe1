"""RPN: losses against torchvision's, and the rules of selection."""

import pytest
import torch
import torchvision
from torchvision.models.detection import rpn as torchvision_rpn

from geodet.errors import CompositionError
from geodet.models import RPN, AnchorGenerator, BalancedSampler, Matcher, RPNHead, SmoothL1
from geodet.models.heads import ProposalBudget, RPNOutput
from geodet.structures import ImageSize

LEVELS = ("p3", "p4")


def _make(count=10_000, fraction=1.0, **changes):
    """RPN of two levels; it samples every anchor, so that nothing is random."""
    options = {
        "head": RPNHead(8, anchors_per_location=3),
        "anchors": AnchorGenerator(
            sizes=[(16,), (32,)], aspect_ratios=(0.25, 1, 4), strides=[8, 16]
        ),
        "levels": LEVELS,
        "matcher": Matcher((0.3, 0.7), (0, -1, 1), allow_low_quality=True),
        "sampler": BalancedSampler(count, fraction),
        "train_budget": ProposalBudget(200, 100),
        "test_budget": ProposalBudget(200, 50),
    }
    return RPN(**{**options, **changes})


def _features(seed=0, b=2):
    generator = torch.Generator().manual_seed(seed)
    return {
        "p3": torch.randn(b, 8, 8, 8, generator=generator) * 3,
        "p4": torch.randn(b, 8, 4, 4, generator=generator) * 3,
    }


def _boxes(*rows):
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


TARGETS = [_boxes((5, 5, 30, 22), (40, 10, 60, 60)), _boxes((0, 0, 64, 64))]


def test_head_lists_predictions_in_the_order_of_anchors():
    """Row, column, anchor; four offsets together."""
    head = RPNHead(8, anchors_per_location=3)
    level = _features()["p3"]
    logits, deltas = head(level)
    hidden = head.convs(level)
    raw_logits, raw_deltas = head.objectness(hidden), head.deltas(hidden)
    row, column, anchor = 5, 2, 1
    index = (row * 8 + column) * 3 + anchor
    assert torch.equal(logits[:, index], raw_logits[:, anchor, row, column])
    assert torch.equal(deltas[:, index], raw_deltas[:, 4 * anchor : 4 * anchor + 4, row, column])


def _torchvision_losses(rpn, output):
    """What torchvision computes from the same predictions, as sums."""
    peer = torchvision_rpn.RegionProposalNetwork(
        None,
        None,
        0.7,
        0.3,
        10_000,
        1.0,
        {},
        {},
        0.7,
    )
    peer.fg_bg_sampler = lambda labels: ([lab == 1 for lab in labels], [lab == 0 for lab in labels])
    anchors = [torch.cat(output.anchors)] * len(TARGETS)
    labels, matched = peer.assign_targets_to_anchors(anchors, [{"boxes": b} for b in TARGETS])
    wanted = peer.box_coder.encode(matched, anchors)
    objectness, regression = peer.compute_loss(
        torch.cat(output.logits, dim=1).reshape(-1, 1),
        torch.cat(output.deltas, dim=1).reshape(-1, 4),
        labels,
        wanted,
    )
    sampled = sum(int((lab >= 0).sum()) for lab in labels)
    return objectness * sampled, regression * sampled


def test_losses_equal_torchvision():
    """Same anchors, weights, targets and a full sample: same two sums."""
    torch.manual_seed(0)
    rpn = _make(box_loss=SmoothL1(1 / 9))  # the beta that torchvision has built in
    torch.nn.init.normal_(rpn.head.deltas.weight, std=0.3)
    output = rpn(_features())
    losses, counts = rpn.losses(output, TARGETS)
    objectness, regression = _torchvision_losses(rpn, output)
    normaliser = 10_000 * len(TARGETS)
    torch.testing.assert_close(losses["rpn_objectness"] * normaliser, objectness)
    torch.testing.assert_close(losses["rpn_boxes"] * normaliser, regression)
    assert counts["rpn_positive"] > 2
    assert counts["rpn_negative"] > 100


def test_losses_are_divided_by_the_wanted_sample_and_repeat_under_a_seed():
    """The divisor is count x images even when fewer anchors are there."""
    torch.manual_seed(0)
    rpn = _make(count=16, fraction=0.5)
    output = rpn(_features())
    values = []
    for seed in (1, 1, 2):
        generator = torch.Generator().manual_seed(seed)
        losses, counts = rpn.losses(output, TARGETS, generator=generator)
        assert counts["rpn_positive"] + counts["rpn_negative"] == 32
        values.append(torch.stack(list(losses.values())))
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])


def test_images_without_targets_train_as_negatives():
    """Only objectness learns; every parameter still gets a gradient."""
    rpn = _make()
    losses, counts = rpn.losses(rpn(_features()), [_boxes(), _boxes()])
    assert counts["rpn_positive"] == 0
    assert losses["rpn_boxes"] == 0
    assert losses["rpn_objectness"] > 0
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in rpn.parameters())


def _selection_by_hand(rpn, output, size, budget, image):
    """The rules written out again, level by level, on torchvision's operators."""
    found, scores, levels = [], [], []
    for level, (anchors, logits, deltas) in enumerate(
        zip(output.anchors, output.logits, output.deltas, strict=True)
    ):
        best = logits[image].topk(min(budget.before_nms, logits.shape[1])).indices
        found.append(rpn.coder.decode(anchors[best], deltas[image, best]))
        scores.append(logits[image, best])
        levels.append(torch.full((len(best),), level))
    found, scores, levels = torch.cat(found), torch.cat(scores), torch.cat(levels)
    found = torchvision.ops.clip_boxes_to_image(found, size.as_tuple())
    rows = torchvision.ops.remove_small_boxes(found, 1e-9)
    kept = torchvision.ops.batched_nms(found[rows], scores[rows], levels[rows], 0.7)
    rows = rows[kept[: budget.after_nms]]
    return found[rows], scores[rows]


def test_selection_follows_the_rules():
    """Best per level, decode, clip, drop empty, NMS within a level, best overall."""
    torch.manual_seed(0)
    rpn = _make()
    torch.nn.init.normal_(rpn.head.deltas.weight, std=0.2)
    output = rpn(_features())
    sizes = [ImageSize(64, 64), ImageSize(50, 37)]
    budget = ProposalBudget(40, 25)
    proposals = rpn.select(output, sizes, budget)
    for image, (size, found) in enumerate(zip(sizes, proposals, strict=True)):
        wanted, logits = _selection_by_hand(rpn, output, size, budget, image)
        torch.testing.assert_close(found.boxes, wanted)
        torch.testing.assert_close(found.logits, logits)
        assert not found.boxes.requires_grad
    assert proposals[1].boxes[:, 0::2].max() <= 37


def test_broken_predictions_are_dropped():
    """NaN and infinity never become proposals."""
    rpn = _make()
    output = rpn(_features(b=1))
    logits = [torch.zeros_like(level) for level in output.logits]
    logits[0][0, :3] = torch.tensor([torch.nan, torch.inf, -torch.inf])
    deltas = [torch.zeros_like(level) for level in output.deltas]
    deltas[0][0, 3] = torch.nan
    deltas[0][0, 4, 0] = torch.inf
    broken = RPNOutput(output.anchors, logits, deltas)
    (found,) = rpn.select(broken, [ImageSize(64, 64)], ProposalBudget(1000, 1000))
    assert torch.isfinite(found.boxes).all()
    assert torch.isfinite(found.logits).all()
    nothing = RPNOutput(output.anchors, [x * torch.nan for x in logits], deltas)
    (found,) = rpn.select(nothing, [ImageSize(64, 64)], ProposalBudget(1000, 1000))
    assert found.boxes.shape == (0, 4)


def test_equal_logits_keep_the_earlier_anchor():
    """Ties break by index, whatever the sort does."""
    rpn = _make(nms_threshold=1.0)
    output = rpn(_features(b=1))
    flat = RPNOutput(
        output.anchors,
        [torch.zeros_like(level) for level in output.logits],
        [torch.zeros_like(level) for level in output.deltas],
    )
    (found,) = rpn.select(flat, [ImageSize(1000, 1000)], ProposalBudget(60, 7))
    inside = output.anchors[0][:60].clamp(min=0)
    inside = inside[(inside[:, 2:] > inside[:, :2]).all(1)]
    assert torch.equal(found.boxes, inside[:7])


def test_parts_that_do_not_fit_fail_at_construction():
    """Head, anchors and levels must agree."""
    with pytest.raises(CompositionError, match=r"RPNHead predicts for 2.*AnchorGenerator makes 3"):
        _make(head=RPNHead(8, anchors_per_location=2))
    with pytest.raises(CompositionError, match=r"RPN reads 1 levels.*strides for 2"):
        _make(levels=("p3",))
