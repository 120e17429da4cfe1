"""Suppression of rotated boxes: laws, specification, GEOS and odd numbers."""

import numpy as np
import pytest
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.ops import batched_rotated_nms, nms, pairwise_rotated_iou, rotated_nms
from geodet.ops.reference.rotated import rotated_corners, rotated_nms_reference

NAN = float("nan")

counts = st.integers(0, 30)
seeds = st.integers(0, 10**6)
thresholds = st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0])


def random_problem(count: int, seed: int, extent: float = 30) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes that often overlap, scores with ties and a NaN now and then, group numbers."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.rand(count, 5, generator=generator, dtype=torch.float64)
    rows = rows * torch.tensor([extent, extent, 20, 20, 360]) - torch.tensor([0.0, 0, 1, 1, 180])
    scores = (torch.rand(count, generator=generator).double() * 10).round() / 10
    scores[torch.rand(count, generator=generator) < 0.05] = NAN
    return rows, scores, torch.randint(-1, 2, (count,), generator=generator)


@given(count=counts, seed=seeds, threshold=thresholds)
def test_rotated_nms_equals_its_specification(count, seed, threshold):
    """The kept boxes and their order are those of the slow definition."""
    rows, scores, groups = random_problem(count, seed)
    expected = rotated_nms_reference(rows.tolist(), scores.tolist(), [0] * count, threshold)
    assert rotated_nms(rows, scores, threshold).tolist() == expected
    expected = rotated_nms_reference(rows.tolist(), scores.tolist(), groups.tolist(), threshold)
    assert batched_rotated_nms(rows, scores, groups, threshold).tolist() == expected


def greedy(iou: np.ndarray, scores: Tensor, threshold: float) -> list[int]:
    """Suppression by a matrix of overlaps."""
    kept: list[int] = []
    for index in scores.sort(descending=True, stable=True).indices.tolist():
        if not (iou[kept, index] > threshold).any():
            kept.append(index)
    return kept


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_rotated_nms_keeps_the_boxes_that_geos_areas_keep(threshold):
    """Suppressing by GEOS's IoU keeps the same boxes."""
    rows, _, _ = random_problem(400, 0, extent=120)
    rows[:, 2:4] = rows[:, 2:4].clamp(min=1)
    copies = rows + torch.randn(400, 5, generator=torch.Generator().manual_seed(1)).double() * 0.5
    rows = torch.cat([rows, copies])
    rows[:, 2:4] = rows[:, 2:4].clamp(min=1)
    scores = torch.rand(800, generator=torch.Generator().manual_seed(2)).double()
    polygons = shapely.polygons([rotated_corners(row) for row in rows.tolist()])
    shared = shapely.area(shapely.intersection(polygons[:, None], polygons[None, :]))
    area = shapely.area(polygons)
    iou = shared / (area[:, None] + area[None, :] - shared)
    assert rotated_nms(rows, scores, threshold).tolist() == greedy(iou, scores, threshold)


@given(count=counts, seed=seeds, threshold=thresholds)
def test_rotated_nms_compares_the_iou_of_the_matrix(count, seed, threshold):
    """In single precision too, kept boxes are those that the matrix of float32 IoUs keeps."""
    rows, scores, _ = random_problem(count, seed)
    rows, scores = rows.float(), scores.nan_to_num(nan=-1).float()
    iou = pairwise_rotated_iou(rows, rows).double().numpy()
    assert rotated_nms(rows, scores, threshold).tolist() == greedy(iou, scores, threshold)


@given(count=counts, seed=seeds, threshold=thresholds)
def test_rotated_nms_of_upright_boxes_is_nms(count, seed, threshold):
    """At angle 0 the kept boxes are those of axis-aligned suppression."""
    rows, scores, _ = random_problem(count, seed)
    rows = (rows * 4).round() / 4  # sums and products are exact
    rows[:, 2:4] = rows[:, 2:4].clamp(min=0)
    rows[:, 4] = 0
    half = rows[:, 2:4] / 2
    xyxy = torch.cat([rows[:, :2] - half, rows[:, :2] + half], dim=1)
    assert torch.equal(rotated_nms(rows, scores, threshold), nms(xyxy, scores, threshold))


@given(count=counts, seed=seeds, threshold=thresholds)
def test_groups_of_rotated_boxes_do_not_know_of_each_other(count, seed, threshold):
    """Each group is suppressed as if it were alone, whatever its number."""
    rows, scores, groups = random_problem(count, seed)
    kept = batched_rotated_nms(rows, scores, groups, threshold)
    for group in groups.unique():
        members = torch.nonzero(groups == group)[:, 0]
        alone = members[rotated_nms(rows[members], scores[members], threshold)]
        assert torch.equal(kept[groups[kept] == group], alone)
    renamed = torch.tensor([2**62, -(2**62), 7])[groups % 3]
    assert torch.equal(kept, batched_rotated_nms(rows, scores, renamed, threshold))


@given(count=counts, seed=seeds, threshold=thresholds)
def test_suppressing_rotated_boxes_twice_changes_nothing(count, seed, threshold):
    """What was kept is kept again."""
    rows, scores, _ = random_problem(count, seed)
    kept = rotated_nms(rows, scores, threshold)
    again = rotated_nms(rows[kept], scores[kept], threshold)
    assert torch.equal(again, torch.arange(len(kept)))


def test_an_overlap_equal_to_the_threshold_is_kept():
    """Only more than the threshold suppresses."""
    rows = torch.tensor([[2.0, 2, 4, 4, 90], [2, 1, 4, 2, 0]])  # IoU 0.5
    scores = torch.tensor([0.9, 0.8])
    assert rotated_nms(rows, scores, 0.5).tolist() == [0, 1]
    assert rotated_nms(rows, scores, 0.4999).tolist() == [0]


def test_equal_scores_are_visited_by_index():
    """The first of equal boxes with equal scores stays."""
    rows = torch.tensor([[1.0, 2, 4, 3, 30]]).repeat(300, 1)
    assert rotated_nms(rows, torch.ones(300), 0.5).tolist() == [0]


def test_nan_scores_come_last_and_nan_boxes_stay():
    """NaN neither wins a comparison nor suppresses anything."""
    rows = torch.tensor([[0.0, 0, 4, 4, 10], [0, 0, 4, 4, 10], [NAN, 0, 4, 4, 10]])
    assert rotated_nms(rows, torch.tensor([NAN, 0.1, 0.5]), 0.5).tolist() == [2, 1]


def test_huge_and_tiny_rotated_boxes_are_suppressed_by_their_copies():
    """Early rejection in single precision loses no pair at the ends of the range."""
    for size in (1e-30, 1e-20, 1e-10, 1e10, 1e20, 1e30):
        rows = torch.tensor([[0.0, 0, size, size / 2, 30]]).repeat(2, 1)
        for threshold in (0.0, 0.5, 0.999):
            assert rotated_nms(rows, torch.ones(2), threshold).tolist() == [0]


def test_empty_tables_give_no_indices():
    """No boxes give [0] of int64."""
    none = torch.zeros(0, 5)
    for kept in (
        rotated_nms(none, torch.zeros(0), 0.5),
        batched_rotated_nms(none, torch.zeros(0), torch.zeros(0, dtype=torch.int64), 0.5),
    ):
        assert kept.shape == (0,)
        assert kept.dtype == torch.int64


def test_half_precision_is_compared_in_float32():
    """Half boxes and scores keep what their float32 values keep."""
    rows, scores, _ = random_problem(60, 0)
    half, half_scores = rows.half(), scores.bfloat16()
    expected = rotated_nms(half.float(), half_scores.float(), 0.5)
    assert torch.equal(rotated_nms(half, half_scores, 0.5), expected)


def test_wrong_arguments_are_named():
    """Each mistake is reported with the argument's name and what was expected."""
    rows, scores = torch.ones(3, 5), torch.ones(3)
    with pytest.raises(ShapeError, match=r"cxcywha: expected \[n, 5\], got \[3, 4\]"):
        rotated_nms(rows[:, :4], scores, 0.5)
    with pytest.raises(ShapeError, match=r"scores: expected \[3\], got \[2\]"):
        rotated_nms(rows, scores[:2], 0.5)
    for threshold in (-0.1, 1.1, NAN):
        with pytest.raises(InvalidValueError, match=r"iou_threshold: .*\[0, 1\]"):
            rotated_nms(rows, scores, threshold)
    with pytest.raises(DtypeError, match=r"groups: expected torch\.int64"):
        batched_rotated_nms(rows, scores, torch.zeros(3), 0.5)


def test_registration_passes_torchs_own_checks():
    """Schema, fake with its unknown count, and tracing agree with the kernel."""
    rows, scores, groups = random_problem(20, 0)
    torch.library.opcheck(torch.ops.geodet.rotated_nms, (rows, scores, None, 0.5))
    torch.library.opcheck(torch.ops.geodet.rotated_nms, (rows, scores, groups, 0.5))


@pytest.mark.cuda
def test_cuda_keeps_the_same_boxes(cuda):
    """CPU and device keep the same boxes in the same order."""
    for count in (0, 1, 64, 65, 1500):
        rows, scores, groups = random_problem(count, count, extent=120)
        rows = rows.float()
        on_device = batched_rotated_nms(rows.to(cuda), scores.to(cuda), groups.to(cuda), 0.5)
        assert torch.equal(on_device.cpu(), batched_rotated_nms(rows, scores, groups, 0.5))
        on_device = rotated_nms(rows.to(cuda), scores.to(cuda), 0.5)
        assert torch.equal(on_device.cpu(), rotated_nms(rows, scores, 0.5))
