"""Order, shares and batches of an epoch: functions of (seed, epoch), nothing lost."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodet.data.samplers import AspectRatioBatches, EpochSampler, FixedBatches
from geodet.errors import InvalidValueError
from geodet.structures import ImageSize

WIDE, HIGH = ImageSize(3, 4), ImageSize(4, 3)
lengths = st.integers(1, 40)
worlds = st.integers(1, 5)
epochs = st.integers(0, 3)


def shares(length, world, **options):
    """The samplers of all ranks."""
    return [
        EpochSampler(length=length, rank=rank, world_size=world, **options) for rank in range(world)
    ]


@given(lengths, worlds, epochs)
def test_order_is_a_permutation_that_ignores_ranks(length, world, epoch):
    """All ranks know one order of the epoch, which holds every sample once."""
    orders = {tuple(s.order(epoch).tolist()) for s in shares(length, world, seed=7)}

    assert orders == {tuple(EpochSampler(length=length, seed=7).order(epoch).tolist())}
    assert sorted(orders.pop()) == list(range(length))


def test_orders_of_epochs_and_seeds_differ():
    """Neither the epoch nor the seed is without effect, and they are not interchangeable."""
    orders = {
        tuple(EpochSampler(length=50, seed=seed).order(epoch).tolist())
        for seed in range(4)
        for epoch in range(4)
    }

    assert len(orders) == 16


def test_without_shuffling_samples_come_in_file_order():
    """shuffle=False gives 0, 1, 2, ... in every epoch."""
    sampler = EpochSampler(length=4, shuffle=False)

    assert sampler.order(0).tolist() == sampler.order(3).tolist() == [0, 1, 2, 3]


@given(lengths, worlds, epochs)
def test_unpadded_shares_are_disjoint_and_complete(length, world, epoch):
    """Without padding every sample is on exactly one rank."""
    seen = Counter(i for s in shares(length, world, pad=False) for i in s.indices(epoch).tolist())

    assert seen == Counter(range(length))


@given(lengths, worlds, epochs)
def test_padded_shares_are_equal_and_repeat_the_beginning(length, world, epoch):
    """With padding all ranks have equally many; what comes twice is the order's beginning."""
    ranks = [s.indices(epoch).tolist() for s in shares(length, world)]
    order = EpochSampler(length=length).order(epoch).tolist()
    dealt = [ranks[i % world][i // world] for i in range(world * len(ranks[0]))]
    repeated = dealt[length:]

    assert len({len(share) for share in ranks}) == 1
    assert dealt[:length] == order
    assert len(repeated) < world
    assert repeated == (order * world)[: len(repeated)]


@given(lengths, worlds, st.integers(1, 6), epochs)
def test_global_batches_do_not_depend_on_the_number_of_ranks(length, world, per_rank, epoch):
    """A step over p ranks with b samples each uses the samples of one rank with p * b."""
    together = FixedBatches(EpochSampler(length=length), world * per_rank).batches(epoch)
    ranks = [FixedBatches(s, per_rank).batches(epoch) for s in shares(length, world)]

    assert len({len(batches) for batches in ranks}) == 1
    for step, whole in enumerate(together):
        assert Counter(whole) == Counter(i for batches in ranks for i in batches[step])


@given(
    st.lists(st.sampled_from([WIDE, HIGH]), min_size=1, max_size=40),
    worlds,
    st.integers(1, 6),
    epochs,
    st.booleans(),
)
def test_grouped_batches_cover_the_epoch(sizes, world, per_rank, epoch, pad):
    """Every image comes; padded batches are full and equally many, unpadded ones repeat nothing."""
    plans = [AspectRatioBatches(s, per_rank, sizes) for s in shares(len(sizes), world, pad=pad)]
    ranks = [plan.batches(epoch) for plan in plans]
    seen = Counter(i for batches in ranks for batch in batches for i in batch)

    assert [len(plan) for plan in plans] == [len(batches) for batches in ranks]
    assert set(seen) == set(range(len(sizes)))
    if pad:
        assert len({len(batches) for batches in ranks}) == 1
        assert all(len(batch) == per_rank for batches in ranks for batch in batches)
    else:
        assert max(seen.values()) == 1


@given(st.lists(st.sampled_from([WIDE, HIGH]), min_size=1, max_size=40), st.integers(1, 6), epochs)
def test_only_leftovers_mix_shapes(sizes, per_rank, epoch):
    """As many batches as can be are of one shape: mixed ones hold less than two batches."""
    plan = AspectRatioBatches(EpochSampler(length=len(sizes), pad=False), per_rank, sizes)
    batches = plan.batches(epoch)
    mixed = [batch for batch in batches if len({sizes[i] for i in batch}) > 1]

    assert sum(len(batch) for batch in mixed) <= 2 * (per_rank - 1)
    assert batches == plan.batches(epoch)


@given(lengths, worlds, st.integers(1, 6), st.booleans())
def test_number_of_fixed_batches_is_known(length, world, per_rank, pad):
    """len() says how many batches an epoch has, in every epoch."""
    for sampler in shares(length, world, pad=pad):
        plan = FixedBatches(sampler, per_rank)
        assert len(plan) == len(plan.batches(0)) == len(plan.batches(1))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"length": 0}, "length"),
        ({"length": 3, "seed": -1}, "seed"),
        ({"length": 3, "rank": 2, "world_size": 2}, "rank"),
        ({"length": 3, "rank": -1}, "rank"),
    ],
)
def test_wrong_numbers_are_named(options, named):
    """A sampler that cannot work says which number is wrong."""
    with pytest.raises(InvalidValueError, match=named):
        EpochSampler(**options)


def test_wrong_batches_are_named():
    """Batch sizes start at 1, and every sample needs a size to be grouped by."""
    sampler = EpochSampler(length=3)
    with pytest.raises(InvalidValueError, match="batch_size"):
        FixedBatches(sampler, 0)
    with pytest.raises(InvalidValueError, match="batch_size"):
        AspectRatioBatches(sampler, 0, [WIDE] * 3)
    with pytest.raises(InvalidValueError, match="expected 3 sizes"):
        AspectRatioBatches(sampler, 1, [WIDE])
