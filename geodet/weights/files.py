"""Tensors in safetensors files."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from torch import Tensor

from geodet.errors import CheckpointError, MissingDependencyError

__all__ = ["read_tensors", "write_tensors"]


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors to one safetensors file; tensors that share memory are written apart.

    Raises:
        CheckpointError: the file cannot be written; a full disk is named as such.
        MissingDependencyError: safetensors is not installed.
    """
    safetensors = _safetensors()
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
        MissingDependencyError: safetensors is not installed.
    """
    safetensors = _safetensors()
    try:
        found: dict[str, Tensor] = safetensors.torch.load_file(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file; expected safetensors weights") from error
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file: {error}") from error
    return found


def _safetensors() -> ModuleType:
    try:
        import safetensors.torch  # noqa: PLC0415 - optional: models work without files
    except ImportError as error:
        raise MissingDependencyError(
            "safetensors is needed to read and write .safetensors files: "
            "pip install safetensors, or geodet[train]"
        ) from error
    return safetensors


def _writing_failed(path: Path, error: Exception) -> str:
    full = getattr(error, "errno", None) == 28 or "No space left" in str(error)
    if full or "StorageFull" in str(error):
        return (
            f"{path}: the disk is full; free some space, then continue with --resume "
            "(any earlier checkpoint is whole)"
        )
    return f"{path}: cannot be written: {error}"
