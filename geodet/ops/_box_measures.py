"""What a measure of two boxes is called, and how it changes with their coordinates.

Shapes: ... is what the two arguments broadcast to: [n, 1] and [1, m] for pairs, [n] for matches.
"""

import enum
import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["BoxMeasure", "measure_gradients"]


class BoxMeasure(enum.IntEnum):
    """The numbers that the compiled core knows the measures by."""

    INTERSECTION = 0
    IOU = 1
    IOA = 2
    GIOU = 3
    DIOU = 4
    CIOU = 5


class _Pair(NamedTuple):
    """Terms that the measures are made of; [..., 2] holds (x, y)."""

    sides: Tensor  # [..., 2] of what both cover
    common: Tensor  # [...] its area
    size_a: Tensor  # [..., 2] width and height
    size_b: Tensor
    area_a: Tensor
    area_b: Tensor
    enclosing: Tensor  # [..., 2] sides of the smallest box around both
    offset: Tensor  # [..., 2] centre of a minus centre of b


class _Partials(NamedTuple):
    """Derivatives of a measure by those terms."""

    common: Tensor
    area_a: Tensor
    area_b: Tensor
    enclosing: Tensor
    offset: Tensor
    angle: Tensor  # by atan(width / height) of a; that of b is its negative


def measure_gradients(
    measure: BoxMeasure, a: Tensor, b: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of a measure, in elementary operations so that they differentiate again.

    Where a measure has a kink the gradient is one of its one-sided ones or lies between them;
    a bound that both boxes share sends half to each. Boxes that are not finite get zeros.

    Args:
        measure: which one.
        a: [..., 4] xyxy.
        b: [..., 4] xyxy, broadcast against `a`.
        grad: [...] gradient of the result.
    Returns:
        Two tensors [..., 4] of the broadcast shape: the caller sums over what was broadcast.
    """
    sound = a.isfinite().all(-1) & b.isfinite().all(-1)
    zero = a.new_zeros(())
    a, b = torch.where(sound[..., None], a, zero), torch.where(sound[..., None], b, zero)
    pair = _pair(a, b)
    by = _partials(measure, pair)
    grad = torch.where(sound, grad, zero)
    # A bound of the overlap follows the larger low and the smaller high side, a bound of the
    # enclosing box the other ones.
    a_low, a_high = _share(a[..., :2], b[..., :2]), _share(-a[..., 2:], -b[..., 2:])
    by_sides = by.common[..., None] * pair.sides.flip(-1)
    low_a = -by_sides * a_low - by.enclosing * (1 - a_low) + by.offset / 2
    low_b = -by_sides * (1 - a_low) - by.enclosing * a_low - by.offset / 2
    high_a = by_sides * a_high + by.enclosing * (1 - a_high) + by.offset / 2
    high_b = by_sides * (1 - a_high) + by.enclosing * a_high - by.offset / 2
    by_size_a = _by_size(a, pair.size_a, by.area_a, by.angle)
    by_size_b = _by_size(b, pair.size_b, by.area_b, -by.angle)
    grad = grad[..., None]
    return (
        grad * torch.cat((low_a - by_size_a, high_a + by_size_a), dim=-1),
        grad * torch.cat((low_b - by_size_b, high_b + by_size_b), dim=-1),
    )


def _pair(a: Tensor, b: Tensor) -> _Pair:
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    sides = (high - low).clamp(min=0)
    size_a, size_b = ((x[..., 2:] - x[..., :2]).clamp(min=0) for x in (a, b))
    around = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    return _Pair(
        sides=sides,
        common=sides[..., 0] * sides[..., 1],
        size_a=size_a,
        size_b=size_b,
        area_a=size_a[..., 0] * size_a[..., 1],
        area_b=size_b[..., 0] * size_b[..., 1],
        enclosing=around.clamp(min=0),
        offset=(a[..., :2] + a[..., 2:]) / 2 - (b[..., :2] + b[..., 2:]) / 2,
    )


def _partials(measure: BoxMeasure, pair: _Pair) -> _Partials:
    none = torch.zeros_like(pair.common)
    by = _Partials(none, none, none, none[..., None], none[..., None], none)
    overlaps = pair.common > 0
    if measure is BoxMeasure.INTERSECTION:
        return by._replace(common=overlaps.to(none.dtype))
    if measure is BoxMeasure.IOA:
        by_common = _inverse(pair.area_b, overlaps)
        return by._replace(common=by_common, area_b=-pair.common * by_common * by_common)
    union = pair.area_a + pair.area_b - pair.common
    per_union = _inverse(union, overlaps)
    iou = pair.common * per_union
    by = by._replace(common=per_union * (1 + iou), area_a=-iou * per_union, area_b=-iou * per_union)
    if measure is BoxMeasure.IOU:
        return by
    if measure is BoxMeasure.GIOU:
        enclosing = pair.enclosing[..., 0] * pair.enclosing[..., 1]
        per_enclosing = _inverse(enclosing, enclosing > 0)
        by_enclosing = -union * per_enclosing * per_enclosing
        return by._replace(
            common=by.common - torch.where(overlaps, per_enclosing, 0.0),
            area_a=by.area_a + per_enclosing,
            area_b=by.area_b + per_enclosing,
            enclosing=by_enclosing[..., None] * pair.enclosing.flip(-1),
        )
    diagonal = pair.enclosing.square().sum(-1)
    per_diagonal = _inverse(diagonal, diagonal > 0)
    share = pair.offset.square().sum(-1) * per_diagonal
    by = by._replace(
        offset=-2 * pair.offset * per_diagonal[..., None],
        enclosing=2 * (share * per_diagonal)[..., None] * pair.enclosing,
    )
    return by if measure is BoxMeasure.DIOU else by._replace(angle=_by_angle(pair, iou))


def _by_angle(pair: _Pair, iou: Tensor) -> Tensor:
    """Derivative of -alpha v by the angle of a, with alpha held constant (Zheng 2020, eq. 11)."""
    difference = _angle(pair.size_a) - _angle(pair.size_b)
    v = 4 / math.pi**2 * difference.square()
    alpha = (v * _inverse(1 - iou + v, v > 0)).detach()
    return -8 / math.pi**2 * alpha * difference


def _angle(size: Tensor) -> Tensor:
    return torch.atan2(size[..., 0], size[..., 1])


def _by_size(xyxy: Tensor, size: Tensor, by_area: Tensor, by_angle: Tensor) -> Tensor:
    """Derivative by width and height; an inverted side counts as 0, whatever its length."""
    square = size.square().sum(-1)
    turned = torch.stack((size[..., 1], -size[..., 0]), dim=-1)
    by_size = by_area[..., None] * size.flip(-1)
    by_size = by_size + (by_angle * _inverse(square, square > 0))[..., None] * turned
    return torch.where(xyxy[..., 2:] >= xyxy[..., :2], by_size, torch.zeros_like(by_size))


def _inverse(values: Tensor, where: Tensor) -> Tensor:
    """1 / values where told, else 0; neither it nor its derivatives see the other values."""
    return torch.where(where, 1 / torch.where(where, values, torch.ones_like(values)), 0.0)


def _share(x: Tensor, y: Tensor) -> Tensor:
    """Part of the gradient of maximum(x, y) that goes to x."""
    return torch.where(x > y, 1.0, torch.where(x == y, 0.5, 0.0)).to(x.dtype)
