"""Specification of `geodet.ops.paste` in plain Python numbers."""

import math
from collections.abc import Sequence

import numpy as np

from geodet.ops.reference.rle import rle_encode_reference

__all__ = [
    "paste_probabilities_reference",
    "paste_rotated_probabilities_reference",
    "paste_runs_reference",
]


def paste_probabilities_reference(
    mask: Sequence[Sequence[float]], box: Sequence[float], image_size: tuple[int, int]
) -> list[list[float]]:
    """One mask pasted over its box x1, y1, x2, y2: rows of the image."""
    x1, y1, x2, y2 = box
    height, width = image_size
    sides = (x2 - x1, y2 - y1)
    if not all(math.isfinite(side) and side > 0 for side in sides):
        return [[0.0] * width for _ in range(height)]
    return [
        [
            _bilinear(
                mask,
                (row + 0.5 - y1) / sides[1] * len(mask) - 0.5,
                (column + 0.5 - x1) / sides[0] * len(mask[0]) - 0.5,
            )
            for column in range(width)
        ]
        for row in range(height)
    ]


def paste_rotated_probabilities_reference(
    mask: Sequence[Sequence[float]], box: Sequence[float], image_size: tuple[int, int]
) -> list[list[float]]:
    """One mask pasted into its rotated box cx, cy, w, h, angle: rows of the image."""
    cx, cy, w, h, angle_deg = box
    height, width = image_size
    if not (all(map(math.isfinite, box)) and w > 0 and h > 0):
        return [[0.0] * width for _ in range(height)]
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))

    def value(row: int, column: int) -> float:
        x, y = column + 0.5 - cx, row + 0.5 - cy
        along_width, along_height = x * cos - y * sin, x * sin + y * cos
        return _bilinear(
            mask,
            (along_height / h + 0.5) * len(mask) - 0.5,
            (along_width / w + 0.5) * len(mask[0]) - 0.5,
        )

    return [[value(row, column) for column in range(width)] for row in range(height)]


def paste_runs_reference(
    mask: Sequence[Sequence[float]],
    box: Sequence[float],
    image_size: tuple[int, int],
    threshold: float,
) -> list[int]:
    """Run lengths of the pixels of one pasted mask that reach a threshold."""
    soft = np.array(paste_probabilities_reference(mask, box, image_size)).reshape(image_size)
    return rle_encode_reference(soft >= threshold)


def _bilinear(mask: Sequence[Sequence[float]], y: float, x: float) -> float:
    """Value between four cell centres; cells outside the mask are 0."""
    top, left = math.floor(y), math.floor(x)
    value = 0.0
    for row, row_weight in ((top, 1 - y + top), (top + 1, y - top)):
        for column, column_weight in ((left, 1 - x + left), (left + 1, x - left)):
            if 0 <= row < len(mask) and 0 <= column < len(mask[0]):
                value += row_weight * column_weight * mask[row][column]
    return value
