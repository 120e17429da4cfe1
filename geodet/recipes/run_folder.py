"""Folders of training runs: their names, and which one a resume means."""

from pathlib import Path

from geodet.engine import Checkpoints
from geodet.errors import CheckpointError, RecipeError

__all__ = ["choose_new_folder", "find_run_to_resume"]

RUNS = Path("runs")


def choose_new_folder(out: Path | None, config: Path | None) -> Path:
    """Return the folder of a new run, not made yet.

    Args:
        out: what the user asked for; it must not hold a run already.
        config: otherwise `runs/<name of the config>`, numbered when it is taken.
    Raises:
        RecipeError: `out` holds a run.
    """
    if out is not None:
        if (out / "recipe.json").exists():
            raise RecipeError(
                f"--out {out}: holds a run already; go on with --resume {out}, or choose another"
            )
        return out
    base = RUNS / _run_name(config)
    folder, number = base, 1
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder


def find_run_to_resume(given: Path | None, out: Path | None, config: Path | None) -> Path:
    """Return the run folder that `--resume` means.

    Args:
        given: a run folder, or one of its checkpoints; None looks further.
        out: the folder of `--out`.
        config: without both, the newest run of this config that has a whole checkpoint.
    Raises:
        CheckpointError: there is no such run, or it has no whole checkpoint.
    """
    folder = given or out
    if folder is not None:
        if folder.parent.name == "checkpoints":
            folder = folder.parent.parent
        if Checkpoints(folder / "checkpoints").latest() is None:
            raise CheckpointError(f"--resume {folder}: no whole checkpoint there")
        return folder
    name = _run_name(config)
    runs = [
        (latest.stat().st_mtime, run)
        for run in [*RUNS.glob(name), *RUNS.glob(f"{name}-*")]
        if (latest := Checkpoints(run / "checkpoints").latest()) is not None
    ]
    if not runs:
        raise CheckpointError(
            f"--resume: no run {name!r} with a whole checkpoint in {RUNS}; name its folder"
        )
    return max(runs)[1]


def _run_name(config: Path | None) -> str:
    if config is None:
        return "default"
    return config.parent.name if config.name == "recipe.json" else config.stem
