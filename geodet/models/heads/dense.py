"""Heads that predict at every cell of every level, with the same weights on all.

Letters: b images, k anchors per cell, c classes, d columns of a box.
"""

import math

from torch import Tensor, nn

from geodet.errors import CompositionError
from geodet.models.box_kinds import UPRIGHT, AnyBoxKind
from geodet.models.layers import NormFactory, fill_normal

__all__ = ["FCOSHead", "RetinaNetHead"]


class RetinaNetHead(nn.Module):
    """Class logits and box offsets of every anchor, from a tower of convolutions each.

    Args:
        in_channels: channels of every map it reads.
        num_classes: c; there is no class for background.
        anchors_per_location: k.
        num_convs: 3x3 convolutions of each tower.
        norm: after each of them; the convolutions keep their biases.
        prior: probability that every class starts with; rare objects make it small.
        kind: of the anchors; it says d.
    Raises:
        CompositionError: prior is not a probability strictly between 0 and 1.
    Reference: Lin et al. 2017 (arXiv 1708.02002), section 4.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        num_classes: int,
        anchors_per_location: int,
        num_convs: int = 4,
        norm: NormFactory | None = None,
        prior: float = 0.01,
        kind: AnyBoxKind = UPRIGHT,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.anchors_per_location = anchors_per_location
        self.kind = kind
        self.class_tower = _tower(in_channels, num_convs, norm)
        self.box_tower = _tower(in_channels, num_convs, norm)
        self.class_logits = nn.Conv2d(in_channels, anchors_per_location * num_classes, 3, padding=1)
        self.deltas = nn.Conv2d(in_channels, anchors_per_location * kind.columns, 3, padding=1)
        fill_normal(self.class_logits, std=0.01)
        fill_normal(self.deltas, std=0.01)
        _set_prior(self.class_logits, prior)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Predict for one level.

        Args:
            features: [b, in_channels, h, w].
        Returns:
            logits [b, h * w * k, c] and deltas [b, h * w * k, d], in the order of the anchors.
        Empty: b = 0 gives b = 0.
        """
        logits = self.class_logits(self.class_tower(features))
        deltas = self.deltas(self.box_tower(features))
        return _by_anchor(logits, self.num_classes), _by_anchor(deltas, self.kind.columns)


class FCOSHead(nn.Module):
    """Class logits, distances to the four sides, and centerness of every cell.

    Args:
        in_channels: channels of every map it reads.
        num_classes: c; there is no class for background.
        num_convs: 3x3 convolutions of each tower.
        norm: after each of them; the convolutions keep their biases.
        prior: probability that every class starts with.
    Raises:
        CompositionError: prior is not a probability strictly between 0 and 1.
    Reference: Tian et al. 2019 (arXiv 1904.01355), with centerness beside the distances
        (arXiv 2006.09214).
    """

    def __init__(
        self,
        in_channels: int,
        *,
        num_classes: int,
        num_convs: int = 4,
        norm: NormFactory | None = None,
        prior: float = 0.01,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.class_tower = _tower(in_channels, num_convs, norm)
        self.box_tower = _tower(in_channels, num_convs, norm)
        self.class_logits = nn.Conv2d(in_channels, num_classes, 3, padding=1)
        self.distances = nn.Conv2d(in_channels, 4, 3, padding=1)
        self.centerness = nn.Conv2d(in_channels, 1, 3, padding=1)
        for layer in (self.class_logits, self.distances, self.centerness):
            fill_normal(layer, std=0.01)
        _set_prior(self.class_logits, prior)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predict for one level.

        Args:
            features: [b, in_channels, h, w].
        Returns:
            logits [b, h * w, c], distances [b, h * w, 4] and logits of centerness [b, h * w].
        Empty: b = 0 gives b = 0.
        """
        logits = self.class_logits(self.class_tower(features))
        boxes = self.box_tower(features)
        distances, centerness = self.distances(boxes), self.centerness(boxes)
        return _by_anchor(logits, self.num_classes), _by_anchor(distances, 4), centerness.flatten(1)


def _tower(channels: int, num_convs: int, norm: NormFactory | None) -> nn.Sequential:
    """3x3 convolutions, each with its norm and ReLU as members of their own."""
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        conv = nn.Conv2d(channels, channels, 3, padding=1)
        fill_normal(conv, std=0.01)
        layers.append(conv)
        if norm is not None:
            layers.append(norm(channels))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _set_prior(class_logits: nn.Conv2d, prior: float) -> None:
    if not 0.0 < prior < 1.0:
        raise CompositionError(f"prior: expected a probability in (0, 1), got {prior}")
    if class_logits.bias is not None:
        nn.init.constant_(class_logits.bias, -math.log((1.0 - prior) / prior))


def _by_anchor(predictions: Tensor, columns: int) -> Tensor:
    """[b, k * columns, h, w] -> [b, h * w * k, columns]."""
    predictions = predictions.unflatten(1, (-1, columns)).permute(0, 3, 4, 1, 2)
    return predictions.flatten(1, 3)
