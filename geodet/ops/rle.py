"""Masks as run lengths: conversion to and from dense masks, area, boxes and overlap.

A flat batch of n masks of one height and width is `counts`, [t] int32, the run lengths of all
masks one after another, and `offsets`, [n + 1] int64, where each begins. Pixels are visited column
by column, top to bottom, as COCO does; the first run of a mask is of zeros and may be 0. What
these operators return is canonical: no other run is 0, so equal masks have equal runs. What they
take may hold runs of 0 anywhere; that all runs are 0 or more and add up is checked.

Letters in shapes: n and m are numbers of masks, t is a number of runs.
"""

# ruff: noqa: PLR0917 - kernels take what their schema lists, by position
import torch
from torch import Tensor

from geodet import _check
from geodet.errors import ShapeError
from geodet.ops import _backend, _rle_cuda
from geodet.ops._library import register
from geodet.ops._rle_batch import (
    FlatRle,
    as_tensors,
    check_batch,
    check_size,
    fake_batch,
)

__all__ = ["pairwise_rle_iou", "rle_area", "rle_boxes", "rle_check", "rle_decode", "rle_encode"]


def rle_check(counts: Tensor, offsets: Tensor, size_hw: tuple[int, int]) -> None:
    """Check that a flat batch describes masks of a given size.

    Every operator checks what it is given; this is for data that is only kept. O(t).

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, same device.
        size_hw: height and width of the masks.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are no batch.
        InvalidValueError: offsets do not rise, a run is negative, or the runs of a mask do not
            add up to height * width; the message names the mask.
    Empty: n = 0 passes.
    """
    check_batch(counts, offsets)
    height, width = check_size("size_hw", size_hw)
    _backend.cpu.rle_check(
        _backend.array(counts.cpu()), _backend.array(offsets.cpu()), height * width
    )


def rle_encode(masks: Tensor) -> FlatRle:
    """Run lengths of dense masks.

    Args:
        masks: [n, h, w] bool.
    Returns:
        counts [t] int32 and offsets [n + 1] int64 of n masks, canonical.
    Raises:
        ShapeError, DtypeError: `masks` is not a bool [n, h, w] tensor.
        InvalidValueError: a mask has more than 2^31 - 1 pixels.
    Empty: n = 0 gives counts [0] and offsets [1]; a mask without pixels is the one run 0.
    """
    _check.check_dtype("masks", _check.check_shape("masks", masks, "n", "h", "w"), torch.bool)
    check_size("masks", (masks.shape[1], masks.shape[2]))
    return _rle_encode(masks)


def rle_decode(
    counts: Tensor, offsets: Tensor, size_hw: tuple[int, int], *, out: Tensor | None = None
) -> Tensor:
    """Dense masks from run lengths.

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, same device.
        size_hw: height and width of the masks.
        out: [n, h, w] contiguous bool tensor to write into. Without it, memory outside of the
            masks' bounding boxes is not touched before somebody reads it.
    Returns:
        [n, h, w] bool.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the batch is not one of masks of this size; the message names the mask.
    Empty: n = 0 gives [0, h, w].
    """
    check_batch(counts, offsets)
    height, width = check_size("size_hw", size_hw)
    if out is None:
        return _rle_decode(counts, offsets, height, width)
    _check.check_shape("out", out, len(offsets) - 1, height, width)
    _check.check_dtype("out", out, torch.bool)
    _check.check_same_device(("counts", "out"), (counts, out))
    if not out.is_contiguous():
        raise ShapeError("out: expected a contiguous tensor; pass one made by torch.empty")
    if _backend.on_cuda(out):
        out.copy_(_rle_decode(counts, offsets, height, width))
    else:
        _write_masks(counts, offsets, out.zero_())
    return out


def rle_area(counts: Tensor, offsets: Tensor) -> Tensor:
    """Number of set pixels of every mask.

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, same device.
    Returns:
        [n] int64.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the batch is not sound; the message names the mask.
    Empty: n = 0 gives [0].
    """
    check_batch(counts, offsets)
    return _rle_area(counts, offsets)


def rle_boxes(counts: Tensor, offsets: Tensor, height: int) -> Tensor:
    """Tightest box around the set pixels of every mask.

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, same device.
        height: of the masks, pixels.
    Returns:
        [n, 4] float32, x1, y1, x2, y2, half open: pixel (0, 0) alone gives (0, 0, 1, 1).
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the batch is not sound, or its masks do not have that height.
    Empty: n = 0 gives [0, 4]; a mask with no set pixel gives zeros.
    """
    check_batch(counts, offsets)
    check_size("height", (height, 0))
    return _rle_boxes(counts, offsets, int(height))


def pairwise_rle_iou(
    a_counts: Tensor,
    a_offsets: Tensor,
    b_counts: Tensor,
    b_offsets: Tensor,
    is_crowd: Tensor | None = None,
    *,
    height: int = 0,
) -> Tensor:
    """Overlap of every pair of masks, as COCO measures it, without making them dense.

    Args:
        a_counts: [t_a] int32.
        a_offsets: [n + 1] int64, same device.
        b_counts: [t_b] int32, masks of the same size.
        b_offsets: [m + 1] int64.
        is_crowd: [m] bool; against a crowd, the area of `a` takes the place of the union.
        height: of the masks where it is known; it changes no result, but makes many pairs
            several times faster: masks are then compared column by column.
    Returns:
        [n, m] float64 in [0, 1]: intersection over union, 0 where masks do not overlap.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a batch is not sound, or the sizes differ; the message names the mask;
            or the masks do not have that height.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    """
    check_batch(a_counts, a_offsets, "a_")
    check_batch(b_counts, b_offsets, "b_")
    _check.check_same_device(("a_counts", "b_counts"), (a_counts, b_counts))
    check_size("height", (height, 0))
    if is_crowd is not None:
        _check.check_shape("is_crowd", is_crowd, len(b_offsets) - 1)
        _check.check_dtype("is_crowd", is_crowd, torch.bool)
        _check.check_same_device(("b_counts", "is_crowd"), (b_counts, is_crowd))
    return _pairwise_rle_iou(a_counts, a_offsets, b_counts, b_offsets, is_crowd, int(height))


def _encode_on_cpu(masks: Tensor) -> FlatRle:
    return as_tensors(_backend.cpu.rle_encode(_backend.array(masks), _backend.threads()))


def _encode_fake(masks: Tensor) -> FlatRle:
    return fake_batch(masks, masks.shape[0])


def _write_masks(counts: Tensor, offsets: Tensor, zeros: Tensor) -> None:
    _backend.cpu.rle_decode(
        _backend.array(counts),
        _backend.array(offsets),
        _backend.array(zeros),
        _backend.threads(),
    )


def _decode_on_cpu(counts: Tensor, offsets: Tensor, height: int, width: int) -> Tensor:
    masks = _backend.zeros((len(offsets) - 1, height, width), counts, torch.bool)
    _write_masks(counts, offsets, masks)
    return masks


def _decode_fake(counts: Tensor, offsets: Tensor, height: int, width: int) -> Tensor:
    return counts.new_empty((offsets.shape[0] - 1, height, width), dtype=torch.bool)


def _area_on_cpu(counts: Tensor, offsets: Tensor) -> Tensor:
    return torch.from_numpy(_backend.cpu.rle_area(_backend.array(counts), _backend.array(offsets)))


def _area_fake(counts: Tensor, offsets: Tensor) -> Tensor:
    return counts.new_empty((offsets.shape[0] - 1,), dtype=torch.int64)


def _boxes_on_cpu(counts: Tensor, offsets: Tensor, height: int) -> Tensor:
    return torch.from_numpy(
        _backend.cpu.rle_boxes(_backend.array(counts), _backend.array(offsets), height)
    )


def _boxes_fake(counts: Tensor, offsets: Tensor, height: int) -> Tensor:
    del height
    return counts.new_empty((offsets.shape[0] - 1, 4), dtype=torch.float32)


def _iou_on_cpu(
    a_counts: Tensor,
    a_offsets: Tensor,
    b_counts: Tensor,
    b_offsets: Tensor,
    is_crowd: Tensor | None,
    height: int,
) -> Tensor:
    return torch.from_numpy(
        _backend.cpu.pairwise_rle_iou(
            _backend.array(a_counts),
            _backend.array(a_offsets),
            _backend.array(b_counts),
            _backend.array(b_offsets),
            None if is_crowd is None else _backend.array(is_crowd),
            height,
            _backend.threads(),
        )
    )


def _iou_fake(
    a_counts: Tensor,
    a_offsets: Tensor,
    b_counts: Tensor,
    b_offsets: Tensor,
    is_crowd: Tensor | None,
    height: int,
) -> Tensor:
    del b_counts, is_crowd, height
    rows, columns = a_offsets.shape[0] - 1, b_offsets.shape[0] - 1
    return a_counts.new_empty((rows, columns), dtype=torch.float64)


_rle_encode = register(
    "rle_encode(Tensor masks) -> (Tensor, Tensor)",
    cpu=_encode_on_cpu,
    cuda=_rle_cuda.encode,
    fake=_encode_fake,
)
_rle_decode = register(
    "rle_decode(Tensor counts, Tensor offsets, SymInt height, SymInt width) -> Tensor",
    cpu=_decode_on_cpu,
    cuda=_rle_cuda.decode,
    fake=_decode_fake,
)
_rle_area = register(
    "rle_area(Tensor counts, Tensor offsets) -> Tensor",
    cpu=_area_on_cpu,
    cuda=_rle_cuda.area,
    fake=_area_fake,
)
_rle_boxes = register(
    "rle_boxes(Tensor counts, Tensor offsets, SymInt height) -> Tensor",
    cpu=_boxes_on_cpu,
    cuda=_rle_cuda.boxes,
    fake=_boxes_fake,
)
_pairwise_rle_iou = register(
    "pairwise_rle_iou(Tensor a_counts, Tensor a_offsets, Tensor b_counts, Tensor b_offsets, "
    "Tensor? is_crowd, SymInt height) -> Tensor",
    cpu=_iou_on_cpu,
    cuda=_rle_cuda.iou,
    fake=_iou_fake,
)
