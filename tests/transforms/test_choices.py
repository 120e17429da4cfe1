"""Random choice of transforms: sizes, odds, and nothing but the generator decides."""

import pickle

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geodet.errors import DtypeError, InvalidValueError
from geodet.structures import ImageSize
from geodet.transforms import (
    Compose,
    Contrast,
    FixedResize,
    HorizontalFlip,
    Identity,
    RandomBrightness,
    RandomContrast,
    RandomHorizontalFlip,
    RandomSaturation,
    RandomVerticalFlip,
    Resize,
    ResizeShortestEdge,
    Sequence_,
    TransformChoice,
    VerticalFlip,
    shortest_edge_size,
)

seeds = st.integers(0, 2**32)
sizes = st.builds(ImageSize, st.integers(1, 4000), st.integers(1, 4000))

CHOICES = (
    ResizeShortestEdge((8, 16), 20),
    FixedResize(ImageSize(5, 7)),
    RandomHorizontalFlip(0.5),
    RandomVerticalFlip(0.5),
    RandomBrightness(0.5, 1.5),
    RandomContrast(0.5, 1.5),
    RandomSaturation(0.5, 1.5),
    Sequence_((RandomHorizontalFlip(0.5), ResizeShortestEdge((8, 16), 20), RandomContrast(0, 2))),
)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        # Worked by hand from the rule: short side 800, long side at most 1333, halves round up.
        ((480, 640), (800, 1067)),  # 640 * 800 / 480 = 1066.67
        ((640, 480), (1067, 800)),
        ((426, 640), (800, 1202)),  # 1201.88
        ((333, 500), (800, 1201)),  # 1201.20
        ((500, 500), (800, 800)),
        ((300, 640), (625, 1333)),  # 1706.67 is too long: 800 * 1333 / 1706.67 = 624.84
        ((640, 300), (1333, 625)),
        ((1, 4000), (1, 1333)),  # 0.33 rounds to 0; a picture has at least one row
    ],
)
def test_sizes_for_testing_are_those_of_detectron2(size, expected):
    """Short side 800 and long side at most 1333 give the published sizes."""
    assert shortest_edge_size(ImageSize(*size), 800, 1333).as_tuple() == expected


@given(sizes, st.integers(1, 1500), st.integers(1, 1500))
@example(ImageSize(480, 640), 800, 1333)
def test_shortest_edge_sizes_agree_with_exact_fractions(size, short_edge, max_long_edge):
    """Both sides are the exact scaled sides, rounded to one of the two nearest pixels."""
    from fractions import Fraction

    found = shortest_edge_size(size, short_edge, max_long_edge)
    factor = min(Fraction(short_edge, min(size)), Fraction(max_long_edge, max(size)))
    for exact, side in zip((factor * old for old in size), found, strict=True):
        # A float may stand a hair below an exact half.
        assert abs(side - exact) <= Fraction(1, 2) + Fraction(1, 10**9) or (side == 1 > exact)
    assert max(found) <= max(max_long_edge, 1)
    assert min(found) <= short_edge


@given(sizes, st.integers(1, 1500))
def test_without_a_limit_the_short_side_is_exact(size, short_edge):
    """Without a longest side, the shorter side is the wanted one to the pixel."""
    assert min(shortest_edge_size(size, short_edge, None)) == short_edge


@given(st.sampled_from(CHOICES), sizes, seeds)
def test_choices_depend_on_size_and_generator_alone(choice, size, seed):
    """The same state of the generator gives the same transform, in a pickled copy too."""
    copy = pickle.loads(pickle.dumps(choice))  # noqa: S301 - our own bytes
    assert isinstance(choice, TransformChoice)
    first = choice.choose(size, np.random.default_rng(seed))
    assert first == copy.choose(size, np.random.default_rng(seed))
    assert first.source == size


@given(sizes, seeds)
def test_a_sequence_makes_choices_in_turn(size, seed):
    """A sequence chooses as its members would one after the other, each for the size it gets."""
    sequence = CHOICES[-1]
    rng = np.random.default_rng(seed)
    expected, current = [], size
    for choice in sequence.choices:
        expected.append(choice.choose(current, rng))
        current = expected[-1].target
    assert sequence.choose(size, np.random.default_rng(seed)) == Compose(tuple(expected))
    assert Sequence_(()).choose(size, rng) == Identity(size)


@pytest.mark.parametrize(
    ("choice", "flip"), [(RandomHorizontalFlip, HorizontalFlip), (RandomVerticalFlip, VerticalFlip)]
)
def test_flips_come_with_their_probability(choice, flip):
    """Never at 0, always at 1, and three in ten at 0.3."""
    rng, size = np.random.default_rng(1), ImageSize(4, 6)
    found = {
        probability: sum(choice(probability).choose(size, rng) == flip(size) for _ in range(2000))
        for probability in (0.0, 0.3, 1.0)
    }
    assert found[0.0] == 0
    assert found[1.0] == 2000
    assert abs(found[0.3] - 600) < 5 * (2000 * 0.3 * 0.7) ** 0.5


def test_edges_and_factors_cover_their_range():
    """All lengths are chosen about equally often, factors reach from low to high."""
    rng, size = np.random.default_rng(2), ImageSize(10, 10)
    resize = ResizeShortestEdge((10, 20, 30))
    heights = [resize.choose(size, rng).target.height for _ in range(900)]
    assert all(abs(heights.count(edge) - 300) < 5 * 200**0.5 for edge in (10, 20, 30))
    changes = [RandomContrast(0.5, 1.5).choose(size, rng) for _ in range(500)]
    assert all(isinstance(change, Contrast) for change in changes)
    found = [change.factor for change in changes]
    assert 0.5 <= min(found) < 0.53
    assert 1.47 < max(found) <= 1.5


def test_a_fixed_resize_ignores_proportions():
    """Every picture gets the one size."""
    choice = FixedResize(ImageSize(5, 7))
    size = ImageSize(100, 3)
    assert choice.choose(size, np.random.default_rng(0)) == Resize(size, ImageSize(5, 7))


def test_bad_settings_are_refused():
    """Errors come when a choice is made up, and name what is wrong."""
    with pytest.raises(InvalidValueError, match="short_edges"):
        ResizeShortestEdge(())
    with pytest.raises(InvalidValueError, match="at least 1 pixel, got 0"):
        ResizeShortestEdge((800, 0), 1333)
    with pytest.raises(InvalidValueError, match="at least 1 pixel, got -1"):
        ResizeShortestEdge((800,), -1)
    with pytest.raises(DtypeError, match=r"write \(800,\)"):
        ResizeShortestEdge(800, 1333)
    with pytest.raises(InvalidValueError, match="probability"):
        RandomHorizontalFlip(1.5)
    with pytest.raises(InvalidValueError, match=r"low 2.0, high 1.0"):
        RandomBrightness(2.0, 1.0)
