"""Greedy non-maximum suppression of rotated boxes.

The rules are those of `geodet.ops.nms`: boxes are visited by descending score, equal scores by
index, and an IoU strictly greater than the threshold suppresses. The IoU is that of
`pairwise_rotated_iou`, in every bit. Groups are compared as integers: no coordinate is shifted.
"""

from torch import Tensor

from geodet.ops._suppression import register_suppression, suppress, suppress_groups

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
    return suppress(_rotated_nms, cxcywha, scores, iou_threshold)


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
    return suppress_groups(_rotated_nms, cxcywha, scores, groups, iou_threshold)


_rotated_nms = register_suppression("rotated_nms", "cxcywha", 5)
