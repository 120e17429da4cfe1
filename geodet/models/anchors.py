"""Anchors: boxes of fixed sizes and shapes around every cell of every feature map."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geodet.errors import CompositionError, ShapeError
from geodet.models.box_kinds import ROTATED, UPRIGHT, AnyBoxKind

__all__ = ["AnchorGenerator"]


class AnchorGenerator(nn.Module):
    """Anchors of several sizes and aspect ratios per level.

    The order is level, row, column, size, ratio, angle; coordinates are those of the padded
    input.

    Args:
        sizes: per level, square roots of the anchors' areas in pixels.
        aspect_ratios: height / width of the anchors, the same on every level.
        strides: pixels per cell of each level.
        offset: where in its cell an anchor is centred, as a fraction of the stride. 0 is the
            corner, which is what every published Detectron2 checkpoint was trained with.
        angles: of rotated anchors, in degrees counter-clockwise, the same on every level; None
            makes upright ones.
        rounded: the sides of upright anchors lie at whole pixels from their centres, as in
            torchvision.
    Raises:
        CompositionError: levels disagree in number, a level has no size, a number is not
            positive, or rotated anchors are rounded.
    """

    def __init__(
        self,
        *,
        sizes: Sequence[Sequence[float]],
        aspect_ratios: Sequence[float],
        strides: Sequence[int],
        offset: float = 0.0,
        angles: Sequence[float] | None = None,
        rounded: bool = False,
    ) -> None:
        super().__init__()
        if len(sizes) != len(strides) or len(sizes) == 0:
            raise CompositionError(
                f"AnchorGenerator: sizes are given for {len(sizes)} levels, strides for "
                f"{len(strides)}"
            )
        if len({len(level) for level in sizes}) != 1:
            raise CompositionError(
                "AnchorGenerator: expected as many sizes on every level (one head predicts for "
                f"all), got {[len(level) for level in sizes]}"
            )
        numbers = [*(size for level in sizes for size in level), *aspect_ratios, *strides]
        if len(aspect_ratios) == 0 or len(sizes[0]) == 0 or min(numbers) <= 0:
            raise CompositionError(
                f"AnchorGenerator: expected positive sizes, aspect_ratios and strides, got "
                f"sizes={sizes}, aspect_ratios={aspect_ratios}, strides={strides}"
            )
        if not 0.0 <= offset < 1.0:
            raise CompositionError(f"AnchorGenerator: expected 0 <= offset < 1, got {offset}")
        if angles is not None and len(angles) == 0:
            raise CompositionError("AnchorGenerator: expected at least one angle, or None")
        if angles is not None and rounded:
            raise CompositionError("AnchorGenerator: rotated anchors have no sides to round")
        self.strides = tuple(strides)
        self.offset = offset
        self.kind: AnyBoxKind = UPRIGHT if angles is None else ROTATED
        self.sizes_per_location = len(sizes[0])
        self.anchors_per_location = len(sizes[0]) * len(aspect_ratios) * len(angles or (0,))
        for i, level in enumerate(sizes):
            cell = _cell_anchors(level, aspect_ratios, angles)
            cell = cell.round() if rounded else cell
            self.register_buffer(f"cell_{i}", cell, persistent=False)

    def forward(self, grid_sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Lay the anchors over the grids.

        Args:
            grid_sizes: (height, width) of each level's map in cells.
        Returns:
            Per level [h * w * anchors_per_location, columns of `kind`] float32, not clipped.
        Raises:
            ShapeError: another number of levels than at construction.
        Empty: a grid without cells gives no rows.
        """
        if len(grid_sizes) != len(self.strides):
            raise ShapeError(
                f"grid_sizes: expected {len(self.strides)} levels, got {len(grid_sizes)}"
            )
        return [self._level(i, height, width) for i, (height, width) in enumerate(grid_sizes)]

    def _level(self, index: int, height: int, width: int) -> Tensor:
        cell = self.get_buffer(f"cell_{index}")
        stride = self.strides[index]
        start = self.offset * stride
        xs = torch.arange(width, dtype=torch.float32, device=cell.device) * stride + start
        ys = torch.arange(height, dtype=torch.float32, device=cell.device) * stride + start
        y, x = torch.meshgrid(ys, xs, indexing="ij")
        zero = torch.zeros_like(x)
        # The centre moves; of a rotated anchor it is the first two of its five numbers.
        moved = [x, y, x, y] if cell.shape[1] == 4 else [x, y, zero, zero, zero]
        shifts = torch.stack(moved, dim=-1)  # [h, w, columns]
        return (shifts[:, :, None] + cell).flatten(0, 2)


def _cell_anchors(
    sizes: Sequence[float], aspect_ratios: Sequence[float], angles: Sequence[float] | None
) -> Tensor:
    """[sizes * ratios * angles, columns] around the origin, computed in double, unrounded."""
    rows: list[list[float]] = []
    for size in sizes:
        for ratio in aspect_ratios:
            width = math.sqrt(size * size / ratio)
            height = ratio * width
            if angles is None:
                rows.append([-width / 2, -height / 2, width / 2, height / 2])
            else:
                rows.extend([0.0, 0.0, width, height, angle] for angle in angles)
    return torch.tensor(rows, dtype=torch.float32)
