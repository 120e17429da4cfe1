"""A batch as one block of shared memory, on its way from a loader worker to the main process.

torch sends every tensor of a batch through a file descriptor of its own. A batch of 16 images with
boxes, labels, masks and more has hundreds, which is slow and runs into the limit on open files.
Here all tensor data lies in one tensor, and a small pickle says what is where.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

__all__ = ["Parcel", "pack", "unpack"]

_ALIGNMENT = 64  # bytes: a cache line, and enough for every vector instruction


@attrs.frozen(eq=False)
class Parcel:
    """Any picklable value, with the data of its tensors apart.

    Args:
        skeleton: pickle of the value without the tensors' data.
        data: uint8 [t], that data.
        spans: begin and end in `data` of each tensor.
    """

    skeleton: bytes
    data: Tensor
    spans: list[tuple[int, int]]

    def pin_memory(self) -> "Parcel":
        """Return the parcel in page-locked memory; what is unpacked from it is, too."""
        return attrs.evolve(self, data=self.data.pin_memory())


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if type(value) is not Tensor or value.device.type != "cpu" or value.is_sparse:
            return NotImplemented
        # An empty tensor may have a stride of 0, which no view as bytes allows.
        flat = value.detach().contiguous().reshape(-1) if value.numel() else value.new_empty(0)
        flat = flat.view(torch.uint8)
        buffer: Any = flat.numpy()
        return _tensor, (pickle.PickleBuffer(buffer), value.dtype, tuple(value.shape))


def _tensor(buffer: Any, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    if memoryview(buffer).nbytes == 0:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(buffer, dtype=dtype).reshape(shape)


def pack(value: object) -> Parcel:
    """Copy the data of all tensors in `value` into one tensor.

    In a loader worker that tensor lies in shared memory, so that sending it copies nothing.
    """
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    keep: Callable[[pickle.PickleBuffer], Any] = buffers.append
    _Pickler(stream, protocol=5, buffer_callback=keep).dump(value)
    spans: list[tuple[int, int]] = []
    end = 0
    for buffer in buffers:
        begin = -(-end // _ALIGNMENT) * _ALIGNMENT
        end = begin + buffer.raw().nbytes
        spans.append((begin, end))
    data = torch.empty(end, dtype=torch.uint8)
    if torch.utils.data.get_worker_info() is not None:
        data = _shared(end)
    target = data.numpy()
    for buffer, (begin, stop) in zip(buffers, spans, strict=True):
        target[begin:stop] = np.frombuffer(buffer.raw(), dtype=np.uint8)
    return Parcel(stream.getvalue(), data, spans)


def unpack(parcel: Parcel) -> Any:
    """Return the value; its tensors are views into the parcel's memory."""
    data = parcel.data.numpy()
    buffers = [data[begin:end] for begin, end in parcel.spans]
    return pickle.loads(parcel.skeleton, buffers=buffers)  # noqa: S301 (our own worker wrote it)


def _shared(length: int) -> Tensor:
    # What torch's own collation does: memory that is shared from the start need not be copied.
    storage: Any = torch.UntypedStorage._new_shared(length)
    return torch.empty(0, dtype=torch.uint8).set_(storage)
