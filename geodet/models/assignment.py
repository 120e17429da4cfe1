"""Which target each anchor or proposal is trained on."""

import attrs
import torch
from torch import Tensor

from geodet.errors import CompositionError

__all__ = ["Matcher"]


@attrs.frozen
class Matcher:
    """Assigns to every candidate its best target, and a label by how good that is.

    Args:
        thresholds: ascending; a candidate whose best quality lies in
            [thresholds[i-1], thresholds[i]) gets labels[i].
        labels: one more than thresholds: 1 positive, 0 negative, -1 ignored.
        allow_low_quality: the best candidates of a target become positive, however low their
            quality, as long as it is above 0; equally good ones all do. They keep the target
            that is best for *them*.
    Raises:
        CompositionError: the numbers do not fit each other.
    Reference: Ren et al. 2015 (arXiv 1506.01497), section 3.1.2.
    """

    thresholds: tuple[float, ...]
    labels: tuple[int, ...]
    allow_low_quality: bool = False

    def __attrs_post_init__(self) -> None:
        ascending = sorted(self.thresholds) == list(self.thresholds)
        if len(self.labels) != len(self.thresholds) + 1 or not ascending:
            raise CompositionError(
                f"Matcher: expected ascending thresholds and one label more, got "
                f"thresholds={self.thresholds}, labels={self.labels}"
            )
        if any(label not in (-1, 0, 1) for label in self.labels):
            raise CompositionError(f"Matcher: expected labels of -1, 0, 1, got {self.labels}")
        if self.thresholds and self.thresholds[0] <= 0:
            raise CompositionError(
                f"Matcher: expected thresholds above 0, got {self.thresholds}; quality 0 means "
                "that nothing overlaps"
            )

    def __call__(self, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Match.

        Args:
            quality: [g, n] in [0, 1]: g targets, n candidates; usually IoU.
        Returns:
            targets: [n] int64 index of each candidate's best target, ties to the lower index.
            labels: [n] int8.
        Empty: g = 0 gives zeros and the lowest label; n = 0 gives two empty tensors.
        """
        num_targets, num_candidates = quality.shape
        if num_targets == 0 or num_candidates == 0:
            targets = quality.new_zeros(num_candidates, dtype=torch.int64)
            return targets, torch.full_like(targets, self.labels[0], dtype=torch.int8)
        best, targets = quality.max(dim=0)
        labels = torch.full_like(targets, self.labels[0], dtype=torch.int8)
        for threshold, label in zip(self.thresholds, self.labels[1:], strict=True):
            labels.masked_fill_(best >= threshold, label)
        if self.allow_low_quality:
            best_of_target = quality.amax(dim=1, keepdim=True)
            # A target that nothing overlaps must not make every candidate positive.
            reached = torch.where(best_of_target > 0, best_of_target, torch.inf)
            low = (quality == reached).any(dim=0)
            labels.masked_fill_(low, 1)
        return targets, labels
