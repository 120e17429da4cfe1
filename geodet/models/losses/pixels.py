"""Losses of classes of pixels. Shapes: b images, c classes, H x W pixels."""

from abc import ABC, abstractmethod

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from geodet.errors import InvalidValueError

__all__ = ["HardPixelMining", "PixelCrossEntropy", "PixelLoss"]


class PixelLoss(ABC):
    """Abstract: one number for the classes of all pixels of a batch."""

    @abstractmethod
    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute the loss.

        Args:
            logits: [b, c, H, W].
            labels: [b, H, W] int64; -1 does not count.
            weights: [b, H, W], what each pixel's loss is multiplied with; None for 1.
        Returns:
            A float32 scalar.
        Empty: without a pixel that counts it is 0, with gradients of 0.
        """


@attrs.frozen
class PixelCrossEntropy(PixelLoss):
    """Cross-entropy, mean over the pixels that have a class."""

    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the mean; weights change the sum, not what it is divided by."""
        counted = (labels >= 0).sum().clamp(min=1)
        if weights is None:
            # The mean written out: of no pixels it would be NaN.
            total = functional.cross_entropy(
                logits.float(), labels, ignore_index=-1, reduction="sum"
            )
            return total / counted
        return (_per_pixel(logits, labels) * weights).sum() / counted


@attrs.frozen
class HardPixelMining(PixelLoss):
    """Cross-entropy of the pixels that are worst at the moment, over the whole batch.

    Args:
        fraction: share of all pixels, padding and those without a class included, that counts;
            of those the ones with the greatest loss do.
    Raises:
        InvalidValueError: the fraction is not in (0, 1].
    Reference: Yang et al. 2019 (DeeperLab, arXiv 1902.05093), section 3.2.1; the share of all
        pixels instead of labelled ones is that of DeepLab and Detectron2.
    """

    fraction: float = 0.2

    def __attrs_post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise InvalidValueError(f"fraction: expected a share in (0, 1], got {self.fraction}")

    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the mean of the worst pixels' losses, after weighting."""
        losses = _per_pixel(logits, labels)
        if weights is not None:
            losses = losses * weights
        losses = losses.flatten()
        if self.fraction == 1.0 or losses.numel() == 0:
            return losses.sum() / max(losses.numel(), 1)
        worst = max(1, int(self.fraction * losses.numel()))
        return torch.topk(losses, worst, sorted=False).values.mean()


def _per_pixel(logits: Tensor, labels: Tensor) -> Tensor:
    """[b, H, W] float32, 0 where a pixel has no class."""
    return functional.cross_entropy(logits.float(), labels, ignore_index=-1, reduction="none")
