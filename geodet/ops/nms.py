"""Greedy non-maximum suppression.

Boxes are visited by descending score, equal scores by index. A visited box is kept unless an
earlier kept box of its group overlaps it with IoU strictly greater than the threshold. Groups are
compared as integers: no coordinate is ever shifted, so large boxes and large group numbers cost no
precision, and CPU and CUDA keep the same boxes.
"""

from torch import Tensor

from geodet.ops._suppression import register_suppression, suppress, suppress_groups

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
    return suppress(_nms, xyxy, scores, iou_threshold)


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
    return suppress_groups(_nms, xyxy, scores, groups, iou_threshold)


_nms = register_suppression("nms", "xyxy", 4)
