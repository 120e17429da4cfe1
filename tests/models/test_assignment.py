"""Matcher: equal to torchvision's, and its own laws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection._utils import Matcher as TorchvisionMatcher

from geodet.errors import CompositionError
from geodet.models import Matcher


def _quality(seed, g, n):
    """Qualities on a coarse grid, so that ties and exact thresholds happen."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 21, (g, n), generator=generator) / 20
    values[:, : n // 2] *= torch.rand(1, generator=generator).round()
    # A target that nothing overlaps, which torchvision treats differently, has its own test.
    values[:, -1] = values[:, -1].clamp(min=0.05)
    return values


@given(
    seed=st.integers(0, 2**31),
    g=st.integers(1, 6),
    n=st.integers(1, 30),
    low=st.booleans(),
)
def test_matches_equal_torchvision(seed, g, n, low):
    """Same targets and labels for both thresholds and low-quality matches."""
    values = _quality(seed, g, n)
    targets, labels = Matcher((0.3, 0.7), (0, -1, 1), allow_low_quality=low)(values)
    peer = TorchvisionMatcher(0.7, 0.3, allow_low_quality_matches=low)(values)
    wanted = torch.where(peer >= 0, 1, torch.where(peer == -1, 0, -1))
    assert torch.equal(labels.long(), wanted)
    positive = labels == 1
    assert torch.equal(targets[positive], peer[positive])


def test_target_without_overlap_makes_nothing_positive():
    """Best quality 0 is no match; all candidates would tie for it otherwise."""
    values = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    _, labels = Matcher((0.3, 0.7), (0, -1, 1), allow_low_quality=True)(values)
    assert labels.tolist() == [0, 1, 0]


def test_equally_good_candidates_all_become_positive_and_keep_their_own_target():
    """Ties are kept; a low-quality candidate trains on the target that is best for it."""
    values = torch.tensor([[0.1, 0.2, 0.2], [0.9, 0.4, 0.0]])
    targets, labels = Matcher((0.3, 0.7), (0, -1, 1), allow_low_quality=True)(values)
    assert labels.tolist() == [1, 1, 1]
    assert targets.tolist() == [1, 1, 0]


def test_ties_between_targets_go_to_the_first():
    """Equal qualities break by index."""
    targets, _ = Matcher((0.5,), (0, 1))(torch.full((3, 4), 0.6))
    assert targets.tolist() == [0, 0, 0, 0]


def test_no_targets_and_no_candidates():
    """Everything is negative without targets; nothing without candidates."""
    matcher = Matcher((0.3, 0.7), (0, -1, 1), allow_low_quality=True)
    targets, labels = matcher(torch.zeros(0, 3))
    assert targets.tolist() == [0, 0, 0]
    assert labels.tolist() == [0, 0, 0]
    assert [part.shape for part in matcher(torch.zeros(2, 0))] == [(0,), (0,)]


@pytest.mark.parametrize(
    ("thresholds", "labels"),
    [((0.7, 0.3), (0, -1, 1)), ((0.5,), (0,)), ((0.5,), (0, 2)), ((0.0,), (0, 1))],
)
def test_impossible_rules_fail_at_construction(thresholds, labels):
    """Order, count and values are checked."""
    with pytest.raises(CompositionError, match="Matcher"):
        Matcher(thresholds, labels)
