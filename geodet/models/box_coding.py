"""Boxes as offsets from reference boxes: what regression branches predict.

Letters: n boxes; k numbers per box, 4 upright, 5 rotated; c boxes per reference.
"""

import math
from abc import ABC, abstractmethod

import attrs
import torch
from torch import Tensor

from geodet.models.box_kinds import ROTATED, UPRIGHT, AnyBoxKind

__all__ = ["BoxCoder", "Coder", "RotatedBoxCoder"]

_LARGEST_GROWTH = math.log(1000.0 / 16.0)


class Coder(ABC):
    """Abstract: boxes to offsets and back.

    Attributes:
        kind: of the boxes; offsets have as many columns as it.
    """

    @property
    @abstractmethod
    def kind(self) -> AnyBoxKind:
        """Of the boxes."""

    @abstractmethod
    def encode(self, references: Tensor, boxes: Tensor) -> Tensor:
        """Offsets [n, k] that `decode` turns back into `boxes`.

        Args:
            references: [n, k] of positive width and height.
            boxes: [n, k] of positive width and height; empty sides give infinite or NaN offsets.
        Empty: n = 0 gives [0, k].
        """

    @abstractmethod
    def decode(self, references: Tensor, deltas: Tensor) -> Tensor:
        """Boxes that `deltas` lead to, in float32 whatever the network computes in.

        Args:
            references: [..., k].
            deltas: [..., k] or, for c boxes per reference, [..., c * k].
        Returns:
            The shape of `deltas`; not clipped; NaN and infinite offsets stay so.
        Empty: no references give no boxes.
        """


@attrs.frozen
class BoxCoder(Coder):
    """Shift of the centre relative to the size, and log of the growth of the size.

    Args:
        weights: scale of (dx, dy, dw, dh); larger ones make the same error cost more.
        max_log_scale: a box grows at most by exp of this in one decoding.
    Reference: Girshick et al. 2014 (arXiv 1311.2524), appendix C.
    """

    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    max_log_scale: float = _LARGEST_GROWTH

    @property
    def kind(self) -> AnyBoxKind:
        """Upright boxes."""
        return UPRIGHT

    def encode(self, references: Tensor, boxes: Tensor) -> Tensor:
        """[n, 4] dx, dy, dw, dh of xyxy boxes; see `Coder`."""
        return torch.stack(_encoded(_centred(references), _centred(boxes), self.weights), dim=-1)

    def decode(self, references: Tensor, deltas: Tensor) -> Tensor:
        """Boxes x1, y1, x2, y2; see `Coder`."""
        parts = deltas.float().unflatten(-1, (-1, 4)).unbind(-1)
        sides = [side[..., None] for side in _centred(references.float())]
        x, y, width, height = _decoded(sides, parts, self.weights, self.max_log_scale)
        boxes = torch.stack(
            [x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height], dim=-1
        )
        return boxes.reshape(deltas.shape)


@attrs.frozen
class RotatedBoxCoder(Coder):
    """As `BoxCoder`, and the turn from the reference to the box, in radians.

    Angles are compared as orientations: a turn lies in [-180, 180) degrees, as does every
    decoded angle. Shifts are along the axes of the image, not of the reference.

    Args:
        weights: scale of (dx, dy, dw, dh, da).
        max_log_scale: a box grows at most by exp of this in one decoding.
    Reference: Ma et al. 2018 (arXiv 1703.01086), with Detectron2's angles.
    """

    weights: tuple[float, float, float, float, float] = (1.0, 1.0, 1.0, 1.0, 1.0)
    max_log_scale: float = _LARGEST_GROWTH

    @property
    def kind(self) -> AnyBoxKind:
        """Rotated boxes."""
        return ROTATED

    def encode(self, references: Tensor, boxes: Tensor) -> Tensor:
        """[n, 5] dx, dy, dw, dh, da of boxes cx, cy, w, h, angle; see `Coder`."""
        turn = _wrapped(boxes[..., 4] - references[..., 4]) * (math.pi / 180.0)
        straight = _encoded(
            references[..., :4].unbind(-1), boxes[..., :4].unbind(-1), self.weights[:4]
        )
        return torch.stack([*straight, self.weights[4] * turn], dim=-1)

    def decode(self, references: Tensor, deltas: Tensor) -> Tensor:
        """Boxes cx, cy, w, h, angle; see `Coder`."""
        parts = deltas.float().unflatten(-1, (-1, 5)).unbind(-1)
        sides = [side[..., None] for side in references.float().unbind(-1)]
        straight = _decoded(sides[:4], parts[:4], self.weights[:4], self.max_log_scale)
        turn = parts[4] / self.weights[4] * (180.0 / math.pi)
        return torch.stack([*straight, _wrapped(sides[4] + turn)], dim=-1).reshape(deltas.shape)


_Parts = tuple[Tensor, ...] | list[Tensor]


def _encoded(references: _Parts, boxes: _Parts, weights: tuple[float, ...]) -> list[Tensor]:
    x, y, width, height = references
    to_x, to_y, to_width, to_height = boxes
    wx, wy, ww, wh = weights
    return [
        wx * (to_x - x) / width,
        wy * (to_y - y) / height,
        ww * torch.log(to_width / width),
        wh * torch.log(to_height / height),
    ]


def _decoded(
    references: _Parts, deltas: _Parts, weights: tuple[float, ...], max_log_scale: float
) -> list[Tensor]:
    x, y, width, height = references
    dx, dy, dw, dh = deltas
    wx, wy, ww, wh = weights
    return [
        dx / wx * width + x,
        dy / wy * height + y,
        # The clamp keeps exp() of an untrained branch finite.
        torch.exp((dw / ww).clamp(max=max_log_scale)) * width,
        torch.exp((dh / wh).clamp(max=max_log_scale)) * height,
    ]


def _wrapped(angle_deg: Tensor) -> Tensor:
    return torch.remainder(angle_deg + 180.0, 360.0) - 180.0


def _centred(xyxy: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = xyxy.unbind(-1)
    width, height = x2 - x1, y2 - y1
    return x1 + 0.5 * width, y1 + 0.5 * height, width, height
