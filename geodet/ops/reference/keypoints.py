"""What the keypoint operators mean, object by object."""

import math

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "decode_keypoint_heatmaps",
    "encode_keypoint_heatmap_targets",
    "object_keypoint_similarity",
]


def encode_keypoint_heatmap_targets(xyv: Tensor, xyxy: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Count how many whole cells fit before the point; the far edges belong to the last cell."""
    cells = torch.zeros(xyv.shape[:2], dtype=torch.int64)
    valid = torch.zeros(xyv.shape[:2], dtype=torch.bool)
    for row, (x1, y1, x2, y2) in enumerate(xyxy):
        for point, (x, y, v) in enumerate(xyv[row]):
            column = _cell(x, x1, x2, side)
            line = _cell(y, y1, y2, side)
            if v > 0 and 0 <= column < side and 0 <= line < side:
                cells[row, point] = line * side + column
                valid[row, point] = True
    return cells, valid


def _cell(value: Tensor, low: Tensor, high: Tensor, side: int) -> float:
    if value == high:
        return side - 1
    return float(((value - low) * (side / (high - low))).floor())


def decode_keypoint_heatmaps(heatmaps: Tensor, xyxy: Tensor) -> Tensor:
    """Make every stretched map and look for its peak."""
    decoded = heatmaps.new_zeros((*heatmaps.shape[:2], 4))
    for row, (x1, y1, x2, y2) in enumerate(xyxy):
        width, height = (x2 - x1).clamp(min=1), (y2 - y1).clamp(min=1)
        columns, lines = int(width.ceil()), int(height.ceil())
        large = functional.interpolate(
            heatmaps[row : row + 1], size=(lines, columns), mode="bicubic", align_corners=False
        )[0]
        for point, stretched in enumerate(large):
            peak = stretched.max()
            index = int(stretched.flatten().argmax())
            decoded[row, point, 0] = (index % columns + 0.5) * (width / columns) + x1
            decoded[row, point, 1] = (index // columns + 0.5) * (height / lines) + y1
            decoded[row, point, 2] = peak
            decoded[row, point, 3] = 1 / (heatmaps[row, point] - peak).exp().sum()
    return decoded


def object_keypoint_similarity(
    predictions: Tensor, targets: Tensor, areas: Tensor, xyxy: Tensor, sigmas: Tensor
) -> Tensor:
    """Go through the points of every pair."""
    similarity = torch.zeros((len(predictions), len(targets)), dtype=torch.float64)
    for column, target in enumerate(targets.double()):
        x1, y1, x2, y2 = xyxy[column].double().tolist()
        labelled = [point for point in range(len(sigmas)) if target[point, 2] > 0]
        for row, prediction in enumerate(predictions.double()):
            terms = []
            for point in labelled or range(len(sigmas)):
                x, y = prediction[point, :2].tolist()
                if labelled:
                    dx, dy = x - float(target[point, 0]), y - float(target[point, 1])
                else:
                    dx = max(0.0, 2 * x1 - x2 - x, x - (2 * x2 - x1))
                    dy = max(0.0, 2 * y1 - y2 - y, y - (2 * y2 - y1))
                spread = 2 * float(sigmas[point])
                area = float(areas[column]) + torch.finfo(torch.float64).eps
                terms.append(math.exp(-(dx**2 + dy**2) / (2 * area * spread**2)))
            similarity[row, column] = sum(terms) / len(terms)
    return similarity
