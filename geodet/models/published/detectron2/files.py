"""Files of Detectron2, and of those before it: what they hold, under Detectron2's names."""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import numpy as np
import torch
from torch import Tensor

from geodet.errors import CheckpointError
from geodet.models.published.detectron2.caffe2 import from_caffe2
from geodet.models.published.detectron2.older_names import with_present_names
from geodet.weights import as_tensors, read_archive

__all__ = ["Detectron2File", "read_detectron2", "write_detectron2"]

# Tensors that no model needs: those that follow from the architecture (anchors, Swin's windows),
# and a classifier that Detectron2's conversion of torchvision's ResNets leaves in the stem.
_NEEDLESS = (
    "anchor_generator.cell_anchors",
    ".attn.relative_position_index",
    ".attn_mask",
    "stem.fc.",
)


@attrs.frozen(kw_only=True)
class Detectron2File:
    """Tensors of one file.

    Args:
        author: who wrote it, as it says, or what its layout tells.
        tensors: by name.
        by_suffix: names may lack what stands before them in the model: files of backbones.
        ignored: names that no model needs and that were left out.
    """

    author: str
    tensors: dict[str, Tensor]
    by_suffix: bool
    ignored: tuple[str, ...]


def read_detectron2(path: Path) -> Detectron2File:
    """Read a file of Detectron2 (.pkl, .pth, .safetensors), Detectron1 / Caffe2 or pycls.

    Raises:
        CheckpointError: it cannot be read safely, or holds something other than weights.
    """
    content = read_archive(path)
    name = str(path)
    if "model_state" in content:
        author, by_suffix, tensors = "pycls", True, as_tensors(content["model_state"], source=name)
    elif path.suffix.lower() != ".pkl":
        inner = content.get("model", content.get("state_dict", content))
        author, by_suffix, tensors = "torch", True, as_tensors(inner, source=name)
    elif "model" in content and "__author__" in content:
        author = str(content["__author__"])
        by_suffix = bool(content.get("matching_heuristics", False))
        tensors = with_present_names(as_tensors(content["model"], source=name))
    else:
        author, by_suffix = "Caffe2", True
        blobs = _blobs(content, name)
        tensors = from_caffe2(as_tensors(blobs, source=name))
    tensors = _without_prefix(tensors, "module.")
    ignored = tuple(key for key in tensors if any(part in key for part in _NEEDLESS))
    kept = {key: value for key, value in tensors.items() if key not in ignored}
    if not kept:
        raise CheckpointError(f"{path}: expected tensors, found none")
    return Detectron2File(author=author, tensors=kept, by_suffix=by_suffix, ignored=ignored)


def write_detectron2(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a `.pkl` of the layout of Detectron2's model zoo, whole or not at all.

    Floating-point tensors become float32.

    Raises:
        CheckpointError: the path does not end in .pkl, or cannot be written.
    """
    if path.suffix != ".pkl":
        raise CheckpointError(f"{path}: expected a path that ends in .pkl")
    arrays = {}
    for name, tensor in tensors.items():
        value = tensor.detach().cpu()
        arrays[name] = (value.to(torch.float32) if value.is_floating_point() else value).numpy()
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.writelines(_pickled(arrays))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: cannot be written: {error}") from error


def _pickled(arrays: Mapping[str, np.ndarray]) -> Iterator[bytes]:
    """The instructions of `{"model": arrays, "__author__": "geodet"}`, protocol 4.

    `pickle.dump` would name NumPy's functions as the NumPy at hand does (`numpy._core`), which
    the older NumPy beside most installations of Detectron2 does not know; every version knows
    `numpy.core`.
    """
    yield b"\x80\x04}("
    yield _text("model") + b"}("
    for name, array in arrays.items():
        order = "|" if array.dtype.itemsize == 1 else "<"
        content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        yield _text(name)
        yield b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        yield _number(0) + b"\x85" + b"C\x01b" + b"\x87R"
        yield b"(" + _number(1) + b"(" + b"".join(map(_number, array.shape)) + b"t"
        yield b"cnumpy\ndtype\n" + _text(array.dtype.str[1:]) + b"\x89\x88\x87R"
        yield b"(" + _number(3) + _text(order) + b"NNN" + _number(-1) * 2 + _number(0) + b"tb"
        yield b"\x89\x8e" + struct.pack("<Q", len(content))
        yield content
        yield b"tb"
    yield b"u" + _text("__author__") + _text("geodet") + b"u."


def _text(text: str) -> bytes:
    encoded = text.encode("utf-8")
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _number(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)


def _blobs(content: Mapping[str, object], name: str) -> dict[str, object]:
    """Caffe2's arrays, without what its optimiser kept."""
    blobs = content.get("blobs", content)
    if not isinstance(blobs, Mapping):
        raise CheckpointError(f"{name}: expected 'blobs' to be a table, got {type(blobs).__name__}")
    return {
        str(key): value
        for key, value in blobs.items()
        if not str(key).endswith("_momentum") and isinstance(value, np.ndarray)
    }


def _without_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """What DistributedDataParallel puts before every name."""
    if not all(key.startswith(prefix) for key in tensors):
        return tensors
    return {key.removeprefix(prefix): value for key, value in tensors.items()}
