"""Proposals that come with the images: what makes Fast R-CNN of an R-CNN.

Reference: Girshick 2015 (arXiv 1504.08083).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from geodet.errors import CompositionError, InvalidValueError
from geodet.models.box_kinds import UPRIGHT, AnyBoxKind
from geodet.models.heads.stages import FirstStage, Proposals, TrainedProposals
from geodet.structures import ImageSize

__all__ = ["GivenProposals"]


class GivenProposals(FirstStage):
    """Final: keeps the best of the proposals it is given, cut at the border of their image.

    Args:
        kind: of the boxes.
        train_count: proposals of an image to train on.
        test_count: proposals of an image to predict from.
        min_size: a proposal with a side not longer than this goes.
    Raises:
        CompositionError: a number is out of range.
    """

    def __init__(
        self,
        *,
        kind: AnyBoxKind = UPRIGHT,
        train_count: int = 2000,
        test_count: int = 1000,
        min_size: float = 0.0,
    ) -> None:
        super().__init__()
        if train_count < 1 or test_count < 1 or min_size < 0:
            raise CompositionError(
                "GivenProposals: expected train_count >= 1, test_count >= 1 and min_size >= 0, "
                f"got {train_count}, {test_count} and {min_size}"
            )
        self.kind = kind
        self.strides: Mapping[str, int] = {}
        self.in_channels = 0
        self.train_count = train_count
        self.test_count = test_count
        self.min_size = min_size

    def learn(
        self,
        features: Mapping[str, Tensor],
        sizes: Sequence[ImageSize],
        target_boxes: Sequence[Tensor],
        *,
        given: Sequence[Proposals] | None = None,
        generator: torch.Generator | None = None,
    ) -> TrainedProposals:
        """See `FirstStage`; there is nothing to learn."""
        del features, target_boxes, generator
        kept = self._best(sizes, given, self.train_count)
        return TrainedProposals(proposals=kept, losses={}, counts={})

    def propose(
        self,
        features: Mapping[str, Tensor],
        sizes: Sequence[ImageSize],
        *,
        given: Sequence[Proposals] | None = None,
    ) -> list[Proposals]:
        """See `FirstStage`."""
        del features
        return self._best(sizes, given, self.test_count)

    @torch.no_grad()
    def _best(
        self, sizes: Sequence[ImageSize], given: Sequence[Proposals] | None, count: int
    ) -> list[Proposals]:
        if given is None:
            raise InvalidValueError(
                "proposals: expected boxes for every image, got None; this model is built with "
                "GivenProposals: call model(images, proposals=...), or build it with an RPN"
            )
        kept = []
        for proposals, size in zip(given, sizes, strict=True):
            boxes = proposals.boxes
            boxes = self.kind.clip(boxes, boxes.new_tensor([size.width, size.height]))
            usable = (self.kind.sides(boxes) > self.min_size).all(-1)
            usable &= torch.isfinite(boxes).all(-1) & torch.isfinite(proposals.logits)
            rows = torch.nonzero(usable).flatten()
            order = proposals.logits[rows].argsort(descending=True, stable=True)
            rows = rows[order[:count]]
            kept.append(Proposals(boxes=boxes[rows], logits=proposals.logits[rows]))
        return kept
