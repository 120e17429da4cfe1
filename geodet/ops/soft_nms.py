"""Soft suppression: boxes that overlap a better one lose score instead of being removed.

Again and again the best box left is kept, equal scores by index, and the scores of the others of
its group are lowered by how much they overlap it. Letters in shapes: n boxes, k kept ones.
"""

# ruff: noqa: PLR0917 - torch passes the arguments of registered operators by position
from typing import Literal

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import InvalidValueError
from geodet.ops import _backend
from geodet.ops._library import register

__all__ = ["batched_soft_nms", "soft_nms"]

_STEPS_BETWEEN_LOOKS = 64


def soft_nms(
    xyxy: Tensor,
    scores: Tensor,
    *,
    method: Literal["linear", "gaussian"] = "linear",
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    min_score: float = 0.001,
) -> tuple[Tensor, Tensor]:
    """Indices of the boxes that keep enough score, best first, and the scores they keep.

    On CUDA the steps are torch operations, a few dozen launches a box, and the device is waited for
    now and then: each step needs the one before it. Not differentiable.

    Args:
        xyxy: [n, 4] float, pixels; computed in the wider dtype of boxes and scores, at least
            float32.
        scores: [n] float, same device; NaN is dropped.
        method: "linear" multiplies a score by 1 - IoU where the IoU exceeds `iou_threshold`,
            "gaussian" by exp(-IoU^2 / sigma) wherever boxes overlap.
        iou_threshold: in [0, 1]; "linear" alone looks at it.
        sigma: above 0; "gaussian" alone looks at it.
        min_score: boxes are dropped as soon as their score is not above it; at least 0.
    Returns:
        [k] int64 indices and [k] scores in the dtype of `scores`, by descending new score, ties by
        index.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a number or the method is not as above.
    Empty: n = 0 gives [0] and [0].
    Reference: Bodla et al. 2017, "Soft-NMS - Improving Object Detection With One Line of Code".
    """
    _check_boxes(xyxy, scores)
    return _suppress(xyxy, scores, None, method, (iou_threshold, sigma, min_score))


def batched_soft_nms(
    xyxy: Tensor,
    scores: Tensor,
    groups: Tensor,
    *,
    method: Literal["linear", "gaussian"] = "linear",
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    min_score: float = 0.001,
) -> tuple[Tensor, Tensor]:
    """Soft suppression inside each group: classes, images or pyramid levels.

    Args:
        xyxy: [n, 4] float, pixels.
        scores: [n] float, same device.
        groups: [n] int64; only boxes of the same group lower each other's scores.
        method, iou_threshold, sigma, min_score: as for `soft_nms`.
    Returns:
        [k] int64 indices over all groups and [k] scores, by descending new score, ties by index.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a number or the method is not as above.
    Empty: n = 0 gives [0] and [0].
    """
    _check_boxes(xyxy, scores)
    _check.check_dtype("groups", _check.check_shape("groups", groups, len(xyxy)), torch.int64)
    _check.check_same_device(("xyxy", "groups"), (xyxy, groups))
    return _suppress(xyxy, scores, groups, method, (iou_threshold, sigma, min_score))


def _suppress(
    xyxy: Tensor,
    scores: Tensor,
    groups: Tensor | None,
    method: str,
    numbers: tuple[float, float, float],
) -> tuple[Tensor, Tensor]:
    _check_settings(method, *numbers)
    wide = torch.promote_types(torch.promote_types(xyxy.dtype, scores.dtype), torch.float32)
    kept, decayed = _soft_nms(
        xyxy.to(wide), scores.to(wide), groups, *map(float, numbers), method == "gaussian"
    )
    return kept, decayed.to(scores.dtype)


def _check_boxes(xyxy: Tensor, scores: Tensor) -> None:
    _check.check_floating("xyxy", _check.check_shape("xyxy", xyxy, "n", 4))
    _check.check_floating("scores", _check.check_shape("scores", scores, len(xyxy)))
    _check.check_same_device(("xyxy", "scores"), (xyxy, scores))


def _check_settings(method: str, iou_threshold: float, sigma: float, min_score: float) -> None:
    if method not in {"linear", "gaussian"}:
        raise InvalidValueError(f'method: expected "linear" or "gaussian", got {method!r}')
    if not 0 <= iou_threshold <= 1:
        raise InvalidValueError(f"iou_threshold: expected a number in [0, 1], got {iou_threshold}")
    if not 0 < sigma < float("inf"):
        raise InvalidValueError(f"sigma: expected a positive number, got {sigma}")
    if not 0 <= min_score < float("inf"):
        raise InvalidValueError(f"min_score: expected a number of at least 0, got {min_score}")


def _on_cpu(
    xyxy: Tensor,
    scores: Tensor,
    groups: Tensor | None,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    gaussian: bool,
) -> tuple[Tensor, Tensor]:
    kept, decayed = _backend.cpu.soft_nms(
        _backend.array(xyxy),
        _backend.array(scores),
        None if groups is None else _backend.array(groups),
        iou_threshold,
        sigma,
        min_score,
        gaussian,
    )
    return torch.from_numpy(kept), torch.from_numpy(decayed)


def _step_by_step(
    xyxy: Tensor,
    scores: Tensor,
    groups: Tensor | None,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    gaussian: bool,
) -> tuple[Tensor, Tensor]:
    """The same in torch operations, on any device."""
    gone = torch.full_like(scores, -torch.inf)
    left = torch.where(scores > min_score, scores, gone)
    decayed = gone
    rows = torch.arange(len(scores), device=scores.device)
    for step in range(len(scores)):
        if step % _STEPS_BETWEEN_LOOKS == 0 and not bool((left > gone).any()):
            break
        # The first of equal maxima, which argmax does not promise on a GPU.
        best = torch.where(left == left.max(), rows, len(rows)).min()
        is_best = (rows == best) & (left > gone)
        decayed = torch.where(is_best, left, decayed)
        iou = _iou_with(xyxy, xyxy[best])
        if groups is not None:
            iou = torch.where(groups == groups[best], iou, torch.zeros_like(iou))
        factors = torch.exp(-iou * iou / sigma) if gaussian else _linear(iou, iou_threshold)
        lowered = torch.where(left > gone, left * factors, gone)
        left = torch.where((lowered > min_score) & ~is_best, lowered, gone)
    order = torch.sort(decayed, descending=True, stable=True).indices
    kept = order[decayed[order] > gone]
    return kept, decayed[kept]


def _linear(iou: Tensor, iou_threshold: float) -> Tensor:
    return torch.where(iou > iou_threshold, 1 - iou, torch.ones_like(iou))


def _iou_with(xyxy: Tensor, box: Tensor) -> Tensor:
    """IoU of every box with one, as the compiled core computes it."""
    sides = torch.minimum(xyxy[:, 2:], box[2:]) - torch.maximum(xyxy[:, :2], box[:2])
    shared = torch.where(sides > 0, sides, torch.zeros_like(sides)).prod(dim=1)
    areas = (xyxy[:, 2:] - xyxy[:, :2]).prod(dim=1)
    ratio = shared / ((box[2:] - box[:2]).prod() + areas - shared)
    return torch.where(shared > 0, ratio.clamp(max=1), torch.zeros_like(ratio)).nan_to_num(nan=0.0)


def _fake(
    xyxy: Tensor,
    scores: Tensor,
    groups: Tensor | None,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    gaussian: bool,
) -> tuple[Tensor, Tensor]:
    del xyxy, groups, iou_threshold, sigma, min_score, gaussian
    kept = torch.library.get_ctx().new_dynamic_size()
    return scores.new_empty([kept], dtype=torch.int64), scores.new_empty([kept])


_soft_nms = register(
    "soft_nms(Tensor xyxy, Tensor scores, Tensor? groups, float iou_threshold, float sigma, "
    "float min_score, bool gaussian) -> (Tensor, Tensor)",
    cpu=_on_cpu,
    cuda=_step_by_step,
    fake=_fake,
)
