"""Specification of `geodet.ops.nms` in plain Python numbers."""

import math
from collections.abc import Sequence

from geodet.ops.reference.box_overlap import Box, box_iou_reference

__all__ = ["nms_reference"]


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
