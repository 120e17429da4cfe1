"""Ranking: exactly the head of a stable sort."""

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from geodet.models.ranking import best_first


def _by_sorting(scores, count):
    ranked = torch.where(scores.isnan(), -torch.inf, scores)
    return ranked.argsort(dim=1, descending=True, stable=True)[:, :count]


@given(
    row=st.lists(
        st.one_of(
            st.sampled_from([0.0, -0.0, 1.0, -1.0, torch.inf, -torch.inf, torch.nan]),
            st.floats(width=32),
        ),
        max_size=25,
    ),
    count=st.integers(1, 30),
)
@example(row=[1e-45, 0.0, -1e-45, -0.0], count=4)
def test_the_best_are_the_head_of_a_stable_sort(row, count):
    """Ties, signed zeros, infinities, denormal numbers and NaN included."""
    scores = torch.tensor([row, row[::-1]], dtype=torch.float32)
    assert torch.equal(best_first(scores, count), _by_sorting(scores, count))


def test_no_rows_have_no_best():
    """An empty batch stays one."""
    assert best_first(torch.zeros(0, 7), 3).shape == (0, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("values", [3, 1_000, 10**9])
def test_many_scores_with_few_and_many_ties(dtype, values):
    """As many scores as a pyramid level has, where top-k alone breaks ties as it likes."""
    generator = torch.Generator().manual_seed(values)
    scores = torch.randint(-values, values, (2, 50_000), generator=generator).to(dtype)
    scores = scores / values
    assert torch.equal(best_first(scores, 1000), _by_sorting(scores, 1000))


@pytest.mark.cuda
def test_the_gpu_ranks_like_the_cpu(cuda):
    """The same indices, ties included."""
    scores = torch.randint(-50, 50, (3, 20_000)).float()
    assert torch.equal(best_first(scores.to(cuda), 700).cpu(), best_first(scores, 700))
