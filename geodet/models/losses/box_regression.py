"""What a wrong box costs, as objects that detectors take. Letters: n boxes, k numbers per box."""

from abc import ABC, abstractmethod
from typing import Literal

import attrs
import torch
from torch import Tensor

from geodet.errors import CompositionError
from geodet.models.box_coding import Coder
from geodet.models.losses.regression import smooth_l1_loss

__all__ = ["BoxLoss", "IouLoss", "SmoothL1"]


class BoxLoss(ABC):
    """Abstract: cost of predicted offsets against the boxes that they should lead to."""

    @abstractmethod
    def __call__(self, coder: Coder, references: Tensor, deltas: Tensor, boxes: Tensor) -> Tensor:
        """Sum over the boxes, times the weight of the loss; the caller divides.

        Args:
            coder: between offsets and boxes.
            references: [n, k] boxes that the offsets start from.
            deltas: [n, k] predicted offsets.
            boxes: [n, k] where they should lead.
        Returns:
            Scalar in float32.
        Empty: n = 0 gives 0, with gradients of zeros.
        """

    @abstractmethod
    def check_fits(self, coder: Coder, *, owner: str) -> None:
        """Raise CompositionError, naming `owner`, when boxes of that kind have no such loss."""


@attrs.frozen
class SmoothL1(BoxLoss):
    """Distance of the offsets, quadratic near 0.

    Args:
        beta: offset error below which the loss is quadratic; 0 is plain L1.
        weight: factor.
    Raises:
        CompositionError: a number is negative.
    Reference: Girshick 2015 (arXiv 1504.08083), equation 3.
    """

    beta: float = 0.0
    weight: float = 1.0

    def __attrs_post_init__(self) -> None:
        if self.beta < 0 or self.weight < 0:
            raise CompositionError(
                f"SmoothL1: expected beta >= 0 and weight >= 0, got beta={self.beta}, "
                f"weight={self.weight}"
            )

    def __call__(self, coder: Coder, references: Tensor, deltas: Tensor, boxes: Tensor) -> Tensor:
        """See `BoxLoss`."""
        with torch.no_grad():
            wanted = coder.encode(references, boxes)
        return self.weight * smooth_l1_loss(deltas, wanted, beta=self.beta)

    def check_fits(self, coder: Coder, *, owner: str) -> None:
        """Offsets of every kind have a distance."""


@attrs.frozen
class IouLoss(BoxLoss):
    """1 - overlap of the decoded boxes with their targets.

    Args:
        measure: "iou", "giou", "diou" or "ciou"; rotated boxes have the first two. Plain IoU
            pulls nothing together that does not overlap.
        weight: factor.
    Raises:
        CompositionError: the weight is negative.
    Reference: Rezatofighi et al. 2019 (arXiv 1902.09630); Zheng et al. 2020 (arXiv 1911.08287).
    """

    measure: Literal["iou", "giou", "diou", "ciou"]
    weight: float = 1.0

    def __attrs_post_init__(self) -> None:
        if self.weight < 0:
            raise CompositionError(f"IouLoss: expected weight >= 0, got {self.weight}")

    def __call__(self, coder: Coder, references: Tensor, deltas: Tensor, boxes: Tensor) -> Tensor:
        """See `BoxLoss`."""
        similarity = coder.kind.measure(self.measure, asked_by="IouLoss")
        return self.weight * (1 - similarity(coder.decode(references, deltas), boxes)).sum()

    def check_fits(self, coder: Coder, *, owner: str) -> None:
        """See `BoxLoss`."""
        coder.kind.measure(self.measure, asked_by=f"{owner} with IouLoss")
