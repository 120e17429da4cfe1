"""Anchors: boxes of fixed sizes and shapes around every cell of every feature map."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geodet.errors import CompositionError, ShapeError

__all__ = ["AnchorGenerator"]


class AnchorGenerator(nn.Module):
    """Anchors of several sizes and aspect ratios per level.

    The order is level, row, column, size, ratio; coordinates are those of the padded input.

    Args:
        sizes: per level, square roots of the anchors' areas in pixels.
        aspect_ratios: height / width of the anchors, the same on every level.
        strides: pixels per cell of each level.
        offset: where in its cell an anchor is centred, as a fraction of the stride. 0 is the
            corner, which is what every published Detectron2 checkpoint was trained with.
    Raises:
        CompositionError: levels disagree in number, a level has no size, or a number is not
            positive.
    """

    def __init__(
        self,
        *,
        sizes: Sequence[Sequence[float]],
        aspect_ratios: Sequence[float],
        strides: Sequence[int],
        offset: float = 0.0,
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
        self.strides = tuple(strides)
        self.offset = offset
        self.anchors_per_location = len(sizes[0]) * len(aspect_ratios)
        for i, level in enumerate(sizes):
            self.register_buffer(f"cell_{i}", _cell_anchors(level, aspect_ratios), persistent=False)

    def forward(self, grid_sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Lay the anchors over the grids.

        Args:
            grid_sizes: (height, width) of each level's map in cells.
        Returns:
            Per level [h * w * anchors_per_location, 4] xyxy, float32, not clipped.
        Raises:
            ShapeError: another number of levels than at construction.
        Empty: a grid without cells gives [0, 4].
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
        shifts = torch.stack([x, y, x, y], dim=-1)  # [h, w, 4]
        return (shifts[:, :, None] + cell).reshape(-1, 4)


def _cell_anchors(sizes: Sequence[float], aspect_ratios: Sequence[float]) -> Tensor:
    """[sizes * ratios, 4] anchors around the origin, computed in double, unrounded."""
    rows = []
    for size in sizes:
        for ratio in aspect_ratios:
            width = math.sqrt(size * size / ratio)
            height = ratio * width
            rows.append([-width / 2, -height / 2, width / 2, height / 2])
    return torch.tensor(rows, dtype=torch.float32)
