"""Specification of `geodet.ops.rotated`, its clipping and suppression, in plain Python numbers."""

import math
from collections.abc import Sequence
from fractions import Fraction

__all__ = [
    "clip_reference",
    "rotated_corners",
    "rotated_giou_reference",
    "rotated_intersection_reference",
    "rotated_iou_reference",
    "rotated_nms_reference",
]

Box = Sequence[float]  # cx, cy, w, h, angle in degrees
Point = tuple[float, float]


def rotated_corners(box: Box) -> list[Point]:
    """Corners, clockwise as seen on the screen."""
    cx, cy, w, h, angle = box
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    upright = [(-w / 2, -h / 2), (w / 2, -h / 2), (w / 2, h / 2), (-w / 2, h / 2)]
    return [(cx + u * cos + v * sin, cy - u * sin + v * cos) for u, v in upright]


def clip_reference(subject: list[Point], window: list[Point]) -> list[Point]:
    """Part of one convex polygon inside another, both clockwise as seen on the screen."""
    for k in range(len(window)):
        subject = _keep_inside(subject, window[k], window[(k + 1) % len(window)])
    return subject


def _keep_inside(polygon: list[Point], start: Point, end: Point) -> list[Point]:
    """Part of a polygon on the right-hand side of a line, as seen on the screen."""
    inside = [_cross(start, end, point) for point in polygon]
    kept = []
    for i, point in enumerate(polygon):
        j = (i + 1) % len(polygon)
        if inside[i] >= 0:
            kept.append(point)
        if (inside[i] >= 0) != (inside[j] >= 0):
            part = inside[i] / (inside[i] - inside[j])
            x = point[0] + part * (polygon[j][0] - point[0])
            y = point[1] + part * (polygon[j][1] - point[1])
            kept.append((x, y))
    return kept


def _cross(p: Point, q: Point, r: Point) -> float:
    return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])


def _area(polygon: list[Point]) -> float:
    inner = range(1, len(polygon) - 1)
    return sum(_cross(polygon[0], polygon[i], polygon[i + 1]) for i in inner) / 2


def _covers(box: Box) -> bool:
    return all(math.isfinite(value) for value in box) and box[2] > 0 and box[3] > 0


def rotated_intersection_reference(a: Box, b: Box) -> float:
    """Shared area; 0 where a box has no area or holds a number that is not finite."""
    if not (_covers(a) and _covers(b)):
        return 0.0
    # Relative to a's centre: differences of nearby numbers keep their digits.
    a_corners = rotated_corners((0.0, 0.0, *a[2:]))
    b_corners = rotated_corners((b[0] - a[0], b[1] - a[1], *b[2:]))
    return max(_area(clip_reference(a_corners, b_corners)), 0.0)


def rotated_iou_reference(a: Box, b: Box) -> float:
    """Shared area over covered area."""
    shared = rotated_intersection_reference(a, b)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared) if shared > 0 else 0.0


def rotated_giou_reference(a: Box, b: Box) -> float:
    """IoU less the part of the convex hull that neither box covers."""
    if not all(math.isfinite(value) for value in (*a, *b)):
        return -1.0
    a, b = ((*box[:2], max(box[2], 0.0), max(box[3], 0.0), box[4]) for box in (a, b))
    hull = _area(_hull(rotated_corners(a) + rotated_corners(b)))
    if hull <= 0:
        return 0.0
    union = a[2] * a[3] + b[2] * b[3] - rotated_intersection_reference(a, b)
    return rotated_iou_reference(a, b) - max(hull - union, 0.0) / hull


def _hull(points: list[Point]) -> list[Point]:
    """Convex hull: the points by x there and back, without those on the inner side."""
    ordered = sorted(set(points))
    return _outer_chain(ordered)[:-1] + _outer_chain(ordered[::-1])[:-1]


def _outer_chain(points: list[Point]) -> list[Point]:
    chain: list[Point] = []
    for point in points:
        while len(chain) > 1 and _exact_turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain


def _exact_turn(p: Point, q: Point, r: Point) -> Fraction:
    """The cross product without roundings, whose sign would be wrong for points on a line."""
    (px, py), (qx, qy), (rx, ry) = ((Fraction(x), Fraction(y)) for x, y in (p, q, r))
    return (qx - px) * (ry - py) - (qy - py) * (rx - px)


def rotated_nms_reference(
    boxes: Sequence[Box], scores: Sequence[float], groups: Sequence[int], iou_threshold: float
) -> list[int]:
    """Kept indices: by descending score, ties by index; IoU above the threshold suppresses."""
    ranked = [-math.inf if math.isnan(score) else score for score in scores]
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: -ranked[i]):
        rivals = (other for other in kept if groups[other] == groups[index])
        if all(
            rotated_iou_reference(boxes[other], boxes[index]) <= iou_threshold for other in rivals
        ):
            kept.append(index)
    return kept
