"""Checkpoints: folders that are either whole or not there, without pickle.

    checkpoints/step_000500/
        model.safetensors      every entry of the model's state_dict
        optimizer.safetensors  optimizer tensors, named <parameter>/<entry>
        state.json             step, loader position, other optimizer entries, description
        complete.json          written last: size and SHA-256 of each file above

A folder is filled under another name, flushed to the disk, then renamed. Random states are not
stored: the trainer seeds each step by (seed, step, rank), so the step says it all.
"""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from geodet.errors import CheckpointError
from geodet.weights import load_weights, read_tensors, write_tensors

__all__ = ["Checkpoint", "Checkpoints", "load_optimizer", "optimizer_state", "restore"]

_FORMAT = 1
_NAME = re.compile(r"step_(\d{6,})")
_MARKER = "complete.json"
_FILES = ("model.safetensors", "optimizer.safetensors", "state.json")


@attrs.frozen(kw_only=True, eq=False)
class Checkpoint:
    """Everything that a run needs to go on as if it had never stopped.

    Args:
        step: number of updates made.
        model: the model's `state_dict`.
        optimizer: tensors by `<parameter>/<entry>`.
        optimizer_scalars: entries that are no tensors, by the same names.
        batches: position of the loader, plain JSON data.
        description: what the run wants to remember (recipe, class names), plain JSON data.
    """

    step: int
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    optimizer_scalars: Mapping[str, float | int | None]
    batches: Mapping[str, Any]
    description: Mapping[str, Any]


@attrs.frozen
class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where their folders lie; made when the first is saved.
        keep: how many of the newest stay; older ones are removed after each save.
    """

    folder: Path
    keep: int = 3

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint, then remove the oldest ones beyond `keep`.

        Returns:
            Its folder. One of the same step is replaced.
        Raises:
            CheckpointError: it cannot be written (a full disk is named); earlier ones stay.
        """
        final = self.folder / f"step_{checkpoint.step:06d}"
        part = self.folder / f".{final.name}.part"
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            _fill(part, checkpoint)
            _sync(part)
            if final.exists():
                shutil.rmtree(final)
            part.rename(final)
            _sync(self.folder)
            for old in self.complete()[: -self.keep]:
                shutil.rmtree(old)
        except (OSError, CheckpointError) as error:
            shutil.rmtree(part, ignore_errors=True)
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(_why_not_saved(final, error)) from error
        return final

    def complete(self) -> list[Path]:
        """Return the folders of whole checkpoints, oldest first.

        Empty: a folder that is missing, or holds none, gives [].
        """
        if not self.folder.is_dir():
            return []
        numbered = [
            (int(match[1]), path)
            for path in self.folder.iterdir()
            if (match := _NAME.fullmatch(path.name)) and _is_whole(path)
        ]
        return [path for _, path in sorted(numbered)]

    def latest(self) -> Path | None:
        """Return the newest whole checkpoint; half-written ones do not count."""
        complete = self.complete()
        return complete[-1] if complete else None

    @staticmethod
    def load(path: Path) -> Checkpoint:
        """Read one checkpoint, every file checked against its digest.

        Raises:
            CheckpointError: it is missing, half-written, damaged, or of another format.
        """
        if not (path / _MARKER).is_file():
            raise CheckpointError(
                f"{path}: not a whole checkpoint ({_MARKER} is missing); "
                "take another, or start without --resume"
            )
        marker = _read_json(path / _MARKER)
        if marker.get("format") != _FORMAT:
            raise CheckpointError(
                f"{path}: expected checkpoint format {_FORMAT}, got {marker.get('format')}; "
                "it was written by another version of geodet"
            )
        for name in _FILES:
            digest = marker.get("files", {}).get(name, {}).get("sha256")
            if not (path / name).is_file() or _sha256(path / name) != digest:
                raise CheckpointError(
                    f"{path / name}: damaged, its digest is not that of {_MARKER}"
                )
        state = _read_json(path / "state.json")
        return Checkpoint(
            step=state["step"],
            model=read_tensors(path / "model.safetensors"),
            optimizer=read_tensors(path / "optimizer.safetensors"),
            optimizer_scalars=state["optimizer_scalars"],
            batches=state["batches"],
            description=state["description"],
        )


def optimizer_state(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, float | int | None]]:
    """Return what the optimizer remembers, named after the parameters it belongs to.

    Returns:
        Its tensors and its other entries. Learning rates and decays are not among them: they
        follow from the recipe and the step.
    """
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, float | int | None] = {}
    for name, parameter in model.named_parameters():
        for entry, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{name}/{entry}"] = value
            else:
                scalars[f"{name}/{entry}"] = value
    return tensors, scalars


def load_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: Checkpoint
) -> None:
    """Give the optimizer back what it remembered.

    Raises:
        CheckpointError: an entry belongs to no parameter that the optimizer has, or has
            another shape than its parameter; nothing was loaded then.
    """
    parameters = dict(model.named_parameters())
    order = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    index_of = {id(parameter): index for index, parameter in enumerate(order)}
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**checkpoint.optimizer, **checkpoint.optimizer_scalars}.items():
        name, _, entry = key.rpartition("/")
        owner = parameters.get(name)
        if owner is None or id(owner) not in index_of:
            raise CheckpointError(
                f"optimizer entry {key!r}: the model trains no parameter {name!r}; "
                "resume with the recipe of the checkpoint, or start from its weights alone"
            )
        if isinstance(value, Tensor) and value.ndim and value.shape != owner.shape:
            raise CheckpointError(
                f"optimizer entry {key!r}: expected {list(owner.shape)}, got {list(value.shape)}"
            )
        state.setdefault(index_of[id(owner)], {})[entry] = value
    current = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": current["param_groups"]})


def restore(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    restore_batches: Callable[[Mapping[str, Any]], None],
) -> Checkpoint:
    """Load a checkpoint into a model, its optimizer and its loader.

    Returns:
        The checkpoint; the caller takes its step.
    Raises:
        CheckpointError: it is damaged, or does not fit the model or the optimizer.
    """
    checkpoint = Checkpoints.load(path)
    load_weights(model, checkpoint.model, source=str(path))
    load_optimizer(model, optimizer, checkpoint)
    restore_batches(checkpoint.batches)
    return checkpoint


def _fill(folder: Path, checkpoint: Checkpoint) -> None:
    write_tensors(folder / "model.safetensors", checkpoint.model)
    write_tensors(folder / "optimizer.safetensors", checkpoint.optimizer)
    state = {
        "step": checkpoint.step,
        "batches": checkpoint.batches,
        "optimizer_scalars": checkpoint.optimizer_scalars,
        "description": checkpoint.description,
    }
    (folder / "state.json").write_text(json.dumps(state, indent=1), "utf-8")
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": _sha256(folder / name)}
        for name in _FILES
    }
    for name in _FILES:
        _sync(folder / name)
    (folder / _MARKER).write_text(json.dumps({"format": _FORMAT, "files": files}), "utf-8")
    _sync(folder / _MARKER)


def _is_whole(folder: Path) -> bool:
    """Check the marker and the sizes; digests are left to `load`."""
    try:
        files = json.loads((folder / _MARKER).read_text("utf-8"))["files"]
        return all((folder / name).stat().st_size == files[name]["bytes"] for name in _FILES)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why_not_saved(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{path}: the disk is full; free some space, then continue with --resume "
            "(any earlier checkpoint is whole)"
        )
    return f"{path}: cannot be written: {error}"
