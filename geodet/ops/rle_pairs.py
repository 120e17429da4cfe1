"""Masks as run lengths taken in pairs: set operations row by row, and overlaps.

Batches are as in `geodet.ops.rle`; every result is canonical. `matched_` pairs row i with row i,
`pairwise_` every row with every other. Times are O(r) for a pair of r runs.
"""

import torch
from torch import Tensor

from geodet import _check
from geodet.ops import _backend, _rle_cuda
from geodet.ops._library import register
from geodet.ops._rle_batch import FlatRle, as_tensors, check_batch, fake_batch
from geodet.ops.rle import pairwise_rle_iou, rle_area

__all__ = [
    "matched_rle_intersection",
    "matched_rle_ioa",
    "matched_rle_iou",
    "matched_rle_union",
    "pairwise_rle_ioa",
    "rle_difference",
]


def matched_rle_union(
    a_counts: Tensor, a_offsets: Tensor, b_counts: Tensor, b_offsets: Tensor
) -> FlatRle:
    """Row by row, pixels that mask a or mask b sets.

    Args:
        a_counts: [t_a] int32.
        a_offsets: [n + 1] int64, same device.
        b_counts: [t_b] int32, masks of the same size.
        b_offsets: [n + 1] int64.
    Returns:
        counts and offsets of n masks.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a batch is not sound, or the sizes differ; the message names the mask.
    Empty: n = 0 gives a batch of none.
    """
    _check_rows(a_counts, a_offsets, b_counts, b_offsets)
    return _rle_combine(a_counts, a_offsets, b_counts, b_offsets, "union")


def matched_rle_intersection(
    a_counts: Tensor, a_offsets: Tensor, b_counts: Tensor, b_offsets: Tensor
) -> FlatRle:
    """Row by row, pixels that mask a and mask b set.

    Args:
        a_counts: [t_a] int32.
        a_offsets: [n + 1] int64, same device.
        b_counts: [t_b] int32, masks of the same size.
        b_offsets: [n + 1] int64.
    Returns:
        counts and offsets of n masks.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a batch is not sound, or the sizes differ; the message names the mask.
    Empty: n = 0 gives a batch of none.
    """
    _check_rows(a_counts, a_offsets, b_counts, b_offsets)
    return _rle_combine(a_counts, a_offsets, b_counts, b_offsets, "intersection")


def rle_difference(
    a_counts: Tensor, a_offsets: Tensor, b_counts: Tensor, b_offsets: Tensor
) -> FlatRle:
    """Row by row, pixels that mask a sets and mask b does not.

    Args:
        a_counts: [t_a] int32.
        a_offsets: [n + 1] int64, same device.
        b_counts: [t_b] int32, masks of the same size.
        b_offsets: [n + 1] int64.
    Returns:
        counts and offsets of n masks.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a batch is not sound, or the sizes differ; the message names the mask.
    Empty: n = 0 gives a batch of none.
    """
    _check_rows(a_counts, a_offsets, b_counts, b_offsets)
    return _rle_combine(a_counts, a_offsets, b_counts, b_offsets, "difference")


def matched_rle_iou(
    a_counts: Tensor, a_offsets: Tensor, b_counts: Tensor, b_offsets: Tensor
) -> Tensor:
    """Row by row, intersection over union.

    Args:
        a_counts: [t_a] int32.
        a_offsets: [n + 1] int64, same device.
        b_counts: [t_b] int32, masks of the same size.
        b_offsets: [n + 1] int64.
    Returns:
        [n] float64 in [0, 1], 0 where masks do not overlap; what `pairwise_rle_iou` has on its
        diagonal.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a batch is not sound, or the sizes differ; the message names the mask.
    Empty: n = 0 gives [0].
    """
    _check_rows(a_counts, a_offsets, b_counts, b_offsets)
    common = _matched_intersection(a_counts, a_offsets, b_counts, b_offsets)
    whole = rle_area(a_counts, a_offsets) + rle_area(b_counts, b_offsets) - common
    return common.double() / whole.clamp(min=1)


def matched_rle_ioa(
    a_counts: Tensor, a_offsets: Tensor, b_counts: Tensor, b_offsets: Tensor
) -> Tensor:
    """Row by row, intersection over the area of b.

    Args:
        a_counts: [t_a] int32.
        a_offsets: [n + 1] int64, same device.
        b_counts: [t_b] int32, masks of the same size.
        b_offsets: [n + 1] int64.
    Returns:
        [n] float64 in [0, 1], 0 where masks do not overlap.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a batch is not sound, or the sizes differ; the message names the mask.
    Empty: n = 0 gives [0].
    """
    _check_rows(a_counts, a_offsets, b_counts, b_offsets)
    common = _matched_intersection(a_counts, a_offsets, b_counts, b_offsets)
    return common.double() / rle_area(b_counts, b_offsets).clamp(min=1)


def pairwise_rle_ioa(
    a_counts: Tensor,
    a_offsets: Tensor,
    b_counts: Tensor,
    b_offsets: Tensor,
    *,
    height: int = 0,
) -> Tensor:
    """Intersection over the area of b of every pair.

    Args:
        a_counts: [t_a] int32.
        a_offsets: [n + 1] int64, same device.
        b_counts: [t_b] int32, masks of the same size.
        b_offsets: [m + 1] int64.
        height: of the masks where it is known; see `pairwise_rle_iou`.
    Returns:
        [n, m] float64 in [0, 1], 0 where masks do not overlap.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a batch is not sound, or the sizes differ; the message names the mask.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    """
    check_batch(a_counts, a_offsets, "a_")
    check_batch(b_counts, b_offsets, "b_")
    # COCO divides by the area of the other mask where a mask is a crowd.
    crowds = torch.ones(len(a_offsets) - 1, dtype=torch.bool, device=a_offsets.device)
    return pairwise_rle_iou(
        b_counts, b_offsets, a_counts, a_offsets, crowds, height=height
    ).T.contiguous()


def _check_rows(a_counts: Tensor, a_offsets: Tensor, b_counts: Tensor, b_offsets: Tensor) -> None:
    check_batch(a_counts, a_offsets, "a_")
    check_batch(b_counts, b_offsets, "b_")
    _check.check_shape("b_offsets", b_offsets, len(a_offsets))
    _check.check_same_device(("a_counts", "b_counts"), (a_counts, b_counts))


def _combine_on_cpu(
    a_counts: Tensor, a_offsets: Tensor, b_counts: Tensor, b_offsets: Tensor, operation: str
) -> FlatRle:
    a = _backend.array(a_counts), _backend.array(a_offsets)
    b = _backend.array(b_counts), _backend.array(b_offsets)
    return as_tensors(_backend.cpu.rle_combine(*a, *b, operation, _backend.threads()))


def _combine_fake(
    a_counts: Tensor, a_offsets: Tensor, b_counts: Tensor, b_offsets: Tensor, operation: str
) -> FlatRle:
    del b_counts, b_offsets, operation
    return fake_batch(a_counts, a_offsets.shape[0] - 1)


def _intersection_on_cpu(
    a_counts: Tensor, a_offsets: Tensor, b_counts: Tensor, b_offsets: Tensor
) -> Tensor:
    a = _backend.array(a_counts), _backend.array(a_offsets)
    b = _backend.array(b_counts), _backend.array(b_offsets)
    return torch.from_numpy(_backend.cpu.matched_rle_intersection(*a, *b, _backend.threads()))


def _intersection_fake(
    a_counts: Tensor, a_offsets: Tensor, b_counts: Tensor, b_offsets: Tensor
) -> Tensor:
    del b_counts, b_offsets
    return a_counts.new_empty((a_offsets.shape[0] - 1,), dtype=torch.int64)


_rle_combine = register(
    "rle_combine(Tensor a_counts, Tensor a_offsets, Tensor b_counts, Tensor b_offsets, "
    "str operation) -> (Tensor, Tensor)",
    cpu=_combine_on_cpu,
    cuda=_rle_cuda.combine_rows,
    fake=_combine_fake,
)
_matched_intersection = register(
    "matched_rle_intersection(Tensor a_counts, Tensor a_offsets, Tensor b_counts, "
    "Tensor b_offsets) -> Tensor",
    cpu=_intersection_on_cpu,
    cuda=_rle_cuda.matched_intersection,
    fake=_intersection_fake,
)
