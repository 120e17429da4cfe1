"""Boxes as distances from a point to their four sides."""

import attrs
import torch
from torch import Tensor

from geodet.models.box_coding import Coder
from geodet.models.box_kinds import UPRIGHT, AnyBoxKind

__all__ = ["DistanceCoder"]


@attrs.frozen
class DistanceCoder(Coder):
    """Left, top, right and bottom from the centre of a reference box, in units of its size.

    Detectron2 calls it Box2BoxTransformLinear.

    Args:
        normalise_by_size: divide by width and height of the reference; False counts in pixels.
    Reference: Tian et al. 2019 (arXiv 1904.01355), equation 1.
    """

    normalise_by_size: bool = True

    @property
    def kind(self) -> AnyBoxKind:
        """Upright boxes."""
        return UPRIGHT

    def encode(self, references: Tensor, boxes: Tensor) -> Tensor:
        """[n, 4] left, top, right, bottom; negative where the centre lies outside the box."""
        centres = (references[..., :2] + references[..., 2:]) / 2
        distances = torch.cat([centres - boxes[..., :2], boxes[..., 2:] - centres], dim=-1)
        return distances / _sides(references) if self.normalise_by_size else distances

    def decode(self, references: Tensor, deltas: Tensor) -> Tensor:
        """Boxes x1, y1, x2, y2, each around the centre of its reference; negative distances count
        as 0. See `Coder`.
        """
        references = references.float()[..., None, :]
        distances = deltas.float().relu().unflatten(-1, (-1, 4))
        if self.normalise_by_size:
            distances = distances * _sides(references)
        centres = (references[..., :2] + references[..., 2:]) / 2
        boxes = torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1)
        return boxes.reshape(deltas.shape)


def _sides(references: Tensor) -> Tensor:
    """[..., 4] width, height, width, height."""
    sides = references[..., 2:] - references[..., :2]
    return torch.cat([sides, sides], dim=-1)
