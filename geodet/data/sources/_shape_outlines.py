"""The outlines of the shapes classes: signed distances and named points in the object's own frame.

An object of half length a and half width b points along +u ("ahead"), and v grows to its right.
Every outline touches the rectangle |u| <= a, |v| <= b on all four sides and is its own mirror image
in v = 0, so that a mirrored picture shows the same class with left and right exchanged.
"""

import itertools
from collections.abc import Callable
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

__all__ = ["OUTLINES", "POINT_NAMES", "Outline"]

Plane = NDArray[np.float32]
Distance = Callable[[Plane, Plane, float, float], Plane]

POINT_NAMES: Final = ("head", "left", "right", "tail")


@attrs.frozen(kw_only=True)
class Outline:
    """One class of shape.

    Args:
        name: the class name.
        distance: (u, v, a, b) -> signed distance in pixels, negative inside. The sign is exact; the
            size is near the truth close to the outline, which is where anti-aliasing reads it.
        widths: smallest and largest b / a.
        points: (u / a, v / b) of each of POINT_NAMES, all inside the outline.
    """

    name: str
    distance: Distance
    widths: tuple[float, float]
    points: tuple[tuple[float, float], ...]


def _ellipse(u: Plane, v: Plane, a: float, b: float) -> Plane:
    """First-order distance to an ellipse around the origin."""
    p, q = u * np.float32(1 / a), v * np.float32(1 / b)
    k = np.sqrt(p * p + q * q)
    p *= np.float32(1 / a)
    q *= np.float32(1 / b)
    slope = np.sqrt(p * p + q * q)
    # The slope vanishes at the centre only, where the distance is minus the smaller half-axis.
    return np.where(
        k > 1e-3, k * (k - 1) / np.maximum(slope, np.float32(1e-9)), np.float32(-min(a, b))
    )


def _disc(u: Plane, v: Plane, a: float, b: float) -> Plane:
    return _ellipse(u, v, a, b)


def _brick(u: Plane, v: Plane, a: float, b: float) -> Plane:
    return np.maximum(np.abs(u) - np.float32(a), np.abs(v) - np.float32(b))


def _ring(u: Plane, v: Plane, a: float, b: float) -> Plane:
    """Cut an ellipse of half the size out of an ellipse."""
    return np.maximum(_ellipse(u, v, a, b), -_ellipse(u, v, 0.5 * a, 0.5 * b))


def _halves(u: Plane, v: Plane, a: float, b: float) -> Plane:
    """Cut an ellipse in two, one half ahead of the other."""
    return np.maximum(_ellipse(u, v, a, b), np.float32(0.17 * a) - np.abs(u))


def _folded_polygon(half: tuple[tuple[float, float], ...]) -> Distance:
    """Make the distance to a polygon that is symmetric in v = 0.

    Args:
        half: its corners on the side v >= 0, from the axis ahead to the axis behind, in units of
            (a, b).
    """

    def distance(u: Plane, v: Plane, a: float, b: float) -> Plane:
        v = np.abs(v)
        nearest = np.full_like(u, np.inf)
        inside = np.zeros(u.shape, dtype=bool)
        for (p0, q0), (p1, q1) in itertools.pairwise(half):
            u0, v0, u1, v1 = (np.float32(t) for t in (p0 * a, q0 * b, p1 * a, q1 * b))
            du, dv = u1 - u0, v1 - v0
            pu, pv = u - u0, v - v0
            along = np.clip((pu * du + pv * dv) / (du * du + dv * dv), 0, 1)
            gap_u, gap_v = pu - along * du, pv - along * dv
            np.minimum(nearest, gap_u * gap_u + gap_v * gap_v, out=nearest)
            if du != 0:  # does the ray from (u, v) away from the axis cross this side?
                crosses = (u < u0) != (u < u1)
                inside ^= crosses & (pv * np.abs(du) < pu * dv * np.sign(du))
        nearest = np.sqrt(nearest)
        return np.where(inside, -nearest, nearest)

    return distance


# Tips of a regular five-pointed star with notches at 0.45 of its radius, scaled to fill the unit
# square: u by 1 / 0.90451 after a shift of 0.09549, v by 1 / 0.95106.
_STAR: Final = (
    (1.0, 0.0),
    (0.2969, 0.2781),
    (0.2361, 1.0),
    (-0.2593, 0.45),
    (-1.0, 0.618),
    (-0.6031, 0.0),
)
_ARROW: Final = ((1.0, 0.0), (0.1, 1.0), (0.1, 0.4), (-1.0, 0.4), (-1.0, 0.0))
_TRIANGLE: Final = ((1.0, 0.0), (-1.0, 1.0), (-1.0, 0.0))

OUTLINES: Final = (
    Outline(
        name="disc",
        distance=_disc,
        widths=(0.65, 0.9),
        points=((0.8, 0.0), (0.0, -0.8), (0.0, 0.8), (-0.8, 0.0)),
    ),
    Outline(
        name="brick",
        distance=_brick,
        widths=(0.4, 0.8),
        points=((0.8, 0.0), (0.0, -0.75), (0.0, 0.75), (-0.8, 0.0)),
    ),
    Outline(
        name="triangle",
        distance=_folded_polygon(_TRIANGLE),
        widths=(0.65, 0.95),
        points=((0.6, 0.0), (-0.8, -0.7), (-0.8, 0.7), (-0.8, 0.0)),
    ),
    Outline(
        name="star",
        distance=_folded_polygon(_STAR),
        widths=(0.85, 1.05),
        points=((0.65, 0.0), (0.1336, -0.7), (0.1336, 0.7), (-0.45, 0.0)),
    ),
    Outline(
        name="ring",
        distance=_ring,
        widths=(0.7, 0.95),
        points=((0.75, 0.0), (0.0, -0.75), (0.0, 0.75), (-0.75, 0.0)),
    ),
    Outline(
        name="halves",
        distance=_halves,
        widths=(0.65, 0.9),
        points=((0.8, 0.0), (0.4, -0.7), (0.4, 0.7), (-0.8, 0.0)),
    ),
    Outline(
        name="arrow",
        distance=_folded_polygon(_ARROW),
        widths=(0.55, 0.8),
        points=((0.7, 0.0), (0.2, -0.7), (0.2, 0.7), (-0.85, 0.0)),
    ),
)
