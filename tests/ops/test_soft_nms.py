"""Soft suppression: its specification, the numbers of ensemble-boxes, laws, odd inputs."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.ops import batched_soft_nms, nms, soft_nms
from geodet.ops._backend import cpu as core
from geodet.ops.reference.soft_nms import soft_nms_reference
from geodet.ops.soft_nms import _step_by_step

NAN = float("nan")

counts = st.integers(0, 40)
seeds = st.integers(0, 10**6)
methods = st.sampled_from(["linear", "gaussian"])
min_scores = st.sampled_from([0.0, 0.001, 0.2])


def random_problem(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes that often overlap, scores with ties and a NaN now and then, group numbers."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.rand(count, 2, generator=generator).double() * 30
    sides = torch.rand(count, 2, generator=generator).double() * 20
    scores = (torch.rand(count, generator=generator).double() * 20).round() / 20
    scores[torch.rand(count, generator=generator) < 0.05] = NAN
    groups = torch.randint(-1, 2, (count,), generator=generator)
    return torch.cat([first, first + sides], dim=1), scores, groups


@given(count=counts, seed=seeds, method=methods, min_score=min_scores, grouped=st.booleans())
def test_soft_nms_equals_its_specification(count, seed, method, min_score, grouped):
    """Kept boxes, order and scores are those of the slow definition."""
    boxes, scores, groups = random_problem(count, seed)
    options = {"iou_threshold": 0.3, "sigma": 0.5, "min_score": min_score}
    if grouped:
        kept, decayed = batched_soft_nms(boxes, scores, groups, method=method, **options)
    else:
        kept, decayed = soft_nms(boxes, scores, method=method, **options)
    expected = soft_nms_reference(
        boxes.tolist(),
        scores.tolist(),
        groups.tolist() if grouped else [0] * count,
        gaussian=method == "gaussian",
        **options,
    )
    assert kept.tolist() == [index for index, _ in expected]
    # products of up to 40 factors, in the same order; exp differs by an ulp or two
    torch.testing.assert_close(
        decayed,
        torch.tensor([score for _, score in expected], dtype=torch.float64),
        rtol=1e-12,
        atol=0,
    )


@given(count=counts, seed=seeds, method=methods, min_score=min_scores)
def test_steps_in_torch_equal_the_compiled_core(count, seed, method, min_score):
    """What CUDA tensors go through gives the same boxes and scores."""
    boxes, scores, groups = random_problem(count, seed)
    settings = (0.3, 0.5, min_score, method == "gaussian")
    kept, decayed = _step_by_step(boxes, scores, groups, *settings)
    arrays = boxes.numpy(), scores.numpy(), groups.numpy()
    expected_kept, expected_decayed = map(torch.from_numpy, core.soft_nms(*arrays, *settings))
    assert torch.equal(kept, expected_kept)
    torch.testing.assert_close(decayed, expected_decayed, rtol=1e-12, atol=0)


# Computed with ensemble-boxes 1.0.9, threshold 0.3, sigma 0.5, minimum 0.001.
GOLDEN_BOXES = [
    [0.1, 0.1, 0.5, 0.5],
    [0.12, 0.1, 0.52, 0.48],
    [0.3, 0.3, 0.8, 0.9],
    [0.32, 0.28, 0.78, 0.92],
    [0.6, 0.1, 0.9, 0.4],
    [0.11, 0.13, 0.49, 0.55],
    [0.58, 0.12, 0.93, 0.38],
    [0.7, 0.7, 0.95, 0.95],
]
GOLDEN_SCORES = [0.9, 0.75, 0.8, 0.55, 0.65, 0.3, 0.6, 0.2]
GOLDEN = {
    "linear": [0.9, 0.8, 0.65, 0.2, 0.14563107, 0.10381862, 0.07324121, 0.01858982],
    "gaussian": [
        *(0.9, 0.78561837, 0.64621268, 0.19864069),
        *(0.18971741, 0.16683557, 0.11570569, 0.03015973),
    ],
}


@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_scores_are_those_of_ensemble_boxes(method):
    """Eight boxes score what another implementation gave them."""
    boxes = torch.tensor(GOLDEN_BOXES, dtype=torch.float64)
    scores = torch.tensor(GOLDEN_SCORES, dtype=torch.float64)
    _, decayed = soft_nms(boxes, scores, method=method, iou_threshold=0.3, sigma=0.5)
    torch.testing.assert_close(
        decayed, torch.tensor(GOLDEN[method], dtype=torch.float64), rtol=0, atol=6e-9
    )


@given(count=counts, seed=seeds, method=methods)
def test_scores_only_fall_and_the_best_keeps_its_own(count, seed, method):
    """No new score exceeds the old one, scores descend, and every group's best is untouched."""
    boxes, scores, groups = random_problem(count, seed)
    kept, decayed = batched_soft_nms(boxes, scores, groups, method=method)
    assert (decayed <= scores[kept]).all()
    assert (decayed > 0.001).all()
    assert (decayed[1:] <= decayed[:-1]).all()
    for group in groups.unique():
        best = torch.where(groups == group, scores, -1).nan_to_num(nan=-1).max()
        if best > 0.001:
            assert decayed[groups[kept] == group][0] == best


@given(count=counts, seed=seeds, method=methods)
def test_groups_do_not_know_of_each_other(count, seed, method):
    """Each group is suppressed as if it were alone."""
    boxes, scores, groups = random_problem(count, seed)
    kept, decayed = batched_soft_nms(boxes, scores, groups, method=method)
    for group in groups.unique():
        members = torch.nonzero(groups == group)[:, 0]
        alone, alone_decayed = soft_nms(boxes[members], scores[members], method=method)
        own = groups[kept] == group
        assert torch.equal(kept[own], members[alone])
        assert torch.equal(decayed[own], alone_decayed)


@given(count=counts, seed=seeds)
def test_a_tiny_sigma_is_hard_suppression_at_zero(count, seed):
    """When every overlap costs the whole score, what is left is what nms keeps at threshold 0."""
    boxes, scores, _ = random_problem(count, seed)
    scores = scores.nan_to_num(nan=0.5) + 0.01
    kept, _ = soft_nms(boxes, scores, method="gaussian", sigma=1e-40)
    # An overlap below 1e-19 would survive this sigma; random boxes have none.
    assert torch.equal(kept, nms(boxes, scores, 0.0))


def test_many_boxes_equal_the_steps_in_torch():
    """Several blocks of candidates, in single precision."""
    generator = torch.Generator().manual_seed(1)
    first = torch.rand(400, 2, generator=generator) * 200
    boxes = torch.cat([first, first + 30 * torch.rand(400, 2, generator=generator) + 1], dim=1)
    scores = torch.rand(400, generator=generator)
    kept, decayed = soft_nms(boxes, scores)
    expected_kept, expected = _step_by_step(boxes, scores, None, 0.3, 0.5, 0.001, False)
    assert torch.equal(kept, expected_kept)
    torch.testing.assert_close(decayed, expected, rtol=1e-5, atol=0)


def test_nan_and_duplicate_boxes_are_safe():
    """A box of NaN lowers nobody's score; a copy of a kept box ends at 0 and is dropped."""
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4], [NAN, 0, 4, 4], [0, 0, math.inf, 1]])
    kept, decayed = soft_nms(boxes, torch.tensor([0.9, 0.8, 0.7, 0.6]))
    assert kept.tolist() == [0, 2, 3]
    assert decayed.tolist() == torch.tensor([0.9, 0.7, 0.6]).tolist()


def test_empty_tables_give_nothing():
    """No boxes give no indices and no scores."""
    kept, decayed = soft_nms(torch.zeros(0, 4), torch.zeros(0))
    assert (kept.shape, kept.dtype) == ((0,), torch.int64)
    assert (decayed.shape, decayed.dtype) == ((0,), torch.float32)


def test_half_precision_is_computed_in_float32():
    """Half boxes and scores keep what their float32 values keep, rounded once."""
    boxes, scores, _ = random_problem(30, 3)
    half, half_scores = boxes.half(), scores.bfloat16()
    kept, decayed = soft_nms(half, half_scores)
    wide_kept, wide = soft_nms(half.float(), half_scores.float())
    assert torch.equal(kept, wide_kept)
    assert torch.equal(decayed, wide.bfloat16())


def test_wrong_arguments_are_named():
    """Each mistake is reported with the argument's name and what was expected."""
    boxes, scores = torch.ones(3, 4), torch.ones(3)
    with pytest.raises(ShapeError, match=r"scores: expected \[3\], got \[2\]"):
        soft_nms(boxes, scores[:2])
    with pytest.raises(DtypeError, match="scores: expected a floating-point dtype"):
        soft_nms(boxes, scores.long())
    with pytest.raises(DtypeError, match=r"groups: expected torch\.int64"):
        batched_soft_nms(boxes, scores, torch.zeros(3))
    wrong = {"method": "hard", "iou_threshold": 1.5, "sigma": 0.0, "min_score": -1.0}
    for name, value in wrong.items():
        with pytest.raises(InvalidValueError, match=f"{name}: expected"):
            soft_nms(boxes, scores, **{name: value})


def test_registration_passes_torchs_own_checks():
    """Schema, fake with its unknown count, and tracing agree with the kernel."""
    boxes, scores, groups = random_problem(20, 0)
    for group in (None, groups):
        torch.library.opcheck(
            torch.ops.geodet.soft_nms, (boxes, scores, group, 0.3, 0.5, 0.01, True)
        )


@pytest.mark.cuda
@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_cuda_keeps_the_same_boxes(cuda, method):
    """CPU and device keep the same boxes with the same scores."""
    boxes, scores, groups = random_problem(150, 0)
    kept, decayed = batched_soft_nms(boxes, scores, groups, method=method)
    on_device = batched_soft_nms(boxes.to(cuda), scores.to(cuda), groups.to(cuda), method=method)
    assert torch.equal(on_device[0].cpu(), kept)
    torch.testing.assert_close(on_device[1].cpu(), decayed, rtol=1e-12, atol=0)
