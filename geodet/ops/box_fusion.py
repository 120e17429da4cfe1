"""Weighted box fusion: boxes of several models that show one object become their weighted mean.

Letters in shapes: n boxes of all models together, k fused ones, m models.
"""

# ruff: noqa: PLR0917 - torch passes the arguments of registered operators by position
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import InvalidValueError
from geodet.ops import _backend
from geodet.ops._library import register

__all__ = ["weighted_box_fusion"]

_CONFIDENCES = ("capped", "counted", "maximum")  # in the order of FusedScore in the compiled core


def weighted_box_fusion(
    xyxy: Tensor,
    scores: Tensor,
    labels: Tensor,
    models: Tensor,
    *,
    weights: Sequence[float],
    iou_threshold: float = 0.55,
    min_score: float = 0.0,
    confidence: Literal["capped", "counted", "maximum"] = "capped",
) -> tuple[Tensor, Tensor, Tensor]:
    """Fuse the boxes that several models give for one image.

    The boxes of each label are visited by descending score times weight of their model, ties by
    index. A box joins the fused box of its label that it overlaps most, the earliest of equal ones,
    if their IoU exceeds the threshold, and the fused box moves to the mean of its boxes, weighted
    by their weighted scores; else it starts a fused box of its own. Boxes without area, with a
    number that is not finite, with a score below `min_score` or not above 0 take no part. Computed
    in double precision, rounded once; not differentiable.

    The step from one box to the next cannot be taken in parallel: on CUDA it is a few dozen torch
    operations a box, and the device is waited for.

    Args:
        xyxy: [n, 4] float, pixels, of all models together.
        scores: [n] float, same device.
        labels: [n] int64; only boxes of one label are fused.
        models: [n] int64 in [0, m): which model a box comes from.
        weights: how much each of the m models counts, above 0; [1] * m for all alike.
        iou_threshold: in [0, 1].
        min_score: boxes that score lower, before weighting, are left out.
        confidence: the score of c boxes that are fused. "capped": mean weighted score times
            min(c, m) over the sum of weights; "counted": times c over it, which may exceed 1;
            "maximum": the highest weighted score over the largest weight.
    Returns:
        [k, 4] boxes, [k] scores and [k] labels, by descending score, ties by label, then by
        when a fused box was started.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a number is not as above, or a model has no weight.
    Empty: n = 0 gives [0, 4], [0] and [0].
    Reference: Solovyev, Wang, Gabruseva 2021, "Weighted boxes fusion", section 3; "capped" is its
        equation 5, "counted" its equation 6, "maximum" its authors' code.
    """
    _check_inputs(xyxy, scores, labels, models)
    _check_numbers(weights, iou_threshold, min_score, confidence)
    fused, fused_scores, fused_labels = _fusion(
        xyxy,
        scores,
        labels,
        models,
        [float(weight) for weight in weights],
        float(iou_threshold),
        float(min_score),
        _CONFIDENCES.index(confidence),
    )
    return fused.to(xyxy.dtype), fused_scores.to(scores.dtype), fused_labels


def _check_inputs(xyxy: Tensor, scores: Tensor, labels: Tensor, models: Tensor) -> None:
    _check.check_floating("xyxy", _check.check_shape("xyxy", xyxy, "n", 4))
    _check.check_floating("scores", _check.check_shape("scores", scores, len(xyxy)))
    _check.check_dtype("labels", _check.check_shape("labels", labels, len(xyxy)), torch.int64)
    _check.check_dtype("models", _check.check_shape("models", models, len(xyxy)), torch.int64)
    names = ("xyxy", "scores", "labels", "models")
    _check.check_same_device(names, (xyxy, scores, labels, models))


def _check_numbers(
    weights: Sequence[float], iou_threshold: float, min_score: float, confidence: str
) -> None:
    if not weights or not all(0 < weight < float("inf") for weight in weights):
        raise InvalidValueError(
            f"weights: expected a positive number for each model, got {list(weights)}"
        )
    if not 0 <= iou_threshold <= 1:
        raise InvalidValueError(f"iou_threshold: expected a number in [0, 1], got {iou_threshold}")
    if not min_score >= 0:
        raise InvalidValueError(f"min_score: expected a number of at least 0, got {min_score}")
    if confidence not in _CONFIDENCES:
        raise InvalidValueError(f"confidence: expected one of {_CONFIDENCES}, got {confidence!r}")


def _entries(
    xyxy: Tensor,
    scores: Tensor,
    labels: Tensor,
    models: Tensor,
    weights: list[float],
    min_score: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes that take part, weighted scores and labels, in the order in which they are visited."""
    if len(models) > 0 and bool(((models < 0) | (models >= len(weights))).any()):
        raise InvalidValueError(
            f"models: expected indices in [0, {len(weights)}), one weight each, got one outside"
        )
    boxes, values = xyxy.detach().double(), scores.detach().double()
    finite = boxes.isfinite().all(dim=1) & values.isfinite()
    has_area = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    part = finite & has_area & (values >= min_score) & (values > 0)
    rows = part.nonzero()[:, 0]
    weighted = values * torch.tensor(weights, dtype=torch.float64, device=xyxy.device)[models]
    rows = rows[torch.sort(weighted[rows], descending=True, stable=True).indices]
    rows = rows[torch.sort(labels[rows], stable=True).indices]
    return boxes[rows], weighted[rows], labels[rows]


def _on_cpu(
    xyxy: Tensor,
    scores: Tensor,
    labels: Tensor,
    models: Tensor,
    weights: list[float],
    iou_threshold: float,
    min_score: float,
    confidence: int,
) -> tuple[Tensor, Tensor, Tensor]:
    boxes, values, names = _entries(xyxy, scores, labels, models, weights, min_score)
    fused = _backend.cpu.fuse_boxes(
        _backend.array(boxes),
        _backend.array(values),
        _backend.array(names),
        _backend.array(torch.arange(len(boxes))),
        iou_threshold,
        confidence,
        len(weights),
        sum(weights),
        max(weights),
    )
    return _best_first(*map(torch.from_numpy, fused))


def _best_first(boxes: Tensor, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    order = torch.sort(scores, descending=True, stable=True).indices
    return boxes[order], scores[order], labels[order]


def _step_by_step(
    xyxy: Tensor,
    scores: Tensor,
    labels: Tensor,
    models: Tensor,
    weights: list[float],
    iou_threshold: float,
    min_score: float,
    confidence: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The same in torch operations, on any device."""
    boxes, values, names = _entries(xyxy, scores, labels, models, weights, min_score)
    rows = torch.arange(len(boxes), device=boxes.device)
    fused, fused_labels = torch.zeros_like(boxes), torch.zeros_like(names)
    sums, totals, highest, members = (torch.zeros_like(x) for x in (boxes, *[values] * 3))
    count = torch.zeros((), dtype=torch.int64, device=boxes.device)
    for box, value, label in zip(boxes, values, names, strict=True):
        rivals = (rows < count) & (fused_labels == label)
        iou = torch.where(rivals, _iou_with(fused, box), torch.full_like(values, -1.0))
        most = iou.max()
        first = torch.where(iou == most, rows, len(rows)).min()
        match = torch.where(most > iou_threshold, first, count)
        chosen = rows == match
        count = torch.maximum(count, match + 1)
        sums = torch.where(chosen[:, None], sums + value * box, sums)
        totals = torch.where(chosen, totals + value, totals)
        highest = torch.where(chosen, highest.maximum(value), highest)
        members = torch.where(chosen, members + 1, members)
        mean = torch.where((members == 1)[:, None], box, sums / totals[:, None])
        fused = torch.where(chosen[:, None], mean, fused)
        fused_labels = torch.where(chosen, label, fused_labels)
    if confidence == _CONFIDENCES.index("maximum"):
        result = highest / max(weights)
    else:
        counted = members.clamp(max=len(weights)) if confidence == 0 else members
        result = totals / members * counted / sum(weights)
    started = rows < count
    return _best_first(fused[started], result[started], fused_labels[started])


def _iou_with(boxes: Tensor, box: Tensor) -> Tensor:
    sides = (torch.minimum(boxes[:, 2:], box[2:]) - torch.maximum(boxes[:, :2], box[:2])).clamp(0)
    shared = sides[:, 0] * sides[:, 1]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    ratio = shared / (areas + (box[2:] - box[:2]).prod() - shared)
    return torch.where(shared > 0, ratio.clamp(max=1), torch.zeros_like(ratio))


def _fake(
    xyxy: Tensor,
    scores: Tensor,
    labels: Tensor,
    models: Tensor,
    weights: list[float],
    iou_threshold: float,
    min_score: float,
    confidence: int,
) -> tuple[Tensor, Tensor, Tensor]:
    del scores, labels, models, weights, iou_threshold, min_score, confidence
    count = torch.library.get_ctx().new_dynamic_size()
    return (
        xyxy.new_empty([count, 4], dtype=torch.float64),
        xyxy.new_empty([count], dtype=torch.float64),
        xyxy.new_empty([count], dtype=torch.int64),
    )


_fusion = register(
    "weighted_box_fusion(Tensor xyxy, Tensor scores, Tensor labels, Tensor models, "
    "float[] weights, float iou_threshold, float min_score, int confidence) "
    "-> (Tensor, Tensor, Tensor)",
    cpu=_on_cpu,
    cuda=_step_by_step,
    fake=_fake,
)
