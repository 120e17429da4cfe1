"""Sampling of labels: counts, membership, repeatability."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet.errors import CompositionError
from geodet.models import BalancedSampler, subsample_labels


@given(
    labels=st.lists(st.integers(-1, 3), max_size=60),
    count=st.integers(1, 40),
    fraction=st.sampled_from([0.25, 0.5, 1.0]),
    background=st.sampled_from([0, 3]),
    seed=st.integers(0, 2**31),
)
def test_counts_and_membership(labels, count, fraction, background, seed):
    """As many positives as allowed, the rest negatives, none twice, none of the wrong kind."""
    tensor = torch.tensor(labels, dtype=torch.int64)
    generator = torch.Generator().manual_seed(seed)
    positive, negative = subsample_labels(
        tensor, count, fraction, background=background, generator=generator
    )
    num_positive = sum(label not in (-1, background) for label in labels)
    num_negative = labels.count(background)
    assert len(positive) == min(num_positive, int(count * fraction))
    assert len(negative) == min(num_negative, count - len(positive))
    assert all(labels[i] not in (-1, background) for i in positive)
    assert all(labels[i] == background for i in negative)
    assert len(set(positive.tolist())) == len(positive)
    assert len(set(negative.tolist())) == len(negative)


def test_same_seed_same_draw_and_every_candidate_has_a_chance():
    """The generator alone decides; over many draws each index comes up about as often."""
    labels = torch.zeros(20, dtype=torch.int8)
    draws = [
        subsample_labels(labels, 5, 0.5, generator=torch.Generator().manual_seed(seed))[1]
        for seed in range(400)
    ]
    again = subsample_labels(labels, 5, 0.5, generator=torch.Generator().manual_seed(7))[1]
    assert torch.equal(again, draws[7])
    frequency = torch.bincount(torch.cat(draws), minlength=20)
    assert frequency.min() > 60  # expected 100, standard deviation 9
    assert frequency.max() < 140


def test_global_seed_decides_without_a_generator():
    """torch.manual_seed makes a whole training step repeatable."""
    labels = torch.zeros(100)
    torch.manual_seed(3)
    first = BalancedSampler(10, 0.5)(labels)[1]
    torch.manual_seed(3)
    assert torch.equal(BalancedSampler(10, 0.5)(labels)[1], first)


@pytest.mark.parametrize(("count", "fraction"), [(0, 0.5), (5, 0.0), (5, 1.5)])
def test_impossible_numbers_fail_at_construction(count, fraction):
    """Counts start at 1, fractions lie in (0, 1]."""
    with pytest.raises(CompositionError, match="BalancedSampler"):
        BalancedSampler(count, fraction)
