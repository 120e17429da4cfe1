"""The training loop: one step after another, whatever the model."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, Literal, Protocol, Self, cast

import torch
from torch import Tensor, nn

from geodet.engine.callbacks import Callback, StepReport, TrainingResult
from geodet.engine.checkpoint import Checkpoint, Checkpoints, optimizer_state, restore
from geodet.engine.distributed import Processes
from geodet.engine.optim import clip_gradients, set_learning_rate
from geodet.engine.schedule import Schedule
from geodet.engine.stopping import stop_on_signals
from geodet.errors import GeodetError, InvalidValueError, TrainingError

__all__ = ["BatchLike", "Batches", "SaveCheckpoints", "Trainer"]


class BatchLike(Protocol):
    """What the loop asks of a batch; `geodet.data.Batch` is one."""

    @property
    def images(self) -> Sequence[Tensor]:
        """Images [c, h, w]."""
        ...

    @property
    def targets(self) -> Sequence[Any]:
        """One target an image, handed to the model as it is."""
        ...

    @property
    def image_ids(self) -> Sequence[int | str]:
        """One id an image, for messages."""
        ...

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        """Return the batch on a device."""
        ...


class Batches(Protocol):
    """A stream of batches that knows where it is; each `iter` goes on from there."""

    def __iter__(self) -> Iterator[BatchLike]:
        """Yield batches from the present position, to the end of the epoch or without end."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Return the position after the batch handed out last, as plain JSON data."""
        ...

    def load_state(self, state: Any) -> None:
        """Go to a position that `state` gave."""
        ...


class Trainer:
    """Train a model for a number of steps.

    Args:
        model: `model(images, targets)` returns named losses, each [] float. When it has an
            attribute `counts` of named [] tensors, those of the last losses, they are reported.
        batches: where batches come from; drawn again from the start when they end.
        optimizer: its `defaults["lr"]` is the base learning rate.
        schedule: factor of that rate at each step.
        steps: number of updates of the whole run.
        callbacks: called in this order; see `geodet.engine.callbacks`.
        clip_norm: largest common 2-norm of the gradients; None clips nothing.
        precision: "bf16" runs the forward pass in autocast; weights stay float32.
        channels_last: keep weights and activations with the channel innermost.
        seed: of the random numbers drawn in the steps (not of the model's weights).
        processes: this process among all.
    Raises:
        InvalidValueError: `steps` is below 1 or `clip_norm` is not positive.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        *,
        steps: int,
        callbacks: Sequence[Callback] = (),
        clip_norm: float | None = None,
        precision: Literal["fp32", "bf16"] = "fp32",
        channels_last: bool = False,
        seed: int = 0,
        processes: Processes | None = None,
    ) -> None:
        if steps < 1:
            raise InvalidValueError(f"steps: expected 1 or more, got {steps}")
        if clip_norm is not None and not clip_norm > 0:
            raise InvalidValueError(f"clip_norm: expected more than 0, got {clip_norm}")
        self.processes = processes or Processes()
        self.model = model
        self.batches = batches
        self.optimizer = optimizer
        self.schedule = schedule
        self.steps = steps
        self.step = 0
        self._callbacks = tuple(callbacks)
        self._clip_norm = clip_norm
        self._precision = precision
        self._seed = seed
        # `Module.to` keeps the Parameter objects, so an optimizer built before stays valid.
        model.to(self.processes.device)
        if channels_last:
            cast("Any", model).to(memory_format=torch.channels_last)

    def run(self) -> TrainingResult:
        """Train until `steps` updates are made, or a signal asks to stop after a step.

        Returns:
            Where the run ended, and why.
        Raises:
            TrainingError: a loss or the gradient is not finite; the update was not made.
        """
        model = self.processes.wrap(self.model)
        closing: list[Callback] = []
        try:
            with stop_on_signals() as received:
                for callback in self._callbacks:
                    closing.insert(0, callback)
                    callback.before_train(self)
                stream = self._stream()
                stop_signal: int | None = None
                while self.step < self.steps and stop_signal is None:
                    try:
                        stop_signal = self._advance(model, stream, received)
                    except RuntimeError as error:
                        # torch raises a worker's death wherever the main process happens to be
                        if received() is None or isinstance(error, GeodetError):
                            raise
                        raise TrainingError(self._torn_by_signal(received())) from error
                result = TrainingResult(step=self.step, stop_signal=stop_signal)
            for callback in self._callbacks:
                callback.after_train(self, result)
        finally:
            for callback in closing:
                callback.close()
        return result

    def checkpoint(self, description: Mapping[str, Any] | None = None) -> Checkpoint:
        """Return everything that resuming needs, as it is now (tensors are not copied)."""
        tensors, scalars = optimizer_state(self.model, self.optimizer)
        return Checkpoint(
            step=self.step,
            model=self.model.state_dict(),
            optimizer=tensors,
            optimizer_scalars=scalars,
            batches=self.batches.state(),
            description=description or {},
        )

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint folder as if the run had never stopped.

        Raises:
            CheckpointError: it is damaged, or belongs to another model.
        """
        loaded = restore(path, self.model, self.optimizer, self.batches.load_state)
        self.step = loaded.step

    def _advance(
        self, model: nn.Module, stream: Iterator[BatchLike], received: Callable[[], int | None]
    ) -> int | None:
        """Make one step; return the signal that stops the run, agreed among processes."""
        for callback in self._callbacks:
            callback.before_step(self)
        # Each step's randomness follows from this triple: resuming needs no generator states,
        # and what callbacks draw in between changes nothing.
        torch.manual_seed(_mix(self._seed, self.step, self.processes.rank))
        start = time.perf_counter()
        try:
            batch = next(stream)
        except TrainingError:
            # A signal to the whole process group ends the loader's workers too. Alone, that is
            # a stop like any other; among processes the others still wait for this step.
            if received() is None or self.processes.world_size > 1:
                raise
            return received()
        loaded = time.perf_counter()
        losses, counts, gradient_norm, learning_rate, stop = self._update(
            model, batch, received() or 0
        )
        self.step += 1
        end = time.perf_counter()
        report = StepReport(
            step=self.step,
            losses=losses,
            counts=counts,
            total=sum(losses.values()),
            learning_rate=learning_rate,
            gradient_norm=gradient_norm,
            image_ids=tuple(batch.image_ids),
            images=len(batch.images) * self.processes.world_size,
            data_seconds=loaded - start,
            step_seconds=end - start,
        )
        for callback in self._callbacks:
            callback.after_step(self, report)
        return stop or None

    def _update(
        self, model: nn.Module, batch: BatchLike, received: int
    ) -> tuple[dict[str, float], dict[str, float], float, float, int]:
        """Forward, backward, check, update. The weights change only if all numbers are finite."""
        device = self.processes.device
        learning_rate = set_learning_rate(self.optimizer, self.schedule.factor(self.step))
        self.optimizer.zero_grad(set_to_none=True)
        try:
            moved = batch.to(device, non_blocking=True)
            autocast = torch.autocast(
                device.type, dtype=torch.bfloat16, enabled=self._precision == "bf16"
            )
            with autocast:
                losses = model(list(moved.images), list(moved.targets))
            names = sorted(losses)
            values = torch.stack([losses[name].float() for name in names])
            torch.autograd.backward(values.sum())
        except torch.cuda.OutOfMemoryError as error:
            raise TrainingError(_out_of_memory(self.step + 1, batch)) from error
        norm = clip_gradients(self.model.parameters(), self._clip_norm)
        # One transfer and one exchange a step: losses, gradient norm, wish to stop, counts.
        own = torch.cat([values.detach(), norm.detach().float().view(1).to(values.device)])
        wish = own.new_tensor([float(received)])
        counts: Mapping[str, Tensor] = getattr(self.model, "counts", {})
        counted = [counts[name].detach().to(own) for name in sorted(counts)]
        shared = self.processes.mean(torch.cat([own, wish, *(one.view(1) for one in counted)]))
        numbers = shared.tolist()
        named = dict(zip(names, numbers, strict=False))
        gradient_norm, wished = numbers[len(names) : len(names) + 2]
        mean_counts = dict(zip(sorted(counts), numbers[len(names) + 2 :], strict=True))
        if not bool(torch.tensor([*named.values(), gradient_norm]).isfinite().all()):
            raise TrainingError(self._not_finite(names, own.tolist(), batch))
        self.optimizer.step()
        # a signal that reached one process stops all; its number may differ only in a mixture
        stop = received if received else 15 * int(wished > 0)
        return named, mean_counts, gradient_norm, learning_rate, stop

    def _stream(self) -> Iterator[BatchLike]:
        while True:
            batch = None
            for batch in self.batches:
                yield batch
            if batch is None:
                raise TrainingError(
                    "batches: expected at least one batch, got none; "
                    "the data set is empty or smaller than one batch"
                )

    def _torn_by_signal(self, number: int | None) -> str:
        return (
            f"signal {number} ended the loader's workers too, in the middle of a step after "
            f"{self.step} updates; the last checkpoint is good, go on with --resume"
        )

    def _not_finite(self, names: Sequence[str], values: Sequence[float], batch: BatchLike) -> str:
        step = self.step + 1
        bad = [
            f"{name} is {value}"
            for name, value in zip([*names, "the gradient norm"], values, strict=True)
            if not bool(torch.tensor(value).isfinite())
        ]
        if not bad:
            return f"step {step}: a loss is not finite in another process; see its message"
        images = ", ".join(repr(image_id) for image_id in batch.image_ids)
        return (
            f"step {step}: {', '.join(bad)}; expected finite numbers. Images: {images}. "
            "The weights are as before this step, and any checkpoint is good: look at the "
            "annotations of these images, lower optimizer.lr, lengthen the warm-up or set clip_norm"
        )


class SaveCheckpoints(Callback):
    """Save a checkpoint each `every` steps, and one where the run ends or is stopped.

    Args:
        checkpoints: where to; only rank 0 writes, the others wait.
        every: steps between two checkpoints.
        description: plain JSON data kept in each.
    """

    def __init__(
        self, checkpoints: Checkpoints, *, every: int, description: Mapping[str, Any]
    ) -> None:
        self._checkpoints = checkpoints
        self._every = every
        self._description = description
        self._saved_step: int | None = None

    def after_step(self, trainer: Trainer, report: StepReport) -> None:
        """Save when the period is over, and at the last step."""
        if report.step % self._every == 0 or report.step == trainer.steps:
            self._save(trainer)

    def after_train(self, trainer: Trainer, result: TrainingResult) -> None:
        """Save where the run ended, unless that step is saved already."""
        if self._saved_step != result.step:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        if trainer.processes.is_main:
            self._checkpoints.save(trainer.checkpoint(self._description))
        trainer.processes.wait()
        self._saved_step = trainer.step


def _mix(seed: int, step: int, rank: int) -> int:
    """Return 63 well-spread bits of the triple.

    Reference: the finaliser of SplitMix64 (Steele, Lea & Flood 2014).
    """
    value = 0
    for part in (seed, step, rank):
        value = (value + (part & (2**64 - 1)) + 0x9E3779B97F4A7C15) % 2**64
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) % 2**64
        value ^= value >> 31
    return value >> 1


def _out_of_memory(step: int, batch: BatchLike) -> str:
    sizes = ", ".join(f"{image.shape[-2]}x{image.shape[-1]}" for image in batch.images)
    # Maps of classes have no objects to count.
    counts = ", ".join(str(len(one)) for one in batch.targets if isinstance(one, Sized))
    objects = f" and {counts} objects" if counts else ""
    return (
        f"step {step}: the GPU is out of memory with images of {sizes} pixels (height x width)"
        f"{objects}; lower batch_size or the image size, or set precision=bf16"
    )
