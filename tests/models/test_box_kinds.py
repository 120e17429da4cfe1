"""Box kinds: one set of rules, two ways to write a box."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet.errors import CompositionError, DtypeError
from geodet.models import ROTATED, UPRIGHT, BoxCoder, IouLoss, RotatedBoxCoder, SmoothL1
from geodet.structures import Boxes, ImageSize, RotatedBoxes


def _upright(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=generator) * 90 - 10
    return torch.cat([corner, corner + 1 + torch.rand(n, 2, generator=generator) * 60], dim=1)


def _turned(n, seed=0):
    boxes = RotatedBoxes.from_boxes(Boxes(_upright(n, seed))).cxcywha
    boxes[:, 4] = torch.rand(n, generator=torch.Generator().manual_seed(seed)) * 720 - 360
    return boxes


def _as_rotated(xyxy):
    return RotatedBoxes.from_boxes(Boxes(xyxy)).cxcywha


@given(n=st.integers(0, 12), m=st.integers(0, 12), seed=st.integers(0, 2**20))
def test_rotated_rules_at_angle_0_are_the_upright_ones(n, m, seed):
    """Area, sides, overlap, survivors and clipping of the same boxes agree."""
    a, b = _upright(n, seed), _upright(m, seed + 1)
    turned = _as_rotated(a)
    close = {"rtol": 1e-3, "atol": 1e-2}  # centre and size round otherwise than corners
    torch.testing.assert_close(ROTATED.area(turned), UPRIGHT.area(a), **close)
    torch.testing.assert_close(ROTATED.sides(turned), UPRIGHT.sides(a), **close)
    iou = UPRIGHT.pairwise_iou(a, b)
    torch.testing.assert_close(ROTATED.pairwise_iou(turned, _as_rotated(b)), iou, **close)
    limits = torch.tensor([70.0, 50.0])
    clipped = RotatedBoxes(ROTATED.clip(turned, limits)).hull().xyxy
    torch.testing.assert_close(clipped, UPRIGHT.clip(a, limits), **close)


def test_clipping_equals_the_structures():
    """Many images in one call: row by row what `Boxes.clip_to` does."""
    boxes = torch.stack([_upright(30, seed) for seed in range(3)])
    sizes = [ImageSize(50, 70), ImageSize(20, 40), ImageSize(90, 10)]
    limits = torch.tensor([[size.width, size.height] for size in sizes], dtype=torch.float32)
    clipped = UPRIGHT.clip(boxes, limits[:, None])
    for rows, size, wanted in zip(boxes, sizes, clipped, strict=True):
        assert torch.equal(Boxes(rows).clip_to(size).xyxy, wanted)


def test_only_rotated_boxes_that_stand_upright_are_cut():
    """Within a degree of 0, full turns included; angles come back in [-180, 180)."""
    box = [5.0, 5.0, 20.0, 10.0]
    boxes = torch.tensor([[*box, angle] for angle in (0, 0.9, -1.0, 360.5, 1.1, 90, 180, -200)])
    clipped = ROTATED.clip(boxes, torch.tensor([30.0, 30.0]))
    cut = torch.tensor([7.5, 5.0, 15.0, 10.0])
    assert torch.equal(clipped[:4, :4], cut.expand(4, 4))
    assert torch.equal(clipped[4:, :4], boxes[4:, :4])
    wanted = torch.tensor([0, 0.9, -1.0, 0.5, 1.1, 90, -180, 160])
    torch.testing.assert_close(clipped[:, 4], wanted, rtol=0, atol=1e-4)


def test_survivors_are_those_of_the_operators():
    """Groups do not suppress each other."""
    boxes, scores = _turned(40), torch.rand(40, generator=torch.Generator().manual_seed(1))
    groups = torch.arange(40) % 3
    kept = ROTATED.batched_nms(boxes, scores, groups, 0.3)
    for group in range(3):
        own = kept[groups[kept] == group]
        overlap = ROTATED.pairwise_iou(boxes[own], boxes[own]).fill_diagonal_(0)
        assert (overlap <= 0.3).all()
    assert (scores[kept].diff() <= 0).all()


@pytest.mark.parametrize(
    ("kind", "boxes", "message"),
    [
        (UPRIGHT, RotatedBoxes(torch.ones(1, 5)), r"b: the model takes Boxes.*RotatedBoxes.*hull"),
        (ROTATED, Boxes(torch.ones(1, 4)), r"b: the model takes RotatedBoxes.*Boxes.*to_rotated"),
        (ROTATED, None, r"got NoneType"),
    ],
)
def test_boxes_of_the_wrong_kind_are_refused(kind, boxes, message):
    """The message names both kinds and the way from one to the other."""
    with pytest.raises(DtypeError, match=message):
        kind.unwrap(boxes, name="b")


def test_kinds_survive_copies():
    """Parts of a copied model still fit those of the original."""
    assert copy.deepcopy(ROTATED) == ROTATED
    assert UPRIGHT != ROTATED
    assert len({UPRIGHT, copy.deepcopy(UPRIGHT), ROTATED}) == 2


@pytest.mark.parametrize("measure", ["iou", "giou", "diou", "ciou"])
def test_overlap_losses_of_upright_boxes(measure):
    """Sum of 1 - similarity of the decoded boxes; 0 where the offsets are right."""
    coder = BoxCoder(max_log_scale=5.0)
    references, wanted = _upright(60, 2), _upright(60, 3)
    deltas = torch.zeros(60, 4, requires_grad=True)
    loss = IouLoss(measure, weight=2.0)(coder, references, deltas, wanted)
    similarity = getattr(Boxes(references), f"matched_{measure}")(Boxes(wanted))
    torch.testing.assert_close(loss, 2 * (1 - similarity).sum())
    loss.backward()
    assert deltas.grad.any()
    exact = IouLoss(measure)(coder, references, coder.encode(references, wanted), wanted)
    assert exact.abs() < 1e-2  # of 60 terms


@pytest.mark.parametrize("measure", ["iou", "giou"])
def test_overlap_losses_of_rotated_boxes(measure):
    """The same, with the overlap of rotated boxes."""
    coder = RotatedBoxCoder((1.0, 1.0, 1.0, 1.0, 1.0), max_log_scale=5.0)
    references, wanted = _turned(60, 2), _turned(60, 3)
    deltas = torch.zeros(60, 5, requires_grad=True)
    loss = IouLoss(measure)(coder, references, deltas, wanted)
    similarity = getattr(RotatedBoxes(references), f"matched_{measure}")(RotatedBoxes(wanted))
    torch.testing.assert_close(loss, (1 - similarity).sum(), rtol=1e-4, atol=1e-3)
    loss.backward()
    assert torch.isfinite(deltas.grad).all()
    assert deltas.grad.any()
    exact = IouLoss(measure)(coder, references, coder.encode(references, wanted), wanted)
    assert exact.abs() < 1e-2  # of 60 terms


def test_losses_that_a_kind_lacks_are_refused():
    """A rotated box has no aspect ratio of its own."""
    with pytest.raises(CompositionError, match=r"RPN with IouLoss: RotatedBoxes have no 'ciou'"):
        IouLoss("ciou").check_fits(RotatedBoxCoder(), owner="RPN")
    SmoothL1().check_fits(RotatedBoxCoder(), owner="RPN")
    with pytest.raises(CompositionError, match="weight >= 0"):
        IouLoss("giou", weight=-1.0)
    with pytest.raises(CompositionError, match="beta >= 0"):
        SmoothL1(-0.5)


@pytest.mark.parametrize("loss", [SmoothL1(), SmoothL1(0.5), IouLoss("giou")])
def test_no_boxes_cost_nothing(loss):
    """Zero, with zeros as gradient."""
    deltas = torch.zeros(0, 4, requires_grad=True)
    value = loss(BoxCoder(), torch.zeros(0, 4), deltas, torch.zeros(0, 4))
    value.backward()
    assert value == 0
    assert deltas.grad.shape == (0, 4)
