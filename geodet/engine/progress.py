"""Progress on the terminal: a live bar, or plain lines when the output is no terminal."""

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from geodet.engine.callbacks import Callback, StepReport, TrainingResult

if TYPE_CHECKING:
    from geodet.engine.loop import Trainer

__all__ = ["ShowProgress"]


class ShowProgress(Callback):
    """Show step, mean loss, learning rate, images a second and the time left.

    Args:
        console: rich decides by it whether there is a terminal, and honours NO_COLOR.
        every: steps that are averaged, and between two plain lines where there is no terminal.
    """

    def __init__(self, console: Console, *, every: int = 50) -> None:
        self._console = console
        self._every = every
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._started = 0.0
        self._first_step = 0
        self._images = 0
        self._seconds = 0.0
        self._losses: list[float] = []

    def before_train(self, trainer: "Trainer") -> None:
        """Start the bar, or the clock of the plain lines."""
        self._started = time.monotonic()
        self._first_step = trainer.step
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("[bold]train"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[numbers]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._bar.start()
            self._task = self._bar.add_task(
                "train", total=trainer.steps, completed=trainer.step, numbers=""
            )

    def after_step(self, trainer: "Trainer", report: StepReport) -> None:
        """Move the bar, or print a line when one is due."""
        self._images += report.images
        self._seconds += report.step_seconds
        self._losses.append(report.total)
        if self._bar is not None:
            self._bar.update(self._task, completed=report.step, numbers=self._numbers(report))
        elif report.step % self._every == 0 or report.step in (1, trainer.steps):
            done = report.step - self._first_step
            left = (time.monotonic() - self._started) / done * (trainer.steps - report.step)
            self._console.print(
                f"step {report.step}/{trainer.steps}  {self._numbers(report)}  {_clock(left)} left",
                highlight=False,
                soft_wrap=True,
            )
        if report.step % self._every == 0:
            self._images, self._seconds = 0, 0.0
            self._losses.clear()

    def after_train(self, trainer: "Trainer", result: TrainingResult) -> None:
        """Take the bar away, so that what follows prints below it."""
        self.close()

    def close(self) -> None:
        """Give the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _numbers(self, report: StepReport) -> str:
        speed = self._images / max(self._seconds, 1e-9)
        loss = sum(self._losses) / len(self._losses)
        return f"loss {loss:.4f}  lr {report.learning_rate:.2e}  {speed:.1f} images/s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
