"""Specification of `geodet.ops.soft_nms` in plain Python numbers."""

import math
from collections.abc import Sequence

from geodet.ops.reference.box_overlap import box_iou_reference

__all__ = ["soft_nms_reference"]


def soft_nms_reference(
    boxes: Sequence[Sequence[float]],
    scores: Sequence[float],
    groups: Sequence[int],
    *,
    gaussian: bool,
    iou_threshold: float,
    sigma: float,
    min_score: float,
) -> list[tuple[int, float]]:
    """Kept indices and their new scores, by descending new score, ties by index."""
    left = {i: score for i, score in enumerate(scores) if score > min_score}
    kept = []
    while left:
        best = max(left, key=lambda i: (left[i], -i))
        kept.append((best, left.pop(best)))
        for i in list(left):
            iou = box_iou_reference(boxes[best], boxes[i]) if groups[i] == groups[best] else 0.0
            if gaussian:
                left[i] *= math.exp(-iou * iou / sigma)
            elif iou > iou_threshold:
                left[i] *= 1 - iou
            if left[i] <= min_score:
                del left[i]
    return kept
