"""Specification of `geodet.ops.hulls`: every pair of points is tried as a side."""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

__all__ = ["hull_corners_reference", "min_area_reference"]

Point = tuple[float, float]


def hull_corners_reference(points: Sequence[Point]) -> set[Point]:
    """Points that do not lie within the others' hull: the ends of the sides of the hull.

    A pair is a side when all points lie on one side of its line, and none of those on the line
    lies beyond the pair.
    """
    places = {(x + 0.0, y + 0.0) for x, y in points}
    if len(places) < 2:
        return places
    corners = set()
    for a, b in itertools.combinations(places, 2):
        ax, ay, bx, by = (Fraction(value) for value in (*a, *b))
        sides = set()
        beyond = False
        for x, y in places:
            turn = (bx - ax) * (Fraction(y) - ay) - (by - ay) * (Fraction(x) - ax)
            sides.add((turn > 0) - (turn < 0))
            along = (bx - ax) * (Fraction(x) - ax) + (by - ay) * (Fraction(y) - ay)
            length = (bx - ax) ** 2 + (by - ay) ** 2
            beyond |= turn == 0 and not 0 <= along <= length
        if not beyond and not {-1, 1} <= sides:
            corners |= {a, b}
    return corners


def min_area_reference(points: Sequence[Point]) -> float:
    """Smallest area of a rectangle around the points with a side parallel to a pair of them."""
    areas = [math.inf]
    for a, b in itertools.permutations(set(points), 2):
        length = math.hypot(b[0] - a[0], b[1] - a[1])
        if length == 0:
            continue
        ux, uy = (b[0] - a[0]) / length, (b[1] - a[1]) / length
        along = [(x - a[0]) * ux + (y - a[1]) * uy for x, y in points]
        across = [(y - a[1]) * ux - (x - a[0]) * uy for x, y in points]
        areas.append((max(along) - min(along)) * (max(across) - min(across)))
    return min(areas) if len(areas) > 1 else 0.0
