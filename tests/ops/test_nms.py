"""Suppression: laws, specification, torchvision and odd numbers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.ops import batched_nms, nms, pairwise_box_iou
from geodet.ops.reference.boxes import nms_reference

NAN = float("nan")

counts = st.integers(0, 40)
seeds = st.integers(0, 10**6)
thresholds = st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0])


def random_problem(count: int, seed: int, groups: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes that often overlap, scores with ties and a NaN now and then, group numbers."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.rand(count, 2, generator=generator).double() * 30
    sides = torch.rand(count, 2, generator=generator).double() * 20
    scores = (torch.rand(count, generator=generator).double() * 10).round() / 10
    scores[torch.rand(count, generator=generator) < 0.05] = NAN
    group = torch.randint(-1, groups - 1, (count,), generator=generator)
    return torch.cat([first, first + sides], dim=1), scores, group


@given(count=counts, seed=seeds, threshold=thresholds)
def test_nms_equals_its_specification(count, seed, threshold):
    """The kept boxes and their order are those of the slow definition."""
    boxes, scores, groups = random_problem(count, seed)
    expected = nms_reference(boxes.tolist(), scores.tolist(), [0] * count, threshold)
    assert nms(boxes, scores, threshold).tolist() == expected
    expected = nms_reference(boxes.tolist(), scores.tolist(), groups.tolist(), threshold)
    assert batched_nms(boxes, scores, groups, threshold).tolist() == expected


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nms_keeps_torchvisions_boxes(threshold, dtype):
    """Boxes and order are those of torchvision when no scores are equal."""
    from torchvision.ops import nms as oracle

    boxes, _, _ = random_problem(3000, 0)
    boxes = torch.cat([boxes[:, :2] * 8, boxes[:, :2] * 8 + boxes[:, 2:] - boxes[:, :2]], dim=1)
    boxes = boxes.to(dtype)
    scores = torch.rand(3000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    scores = scores.argsort().argsort().to(dtype)
    assert torch.equal(nms(boxes, scores, threshold), oracle(boxes, scores, threshold))


@given(count=counts, seed=seeds, threshold=thresholds)
def test_kept_boxes_do_not_overlap_and_dropped_ones_do(count, seed, threshold):
    """No kept pair exceeds the threshold; every dropped box exceeds it with a better kept one."""
    boxes, scores, _ = random_problem(count, seed)
    scores = scores.nan_to_num(nan=-1)
    kept = nms(boxes, scores, threshold)
    iou = pairwise_box_iou(boxes, boxes)
    among = iou[kept][:, kept].fill_diagonal_(0)
    assert (among <= threshold).all()
    dropped = torch.ones(count, dtype=torch.bool)
    dropped[kept] = False
    better = scores[kept][:, None] >= scores[dropped][None, :]
    assert ((iou[kept][:, dropped] > threshold) & better).any(dim=0).all()


@given(count=counts, seed=seeds, threshold=thresholds)
def test_nms_follows_permutations(count, seed, threshold):
    """Permuting the rows permutes the indices, where no scores are equal."""
    boxes, _, _ = random_problem(count, seed)
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randperm(count, generator=generator).double()
    permutation = torch.randperm(count, generator=generator)
    permuted = nms(boxes[permutation], scores[permutation], threshold)
    assert torch.equal(permutation[permuted], nms(boxes, scores, threshold))


@given(count=counts, seed=seeds, threshold=thresholds)
def test_groups_do_not_know_of_each_other(count, seed, threshold):
    """Each group is suppressed as if it were alone."""
    boxes, scores, groups = random_problem(count, seed)
    kept = batched_nms(boxes, scores, groups, threshold)
    for group in groups.unique():
        members = torch.nonzero(groups == group)[:, 0]
        alone = members[nms(boxes[members], scores[members], threshold)]
        assert torch.equal(kept[groups[kept] == group], alone)


@given(count=counts, seed=seeds, threshold=thresholds)
def test_group_numbers_carry_no_meaning(count, seed, threshold):
    """Numbers far apart, negative or huge, give what small ones give."""
    boxes, scores, groups = random_problem(count, seed)
    renamed = torch.tensor([2**62, -(2**62), 7])[groups % 3]
    kept = batched_nms(boxes, scores, groups, threshold)
    assert torch.equal(kept, batched_nms(boxes, scores, renamed, threshold))


@given(count=counts, seed=seeds, threshold=thresholds)
def test_suppressing_twice_changes_nothing(count, seed, threshold):
    """What was kept is kept again."""
    boxes, scores, _ = random_problem(count, seed)
    kept = nms(boxes, scores, threshold)
    again = nms(boxes[kept], scores[kept], threshold)
    assert torch.equal(again, torch.arange(len(kept)))


def test_an_overlap_equal_to_the_threshold_is_kept():
    """Only more than the threshold suppresses."""
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 2]])  # IoU 0.5
    scores = torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, 0.5).tolist() == [0, 1]
    assert nms(boxes, scores, 0.4999).tolist() == [0]
    # 0.1 has no float of its own: an IoU of float(0.1) is above the double 0.1.
    boxes = torch.tensor([[0.0, 0, 10, 1], [0, 0, 1, 1]])
    assert nms(boxes, scores, 0.1).tolist() == [0]


def test_equal_scores_are_visited_by_index():
    """The first of equal boxes with equal scores stays."""
    boxes = torch.tensor([[0.0, 0, 4, 4]]).repeat(100, 1)
    assert nms(boxes, torch.ones(100), 0.5).tolist() == [0]


def test_signs_of_zero_are_equal_scores():
    """0 and -0 tie, and so do -infinity and NaN: the smaller index goes first."""
    apart = torch.arange(6.0)[:, None] * 10 + torch.tensor([0.0, 0, 4, 4])
    for dtype in (torch.float32, torch.float64):
        scores = torch.tensor([NAN, -0.0, 0.0, -math.inf, NAN, math.inf], dtype=dtype)
        assert nms(apart, scores, 0.5).tolist() == [5, 1, 2, 0, 3, 4]


def test_scores_may_be_finer_than_boxes():
    """Scores in double precision are ranked as such, whatever the boxes' dtype."""
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4]])
    scores = torch.tensor([0.5, 0.5 + 1e-12], dtype=torch.float64)
    assert nms(boxes, scores, 0.5).tolist() == [1]
    assert nms(boxes.double(), scores.float(), 0.5).tolist() == [0]


@pytest.mark.parametrize("groups", [1, 5, 400])
def test_many_boxes_keep_their_first_of_a_place(groups):
    """Thousands of copies of far places keep the best copy of each, whatever the block size."""
    places = 211
    generator = torch.Generator().manual_seed(0)
    place = torch.randint(places, (4000,), generator=generator)
    boxes = (place[:, None] * 50 + torch.tensor([0.0, 0, 40, 40])).float()
    scores = torch.randint(50, (4000,), generator=generator).float()
    group = torch.randint(groups, (4000,), generator=generator)
    order = torch.sort(scores, descending=True, stable=True).indices.tolist()
    seen: dict[tuple[int, int], int] = {}
    for index in order:
        seen.setdefault((int(place[index]), int(group[index])), index)
    assert batched_nms(boxes, scores, group, 0.5).tolist() == list(seen.values())


def test_nan_scores_come_last_and_nan_boxes_stay():
    """NaN neither wins a comparison nor suppresses anything."""
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4], [NAN, 0, 4, 4]])
    assert nms(boxes, torch.tensor([NAN, 0.1, 0.5]), 0.5).tolist() == [2, 1]


def test_empty_tables_give_no_indices():
    """No boxes give [0] of int64."""
    none = torch.zeros(0, 4)
    for kept in (
        nms(none, torch.zeros(0), 0.5),
        batched_nms(none, torch.zeros(0), torch.zeros(0, dtype=torch.int64), 0.5),
    ):
        assert kept.shape == (0,)
        assert kept.dtype == torch.int64


def test_half_precision_is_compared_in_float32():
    """Half boxes and scores keep what their float32 values keep."""
    boxes, scores, _ = random_problem(60, 0)
    half, half_scores = boxes.half(), scores.bfloat16()
    expected = nms(half.float(), half_scores.float(), 0.5)
    assert torch.equal(nms(half, half_scores, 0.5), expected)


def test_wrong_arguments_are_named():
    """Each mistake is reported with the argument's name and what was expected."""
    boxes, scores = torch.ones(3, 4), torch.ones(3)
    with pytest.raises(ShapeError, match=r"scores: expected \[3\], got \[2\]"):
        nms(boxes, scores[:2], 0.5)
    with pytest.raises(DtypeError, match="scores: expected a floating-point dtype"):
        nms(boxes, scores.long(), 0.5)
    for threshold in (-0.1, 1.1, NAN):
        with pytest.raises(InvalidValueError, match=r"iou_threshold: .*\[0, 1\]"):
            nms(boxes, scores, threshold)
    with pytest.raises(DtypeError, match=r"groups: expected torch\.int64"):
        batched_nms(boxes, scores, torch.zeros(3), 0.5)
    with pytest.raises(ShapeError, match=r"groups: expected \[3\]"):
        batched_nms(boxes, scores, torch.zeros(2, dtype=torch.int64), 0.5)


def test_registration_passes_torchs_own_checks():
    """Schema, fake with its unknown count, and tracing agree with the kernel."""
    boxes, scores, groups = random_problem(20, 0)
    torch.library.opcheck(torch.ops.geodet.nms, (boxes, scores, None, 0.5))
    torch.library.opcheck(torch.ops.geodet.nms, (boxes, scores, groups, 0.5))


@pytest.mark.cuda
def test_cuda_keeps_the_same_boxes(cuda):
    """CPU and device keep the same boxes in the same order."""
    for count in (0, 1, 64, 65, 1500):
        boxes, scores, groups = random_problem(count, count)
        boxes = boxes.float()
        on_device = batched_nms(boxes.to(cuda), scores.to(cuda), groups.to(cuda), 0.5)
        assert torch.equal(on_device.cpu(), batched_nms(boxes, scores, groups, 0.5))
        on_device = nms(boxes.to(cuda), scores.to(cuda), 0.5)
        assert torch.equal(on_device.cpu(), nms(boxes, scores, 0.5))
