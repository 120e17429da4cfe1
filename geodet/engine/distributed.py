"""Several processes, started by torchrun, that train one model together."""

import datetime
import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar, cast

import attrs
import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from geodet.errors import DeviceError, TrainingError

__all__ = ["Processes", "choose_device", "process_group"]

_T = TypeVar("_T")


@attrs.frozen(kw_only=True)
class Processes:
    """Place of one process among all that train together; a lone one is rank 0 of 1.

    Args:
        rank: number of this process; only rank 0 writes files.
        world_size: number of processes.
        device: where this process computes.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = attrs.field(factory=lambda: torch.device("cpu"))

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def share_of(self, batch_size: int) -> int:
        """Return how many images of a batch each process takes.

        Raises:
            TrainingError: the batch cannot be shared equally, so gradients would be unequal.
        """
        if batch_size % self.world_size:
            raise TrainingError(
                f"batch_size: expected a multiple of the {self.world_size} processes, "
                f"got {batch_size}; the mean over processes would not be the mean over images"
            )
        return batch_size // self.world_size

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return a model whose backward pass averages gradients over all processes."""
        if self.world_size == 1:
            return model
        devices = [self.device] if self.device.type == "cuda" else None
        return cast("nn.Module", DistributedDataParallel(model, device_ids=devices))

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of a tensor over all processes; each must give the same shape."""
        if self.world_size == 1:
            return values
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total / self.world_size

    def gather(self, value: _T) -> list[_T]:
        """Return the value of every process, by rank, on every process.

        The values travel pickled, which is safe here: only processes of this very run speak.
        """
        if self.world_size == 1:
            return [value]
        gathered: list[_T | None] = [None] * self.world_size
        torch.distributed.all_gather_object(gathered, value)
        return cast("list[_T]", gathered)

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.world_size > 1:
            torch.distributed.barrier()


def choose_device(name: str, *, local_rank: int = 0) -> torch.device:
    """Return the device that a recipe's `device` means.

    Args:
        name: "auto" takes CUDA when there is any and the CPU otherwise; else a torch device.
        local_rank: number of this process on its machine: which GPU "auto" and "cuda" mean.
    Raises:
        DeviceError: the name means nothing to torch, or the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(
            f"device: expected 'auto', 'cpu', 'cuda' or 'cuda:0', got {name!r}"
        ) from error
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = local_rank if device.index is None else device.index
        if index >= count:
            raise DeviceError(
                f"device: {name} number {index} was asked for, {count} CUDA devices are there; "
                "use --set device=cpu or start fewer processes"
            )
        device = torch.device("cuda", index)
    return device


@contextmanager
def process_group(
    device_name: str, environment: Mapping[str, str] | None = None
) -> Iterator[Processes]:
    """Join the processes that torchrun started, and leave them at the end.

    Args:
        device_name: as in `choose_device`. CPU processes speak gloo, CUDA ones nccl.
        environment: where torchrun's RANK, WORLD_SIZE and LOCAL_RANK stand; None: `os.environ`.
    Returns:
        Context of this process; without torchrun's variables, a lone process.
    """
    found = os.environ if environment is None else environment
    world_size = int(found.get("WORLD_SIZE", "1"))
    device = choose_device(device_name, local_rank=int(found.get("LOCAL_RANK", "0")))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if world_size == 1:
        yield Processes(device=device)
        return
    # DistributedDataParallel imports this module, whose functions take the default group of that
    # moment as a default argument. Imported before there is a group, they keep none alive: gloo's
    # threads end with the group, and none meets an interpreter that is shutting down (SIGABRT).
    importlib.import_module("torch.distributed.nn.functional")
    backend = "nccl" if device.type == "cuda" else "gloo"
    # One process may write checkpoints or draw pictures while the others wait.
    patience = datetime.timedelta(hours=1)
    torch.distributed.init_process_group(backend, timeout=patience)
    try:
        yield Processes(rank=int(found["RANK"]), world_size=world_size, device=device)
        # Leave together: rank 0 may still write files when the others are done.
        torch.distributed.barrier()
    finally:
        torch.distributed.destroy_process_group()
