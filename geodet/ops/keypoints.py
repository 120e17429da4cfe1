"""Keypoints: their places in heatmaps, back again, and how alike two sets of points are.

A keypoint is x, y, v in continuous pixels; in targets v > 0 means labelled. Letters in shapes:
n boxes or objects, m targets, k points of each, s cells of a heatmap's side.
"""

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import InvalidValueError
from geodet.ops import _backend
from geodet.ops._library import register

__all__ = [
    "decode_keypoint_heatmaps",
    "encode_keypoint_heatmap_targets",
    "object_keypoint_similarity",
]

_MAX_SIDE = 1024  # kMaxHeatmapSide of the compiled core
_HALVES = {torch.float16, torch.bfloat16}


def encode_keypoint_heatmap_targets(xyv: Tensor, xyxy: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The cell of a side x side grid over its box that each labelled point falls into.

    Half precision is computed in float32. Not differentiable.

    Args:
        xyv: [n, k, 3] float, points in pixels.
        xyxy: [n, 4] boxes in pixels, same dtype and device. Their right and bottom edges belong to
            the last cell. A box without width has its points there and nowhere else.
        side: cells along each axis, at least 1.
    Returns:
        [n, k] int64 cells row * side + column, 0 where there is none; and [n, k] bool, True where
        the point is labelled (v > 0) and lies in the box.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: `side` is smaller than 1.
    Empty: n = 0 or k = 0 gives empty tensors of that shape.
    Reference: He et al. 2017, "Mask R-CNN", section 5; the rounding is Detectron2's.
    """
    _check.check_floating("xyv", _check.check_shape("xyv", xyv, "n", "k", 3))
    _check.check_dtype("xyxy", _check.check_shape("xyxy", xyxy, len(xyv), 4), xyv.dtype)
    _check.check_same_device(("xyv", "xyxy"), (xyv, xyxy))
    if side < 1:
        raise InvalidValueError(f"side: expected at least 1, got {side}")
    exact = torch.float32 if xyv.dtype in _HALVES else xyv.dtype
    x, y, v = xyv.detach().to(exact).unbind(2)
    x1, y1, x2, y2 = xyxy.detach().to(exact)[:, :, None].unbind(1)
    column = torch.where(x == x2, side - 1, ((x - x1) * (side / (x2 - x1))).floor())
    row = torch.where(y == y2, side - 1, ((y - y1) * (side / (y2 - y1))).floor())
    inside = (column >= 0) & (row >= 0) & (column < side) & (row < side)  # False for NaN
    valid = inside & (v > 0)
    zero = torch.zeros_like(column)
    cells = torch.where(valid, row, zero).long() * side + torch.where(valid, column, zero).long()
    return cells, valid


def decode_keypoint_heatmaps(heatmaps: Tensor, xyxy: Tensor) -> Tensor:
    """The peak of each heatmap stretched over its box.

    A map is resized bicubically to the box, rounded up to whole pixels; the centre of the highest
    pixel, the first of equal ones in row order, is the point. Not differentiable. Maps of half
    precision are computed in float32. Cells that cannot hold the peak are passed over, so peaky
    maps cost little whatever the size of their boxes; CPU and CUDA agree on every bit.

    Args:
        heatmaps: [n, k, s, s] float logits, s from 1 to 1024. A map with a value that is not
            finite gives NaN.
        xyxy: [n, 4] boxes in pixels, dtype of `heatmaps`, or float32 with half precision. A side
            shorter than 1 pixel, or inverted, counts as 1; one that is not finite or longer than
            16,384 gives NaN.
    Returns:
        [n, k, 4] x, y in pixels of the image, the logit at the peak, and a score: the softmax of
        the peak, normalised by the sum over the small map so that scores of large and small boxes
        compare. Dtype of `xyxy`.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: s is 0 or larger than 1024.
    Empty: n = 0 or k = 0 gives an empty tensor of that shape.
    Reference: He et al. 2017, "Mask R-CNN", section 5; numerics as Detectron2's, equal within
        float rounding.
    """
    _check.check_floating("heatmaps", _check.check_shape("heatmaps", heatmaps, "n", "k", "s", "s"))
    rois, _, side, _ = heatmaps.shape
    _check.check_shape("heatmaps", heatmaps, "n", "k", side, side)
    _check.check_shape("xyxy", xyxy, rois, 4)
    if heatmaps.dtype in _HALVES:
        _check.check_dtype("xyxy", xyxy, heatmaps.dtype, torch.float32)
    else:
        _check.check_dtype("xyxy", xyxy, heatmaps.dtype)
    _check.check_same_device(("heatmaps", "xyxy"), (heatmaps, xyxy))
    if not 1 <= side <= _MAX_SIDE:
        raise InvalidValueError(f"heatmaps: expected 1 to {_MAX_SIDE} cells a side, got {side}")
    halves = heatmaps.dtype in _HALVES
    decoded: Tensor = _decode(
        (heatmaps.float() if halves else heatmaps).detach(),
        (xyxy.float() if halves else xyxy).detach(),
    )
    return decoded.to(xyxy.dtype)


def object_keypoint_similarity(
    predictions: Tensor, targets: Tensor, areas: Tensor, xyxy: Tensor, sigmas: Tensor
) -> Tensor:
    """COCO's object keypoint similarity (OKS) of every prediction with every target.

    The mean over the target's labelled points of exp(-d^2 / (2 area (2 sigma)^2)), d the distance
    of the predicted point. A target without labelled points takes, for every point, its distance
    from the target's box grown by its own width and height on each side. Not differentiable.

    Args:
        predictions: [n, k, 3] float, x, y in pixels; v is not read.
        targets: [m, k, 3] float, x, y in pixels; labelled where v > 0.
        areas: [m] float, square pixels of each target: its annotation's "area" in COCO.
        xyxy: [m, 4] float, boxes of the targets, read where no point is labelled. COCO's tool
            compares its own keypoints, which lie half a pixel to the top left of continuous ones,
            with boxes as they are; `Keypoints.oks` does so too.
        sigmas: [k] float, spread of annotators for each point, positive; k at least 1.
    Returns:
        [n, m] float64 in [0, 1], computed in float64; NaN where a number that is read is.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 or m = 0 gives an empty tensor of that shape.
    Reference: COCO's keypoint evaluation; equal to pycocotools' `computeOks` within rounding of
        exp, whose last digit differs between NumPy's builds.
    """
    points = _check.check_shape("sigmas", sigmas, "k").shape[0]
    if points == 0:
        raise InvalidValueError("sigmas: expected at least one point, got none")
    _check.check_shape("predictions", predictions, "n", points, 3)
    _check.check_shape("targets", targets, "m", points, 3)
    _check.check_shape("areas", areas, len(targets))
    _check.check_shape("xyxy", xyxy, len(targets), 4)
    names = ("predictions", "targets", "areas", "xyxy", "sigmas")
    values = (predictions, targets, areas, xyxy, sigmas)
    for name, value in zip(names, values, strict=True):
        _check.check_floating(name, value)
    _check.check_same_device(names, values)
    similarity: Tensor = _similarity(*(value.detach().double() for value in values))
    return similarity


def _decode_any(heatmaps: Tensor, xyxy: Tensor) -> Tensor:
    out = _backend.empty((*heatmaps.shape[:2], 4), heatmaps)
    if _backend.on_cuda(heatmaps):
        _backend.cuda().decode_heatmaps(
            heatmaps.detach().contiguous(),
            xyxy.detach().contiguous(),
            out,
            _backend.stream(heatmaps),
        )
    else:
        _backend.cpu.decode_heatmaps(
            _backend.array(heatmaps), _backend.array(xyxy), out.numpy(), _backend.threads()
        )
    return out


def _decode_fake(heatmaps: Tensor, xyxy: Tensor) -> Tensor:
    del xyxy
    return heatmaps.new_empty((*heatmaps.shape[:2], 4))


def _similarity_any(
    predictions: Tensor, targets: Tensor, areas: Tensor, xyxy: Tensor, sigmas: Tensor
) -> Tensor:
    out = _backend.empty((predictions.shape[0], targets.shape[0]), predictions)
    values = (predictions, targets, areas, xyxy, sigmas)
    if _backend.on_cuda(predictions):
        _backend.cuda().object_keypoint_similarity(
            *(value.detach().contiguous() for value in values), out, _backend.stream(predictions)
        )
    else:
        _backend.cpu.object_keypoint_similarity(
            *(_backend.array(value) for value in values), out.numpy(), _backend.threads()
        )
    return out


def _similarity_fake(
    predictions: Tensor, targets: Tensor, areas: Tensor, xyxy: Tensor, sigmas: Tensor
) -> Tensor:
    del areas, xyxy, sigmas
    return predictions.new_empty((predictions.shape[0], targets.shape[0]))


_decode = register(
    "decode_keypoint_heatmaps(Tensor heatmaps, Tensor xyxy) -> Tensor",
    cpu=_decode_any,
    cuda=_decode_any,
    fake=_decode_fake,
)

_similarity = register(
    "object_keypoint_similarity(Tensor predictions, Tensor targets, Tensor areas, Tensor xyxy, "
    "Tensor sigmas) -> Tensor",
    cpu=_similarity_any,
    cuda=_similarity_any,
    fake=_similarity_fake,
)
