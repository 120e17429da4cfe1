"""What a wrong class costs, and how sure a logit is, as modules that box heads take.

Letters: r regions, c classes without background; logits are [r, c + 1], background last.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError

__all__ = ["ClassLoss", "FederatedClasses", "SigmoidClasses", "SoftmaxClasses"]


class ClassLoss(nn.Module, ABC):
    """Abstract: cost of class logits, and their probabilities. Holds no weights.

    Args:
        weight: factor of the loss.
    Raises:
        CompositionError: the weight is negative.
    """

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        if weight < 0:
            raise CompositionError(f"{type(self).__name__}: expected weight >= 0, got {weight}")
        self.weight = weight

    @abstractmethod
    def forward(
        self, logits: Tensor, labels: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Loss per region, averaged.

        Args:
            logits: [r, c + 1].
            labels: [r] int64 in 0..c, c for background.
            generator: for losses that draw something; None is torch's global one.
        Returns:
            Scalar in float32.
        Empty: r = 0 gives 0 with gradients of 0.
        """

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """[r, c + 1] to [r, c] in float32, without background."""

    def check_fits(self, num_classes: int) -> None:
        """Raise CompositionError unless it serves as many classes."""
        del num_classes


class SoftmaxClasses(ClassLoss):
    """Final: cross-entropy; a region is of one class or background."""

    def forward(
        self, logits: Tensor, labels: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """See `ClassLoss`."""
        del generator
        # The mean written out: of no regions it would be NaN.
        total = functional.cross_entropy(logits.float(), labels, reduction="sum")
        return self.weight * total / max(len(labels), 1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """See `ClassLoss`."""
        return logits.float().softmax(dim=-1)[:, :-1]


class SigmoidClasses(ClassLoss):
    """Final: binary cross-entropy of every class for itself, summed over classes.

    The logit of background is there, so that checkpoints fit either loss, and says nothing.
    """

    def forward(
        self, logits: Tensor, labels: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """See `ClassLoss`."""
        del generator
        return self.weight * _binary(logits, labels).sum() / max(len(labels), 1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """See `ClassLoss`."""
        return logits.float().sigmoid()[:, :-1]


class FederatedClasses(ClassLoss):
    """Final: as `SigmoidClasses`, over the classes of the batch and a few others drawn at random.

    Of a large vocabulary most classes are not annotated in most images, so most absences mean
    nothing; frequent classes are drawn more often, since they are annotated more thoroughly.

    Args:
        image_counts: [c] how many images of the data show each class.
        num_classes_used: drawn classes fill up to this many; background counts as one of them
            when the batch has it.
        power: a class is drawn with a chance that goes with its count to this power.
        weight: factor of the loss.
    Raises:
        CompositionError: a number is out of range.
    Reference: Zhou et al. 2021 (arXiv 2103.07461), section 4; numbers as in Detectron2.
    """

    chances: Tensor

    def __init__(
        self,
        image_counts: Sequence[float],
        *,
        num_classes_used: int = 50,
        power: float = 0.5,
        weight: float = 1.0,
    ) -> None:
        super().__init__(weight=weight)
        if len(image_counts) == 0 or min(image_counts) < 0 or max(image_counts) == 0:
            raise CompositionError(
                "FederatedClasses: expected a count of images for each class, one above 0, got "
                f"{list(image_counts)[:8]}"
            )
        if num_classes_used < 1:
            raise CompositionError(
                f"FederatedClasses: expected num_classes_used >= 1, got {num_classes_used}"
            )
        self.num_classes_used = num_classes_used
        chances = torch.tensor([float(count) for count in image_counts]) ** power
        self.register_buffer("chances", chances, persistent=False)

    def forward(
        self, logits: Tensor, labels: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """See `ClassLoss`; the generator draws the classes."""
        used = torch.zeros(len(self.chances) + 1, device=logits.device)
        used[self.draw(labels, generator=generator)] = 1.0
        return self.weight * (_binary(logits, labels) * used[:-1]).sum() / max(len(labels), 1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """See `ClassLoss`."""
        return logits.float().sigmoid()[:, :-1]

    def check_fits(self, num_classes: int) -> None:
        """See `ClassLoss`."""
        if len(self.chances) != num_classes:
            raise CompositionError(
                f"FederatedClasses has counts of {len(self.chances)} classes, BoxHead has "
                f"num_classes={num_classes}"
            )

    def draw(self, labels: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Classes that count.

        Args:
            labels: [r] int64 in 0..c.
            generator: source of randomness; None is torch's global one.
        Returns:
            [m] int64 without repetition: those among the labels first, in order, then drawn
            ones. There are fewer than `num_classes_used` when no others have images.
        Empty: no labels give drawn classes only.
        """
        present: Tensor = labels.unique()
        chances = torch.cat([self.chances, self.chances.new_zeros(1)])
        chances[present] = 0.0
        candidates = int((chances > 0).sum())
        missing = min(self.num_classes_used - len(present), candidates)
        if missing <= 0:
            return present
        return torch.cat([present, torch.multinomial(chances, missing, generator=generator)])


def _binary(logits: Tensor, labels: Tensor) -> Tensor:
    """[r, c] binary cross-entropy against one-hot labels."""
    wanted = functional.one_hot(labels, logits.shape[1])[:, :-1].float()
    each: Tensor = functional.binary_cross_entropy_with_logits(
        logits[:, :-1].float(), wanted, reduction="none"
    )
    return each
