"""Overlap of rotated boxes: exact, differentiable, for every pair or row by row.

Boxes are rows cx, cy, w, h, angle: continuous pixels, and degrees counter-clockwise as seen on the
screen. The numbers given are taken as exact and everything is computed in double; single precision
is rounded to once, at the end. A pair gives the same bits in both orders, and a box with itself an
IoU of exactly 1.

Gradients are those of the areas (how much of which box's outline bounds the shared area, and how
that part moves with the box's numbers), in all ten numbers, finite for all input. Where the value
has a corner, sides that coincide, both boxes get half of what either alone would. Where boxes do
not overlap, and where one has no area, intersection and IoU are constant and the gradient is 0.
Gradients cannot be differentiated again.
Letters in shapes: n and m are numbers of boxes.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import ShapeError
from geodet.ops import _backend
from geodet.ops._library import no_second_gradient, register
from geodet.ops._precision import widened

__all__ = [
    "matched_rotated_giou",
    "matched_rotated_intersection",
    "matched_rotated_iou",
    "pairwise_rotated_giou",
    "pairwise_rotated_intersection",
    "pairwise_rotated_iou",
]

# RotatedOverlap of the compiled core
_INTERSECTION, _IOU, _GIOU = 0, 1, 2

Gradients: TypeAlias = tuple[Tensor, Tensor]


def pairwise_rotated_iou(a: Tensor, b: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Intersection over union of every pair of rotated boxes.

    Args:
        a: [n, 5] float, pixels and degrees.
        b: [m, 5], same dtype and device.
        out: [n, m] contiguous tensor of that dtype to write into, outside autograd.
    Returns:
        [n, m] in [0, 1]; 0 where boxes only touch, have no area, or hold a NaN or an infinity.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    """
    return _pairwise(_pairwise_iou, _IOU, a, b, out)


def matched_rotated_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of each rotated box with the box in the same row.

    Args:
        a: [n, 5] float, pixels and degrees.
        b: [n, 5], same dtype and device.
    Returns:
        [n] in [0, 1], as `pairwise_rotated_iou`.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 gives [0].
    """
    return _matched(_matched_iou, a, b)


def pairwise_rotated_intersection(a: Tensor, b: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Area shared by every pair of rotated boxes.

    Args: as `pairwise_rotated_iou`.
    Returns:
        [n, m] in square pixels; 0 where `pairwise_rotated_iou` is.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    """
    return _pairwise(_pairwise_intersection, _INTERSECTION, a, b, out)


def matched_rotated_intersection(a: Tensor, b: Tensor) -> Tensor:
    """Area shared by each rotated box and the box in the same row.

    Args: as `matched_rotated_iou`.
    Returns:
        [n] in square pixels; 0 where `matched_rotated_iou` is.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 gives [0].
    """
    return _matched(_matched_intersection, a, b)


def pairwise_rotated_giou(a: Tensor, b: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Generalised IoU of every pair of rotated boxes.

    IoU less the part of the enclosure that neither box covers. The enclosure is the convex hull of
    both boxes, the smallest convex region around them, whatever their angles; it is the definition
    of the paper. (Upright boxes enclosed by their hull differ from `pairwise_box_giou`, which
    encloses them by an upright box.)

    Args: as `pairwise_rotated_iou`.
    Returns:
        [n, m] in [-1, 1]. A side that is not positive counts as 0; 0 where the hull has no area,
        -1 where a box holds a NaN or an infinity.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    Reference: Rezatofighi et al. 2019 (arXiv 1902.09630), algorithm 1.
    """
    return _pairwise(_pairwise_giou, _GIOU, a, b, out)


def matched_rotated_giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU of each rotated box with the box in the same row.

    The enclosure is the convex hull of both boxes, as in `pairwise_rotated_giou`. Its gradient is
    not 0 where boxes are apart: it pulls them together.

    Args: as `matched_rotated_iou`.
    Returns:
        [n] in [-1, 1], as `pairwise_rotated_giou`.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 gives [0].
    Reference: Rezatofighi et al. 2019 (arXiv 1902.09630), algorithm 1.
    """
    return _matched(_matched_giou, a, b)


def _pairwise(
    operator: Callable[..., Tensor], quantity: int, a: Tensor, b: Tensor, out: Tensor | None
) -> Tensor:
    _check_pair(a, b, "m")
    if out is None:
        return operator(a, b)
    _check.check_shape("out", out, a.shape[0], b.shape[0])
    _check.check_dtype("out", out, a.dtype)
    _check.check_dtype("a (with out=)", a, torch.float32, torch.float64)
    _check.check_same_device(("a", "out"), (a, out))
    if not out.is_contiguous():
        raise ShapeError("out: expected a contiguous tensor; pass one made by torch.empty")
    if _backend.on_cuda(a):
        with torch.cuda.device(a.device):
            _write_pairwise(a, b, quantity, out)
    else:
        _write_pairwise(a, b, quantity, out)
    return out


def _matched(operator: Callable[..., Tensor], a: Tensor, b: Tensor) -> Tensor:
    _check_pair(a, b, "n")
    _check.check_rows("b", b.shape[0], a.shape[0], "one for each row of a")
    return operator(a, b)


def _check_pair(a: Tensor, b: Tensor, rows: str) -> None:
    _check.check_floating("a", _check.check_shape("a", a, "n", 5))
    _check.check_dtype("b", _check.check_shape("b", b, rows, 5), a.dtype)
    _check.check_same_device(("a", "b"), (a, b))


def _write_pairwise(a: Tensor, b: Tensor, quantity: int, out: Tensor) -> None:
    if _backend.on_cuda(a):
        _backend.cuda().pairwise_rotated_overlap(
            a.detach().contiguous(),
            b.detach().contiguous(),
            quantity,
            out.detach(),
            _backend.stream(a),
        )
    else:
        _backend.cpu.pairwise_rotated_overlap(
            _backend.array(a), _backend.array(b), quantity, _backend.array(out), _backend.threads()
        )


def _write_matched(a: Tensor, b: Tensor, quantity: int, out: Tensor) -> None:
    if _backend.on_cuda(a):
        _backend.cuda().matched_rotated_overlap(
            a.detach().contiguous(), b.detach().contiguous(), quantity, out, _backend.stream(a)
        )
    else:
        _backend.cpu.matched_rotated_overlap(
            _backend.array(a), _backend.array(b), quantity, out.numpy(), _backend.threads()
        )


def _write_gradients(
    kernel: str, pair: tuple[Tensor, Tensor], quantity: int, grad: Tensor, limit: float
) -> Gradients:
    a, b = pair
    grad_a, grad_b = torch.empty_like(a), torch.empty_like(b)
    if _backend.on_cuda(a):
        getattr(_backend.cuda(), kernel)(
            a, b, quantity, grad.contiguous(), limit, grad_a, grad_b, _backend.stream(a)
        )
    else:
        getattr(_backend.cpu, kernel)(
            a.numpy(),
            b.numpy(),
            quantity,
            _backend.array(grad),
            limit,
            grad_a.numpy(),
            grad_b.numpy(),
            _backend.threads(),
        )
    return grad_a, grad_b


def _setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    del output
    ctx.save_for_backward(*inputs)


def _fake_gradients(a: Tensor, b: Tensor, grad: Tensor) -> Gradients:
    del grad
    return torch.empty_like(a), torch.empty_like(b)


def _register(form: str, name: str, quantity: int) -> Callable[..., Tensor]:
    """Register `form`_rotated_`name` and its gradient; form is pairwise or matched."""
    pairwise = form == "pairwise"

    def compute(a: Tensor, b: Tensor) -> Tensor:
        wide_a, wide_b = widened(a), widened(b)
        if pairwise:
            out = _backend.empty((a.shape[0], b.shape[0]), wide_a)
            _write_pairwise(wide_a, wide_b, quantity, out)
        else:
            out = _backend.empty((a.shape[0],), wide_a)
            _write_matched(wide_a, wide_b, quantity, out)
        return out.to(a.dtype)

    def fake(a: Tensor, b: Tensor) -> Tensor:
        return a.new_empty((a.shape[0], b.shape[0]) if pairwise else (a.shape[0],))

    def compute_gradients(a: Tensor, b: Tensor, grad: Tensor) -> Gradients:
        pair = (widened(a).detach().contiguous(), widened(b).detach().contiguous())
        kernel = f"{form}_rotated_overlap_backward"
        limit = torch.finfo(a.dtype).max
        grad_a, grad_b = _write_gradients(kernel, pair, quantity, widened(grad).detach(), limit)
        return grad_a.to(a.dtype), grad_b.to(b.dtype)

    gradients = register(
        f"{form}_rotated_{name}_backward(Tensor a, Tensor b, Tensor grad) -> (Tensor, Tensor)",
        cpu=compute_gradients,
        cuda=compute_gradients,
        fake=_fake_gradients,
        backward=no_second_gradient,
    )

    def backward(ctx: Any, grad: Tensor) -> Gradients:
        return gradients(*ctx.saved_tensors, grad)

    return register(
        f"{form}_rotated_{name}(Tensor a, Tensor b) -> Tensor",
        cpu=compute,
        cuda=compute,
        fake=fake,
        setup_context=_setup_context,
        backward=backward,
    )


_pairwise_iou = _register("pairwise", "iou", _IOU)
_pairwise_intersection = _register("pairwise", "intersection", _INTERSECTION)
_pairwise_giou = _register("pairwise", "giou", _GIOU)
_matched_iou = _register("matched", "iou", _IOU)
_matched_intersection = _register("matched", "intersection", _INTERSECTION)
_matched_giou = _register("matched", "giou", _GIOU)
