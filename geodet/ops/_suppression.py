"""What the suppression of upright and of rotated boxes has in common: checks and registration."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import InvalidValueError
from geodet.ops import _backend
from geodet.ops._library import register
from geodet.ops._precision import widened


class Suppression(NamedTuple):
    """One kind of boxes and its registered operator."""

    boxes_name: str
    columns: int
    operator: Callable[[Tensor, Tensor, Tensor | None, float], Tensor]


def register_suppression(name: str, boxes_name: str, columns: int) -> Suppression:
    """Register the operator of one kind of boxes.

    Args:
        name: of the operator, and of its kernel in the compiled modules.
        boxes_name: of its first argument.
        columns: of that argument.
    """
    operator = register(
        f"{name}(Tensor {boxes_name}, Tensor scores, Tensor? groups, float iou_threshold)"
        " -> Tensor",
        cpu=partial(_on_cpu, name),
        cuda=partial(_on_cuda, name),
        fake=_fake,
    )
    return Suppression(boxes_name, columns, operator)


def suppress(kind: Suppression, boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Check the arguments of a suppression of one group, and run it."""
    _check_inputs(kind, boxes, scores, iou_threshold)
    return kind.operator(widened(boxes), widened(scores), None, float(iou_threshold))


def suppress_groups(
    kind: Suppression, boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float
) -> Tensor:
    """Check the arguments of a suppression inside groups [n] int64, and run it."""
    _check_inputs(kind, boxes, scores, iou_threshold)
    _check.check_dtype("groups", _check.check_shape("groups", groups, len(boxes)), torch.int64)
    _check.check_same_device((kind.boxes_name, "groups"), (boxes, groups))
    return kind.operator(widened(boxes), widened(scores), groups, float(iou_threshold))


def _check_inputs(kind: Suppression, boxes: Tensor, scores: Tensor, iou_threshold: float) -> None:
    name = kind.boxes_name
    _check.check_floating(name, _check.check_shape(name, boxes, "n", kind.columns))
    _check.check_floating("scores", _check.check_shape("scores", scores, len(boxes)))
    _check.check_same_device((name, "scores"), (boxes, scores))
    if not 0 <= iou_threshold <= 1:
        raise InvalidValueError(f"iou_threshold: expected a number in [0, 1], got {iou_threshold}")


def _on_cpu(
    name: str, boxes: Tensor, scores: Tensor, groups: Tensor | None, iou_threshold: float
) -> Tensor:
    kept = getattr(_backend.cpu, name)(
        _backend.array(boxes),
        _backend.array(scores),
        None if groups is None else _backend.array(groups),
        iou_threshold,
    )
    return torch.from_numpy(kept)


def _on_cuda(
    name: str, boxes: Tensor, scores: Tensor, groups: Tensor | None, iou_threshold: float
) -> Tensor:
    order = _best_first(scores)
    count = len(boxes)
    overlaps = torch.empty((count, (count + 63) // 64), dtype=torch.int64, device=boxes.device)
    keep = torch.empty(count, dtype=torch.uint8, device=boxes.device)
    getattr(_backend.cuda(), name)(
        boxes.detach()[order].contiguous(),
        None if groups is None else groups[order].contiguous(),
        iou_threshold,
        overlaps,
        keep,
        _backend.stream(boxes),
    )
    return order[keep.bool()]


def _best_first(scores: Tensor) -> Tensor:
    ranked = torch.where(scores.isnan(), -torch.inf, scores)
    return torch.sort(ranked, descending=True, stable=True).indices


def _fake(boxes: Tensor, scores: Tensor, groups: Tensor | None, iou_threshold: float) -> Tensor:
    del scores, groups, iou_threshold
    kept = torch.library.get_ctx().new_dynamic_size()
    return boxes.new_empty([kept], dtype=torch.int64)
