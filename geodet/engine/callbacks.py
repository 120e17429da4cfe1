"""What can happen around the steps of a training run.

Order, for callbacks [a, b]: `a.before_train, b.before_train`, then per step
`a.before_step, b.before_step, <step>, a.after_step, b.after_step`, then
`a.after_train, b.after_train` when the run ended or was stopped (not when it failed), and
always, even after a failure, `b.close, a.close`.

Callbacks cannot disturb training: the random numbers of each step are seeded by
(seed, step, rank), so what a callback draws changes no later step.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs
from torch import nn

from geodet.engine.metrics import MetricsWriter

if TYPE_CHECKING:
    from geodet.engine.loop import Trainer

__all__ = [
    "Callback",
    "EvaluateEvery",
    "LogMetrics",
    "StepReport",
    "TrainingResult",
    "evaluation_mode",
]


@attrs.frozen(kw_only=True)
class StepReport:
    """What one step did.

    Args:
        step: number of updates made so far, this one included; the first report says 1.
        losses: each named loss, averaged over processes.
        total: their sum.
        learning_rate: rate of this update.
        gradient_norm: common 2-norm of all gradients before clipping.
        image_ids: the images of this process's part of the batch.
        images: number of images in the whole batch, all processes together.
        data_seconds: time spent waiting for the batch.
        step_seconds: time of the whole step, waiting included.
    """

    step: int
    losses: Mapping[str, float]
    total: float
    learning_rate: float
    gradient_norm: float
    image_ids: tuple[int | str, ...]
    images: int
    data_seconds: float
    step_seconds: float

    def metrics(self) -> dict[str, float]:
        """Return the numbers worth keeping, by name."""
        return {
            "loss": self.total,
            **{f"loss/{name}": value for name, value in self.losses.items()},
            "learning_rate": self.learning_rate,
            "gradient_norm": self.gradient_norm,
            "images_per_second": self.images / max(self.step_seconds, 1e-9),
            "data_seconds": self.data_seconds,
        }


@attrs.frozen(kw_only=True)
class TrainingResult:
    """How a run ended: after `step` updates; `stop_signal` names what stopped it early."""

    step: int
    stop_signal: int | None = None


class Callback:
    """Base of all callbacks: each method does nothing until overridden."""

    def before_train(self, trainer: "Trainer") -> None:
        """Prepare: everything is restored, no batch is drawn yet."""

    def before_step(self, trainer: "Trainer") -> None:
        """Act before a batch is drawn; `trainer.step` updates have been made."""

    def after_step(self, trainer: "Trainer", report: StepReport) -> None:
        """Act after an update; `trainer.step == report.step`."""

    def after_train(self, trainer: "Trainer", result: TrainingResult) -> None:
        """Act once after the last step, also when a signal stopped the run."""

    def close(self) -> None:
        """Let go of files; comes last, in reverse order, also after a failure."""


class LogMetrics(Callback):
    """Write each report, averaged over the `every` steps before it.

    Args:
        writer: where numbers go.
        every: steps between two lines.
    """

    def __init__(self, writer: MetricsWriter, *, every: int = 1) -> None:
        self._writer = writer
        self._every = every
        self._window: list[dict[str, float]] = []

    def before_train(self, trainer: "Trainer") -> None:
        """Forget what was written beyond the step that this run starts from."""
        self._writer.start_from(trainer.step)

    def after_step(self, trainer: "Trainer", report: StepReport) -> None:
        """Write one line when a window is full."""
        self._window.append(report.metrics())
        if report.step % self._every == 0 or report.step == trainer.steps:
            names = self._window[-1]
            means = {
                name: math.fsum(line.get(name, 0.0) for line in self._window) / len(self._window)
                for name in names
            }
            self._writer.write(report.step, means)
            self._window.clear()

    def close(self) -> None:
        """Flush and close the files."""
        self._writer.close()


class EvaluateEvery(Callback):
    """Evaluate each `every` steps, with every module in evaluation mode meanwhile.

    Args:
        every: steps between two evaluations.
        evaluate: called with the step; returns numbers by name. All processes call it.
        writer: where the numbers go.
        at_end: whether to evaluate after the last step too; False leaves that to the caller.
    """

    def __init__(
        self,
        every: int,
        evaluate: Callable[[int], Mapping[str, float]],
        writer: MetricsWriter,
        *,
        at_end: bool = True,
    ) -> None:
        self._every = every
        self._evaluate = evaluate
        self._writer = writer
        self._at_end = at_end

    def after_step(self, trainer: "Trainer", report: StepReport) -> None:
        """Evaluate when the period is over."""
        last = report.step == trainer.steps
        if (report.step % self._every == 0 and not last) or (last and self._at_end):
            with evaluation_mode(trainer.model):
                self._writer.write(report.step, self._evaluate(report.step))


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode, and each module back as it was afterwards.

    Layers that were frozen in evaluation mode stay there, which `model.train()` would undo.
    """
    was_training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in was_training:
            module.training = True
