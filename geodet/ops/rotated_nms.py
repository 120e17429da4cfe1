"""Greedy non-maximum suppression of rotated boxes.

The rules are those of `geodet.ops.nms`: boxes are visited by descending score, equal scores by
index, and an IoU strictly greater than the threshold suppresses. The IoU is that of
`pairwise_rotated_iou`, in every bit. Groups are compared as integers: no coordinate is shifted.
"""

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import InvalidValueError
from geodet.ops import _backend
from geodet.ops._library import register

__all__ = ["batched_rotated_nms", "rotated_nms"]


def rotated_nms(cxcywha: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the rotated boxes that survive suppression, best first.

    Args:
        cxcywha: [n, 5] float, pixels and degrees; half precision is compared in float32.
        scores: [n] float, same device; a NaN score counts as the lowest.
        iou_threshold: boxes with an IoU above it are suppressed, in [0, 1].
    Returns:
        [k] int64 indices, by descending score, ties by index.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the threshold is outside [0, 1].
    Empty: n = 0 gives [0].
    """
    _check_inputs(cxcywha, scores, iou_threshold)
    return _rotated_nms(_widened(cxcywha), _widened(scores), None, float(iou_threshold))


def batched_rotated_nms(
    cxcywha: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float
) -> Tensor:
    """Suppression of rotated boxes inside each group: classes, images or pyramid levels.

    Args:
        cxcywha: [n, 5] float, pixels and degrees.
        scores: [n] float, same device.
        groups: [n] int64; only boxes of the same group suppress each other.
        iou_threshold: boxes with an IoU above it are suppressed, in [0, 1].
    Returns:
        [k] int64 indices over all groups, by descending score, ties by index.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the threshold is outside [0, 1].
    Empty: n = 0 gives [0].
    """
    _check_inputs(cxcywha, scores, iou_threshold)
    _check.check_dtype("groups", _check.check_shape("groups", groups, len(cxcywha)), torch.int64)
    _check.check_same_device(("cxcywha", "groups"), (cxcywha, groups))
    return _rotated_nms(_widened(cxcywha), _widened(scores), groups, float(iou_threshold))


def _check_inputs(cxcywha: Tensor, scores: Tensor, iou_threshold: float) -> None:
    _check.check_floating("cxcywha", _check.check_shape("cxcywha", cxcywha, "n", 5))
    _check.check_floating("scores", _check.check_shape("scores", scores, len(cxcywha)))
    _check.check_same_device(("cxcywha", "scores"), (cxcywha, scores))
    if not 0 <= iou_threshold <= 1:
        raise InvalidValueError(f"iou_threshold: expected a number in [0, 1], got {iou_threshold}")


def _widened(values: Tensor) -> Tensor:
    return values.float() if values.dtype in {torch.float16, torch.bfloat16} else values


def _best_first(scores: Tensor) -> Tensor:
    ranked = torch.where(scores.isnan(), -torch.inf, scores)
    return torch.sort(ranked, descending=True, stable=True).indices


def _on_cpu(cxcywha: Tensor, scores: Tensor, groups: Tensor | None, iou_threshold: float) -> Tensor:
    kept = torch.empty(len(cxcywha), dtype=torch.int64)
    count = _backend.cpu.rotated_nms(
        _backend.array(cxcywha),
        _backend.array(_best_first(scores)),
        None if groups is None else _backend.array(groups),
        iou_threshold,
        kept.numpy(),
    )
    return kept[:count].clone()


def _on_cuda(
    cxcywha: Tensor, scores: Tensor, groups: Tensor | None, iou_threshold: float
) -> Tensor:
    order = _best_first(scores)
    count = len(cxcywha)
    overlaps = torch.empty((count, (count + 63) // 64), dtype=torch.int64, device=cxcywha.device)
    keep = torch.empty(count, dtype=torch.uint8, device=cxcywha.device)
    _backend.cuda().rotated_nms(
        cxcywha.detach()[order].contiguous(),
        None if groups is None else groups[order].contiguous(),
        iou_threshold,
        overlaps,
        keep,
        _backend.stream(cxcywha),
    )
    return order[keep.bool()]


def _fake(cxcywha: Tensor, scores: Tensor, groups: Tensor | None, iou_threshold: float) -> Tensor:
    del scores, groups, iou_threshold
    kept = torch.library.get_ctx().new_dynamic_size()
    return cxcywha.new_empty([kept], dtype=torch.int64)


_rotated_nms = register(
    "rotated_nms(Tensor cxcywha, Tensor scores, Tensor? groups, float iou_threshold) -> Tensor",
    cpu=_on_cpu,
    cuda=_on_cuda,
    fake=_fake,
)
