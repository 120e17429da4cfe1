"""Model weights in safetensors files, loaded all or nothing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor, nn

from geodet.errors import CheckpointError

__all__ = ["describe_mismatch", "load_weights", "read_tensors", "write_tensors"]

_ROWS_PER_PART = 6


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors to one safetensors file; tensors that share memory are written apart.

    Raises:
        CheckpointError: the file cannot be written; a full disk is named as such.
    """
    seen: set[int] = set()
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        storage = value.untyped_storage().data_ptr()
        # safetensors refuses shared storage, and a view would drag its whole base along
        if storage in seen or value.untyped_storage().nbytes() != value.nbytes:
            value = value.clone()
        seen.add(storage)
        plain[name] = value
    try:
        safetensors.torch.save_file(plain, path)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(_writing_failed(path, error)) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a safetensors file to the CPU.

    Raises:
        CheckpointError: the file is missing, or is not a whole safetensors file.
    """
    try:
        return safetensors.torch.load_file(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file; expected safetensors weights") from error
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file: {error}") from error


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Copy weights into a model, after checking that every key and shape fits.

    Args:
        model: its parameters and buffers are overwritten; untouched when anything differs.
        tensors: one tensor for every entry of the model's `state_dict`.
        source: what the user calls the weights, for the message.
    Raises:
        CheckpointError: a table of what is missing, unexpected or of another shape.
    """
    mismatch = describe_mismatch(model.state_dict(), tensors)
    if mismatch is not None:
        raise CheckpointError(f"{source}: does not fit the model, nothing was loaded\n{mismatch}")
    model.load_state_dict(dict(tensors), strict=True)


def describe_mismatch(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    """Return a table of the keys and shapes that differ, grouped by part of the architecture.

    Args:
        expected: what the model has.
        found: what the file has.
    Returns:
        None when every key and shape agrees.
    """
    rows: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for key in [*expected, *(key for key in found if key not in expected)]:
        wanted = str(list(expected[key].shape)) if key in expected else "-"
        given = str(list(found[key].shape)) if key in found else "-"
        if wanted != given:
            rows[_part(key, expected)].append((key, wanted, given))
    if not rows:
        return None
    everything = [row for part in rows.values() for row in part]
    counts = (
        f"{sum(given == '-' for _, _, given in everything)} missing, "
        f"{sum(wanted == '-' for _, wanted, _ in everything)} unexpected, "
        f"{sum('-' not in row[1:] for row in everything)} of another shape"
    )
    totals = _count_parts(expected, expected)
    lines = [counts]
    for part, differing in rows.items():
        lines.append(f"{part}: {len(differing)} differ, the model has {totals.get(part, 0)}")
        lines += _table(differing)
    return "\n".join(lines)


def _part(key: str, expected: Mapping[str, Tensor]) -> str:
    """Name the part of the architecture: two levels deep, where the model has two levels."""
    names = key.split(".")[:-1]
    if not names:
        return key if key in expected else "(top level)"
    return ".".join(names[:2])


def _count_parts(keys: Iterable[str], expected: Mapping[str, Tensor]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for key in keys:
        counts[_part(key, expected)] += 1
    return counts


def _table(rows: list[tuple[str, str, str]]) -> list[str]:
    shown = rows[:_ROWS_PER_PART]
    key_width = max(len(key) for key, _, _ in shown)
    wanted_width = max(len("model"), *(len(wanted) for _, wanted, _ in shown))
    lines = [f"  {'':{key_width}}  {'model':{wanted_width}}  file"]
    lines += [
        f"  {key:{key_width}}  {wanted:{wanted_width}}  {given}" for key, wanted, given in shown
    ]
    if len(rows) > len(shown):
        lines.append(f"  ... and {len(rows) - len(shown)} more")
    return lines


def _writing_failed(path: Path, error: Exception) -> str:
    full = getattr(error, "errno", None) == 28 or "No space left" in str(error)
    if full or "StorageFull" in str(error):
        return (
            f"{path}: the disk is full; free some space, then continue with --resume "
            "(any earlier checkpoint is whole)"
        )
    return f"{path}: cannot be written: {error}"
