"""What a checkpoint file holds, whatever wrote it."""

import pickle  # for the exception alone; see `pickles`
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from geodet.errors import CheckpointError
from geodet.weights.files import read_tensors
from geodet.weights.pickles import read_pickle

__all__ = ["as_tensors", "read_archive"]

_ZIP = b"PK\x03\x04"
_TORCH_SUFFIXES = (".pth", ".pyth", ".pt", ".bin")
_KNOWN = (".pkl", *_TORCH_SUFFIXES, ".safetensors")


def read_archive(path: Path) -> Mapping[str, object]:
    """Read a checkpoint: safetensors, a pickle of arrays, or a file of `torch.save`.

    Nothing in the file is run: pickles go through `read_pickle`, files of torch through
    `torch.load(weights_only=True)`.

    Args:
        path: ends in .pkl, .pth, .pyth, .pt, .bin or .safetensors.
    Returns:
        What it holds at the top: names to tensors, arrays or further containers.
    Raises:
        CheckpointError: the file is missing, damaged, of another kind, or asks for a global
            that no weights need; names it.
    """
    suffix = path.suffix.lower()
    if suffix not in _KNOWN:
        raise CheckpointError(f"{path}: expected a file that ends in {', '.join(_KNOWN)}")
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    if suffix == ".safetensors":
        return read_tensors(path)
    with path.open("rb") as file:
        zipped = file.read(len(_ZIP)) == _ZIP
    content = _read_torch(path) if zipped or suffix in _TORCH_SUFFIXES else read_pickle(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: expected names and tensors at the top, got {type(content).__name__}"
        )
    for key in content:
        if not isinstance(key, str):
            raise CheckpointError(f"{path}: expected names at the top, got {key!r}")
    return content


def as_tensors(table: object, *, source: str) -> dict[str, Tensor]:
    """Arrays and tensors by name, as tensors on the CPU.

    Args:
        table: names to arrays or tensors.
        source: what the user calls the file, for the message.
    Raises:
        CheckpointError: it is no table, or an entry is no array of numbers; names it.
    """
    if not isinstance(table, Mapping):
        raise CheckpointError(f"{source}: expected a table of tensors, got {type(table).__name__}")
    tensors = {}
    for name, value in table.items():
        if isinstance(value, Tensor):
            tensors[str(name)] = value
        elif isinstance(value, np.ndarray | np.generic):
            tensors[str(name)] = torch.from_numpy(np.array(value))
        else:
            raise CheckpointError(
                f"{source}: expected an array under {name!r}, got {type(value).__name__}"
            )
    return tensors


def _read_torch(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"asks for {asked[1]}" if asked else "holds more than tensors and containers"
        raise CheckpointError(
            f"{path}: {what}; only tensors and plain containers are read, because anything else "
            "could run commands. Convert the file to safetensors where you trust it"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, LookupError) as error:
        raise CheckpointError(
            f"{path}: not a whole file of torch.save: {error}; copy or download it again"
        ) from error
