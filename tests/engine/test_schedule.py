"""Schedules against torch's own schedulers, stepped one update at a time."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet.engine import (
    ConstantSchedule,
    CosineSchedule,
    MultiStepSchedule,
    PolySchedule,
    Warmup,
)
from geodet.errors import InvalidValueError


def rates(make_scheduler, steps):
    """Learning rates that a torch scheduler gives, base 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make_scheduler(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@given(st.sets(st.integers(1, 30), max_size=4), st.sampled_from([0.1, 0.5]))
def test_multi_step_agrees_with_torch(milestones, gamma):
    """The rate drops at the same updates, by the same factor."""
    milestones = sorted(milestones)
    schedule = MultiStepSchedule(milestones=tuple(milestones), gamma=gamma)
    expected = rates(lambda made: torch.optim.lr_scheduler.MultiStepLR(made, milestones, gamma), 35)
    assert [schedule.factor(step) for step in range(35)] == pytest.approx(expected, rel=1e-12)


@given(st.integers(2, 40), st.sampled_from([0.0, 0.1]))
def test_cosine_agrees_with_torch(steps, final):
    """The rate follows torch's closed form; its recursion differs by rounding only."""
    schedule = CosineSchedule(steps=steps, final=final)
    expected = rates(
        lambda made: torch.optim.lr_scheduler.CosineAnnealingLR(made, steps, eta_min=final), steps
    )
    assert [schedule.factor(step) for step in range(steps)] == pytest.approx(expected, abs=1e-9)


@given(st.integers(1, 20), st.floats(1e-3, 1.0))  # torch divides by the start, and refuses 0
def test_warmup_agrees_with_torch(steps, start):
    """The rise is linear from `start` at the first update to 1 at update `steps`."""
    schedule = ConstantSchedule(warmup=Warmup(steps=steps, start=start))
    expected = rates(
        lambda made: torch.optim.lr_scheduler.LinearLR(made, start, total_iters=steps), steps + 5
    )
    assert [schedule.factor(step) for step in range(steps + 5)] == pytest.approx(expected, rel=1e-6)


def test_warmup_multiplies_the_schedule():
    """A drop inside the warm-up counts too."""
    schedule = MultiStepSchedule(milestones=(2,), warmup=Warmup(steps=4, start=0.0))
    assert [schedule.factor(step) for step in range(5)] == pytest.approx(
        [0, 0.25, 0.05, 0.075, 0.1]
    )


@pytest.mark.parametrize("power", [0.9, 1.0, 2.0])
def test_poly_is_torchs(power):
    """A power of the share of updates that is left, and 0 after the last."""
    schedule = PolySchedule(steps=20, power=power)
    expected = rates(
        lambda made: torch.optim.lr_scheduler.PolynomialLR(made, total_iters=20, power=power), 25
    )
    assert [schedule.factor(step) for step in range(25)] == pytest.approx(expected, rel=1e-6)


def test_poly_ends_where_it_is_told_to():
    """The least factor holds after the warm-up, not within it."""
    schedule = PolySchedule(steps=10, power=1.0, final=0.3, warmup=Warmup(steps=2, start=0.0))
    assert [schedule.factor(step) for step in (0, 1, 2, 7, 8, 10, 99)] == pytest.approx(
        [0, 0.45, 0.8, 0.3, 0.3, 0.3, 0.3]
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: MultiStepSchedule(milestones=(5, 3)),
        lambda: MultiStepSchedule(milestones=(3, 3)),
        lambda: Warmup(steps=-1),
        lambda: Warmup(start=1.5),
        lambda: CosineSchedule(steps=0),
        lambda: PolySchedule(steps=0),
        lambda: PolySchedule(steps=5, power=0.0),
    ],
)
def test_impossible_schedules_are_refused(make):
    """Numbers that mean no schedule are errors at construction."""
    with pytest.raises(InvalidValueError, match="expected"):
        make()
