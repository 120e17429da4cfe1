"""Which samples come in which order, in which batch, on which rank.

Everything here is a function of (seed, epoch): it needs no state, and any epoch can be asked for
at once. Shapes: n samples.
"""

from collections.abc import Sequence
from typing import Protocol

import attrs
import numpy as np
import numpy.typing as npt

from geodet.errors import InvalidValueError
from geodet.structures import ImageSize

__all__ = ["AspectRatioBatches", "Batches", "EpochSampler", "FixedBatches"]

Indices = npt.NDArray[np.int64]


@attrs.frozen(kw_only=True)
class EpochSampler:
    """The order of an epoch, and the share of it that one rank takes.

    The order does not depend on the number of ranks: rank r takes positions r, r + world_size,
    r + 2 * world_size, ... of it. When the ranks' shares cannot be equal, `pad` decides: True
    repeats samples from the beginning of the order until they are (for training, where ranks
    wait for each other); False leaves some ranks one sample short (for evaluation, where no
    sample may count twice).

    Args:
        length: number of samples, at least 1.
        seed: at least 0.
        rank: of this process.
        world_size: number of processes.
        shuffle: another order in every epoch; False gives 0, 1, 2, ... in each.
        pad: see above.
    Raises:
        InvalidValueError: a number is out of range.
    """

    length: int
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    shuffle: bool = True
    pad: bool = True

    def __attrs_post_init__(self) -> None:
        if self.length < 1:
            raise InvalidValueError(f"length: expected at least 1 sample, got {self.length}")
        if self.seed < 0:
            raise InvalidValueError(f"seed: expected at least 0, got {self.seed}")
        if not 0 <= self.rank < self.world_size:
            raise InvalidValueError(
                f"rank: expected 0 to {self.world_size - 1} (world_size {self.world_size}), "
                f"got {self.rank}"
            )

    def order(self, epoch: int) -> Indices:
        """Return the samples of an epoch for all ranks together, int64 [length]."""
        if not self.shuffle:
            return np.arange(self.length, dtype=np.int64)
        if epoch < 0:
            raise InvalidValueError(f"epoch: expected at least 0, got {epoch}")
        # Its own branch of the seed: the order tells nothing about the samples' own chance.
        sequence = np.random.SeedSequence([self.seed, epoch], spawn_key=(0,))
        order: Indices = np.random.Generator(np.random.PCG64(sequence)).permutation(self.length)
        return order

    def indices(self, epoch: int) -> Indices:
        """Return the samples of an epoch for this rank, int64 [m]."""
        order = self.order(epoch)
        if self.pad:
            order = np.resize(order, _ceil_divide(self.length, self.world_size) * self.world_size)
        return order[self.rank :: self.world_size]


class Batches(Protocol):
    """The batches of an epoch on one rank; picklable."""

    @property
    def sampler(self) -> EpochSampler:
        """Order, rank and number of ranks."""
        ...

    @property
    def batch_size(self) -> int:
        """Samples in a batch."""
        ...

    def __len__(self) -> int:
        """Return the number of batches per epoch on this rank, the same in every epoch."""
        ...

    def batches(self, epoch: int) -> list[list[int]]:
        """Return the indices of each batch."""
        ...


@attrs.frozen
class FixedBatches:
    """Batches in the order of the sampler: global batch i holds the next samples of the order.

    With p ranks and batches of b, step i uses positions i * p * b to (i + 1) * p * b of the epoch's
    order, whatever p is. With `sampler.pad` every batch is full; without, the last may be short.

    Args:
        sampler: order, rank and number of ranks.
        batch_size: samples per batch and rank, at least 1.
    """

    sampler: EpochSampler
    batch_size: int = attrs.field()

    @batch_size.validator
    def _check_batch_size(self, _: object, value: int) -> None:
        _at_least_one(value)

    def __len__(self) -> int:
        """Return the number of batches per epoch on this rank."""
        s = self.sampler
        if s.pad:
            return _ceil_divide(s.length, s.world_size * self.batch_size)
        share = len(range(s.rank, s.length, s.world_size))
        return _ceil_divide(share, self.batch_size)

    def batches(self, epoch: int) -> list[list[int]]:
        """Return the indices of each batch of an epoch on this rank."""
        s = self.sampler
        order = s.order(epoch)
        if s.pad:
            order = np.resize(order, len(self) * s.world_size * self.batch_size)
        return _cut(order[s.rank :: s.world_size].tolist(), self.batch_size)


@attrs.frozen
class AspectRatioBatches:
    """Batches of images that are all wider than high, or all not, so that padding stays small.

    The epoch's order is walked once for all ranks together; a batch is complete when its group
    has enough images. What is left over at the end forms mixed batches. Complete batches are
    dealt to the ranks in turn. With `sampler.pad` the last one is filled, and the number of
    batches made divisible by the number of ranks, by repeating from the beginning of the epoch.

    Args:
        sampler: order, rank and number of ranks.
        batch_size: samples per batch and rank, at least 1.
        image_sizes: of all samples of the source, before any transform.
    Raises:
        InvalidValueError: there are not as many sizes as samples.
    """

    sampler: EpochSampler
    batch_size: int = attrs.field()
    image_sizes: Sequence[ImageSize] = attrs.field(repr=False)
    _is_wide: npt.NDArray[np.bool_] = attrs.field(init=False, repr=False, eq=False)

    @batch_size.validator
    def _check_batch_size(self, _: object, value: int) -> None:
        _at_least_one(value)

    def __attrs_post_init__(self) -> None:
        if len(self.image_sizes) != self.sampler.length:
            raise InvalidValueError(
                f"image_sizes: expected {self.sampler.length} sizes (the samples of the source), "
                f"got {len(self.image_sizes)}"
            )
        wide = np.array([size.width > size.height for size in self.image_sizes], dtype=np.bool_)
        object.__setattr__(self, "_is_wide", wide)

    def __len__(self) -> int:
        """Return the number of batches per epoch on this rank."""
        total = self._num_batches()
        s = self.sampler
        if s.pad:
            return _ceil_divide(total, s.world_size)
        return len(range(s.rank, total, s.world_size))

    def batches(self, epoch: int) -> list[list[int]]:
        """Return the indices of each batch of an epoch on this rank."""
        s = self.sampler
        order = s.order(epoch).tolist()
        waiting: tuple[list[int], list[int]] = ([], [])
        complete: list[list[int]] = []
        for index in order:
            group = waiting[bool(self._is_wide[index])]
            group.append(index)
            if len(group) == self.batch_size:
                complete.append(group.copy())
                group.clear()
        complete.extend(_cut([*waiting[0], *waiting[1]], self.batch_size))
        if s.pad:
            last = complete[-1]
            last.extend(np.resize(order, self.batch_size - len(last)).tolist())
            total = len(self) * s.world_size
            complete = [complete[i % len(complete)] for i in range(total)]
        return complete[s.rank :: s.world_size]

    def _num_batches(self) -> int:
        wide = int(self._is_wide.sum())
        high = self.sampler.length - wide
        left = wide % self.batch_size + high % self.batch_size
        return (
            wide // self.batch_size + high // self.batch_size + _ceil_divide(left, self.batch_size)
        )


def _cut(indices: list[int], batch_size: int) -> list[list[int]]:
    return [indices[i : i + batch_size] for i in range(0, len(indices), batch_size)]


def _ceil_divide(total: int, parts: int) -> int:
    return (total + parts - 1) // parts


def _at_least_one(batch_size: int) -> None:
    if batch_size < 1:
        raise InvalidValueError(f"batch_size: expected at least 1, got {batch_size}")
