"""Rotated overlaps against GEOS and against 50 digits, over families of difficult pairs.

`pytest tests/ops/test_rotated_exact.py --hypothesis-profile nightly` checks a million pairs against
GEOS, other profiles some thousands. The error of every family is printed (`pytest -s`).

GEOS computes in double and cannot see exactness where its input has lost it: at 1e7 a corner is
rounded by 1e-9, which is the thousandth part of a box 1e-6 thin. So it is given the pair in the
frame of the smaller box, with that box as a square of side 2 (an affine map changes no ratio of
areas), computed in 80-bit numbers. What GEOS then cannot see is checked with 50 digits.
"""

import hypothesis
import mpmath
import numpy as np
import pytest
import shapely
import torch

from geodet.ops import (
    matched_rotated_giou,
    matched_rotated_intersection,
    matched_rotated_iou,
)

TOLERANCE = 1e-6
PI = np.longdouble("3.14159265358979323846264338327950288")


def _uniform(rng, low, high, count):
    return rng.uniform(low, high, count)


def _spread(rng, low, high, count):
    """Numbers between low and high, every order of magnitude alike."""
    return np.exp(rng.uniform(np.log(low), np.log(high), count))


def _scene(rng, count, *, place=100.0, low=2.0, high=80.0):
    return np.stack(
        [
            _uniform(rng, 0, place, count),
            _uniform(rng, 0, place, count),
            _spread(rng, low, high, count),
            _spread(rng, low, high, count),
            _uniform(rng, -180, 180, count),
        ],
        axis=1,
    )


def _moved(boxes, u, v):
    """Boxes moved by (u, v) in their own frames."""
    angle = np.deg2rad(boxes[:, 4])
    cos, sin = np.cos(angle), np.sin(angle)
    out = boxes.copy()
    out[:, 0] += u * cos + v * sin
    out[:, 1] += v * cos - u * sin
    return out


def _random(rng, count):
    return _scene(rng, count), _scene(rng, count)


def _near_identical(rng, count):
    a = _scene(rng, count)
    noise = rng.standard_normal((count, 5)) * _spread(rng, 1e-9, 1e-3, count)[:, None]
    return a, a + noise * a[:, 2:3]


def _equal_regions(rng, count):
    """The same region written another way; quarter turns are exact in double."""
    a = _scene(rng, count)
    a[:, 4] = np.round(a[:, 4] * 64) / 64
    b = a.copy()
    turns = rng.integers(-4, 5, count)
    b[:, 4] += 90 * turns
    odd = turns % 2 == 1
    b[odd, 2:4] = b[odd, 3:1:-1]
    return a, b


def _touching(rng, count):
    a = _scene(rng, count)
    b = a.copy()
    b[:, 2:4] = _scene(rng, count)[:, 2:4]
    gap = rng.choice([-1e-5, -1e-9, 0, 1e-9, 1e-5], count)
    return a, _moved(b, (a[:, 2] + b[:, 2]) / 2 + gap, _uniform(rng, -9, 9, count))


def _shared_sides(rng, count):
    """Inside each other with one, two or three sides on a line."""
    a = _scene(rng, count)
    b = a.copy()
    b[:, 2] *= rng.choice([1, 0.5, 0.25], count)
    b[:, 3] *= rng.choice([1, 0.5, 0.25], count)
    b[:, 4] += rng.choice([0, 180, 1e-7, 1e-12], count)
    return a, _moved(
        b, (a[:, 2] - b[:, 2]) / 2, rng.choice([0, 1], count) * (a[:, 3] - b[:, 3]) / 2
    )


def _thin(rng, count):
    """1e-6 by 1e3, nearly parallel or crossing, shifted along and across."""
    a = _scene(rng, count)
    a[:, 2:4] = [1e3, 1e-6]
    b = a.copy()
    b[:, 2:4] *= rng.choice([0.5, 1, 2], (count, 2))
    b[:, 4] += rng.choice([0, 1e-9, 1e-8, 1e-7, 1e-3, 1, 90], count)
    crossing = rng.random(count) < 0.2
    b[crossing, 2:4] = _scene(rng, count)[crossing, 2:4]
    return a, _moved(b, _uniform(rng, -600, 600, count), _uniform(rng, -1e-6, 1e-6, count))


def _thin_and_far(rng, count):
    """In double alone: at 1e7 single precision moves boxes by half a pixel."""
    return _displaced(rng, *_thin(rng, count))


def _far(rng, count):
    return _displaced(rng, _scene(rng, count), _scene(rng, count))


def _displaced(rng, a, b):
    count = len(a)
    place = rng.uniform(-1e7, 1e7, (count, 2))
    a[:, :2] += place
    b[:, :2] += place
    return a, b


def _concentric(rng, count):
    a = _scene(rng, count)
    b = a.copy()
    b[:, 4] += _spread(rng, 1e-13, 1, count) * rng.choice([-1, 1], count)
    b[:, 2:4] *= rng.choice([1, 1, 1 + 1e-7, 0.9], (count, 2))
    return a, b


def _right_angles(rng, count):
    a, b = (np.round(_scene(rng, count, place=12, low=1, high=12)) for _ in range(2))
    for boxes in (a, b):
        boxes[:, 4] = 45 * rng.integers(-8, 9, count)
    return a, b


def _huge_and_tiny(rng, count):
    a = _scene(rng, count, low=1e4, high=1e6)
    b = _scene(rng, count, low=1e-4, high=1e-1)
    b[:, :2] = a[:, :2]
    side = a[:, 2:4] / 2 * rng.choice([0.5, 1, 1], (count, 2))
    return a, _moved(np.concatenate([a[:, :2], b[:, 2:4], b[:, 4:]], 1), side[:, 0], side[:, 1])


def _any_shape(rng, count):
    """Every aspect ratio from 1 to 1e9, overlapping."""
    a = _scene(rng, count, place=1, low=1e-6, high=1e3)
    b = _scene(rng, count, place=1, low=1e-6, high=1e3)
    b[:, :2] = a[:, :2]
    part = rng.uniform(-0.7, 0.7, (count, 2)) * a[:, 2:4]
    return a, np.concatenate([_moved(a, *part.T)[:, :2], b[:, 2:]], axis=1)


FAMILIES = {
    "random": _random,
    "near-identical": _near_identical,
    "equal regions": _equal_regions,
    "touching": _touching,
    "shared sides": _shared_sides,
    "thin": _thin,
    "far": _far,
    "thin and far": _thin_and_far,
    "concentric": _concentric,
    "right angles": _right_angles,
    "huge and tiny": _huge_and_tiny,
    "any shape": _any_shape,
}


def _pairs(family, count, dtype):
    rng = np.random.default_rng(list(FAMILIES).index(family))
    a, b = FAMILIES[family](rng, count)
    swap = rng.random(count) < 0.5
    a[swap], b[swap] = b[swap], a[swap]
    return torch.tensor(a).to(dtype), torch.tensor(b).to(dtype)


def _sin_cos(degrees):
    """Of longdouble degrees; exact at quarter turns."""
    quarter = np.rint(degrees / 90)
    rest = (degrees - 90 * quarter) * PI / 180
    sin, cos = np.sin(rest), np.cos(rest)
    turn = quarter.astype(np.int64) % 4
    return np.choose(turn, [sin, cos, -sin, -cos]), np.choose(turn, [cos, -sin, -cos, sin])


def _geos_overlaps(a, b):
    """By GEOS, in the frame in which the smaller box is a square: what each row's boxes share, as
    a part of the smaller one, their IoU, and their GIoU.
    """
    first = (a[:, 2] * a[:, 3] <= b[:, 2] * b[:, 3])[:, None]
    small = np.where(first, a, b).astype(np.longdouble)
    large = np.where(first, b, a).astype(np.longdouble)
    sin, cos = _sin_cos(small[:, 4])
    dx, dy = (large - small)[:, :2].T
    u, v = dx * cos - dy * sin, dx * sin + dy * cos
    sin, cos = _sin_cos(large[:, 4] - small[:, 4])
    right, down = np.array([-1, 1, 1, -1]), np.array([-1, -1, 1, 1])
    half = large[:, 2:4] / 2
    x = u[:, None] + half[:, :1] * right * cos[:, None] + half[:, 1:] * down * sin[:, None]
    y = v[:, None] - half[:, :1] * right * sin[:, None] + half[:, 1:] * down * cos[:, None]
    corners = np.stack([x / small[:, 2:3] * 2, y / small[:, 3:4] * 2], axis=2).astype(np.float64)
    square, other = shapely.box(-1, -1, 1, 1), shapely.polygons(corners)
    shared = shapely.area(shapely.intersection(other, square))
    area = (4 * large[:, 2] * large[:, 3] / (small[:, 2] * small[:, 3])).astype(np.float64)
    covered = 4 + area - shared
    hull = shapely.area(shapely.convex_hull(shapely.union(other, square)))
    return shared / 4, shared / covered, shared / covered - (hull - covered) / hull


def _mp_iou(a, b):
    """IoU of one pair with 50 digits: Sutherland and Hodgman's clipping, word for word."""
    with mpmath.workdps(50):
        polygon = _mp_corners(a)
        window = _mp_corners(b)
        for k in range(4):
            (x0, y0), (x1, y1) = window[k], window[(k + 1) % 4]
            heights = [(x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) for x, y in polygon]
            cut = []
            for i, point in enumerate(polygon):
                j = (i + 1) % len(polygon)
                if heights[i] >= 0:
                    cut.append(point)
                if (heights[i] >= 0) != (heights[j] >= 0):
                    t = heights[i] / (heights[i] - heights[j])
                    cut.append(
                        tuple(p + t * (q - p) for p, q in zip(point, polygon[j], strict=True))
                    )
            polygon = cut
        shared = (
            sum(
                polygon[i - 1][0] * polygon[i][1] - polygon[i][0] * polygon[i - 1][1]
                for i in range(len(polygon))
            )
            / 2
        )
        areas = mpmath.mpf(a[2]) * a[3] + mpmath.mpf(b[2]) * b[3]
        return float(shared / (areas - shared))


def _mp_corners(box):
    cx, cy, w, h, angle = (mpmath.mpf(float(value)) for value in box)
    cos, sin = mpmath.cos(mpmath.radians(angle)), mpmath.sin(mpmath.radians(angle))
    return [
        (cx + u * cos + v * sin, cy - u * sin + v * cos)
        for u, v in ((-w / 2, -h / 2), (w / 2, -h / 2), (w / 2, h / 2), (-w / 2, h / 2))
    ]


def _count_of_profile(nightly, otherwise):
    return nightly if hypothesis.settings.default.max_examples >= 5000 else otherwise


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("family", FAMILIES)
def test_rotated_iou_is_that_of_geos(family, dtype):
    """No pair is off by 1e-6, whatever it looks like; nor is its GIoU or the part it shares."""
    a, b = _pairs(family, _count_of_profile(46_000, 1_000), dtype)
    parts, ious, gious = _geos_overlaps(a.double().numpy(), b.double().numpy())
    smaller = torch.minimum(*(rows[:, 2].double() * rows[:, 3].double() for rows in (a, b)))
    errors = [
        (matched_rotated_intersection(a, b) / smaller).numpy() - parts,
        matched_rotated_iou(a, b).numpy() - ious,
        matched_rotated_giou(a, b).numpy() - gious,
    ]
    part, iou, giou = (np.abs(error) for error in errors)
    print(  # noqa: T201 - shown by pytest -s
        f"{family}, {dtype}: {len(a)} pairs, {(ious > 0).mean():.0%} overlap, largest error: "
        f"IoU {iou.max():.1e}, GIoU {giou.max():.1e}, shared part {part.max():.1e}"
    )
    for error in (part, iou, giou):
        assert error.max() < TOLERANCE, (a[error.argmax()], b[error.argmax()])


@pytest.mark.parametrize("family", FAMILIES)
def test_rotated_iou_is_exact_to_50_digits(family):
    """In double the IoU is right to 1e-6 of itself where GEOS's own roundings would hide it."""
    a, b = _pairs(family, _count_of_profile(1_000, 20), torch.float64)
    iou = matched_rotated_iou(a, b).numpy()
    wanted = np.array([_mp_iou(p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True)])
    error = np.abs(iou - wanted)
    print(f"{family}, 50 digits: {len(a)} pairs, error {error.max():.1e}")  # noqa: T201
    assert error.max() < TOLERANCE, (a[error.argmax()], b[error.argmax()])
