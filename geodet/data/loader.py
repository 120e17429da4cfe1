"""Batches without end, made by worker processes, the same whatever the number of workers."""

import traceback
from collections.abc import Iterator
from typing import Any

import attrs
import torch
from torch.utils.data import DataLoader, Dataset

from geodet.data.mapping import Mapper
from geodet.data.sample import Batch, TargetMaker
from geodet.data.samplers import AspectRatioBatches, Batches, EpochSampler, FixedBatches
from geodet.data.transport import Parcel, pack, unpack
from geodet.errors import DataError, GeodetError, InvalidValueError, TrainingError

__all__ = ["Loader", "build_loader"]

_Key = tuple[int, int]  # epoch and index of one sample


@attrs.frozen(eq=False)
class _Failure:
    """What went wrong in a worker, in a form that survives the way to the main process."""

    kind: type[DataError]
    message: str
    details: str


class _Samples(Dataset[Any]):
    """The mapper as torch's loader wants it; whole batches at a time."""

    def __init__(self, mapper: Mapper, target: TargetMaker | None) -> None:
        self._mapper = mapper
        self._target = target

    def __getitem__(self, key: _Key) -> Any:
        raise NotImplementedError("batches are read by __getitems__")

    def __getitems__(self, keys: list[_Key]) -> Parcel | _Failure:
        samples = []
        for epoch, index in keys:
            try:
                samples.append(self._mapper(epoch, index))
            except Exception as error:  # noqa: BLE001 (any error must come back with the sample's name)
                return self._failure(error, index)
        try:
            return pack(Batch.from_samples(samples, target=self._target))
        except GeodetError as error:
            return _Failure(DataError, str(error), traceback.format_exc())

    def _failure(self, error: Exception, index: int) -> _Failure:
        kind = type(error) if isinstance(error, DataError) else DataError
        what = str(error) if isinstance(error, GeodetError) else f"{type(error).__name__}: {error}"
        try:
            name = self._mapper.source.describe(index)
        except Exception:  # noqa: BLE001 (a source too broken to name its sample)
            name = "no name"
        # Most messages of a source begin with the file already.
        where = "" if name.split(" (")[0] in what else f" ({name})"
        return _Failure(kind, f"sample {index}{where}: {what}", traceback.format_exc())


def _as_it_is(value: Any) -> Any:
    return value


@attrs.frozen
class _KeyBatches:
    """Keys of all batches from a position on; what torch's loader walks along."""

    batches: Batches
    epoch: int
    position: int
    last_epoch: int | None

    def __iter__(self) -> Iterator[list[_Key]]:
        epoch, position = self.epoch, self.position
        while self.last_epoch is None or epoch < self.last_epoch:
            for indices in self.batches.batches(epoch)[position:]:
                yield [(epoch, index) for index in indices]
            epoch, position = epoch + 1, 0


class Loader:
    """Iterator over batches that can stop, tell where it is, and go on from there.

    `state()` counts the batches that were taken, not those that workers have prepared. A loader
    that was given that state goes on with exactly the batch that would have come next, whatever
    its number of workers.

    Args:
        mapper: makes each sample.
        batches: which samples come when, on this rank.
        target: picks what the model trains on; None takes the objects.
        num_workers: processes that read; 0 reads in this one.
        prefetch_batches: batches that each worker prepares ahead.
        pin_memory: put batches into page-locked memory, for copies to a GPU.
        num_epochs: stop after so many; None goes on without end.
        start_method: of the workers: "fork", "forkserver" or "spawn"; None takes Python's default.
    Raises:
        InvalidValueError: a number is out of range.
    """

    def __init__(
        self,
        mapper: Mapper,
        batches: Batches,
        *,
        target: TargetMaker | None = None,
        num_workers: int = 0,
        prefetch_batches: int = 2,
        pin_memory: bool = False,
        num_epochs: int | None = None,
        start_method: str | None = None,
    ) -> None:
        if num_workers < 0 or prefetch_batches < 1:
            raise InvalidValueError(
                f"num_workers, prefetch_batches: expected at least 0 and 1, "
                f"got {num_workers} and {prefetch_batches}"
            )
        if batches.sampler.length != len(mapper.source):
            raise InvalidValueError(
                f"batches: made for {batches.sampler.length} samples, "
                f"the source has {len(mapper.source)}"
            )
        self._mapper = mapper
        self._batches = batches
        self._target = target
        self._num_workers = num_workers
        self._prefetch_batches = prefetch_batches
        self._pin_memory = pin_memory
        self._num_epochs = num_epochs
        self._start_method = start_method
        self._epoch = 0
        self._position = 0
        self._running: Iterator[Parcel | _Failure] | None = None

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches of an epoch on this rank."""
        return len(self._batches)

    def __iter__(self) -> "Loader":
        """Return the loader itself: a second loop goes on where the first one stopped."""
        return self

    def __next__(self) -> Batch:
        """Return the next batch.

        Raises:
            DataError: a sample cannot be read; the message names it. The loader stays usable:
                the next call starts with the same batch again.
            TrainingError: a worker process died.
            StopIteration: `num_epochs` are over.
        """
        try:
            if self._running is None:
                self._running = self._start()
            result = next(self._running)
        except (RuntimeError, OSError, EOFError) as error:  # what samples raise comes as _Failure
            self.close()
            raise TrainingError(self._about_workers(error)) from error
        if isinstance(result, _Failure):
            self.close()
            failure = result.kind(result.message)
            failure.add_note(result.details)
            raise failure
        batch: Batch = unpack(result)
        self._position += 1
        if self._position == len(self._batches):
            self._epoch, self._position = self._epoch + 1, 0
        return batch

    def state(self) -> dict[str, int]:
        """Return where the loader is, in plain numbers, with what it depends on."""
        return {"epoch": self._epoch, "position": self._position} | self._identity()

    def load_state(self, state: dict[str, int]) -> None:
        """Go on from a state that `state` gave.

        Raises:
            InvalidValueError: the state was made with other data, batches or ranks; each number
                that differs is named.
        """
        differing = [
            f"{name} was {state.get(name)}, is {value}"
            for name, value in self._identity().items()
            if state.get(name) != value
        ]
        if differing:
            raise InvalidValueError(
                f"loader state: does not fit this loader: {'; '.join(differing)}. Resume with the "
                f"same data, batch size and number of ranks, or start a new run"
            )
        if not (state["epoch"] >= 0 and 0 <= state["position"] < max(1, len(self._batches))):
            raise InvalidValueError(f"loader state: position out of range: {state}")
        self.close()
        self._epoch, self._position = state["epoch"], state["position"]

    def close(self) -> None:
        """Stop the workers; the next batch starts them again. Safe to call at any time."""
        running, self._running = self._running, None
        shut_down = getattr(running, "_shutdown_workers", None)
        if shut_down is not None:
            shut_down()

    def _identity(self) -> dict[str, int]:
        sampler = self._batches.sampler
        return {
            "seed": sampler.seed,
            "num_samples": sampler.length,
            "batch_size": self._batches.batch_size,
            "world_size": sampler.world_size,
        }

    def _start(self) -> Iterator[Parcel | _Failure]:
        keys = _KeyBatches(self._batches, self._epoch, self._position, self._num_epochs)
        workers: dict[str, Any] = {}
        if self._num_workers > 0:
            workers = {
                "prefetch_factor": self._prefetch_batches,
                "multiprocessing_context": self._start_method,
                "worker_init_fn": _one_thread,
            }
        loader: DataLoader[Any] = DataLoader(
            _Samples(self._mapper, self._target),
            batch_sampler=keys,
            num_workers=self._num_workers,
            collate_fn=_as_it_is,
            pin_memory=self._pin_memory,
            # Of its own: drawing from the global generator would change the run that resumes.
            generator=torch.Generator(),
            **workers,
        )
        return iter(loader)

    def _about_workers(self, error: Exception) -> str:
        return (
            f"loader: a worker process failed at epoch {self._epoch}, batch {self._position}: "
            f"{error}. When it was killed, memory ran out: use fewer workers, or prefetch less. A "
            f"bus error means that shared memory is too small (in containers, raise --shm-size). "
            f"num_workers=0 reads in the main process and shows the error itself"
        )


def _one_thread(_: int) -> None:
    # Workers share the cores with each other; threads of their own would only get in the way.
    torch.set_num_threads(1)


def build_loader(
    mapper: Mapper,
    *,
    batch_size: int,
    target: TargetMaker | None = None,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    shuffle: bool = True,
    pad: bool = True,
    group_by_aspect: bool = True,
    num_workers: int = 0,
    prefetch_batches: int = 2,
    pin_memory: bool = False,
    num_epochs: int | None = None,
    start_method: str | None = None,
) -> Loader:
    """Return the loader of one rank.

    For training take the defaults; for evaluation `shuffle=False, pad=False,
    group_by_aspect=False, num_epochs=1`, which gives every sample once over all ranks.

    Args:
        mapper: makes each sample.
        batch_size: samples per batch and rank.
        target: picks what the model trains on, as `geodet.data.target_maker` makes it; None takes
            the objects.
        seed: of the order; the mapper has its own.
        rank: of this process.
        world_size: number of processes.
        shuffle: another order in every epoch.
        pad: repeat samples so that all batches are full and all ranks have equally many.
        group_by_aspect: keep wide and high images apart (`AspectRatioBatches`), where the source
            knows its image sizes.
        num_workers: see `Loader`, as for the rest.
    Raises:
        DataError: the source has no sample.
        InvalidValueError: a number is out of range.
    """
    length = len(mapper.source)
    if length == 0:
        raise DataError(f"loader: the source has no sample: {mapper.source!r}")
    sampler = EpochSampler(
        length=length, seed=seed, rank=rank, world_size=world_size, shuffle=shuffle, pad=pad
    )
    sizes = mapper.source.image_sizes() if group_by_aspect else None
    batches: Batches = FixedBatches(sampler, batch_size)
    if sizes is not None:
        batches = AspectRatioBatches(sampler, batch_size, sizes)
    return Loader(
        mapper,
        batches,
        target=target,
        num_workers=num_workers,
        prefetch_batches=prefetch_batches,
        pin_memory=pin_memory,
        num_epochs=num_epochs,
        start_method=start_method,
    )
