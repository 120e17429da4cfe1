"""Random subsets of labelled candidates, so that negatives do not drown positives."""

import attrs
import torch
from torch import Tensor

from geodet.errors import CompositionError

__all__ = ["BalancedSampler", "subsample_labels"]


def subsample_labels(
    labels: Tensor,
    count: int,
    positive_fraction: float,
    *,
    background: int = 0,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw positives up to a share, and fill up with negatives.

    Args:
        labels: [n] integers: -1 ignored, `background` negative, everything else positive.
        count: how many to draw in all, if there are that many.
        positive_fraction: largest share of positives.
        background: label of negatives.
        generator: source of randomness on the device of `labels`; None is torch's global one
            of that device, so `torch.manual_seed` decides.
    Returns:
        positive: [p] int64 indices, p <= count * positive_fraction, in random order.
        negative: [q] int64 indices, p + q <= count, in random order.
    Empty: no labels of a kind give no indices of it.
    """
    positive = torch.nonzero((labels != -1) & (labels != background)).flatten()
    negative = torch.nonzero(labels == background).flatten()
    num_positive = min(positive.numel(), int(count * positive_fraction))
    num_negative = min(negative.numel(), count - num_positive)
    return _draw(positive, num_positive, generator), _draw(negative, num_negative, generator)


def _draw(indices: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    order = torch.randperm(indices.numel(), device=indices.device, generator=generator)
    return indices[order[:count]]


@attrs.frozen
class BalancedSampler:
    """How many candidates an image contributes to a loss.

    Args:
        count: candidates per image.
        positive_fraction: largest share of positives.
    Raises:
        CompositionError: a number is out of range.
    """

    count: int
    positive_fraction: float

    def __attrs_post_init__(self) -> None:
        if self.count < 1 or not 0.0 < self.positive_fraction <= 1.0:
            raise CompositionError(
                f"BalancedSampler: expected count >= 1 and 0 < positive_fraction <= 1, got "
                f"count={self.count}, positive_fraction={self.positive_fraction}"
            )

    def __call__(
        self, labels: Tensor, *, background: int = 0, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """`subsample_labels` with this sampler's numbers."""
        return subsample_labels(
            labels,
            self.count,
            self.positive_fraction,
            background=background,
            generator=generator,
        )
