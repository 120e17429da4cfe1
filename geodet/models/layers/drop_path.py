"""Stochastic depth: whole residual branches left out at random."""

from torch import Tensor, nn

from geodet.errors import CompositionError

__all__ = ["DropPath", "drop_path_rates"]


class DropPath(nn.Module):
    """Leave a residual branch out for some samples of a batch, while training.

    Those kept are divided by the share kept, so that the expectation stays.

    Args:
        probability: of leaving one sample out, in [0, 1).
    Raises:
        CompositionError: the probability is none.
    Reference: Huang et al. 2016 (arXiv 1603.09382).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0.0 <= probability < 1.0:
            raise CompositionError(f"DropPath: expected probability in [0, 1), got {probability}")
        self.probability = probability

    def forward(self, branch: Tensor) -> Tensor:
        """Drop samples when in training mode, else return the input.

        Args:
            branch: [b, ...].
        Returns:
            The same shape.
        Empty: b = 0 gives b = 0.
        """
        if not self.training or self.probability == 0.0:
            return branch
        shape = (branch.shape[0], *[1] * (branch.ndim - 1))
        kept = branch.new_empty(shape).bernoulli_(1.0 - self.probability)
        return branch * kept.div_(1.0 - self.probability)

    def extra_repr(self) -> str:
        """Numbers shown by `print(model)`."""
        return f"{self.probability:g}"


def drop_path_rates(last: float, num_blocks: int) -> list[float]:
    """Probability of every block, growing evenly from 0 at the first to `last`.

    Args:
        last: probability of the last block.
        num_blocks: how many there are; a single one gets 0.
    """
    return [last * i / max(num_blocks - 1, 1) for i in range(num_blocks)]
