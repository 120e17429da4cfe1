"""What dense losses are divided by: a running mean of how many positives a batch has."""

import torch
from torch import Tensor, nn

from geodet.errors import CompositionError

__all__ = ["EmaNormaliser"]


class EmaNormaliser(nn.Module):
    """Exponential moving average of a count, saved with the weights.

    The count of one small batch varies too much to divide by. Nothing happens unasked: `update`
    moves the mean, reading `value` does not. The mean is a persistent buffer, so that a resumed
    run divides by what the interrupted one did.

    Distributed: every process counts its own images. DistributedDataParallel, by its default
    `broadcast_buffers=True`, hands the mean of rank 0 to all before each pass, so that the
    processes differ by the newest count at most, and rank 0's mean is the one that is saved.

    Args:
        initial: the mean before any count.
        momentum: share of the old mean in the new one.
    Raises:
        CompositionError: initial is not positive, or momentum is outside [0, 1).
    """

    value: Tensor

    def __init__(self, *, initial: float = 100.0, momentum: float = 0.9) -> None:
        super().__init__()
        if initial <= 0.0 or not 0.0 <= momentum < 1.0:
            raise CompositionError(
                f"EmaNormaliser: expected initial above 0 and momentum in [0, 1), got "
                f"initial={initial}, momentum={momentum}"
            )
        self.initial = initial
        self.momentum = momentum
        self.register_buffer("value", torch.tensor(float(initial)))

    def forward(self) -> Tensor:
        """The mean, a scalar of its own that later updates do not change."""
        return self.value.clone()

    @torch.no_grad()
    def update(self, count: Tensor | int) -> Tensor:
        """Take in one count, and give the new mean.

        Args:
            count: scalar; counts below 1 are taken as 1.
        Returns:
            The new mean, a scalar of its own that later updates do not change.
        """
        count = torch.as_tensor(count, dtype=self.value.dtype, device=self.value.device)
        self.value.mul_(self.momentum).add_(count.clamp(min=1.0), alpha=1.0 - self.momentum)
        return self.value.clone()

    def extra_repr(self) -> str:
        """Numbers shown by `print(model)`."""
        return f"initial={self.initial:g}, momentum={self.momentum:g}"
