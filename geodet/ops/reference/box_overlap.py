"""Specification of `geodet.ops.box_overlap` in plain Python numbers, one pair at a time."""

import math
from collections.abc import Sequence

__all__ = [
    "box_ciou_reference",
    "box_diou_reference",
    "box_giou_reference",
    "box_intersection_reference",
    "box_ioa_reference",
    "box_iou_reference",
]

Box = Sequence[float]


def box_intersection_reference(a: Box, b: Box) -> float:
    """Area of what two boxes x1, y1, x2, y2 have in common; 0 where a number is not finite."""
    if not _finite(a, b):
        return 0.0
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


def box_iou_reference(a: Box, b: Box) -> float:
    """Intersection over union of two boxes; 0 where they do not overlap."""
    common = box_intersection_reference(a, b)
    return min(common / (_area(a) + _area(b) - common), 1.0) if common > 0 else 0.0


def box_ioa_reference(a: Box, b: Box) -> float:
    """Part of b that a covers; 0 where they do not overlap."""
    common = box_intersection_reference(a, b)
    return common / _area(b) if common > 0 else 0.0


def box_giou_reference(a: Box, b: Box) -> float:
    """IoU minus the part of the smallest box around both that belongs to neither."""
    if not _finite(a, b):
        return -1.0
    enclosing = math.prod(_enclosing(a, b))
    union = _area(a) + _area(b) - box_intersection_reference(a, b)
    return box_iou_reference(a, b) - ((enclosing - union) / enclosing if enclosing > 0 else 0.0)


def box_diou_reference(a: Box, b: Box) -> float:
    """IoU minus squared distance of centres over squared diagonal of the box around both."""
    if not _finite(a, b):
        return -1.0
    width, height = _enclosing(a, b)
    diagonal = width**2 + height**2
    dx, dy = (a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2
    # Centres of inverted boxes may lie outside the box around both.
    penalty = min((dx**2 + dy**2) / diagonal, 1.0) if diagonal > 0 else 0.0
    return box_iou_reference(a, b) - penalty


def box_ciou_reference(a: Box, b: Box) -> float:
    """DIoU minus alpha v, where v compares the aspect ratios."""
    if not _finite(a, b):
        return -1.0
    angles = [math.atan2(*_sides(box)) for box in (a, b)]
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    alpha = v / (1 - box_iou_reference(a, b) + v) if v > 0 else 0.0
    return box_diou_reference(a, b) - alpha * v


def _finite(*boxes: Box) -> bool:
    return all(math.isfinite(value) for box in boxes for value in box)


def _sides(box: Box) -> tuple[float, float]:
    return max(box[2] - box[0], 0.0), max(box[3] - box[1], 0.0)


def _area(box: Box) -> float:
    return math.prod(_sides(box))


def _enclosing(a: Box, b: Box) -> tuple[float, float]:
    corners = [op(p, q) for op, p, q in zip((min, min, max, max), a, b, strict=True)]
    return _sides(corners)
