"""Weighted box fusion: its specification, the numbers of ensemble-boxes, laws, odd inputs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.ops import weighted_box_fusion
from geodet.ops.box_fusion import _CONFIDENCES, _step_by_step
from geodet.ops.reference.box_fusion import weighted_box_fusion_reference

NAN = float("nan")
INF = float("inf")

Problem = tuple[Tensor, Tensor, Tensor, Tensor]

counts = st.integers(0, 30)
seeds = st.integers(0, 10**6)
confidences = st.sampled_from(_CONFIDENCES)


def random_problem(count: int, seed: int, models: int = 3) -> Problem:
    """Boxes in clusters, some without area, some broken; scores, labels and models."""
    generator = torch.Generator().manual_seed(seed)
    objects = torch.rand(5, 4, generator=generator).double() * 20
    chosen = torch.randint(5, (count,), generator=generator)
    jitter = torch.randn(count, 4, generator=generator).double() * 0.5
    first, sides = (objects[chosen] + jitter).split(2, dim=1)
    boxes = torch.cat([first, first + sides], dim=1)
    boxes[torch.rand(count, generator=generator) < 0.04, 2] = NAN
    boxes[torch.rand(count, generator=generator) < 0.04, 0] = -INF
    scores = torch.rand(count, generator=generator).double()
    scores[torch.rand(count, generator=generator) < 0.1] = 0.5
    scores[torch.rand(count, generator=generator) < 0.04] = NAN
    scores[torch.rand(count, generator=generator) < 0.04] = 0.0
    labels = chosen % 3 - 1
    return boxes, scores, labels, torch.randint(models, (count,), generator=generator)


@given(count=counts, seed=seeds, confidence=confidences, min_score=st.sampled_from([0.0, 0.5]))
def test_fusion_equals_its_specification(count, seed, confidence, min_score):
    """Fused boxes, scores, labels and their order are those of the slow definition."""
    problem = random_problem(count, seed)
    options = {"weights": [1.0, 0.5, 2.0], "iou_threshold": 0.55, "min_score": min_score}
    boxes, scores, labels = weighted_box_fusion(*problem, confidence=confidence, **options)
    entries = list(zip(*(column.tolist() for column in problem), strict=True))
    expected = weighted_box_fusion_reference(entries, confidence=confidence, **options)
    assert labels.tolist() == [label for _, _, label in expected]
    # sums of up to 30 numbers, in the same order
    wanted = torch.tensor([box for box, _, _ in expected], dtype=torch.float64).reshape(-1, 4)
    torch.testing.assert_close(boxes, wanted, rtol=1e-13, atol=0)
    wanted = torch.tensor([score for _, score, _ in expected], dtype=torch.float64)
    torch.testing.assert_close(scores, wanted, rtol=1e-13, atol=0)


@given(count=counts, seed=seeds, confidence=confidences)
def test_steps_in_torch_equal_the_compiled_core(count, seed, confidence):
    """What CUDA tensors go through gives the same bits."""
    problem = random_problem(count, seed)
    ours = weighted_box_fusion(*problem, weights=[1, 0.5, 2], confidence=confidence)
    steps = _step_by_step(*problem, [1.0, 0.5, 2.0], 0.55, 0.0, _CONFIDENCES.index(confidence))
    for a, b in zip(ours, steps, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("confidence", "scores"),
    [
        ("capped", [0.535714, 0.307143, 0.185714, 0.114286, 0.085714]),
        ("counted", [0.535714, 0.307143, 0.185714, 0.114286, 0.085714]),
        ("maximum", [0.45, 0.4, 0.325, 0.2, 0.15]),
    ],
)
def test_boxes_and_scores_are_those_of_ensemble_boxes(confidence, scores):
    """Eight boxes of three models become what ensemble-boxes 1.0.9 makes of them."""
    boxes = torch.tensor(
        [
            [0.1, 0.1, 0.5, 0.5],
            [0.12, 0.1, 0.52, 0.48],
            [0.3, 0.3, 0.8, 0.9],
            [0.32, 0.28, 0.78, 0.92],
            [0.6, 0.1, 0.9, 0.4],
            [0.11, 0.13, 0.49, 0.55],
            [0.58, 0.12, 0.93, 0.38],
            [0.7, 0.7, 0.95, 0.95],
        ],
        dtype=torch.float64,
    )
    given_scores = torch.tensor([0.9, 0.75, 0.8, 0.55, 0.65, 0.3, 0.6, 0.2], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])
    models = torch.tensor([0, 1, 0, 1, 0, 2, 1, 2])
    fused, fused_scores, fused_labels = weighted_box_fusion(
        boxes, given_scores, labels, models, weights=[1, 0.5, 2], confidence=confidence
    )
    expected = torch.tensor(
        [
            [0.1072, 0.1096, 0.5008, 0.512],
            [0.305116, 0.294884, 0.794884, 0.905116],
            [0.6, 0.1, 0.9, 0.4],
            [0.7, 0.7, 0.95, 0.95],
            [0.58, 0.12, 0.93, 0.38],
        ],
        dtype=torch.float64,
    )
    # the expected numbers are rounded to six digits
    torch.testing.assert_close(fused, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        fused_scores, torch.tensor(scores, dtype=torch.float64), rtol=0, atol=1e-6
    )
    assert fused_labels.tolist() == [0, 1, 0, 1, 1]


@given(count=counts, seed=seeds)
def test_a_model_that_agrees_with_itself_changes_no_box(count, seed):
    """Giving every box twice, from two equal models, gives the boxes and scores of one."""
    boxes, scores, labels, _ = random_problem(count, seed, models=1)
    # Distinct scores: between equal ones the order of the copies is not that of the originals.
    scores = (torch.randperm(count, generator=torch.Generator().manual_seed(seed)) + 1.0).double()
    models = torch.zeros(count, dtype=torch.int64)
    once = weighted_box_fusion(boxes, scores, labels, models, weights=[1], confidence="counted")
    twice = weighted_box_fusion(
        *(torch.cat([column, column]) for column in (boxes, scores, labels)),
        torch.cat([models, models + 1]),
        weights=[1, 1],
        confidence="counted",
    )
    # A copy joins its original, except where a third box that overlaps it more came between: the
    # copy follows its original at once, so none does.
    for a, b in zip(once, twice, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@given(count=counts, seed=seeds)
def test_fused_boxes_lie_inside_the_hull_of_their_label(count, seed):
    """A weighted mean never leaves what it is a mean of, and no label is invented."""
    boxes, scores, labels, models = random_problem(count, seed)
    fused, _, fused_labels = weighted_box_fusion(boxes, scores, labels, models, weights=[1, 1, 1])
    sound = boxes.isfinite().all(dim=1) & (scores > 0)
    for box, label in zip(fused, fused_labels, strict=True):
        own = boxes[sound & (labels == label)]
        assert (box >= own.amin(dim=0) - 1e-9).all()
        assert (box <= own.amax(dim=0) + 1e-9).all()


def test_boxes_far_apart_come_back_as_they_were():
    """Without an overlap nothing is fused: boxes to the last bit, scores shared among models."""
    boxes = torch.tensor([[0.1, 0.2, 1.3, 1.7], [5.1, 5.2, 6.3, 6.9]])
    scores = torch.tensor([0.25, 0.75])
    labels, models = torch.tensor([3, 3]), torch.tensor([0, 1])
    fused, fused_scores, fused_labels = weighted_box_fusion(
        boxes, scores, labels, models, weights=[1, 1]
    )
    assert torch.equal(fused, boxes[[1, 0]])
    assert fused_scores.tolist() == [0.375, 0.125]
    assert fused_labels.tolist() == [3, 3]


def test_empty_tables_give_nothing():
    """No boxes, or none that takes part, give [0, 4], [0] and [0]."""
    none = torch.zeros(0, dtype=torch.int64)
    for boxes in (torch.zeros(0, 4), torch.tensor([[1.0, 1, 1, 3]])):
        index = torch.zeros(len(boxes), dtype=torch.int64)
        fused, scores, labels = weighted_box_fusion(
            boxes, torch.ones(len(boxes)), index, index, weights=[1]
        )
        assert fused.shape == (0, 4)
        assert scores.shape == (0,)
        assert torch.equal(labels, none)


def test_wrong_arguments_are_named():
    """Each mistake is reported with the argument's name and what was expected."""
    boxes, scores, labels, models = random_problem(4, 0)
    with pytest.raises(ShapeError, match=r"labels: expected \[4\]"):
        weighted_box_fusion(boxes, scores, labels[:3], models, weights=[1, 1, 1])
    with pytest.raises(DtypeError, match=r"models: expected torch\.int64"):
        weighted_box_fusion(boxes, scores, labels, models.float(), weights=[1, 1, 1])
    with pytest.raises(InvalidValueError, match=r"models: expected indices in \[0, 1\)"):
        weighted_box_fusion(boxes, scores, labels, models + 1, weights=[1])
    for weights in ([], [1, 0, 1], [1, NAN, 1]):
        with pytest.raises(InvalidValueError, match="weights: expected a positive number"):
            weighted_box_fusion(boxes, scores, labels, models, weights=weights)
    for name, value in {"iou_threshold": 2.0, "min_score": NAN, "confidence": "best"}.items():
        with pytest.raises(InvalidValueError, match=f"{name}: expected"):
            weighted_box_fusion(boxes, scores, labels, models, weights=[1] * 3, **{name: value})


def test_registration_passes_torchs_own_checks():
    """Schema, fake with its unknown count, and tracing agree with the kernel."""
    problem = random_problem(12, 0)
    arguments = (*problem, [1.0, 1.0, 1.0], 0.55, 0.0, 0)
    torch.library.opcheck(torch.ops.geodet.weighted_box_fusion, arguments)


@pytest.mark.cuda
def test_cuda_fuses_the_same_boxes(cuda):
    """CPU and device give the same boxes, scores and labels."""
    problem = random_problem(80, 0)
    ours = weighted_box_fusion(*problem, weights=[1, 0.5, 2])
    theirs = weighted_box_fusion(*(x.to(cuda) for x in problem), weights=[1, 0.5, 2])
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(b.cpu(), a, rtol=1e-13, atol=0)
