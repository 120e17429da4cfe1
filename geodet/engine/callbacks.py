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
    "WatchCount",
    "evaluation_mode",
]

_IMAGES_SHOWN = 8


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
        counts: what the model counted in this step, such as its positive anchors, averaged over
            processes.
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
    counts: Mapping[str, float] = attrs.field(factory=dict)

    def metrics(self) -> dict[str, float]:
        """Return the numbers worth keeping, by name."""
        return {
            "loss": self.total,
            **{f"loss/{name}": value for name, value in self.losses.items()},
            **{f"count/{name}": value for name, value in self.counts.items()},
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


class WatchCount(Callback):
    """Warn when something that the model counts stays zero.

    Args:
        name: of the count; steps without it are not judged.
        every: number of steps after which it must not be zero in all.
        warn: called with the message, which names the first images of these steps.
        advice: what it may mean and what to do; the end of the message.
    """

    def __init__(self, name: str, *, every: int, warn: Callable[[str], None], advice: str) -> None:
        self._name = name
        self._every = every
        self._warn = warn
        self._advice = advice
        self._image_ids: list[int | str] = []
        self._steps = 0

    def after_step(self, trainer: "Trainer", report: StepReport) -> None:
        """Count on, and warn when a period of zeros is over."""
        del trainer
        if report.counts.get(self._name, 1.0) > 0.0:
            self._image_ids, self._steps = [], 0
            return
        self._image_ids += report.image_ids
        self._steps += 1
        if self._steps == self._every:
            shown = ", ".join(map(repr, self._image_ids[:_IMAGES_SHOWN]))
            more = len(self._image_ids) - _IMAGES_SHOWN
            rest = f" and {more} more" if more > 0 else ""
            self._warn(
                f"warning: steps {report.step - self._steps + 1} to {report.step}: {self._name} "
                f"is 0 in images {shown}{rest}; {self._advice}"
            )
            self._image_ids, self._steps = [], 0


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
