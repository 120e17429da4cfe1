"""Greedy non-maximum suppression.

Boxes are visited by descending score, equal scores by index. A visited box is kept unless an
earlier kept box of its group overlaps it with IoU strictly greater than the threshold. Groups are
compared as integers: no coordinate is ever shifted, so large boxes and large group numbers cost no
precision, and CPU and CUDA keep the same boxes.
"""

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import InvalidValueError
from geodet.ops import _backend
from geodet.ops._library import register

__all__ = ["batched_nms", "nms"]


def nms(xyxy: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the boxes that survive suppression, best first.

    Args:
        xyxy: [n, 4] float, pixels; half precision is compared in float32.
        scores: [n] float, same device; a NaN score counts as the lowest.
        iou_threshold: boxes with an IoU above it are suppressed, in [0, 1].
    Returns:
        [k] int64 indices, by descending score, ties by index.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the threshold is outside [0, 1].
    Empty: n = 0 gives [0].
    """
    _check_inputs(xyxy, scores, iou_threshold)
    return _nms(_widened(xyxy), _widened(scores), None, float(iou_threshold))


def batched_nms(xyxy: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """Suppression inside each group: classes, images or pyramid levels.

    Args:
        xyxy: [n, 4] float, pixels.
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
    _check_inputs(xyxy, scores, iou_threshold)
    _check.check_dtype("groups", _check.check_shape("groups", groups, len(xyxy)), torch.int64)
    _check.check_same_device(("xyxy", "groups"), (xyxy, groups))
    return _nms(_widened(xyxy), _widened(scores), groups, float(iou_threshold))


def _check_inputs(xyxy: Tensor, scores: Tensor, iou_threshold: float) -> None:
    _check.check_floating("xyxy", _check.check_shape("xyxy", xyxy, "n", 4))
    _check.check_floating("scores", _check.check_shape("scores", scores, len(xyxy)))
    _check.check_same_device(("xyxy", "scores"), (xyxy, scores))
    if not 0 <= iou_threshold <= 1:
        raise InvalidValueError(f"iou_threshold: expected a number in [0, 1], got {iou_threshold}")


def _widened(values: Tensor) -> Tensor:
    return values.float() if values.dtype in {torch.float16, torch.bfloat16} else values


def _best_first(scores: Tensor) -> Tensor:
    ranked = torch.where(scores.isnan(), -torch.inf, scores)
    return torch.sort(ranked, descending=True, stable=True).indices


def _on_cpu(xyxy: Tensor, scores: Tensor, groups: Tensor | None, iou_threshold: float) -> Tensor:
    kept = _backend.cpu.nms(
        _backend.array(xyxy),
        _backend.array(scores),
        None if groups is None else _backend.array(groups),
        iou_threshold,
    )
    return torch.from_numpy(kept)


def _on_cuda(xyxy: Tensor, scores: Tensor, groups: Tensor | None, iou_threshold: float) -> Tensor:
    order = _best_first(scores)
    count = len(xyxy)
    overlaps = torch.empty((count, (count + 63) // 64), dtype=torch.int64, device=xyxy.device)
    keep = torch.empty(count, dtype=torch.uint8, device=xyxy.device)
    _backend.cuda().nms(
        xyxy.detach()[order].contiguous(),
        None if groups is None else groups[order].contiguous(),
        iou_threshold,
        overlaps,
        keep,
        _backend.stream(xyxy),
    )
    return order[keep.bool()]


def _fake(xyxy: Tensor, scores: Tensor, groups: Tensor | None, iou_threshold: float) -> Tensor:
    del scores, groups, iou_threshold
    kept = torch.library.get_ctx().new_dynamic_size()
    return xyxy.new_empty([kept], dtype=torch.int64)


_nms = register(
    "nms(Tensor xyxy, Tensor scores, Tensor? groups, float iou_threshold) -> Tensor",
    cpu=_on_cpu,
    cuda=_on_cuda,
    fake=_fake,
)
