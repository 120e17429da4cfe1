"""What the two stages of a detector promise each other: proposals, then classified boxes.

Letters: b images, r regions over all images, k numbers per box, c classes without background.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn

from geodet.models.box_kinds import AnyBoxKind
from geodet.models.heads.roi_sampling import SampledRois
from geodet.structures import ImageSize

__all__ = [
    "BoxDetections",
    "FirstStage",
    "Proposals",
    "SecondStage",
    "TrainedBoxes",
    "TrainedProposals",
]


@attrs.frozen(eq=False)
class Proposals:
    """Boxes of one image that may hold an object, best first.

    Args:
        boxes: [n, k] cut at the border of the image.
        logits: [n] raw objectness.
    """

    boxes: Tensor
    logits: Tensor


@attrs.frozen(eq=False)
class TrainedProposals:
    """What a training step of the first stage leaves.

    Args:
        proposals: per image, for the second stage to train on; without gradient.
        losses: named scalars.
        counts: named int64 scalars to log.
    """

    proposals: list[Proposals]
    losses: dict[str, Tensor]
    counts: dict[str, Tensor]


@attrs.frozen(eq=False)
class BoxDetections:
    """Final boxes of one image, by descending score.

    Args:
        boxes: [n, k] cut at the border of the image, with area.
        scores: [n] probabilities.
        labels: [n] int64.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


@attrs.frozen(eq=False)
class TrainedBoxes:
    """What a training step of the second stage leaves.

    Args:
        sampled: regions for further heads, which train on the foreground among them.
        maps: [r, channels, side, side] of the regions that it trained on; see `SecondStage.maps`.
        losses: named scalars.
        counts: named int64 scalars to log.
    """

    sampled: SampledRois
    maps: Tensor
    losses: dict[str, Tensor]
    counts: dict[str, Tensor]


class FirstStage(nn.Module, ABC):
    """Abstract: feature maps to proposals.

    Attributes:
        kind: of the boxes.
        strides: name -> stride of the maps that it reads; empty when it reads none.
        in_channels: channels of those maps; 0 when it reads none.
    """

    kind: AnyBoxKind
    strides: Mapping[str, int]
    in_channels: int

    @abstractmethod
    def learn(
        self,
        features: Mapping[str, Tensor],
        sizes: Sequence[ImageSize],
        target_boxes: Sequence[Tensor],
        *,
        given: Sequence[Proposals] | None = None,
        generator: torch.Generator | None = None,
    ) -> TrainedProposals:
        """Proposals to train on, and the losses of making them.

        Args:
            features: name -> [b, channels, h, w].
            sizes: true size of each image.
            target_boxes: per image [g, k].
            given: per image proposals that came with it.
            generator: source of sampling; None is torch's global one.
        Raises:
            InvalidValueError: proposals are given to a stage that makes its own, or are missing.
        Empty: an image may have no ground truth and no proposals.
        """

    @abstractmethod
    def propose(
        self,
        features: Mapping[str, Tensor],
        sizes: Sequence[ImageSize],
        *,
        given: Sequence[Proposals] | None = None,
    ) -> list[Proposals]:
        """Proposals of each image to predict from; arguments as in `learn`."""


class SecondStage(nn.Module, ABC):
    """Abstract: proposals to classified boxes.

    Attributes:
        kind: of the boxes.
        num_classes: without background.
        strides: name -> stride of the feature maps that it pools from.
        in_channels: channels of those maps.
        map_channels: channels of `maps`.
        map_side: cells of `maps` along both sides.
    """

    kind: AnyBoxKind
    num_classes: int
    strides: Mapping[str, int]
    in_channels: int
    map_channels: int
    map_side: int

    @abstractmethod
    def learn(
        self,
        features: Mapping[str, Tensor],
        proposals: Sequence[Tensor],
        target_boxes: Sequence[Tensor],
        target_labels: Sequence[Tensor],
        *,
        sizes: Sequence[ImageSize],
        generator: torch.Generator | None = None,
    ) -> TrainedBoxes:
        """Draw regions and train on them.

        Args:
            features: name -> [b, channels, h, w].
            proposals: per image [n, k].
            target_boxes: per image [g, k].
            target_labels: per image [g] int64 in 0..c-1.
            sizes: true size of each image.
            generator: source of sampling; None is torch's global one.
        Empty: as `RoiSampler`; no region at all gives losses of 0 with gradients of 0.
        """

    @abstractmethod
    def detect(
        self,
        features: Mapping[str, Tensor],
        proposals: Sequence[Tensor],
        sizes: Sequence[ImageSize],
    ) -> list[BoxDetections]:
        """Final detections of each image; arguments as in `learn`."""

    @abstractmethod
    def maps(self, features: Mapping[str, Tensor], rois: Tensor) -> Tensor:
        """Pooled regions after the convolutions that boxes and other heads may share.

        Args:
            features: name -> [b, channels, h, w].
            rois: [r, 1 + k] image index and box.
        Returns:
            [r, map_channels, map_side, map_side].
        Empty: r = 0 gives r = 0.
        """
