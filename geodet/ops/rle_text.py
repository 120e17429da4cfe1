"""COCO's compressed text of run lengths, as its annotation and result files hold it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from geodet.errors import DeviceError, DtypeError
from geodet.ops import _backend
from geodet.ops._rle_batch import FlatRle, as_tensors, check_batch

__all__ = ["rle_from_strings", "rle_to_strings"]


def rle_to_strings(counts: Tensor, offsets: Tensor) -> list[bytes]:
    """COCO's text of every mask.

    Args:
        counts: [t] int32, on the CPU.
        offsets: [n + 1] int64.
    Returns:
        n ASCII texts, byte for byte what pycocotools writes for the same runs.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the batch is not sound; the message names the mask.
    Empty: n = 0 gives [].
    """
    check_batch(counts, offsets)
    if counts.device != torch.device("cpu"):
        raise DeviceError(f"counts: expected on the CPU, got {counts.device}; use .to('cpu')")
    texts: list[bytes] = _backend.cpu.rle_to_strings(
        _backend.array(counts), _backend.array(offsets)
    )
    return texts


def rle_from_strings(texts: Sequence[bytes | str]) -> FlatRle:
    """Run lengths from COCO's texts.

    The size of the masks is not in the text: operators that are told it check the sums.

    Args:
        texts: n texts, bytes or str.
    Returns:
        counts [t] int32 and offsets [n + 1] int64, exactly the runs that were written.
    Raises:
        DtypeError: an element is neither bytes nor str.
        InvalidValueError: a text is not well formed, or holds a negative run or one beyond
            2^31 - 1; the message names the mask and the character.
    Empty: [] gives counts [0] and offsets [1].
    """
    for row, text in enumerate(texts):
        if not isinstance(text, bytes | str):
            raise DtypeError(
                f"texts: expected bytes or str, got {type(text).__name__} for mask {row}"
            )
    return as_tensors(_backend.cpu.rle_from_strings(list(texts)))
