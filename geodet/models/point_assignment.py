"""Which ground truth each point of a pyramid is trained on."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from geodet.errors import CompositionError

__all__ = ["CentreMatcher"]


@attrs.frozen
class CentreMatcher:
    """A point learns the smallest box that it lies well inside of, on the level of its size.

    A point of a level with cells of side s is positive for a box when it lies strictly inside the
    box, less than `radius` * s from the box's centre along both axes, and the largest of its
    distances to the four sides lies strictly between two multiples of s. The finest level has no
    lower bound, the coarsest no upper one.

    Args:
        radius: in cells.
        scale_range: lower and upper bound of the largest distance, in cells.
    Raises:
        CompositionError: a number is not positive, or the bounds are out of order.
    Reference: Tian et al. 2020 (arXiv 2006.09214), section 3.1, with the bounds of Detectron2.
    """

    radius: float = 1.5
    scale_range: tuple[float, float] = (4.0, 8.0)

    def __attrs_post_init__(self) -> None:
        low, high = self.scale_range
        if self.radius <= 0.0 or not 0.0 <= low < high:
            raise CompositionError(
                f"CentreMatcher: expected a positive radius and 0 <= low < high, got "
                f"radius={self.radius}, scale_range={self.scale_range}"
            )

    def __call__(self, cells: Sequence[Tensor], boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Match.

        Args:
            cells: per level, finest first, [a_l, 4] xyxy squares around the points, whose side is
                the stride.
            boxes: [g, 4] xyxy.
        Returns:
            targets: [a] int64 index of each point's box, ties to the lower index; 0 for negatives.
            positive: [a] bool.
        Empty: g = 0 makes every point negative.
        """
        every = torch.cat(list(cells))
        if len(boxes) == 0 or len(every) == 0:
            targets = torch.zeros(len(every), dtype=torch.int64, device=every.device)
            return targets, targets.bool()
        centres = (every[:, :2] + every[:, 2:]) / 2
        sides = every[:, 2] - every[:, 0]
        lower, upper = self._bounds(cells, sides)
        reaches = (centres - boxes[:, None, :2], boxes[:, None, 2:] - centres)  # [g, a, 2] each
        nearest = torch.minimum(*reaches).amin(dim=-1)
        farthest = torch.maximum(*reaches).amax(dim=-1)
        box_centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        off_centre = (centres - box_centres[:, None]).abs().amax(dim=-1)
        fits = (nearest > 0) & (off_centre < self.radius * sides)
        fits &= (farthest > lower) & (farthest < upper)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=-1)
        best, targets = torch.where(fits, areas[:, None], torch.inf).min(dim=0)
        positive = torch.isfinite(best)
        return torch.where(positive, targets, 0), positive

    def _bounds(self, cells: Sequence[Tensor], sides: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.scale_range
        lower, upper = low * sides, high * sides
        lower[: len(cells[0])] = 0.0
        upper[len(sides) - len(cells[-1]) :] = torch.inf
        return lower, upper
