"""Numbers of a run as JSON lines and TensorBoard events."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from torch.utils.tensorboard.writer import SummaryWriter

from geodet.errors import TrainingError

__all__ = ["MetricsFiles", "MetricsWriter", "NoMetrics", "read_metrics"]


class MetricsWriter(Protocol):
    """What callbacks ask of a writer."""

    def start_from(self, step: int) -> None:
        """Forget every number of a later step: the run repeats those steps."""
        ...

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Keep these numbers."""
        ...

    def close(self) -> None:
        """Flush and let go of files."""
        ...


class NoMetrics:
    """Writer of the processes that write nothing (every rank but 0)."""

    def start_from(self, step: int) -> None:
        """Do nothing."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class MetricsFiles:
    """Writer to `metrics.jsonl` and to TensorBoard events in one folder.

    One line a call: `{"step": 500, "loss": 0.7, ...}`. A number that is not finite becomes null,
    because NaN is not JSON.

    Args:
        folder: the run folder; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._path = folder / "metrics.jsonl"
        self._events: SummaryWriter | None = None
        self._purge_step: int | None = None

    def start_from(self, step: int) -> None:
        """Drop lines of later steps and a torn last line, as a killed run leaves them."""
        self._purge_step = step + 1 if step else None
        if not self._path.exists():
            return
        kept = [line for line in read_metrics(self._path) if line["step"] <= step]
        replacement = self._path.with_suffix(".jsonl.part")
        replacement.write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")
        replacement.replace(self._path)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line and one event a number.

        Raises:
            TrainingError: the disk is full, or the folder is gone.
        """
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **finite}) + "\n")
        except OSError as error:
            raise TrainingError(
                f"{self._path}: cannot be written: {error.strerror}; make room, then continue "
                "with --resume (checkpoints are whole)"
            ) from error
        if self._events is None:
            self._events = SummaryWriter(str(self._folder), purge_step=self._purge_step)
        for name, value in finite.items():
            if value is not None:
                self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush the event file and close it."""
        if self._events is not None:
            self._events.close()
            self._events = None


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read the lines of a `metrics.jsonl`; a torn last line is left out.

    Empty: an empty file gives [].
    """
    lines: list[dict[str, float]] = []
    for text in path.read_text("utf-8").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            break  # a killed process leaves at most one torn line, and nothing after it
        lines.append(line)
    return lines
