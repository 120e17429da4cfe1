"""Specification of `geodet.ops.boxes` and `geodet.ops.nms` in plain Python numbers."""

import math
from collections.abc import Sequence

__all__ = ["box_iou_reference", "nms_reference"]

Box = Sequence[float]


def box_iou_reference(a: Box, b: Box) -> float:
    """Intersection over union of two boxes x1, y1, x2, y2; 0 where they do not overlap."""
    if any(math.isnan(value) for value in (*a, *b)):
        return 0.0
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area_a = (a[2] - a[0]) * (a[3] - a[1])
    area_b = (b[2] - b[0]) * (b[3] - b[1])
    return min(width * height / (area_a + area_b - width * height), 1.0)


def nms_reference(
    boxes: Sequence[Box], scores: Sequence[float], groups: Sequence[int], iou_threshold: float
) -> list[int]:
    """Kept indices: by descending score, ties by index; IoU above the threshold suppresses."""
    ranked = [-math.inf if math.isnan(score) else score for score in scores]
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: -ranked[i]):
        rivals = (other for other in kept if groups[other] == groups[index])
        if all(box_iou_reference(boxes[other], boxes[index]) <= iou_threshold for other in rivals):
            kept.append(index)
    return kept
