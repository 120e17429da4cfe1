"""How much two boxes overlap: for every pair, and for rows that belong together.

Boxes are rows x1, y1, x2, y2 in continuous pixels: width is x2 - x1, nothing is added.
Letters in shapes: n and m are numbers of boxes. Common to all of them:

- Half precision is computed in float32 and rounded once. All are differentiable in both arguments.
- Inverted sides count as 0. A box that holds a NaN or an infinity has intersection, IoU and IoA 0
  with everything, and GIoU, DIoU and CIoU -1, as if it were infinitely far away.
- `matched_` gives, bit for bit, the diagonal of `pairwise_`.
- ShapeError, DtypeError and DeviceError name the argument that does not fit.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import ShapeError
from geodet.ops import _backend
from geodet.ops._box_measures import BoxMeasure, measure_gradients
from geodet.ops._library import register

__all__ = [
    "matched_box_ciou",
    "matched_box_diou",
    "matched_box_giou",
    "matched_box_intersection",
    "matched_box_ioa",
    "matched_box_iou",
    "pairwise_box_ciou",
    "pairwise_box_diou",
    "pairwise_box_giou",
    "pairwise_box_intersection",
    "pairwise_box_ioa",
    "pairwise_box_iou",
]


def pairwise_box_intersection(a: Tensor, b: Tensor) -> Tensor:
    """Area that every pair of boxes has in common.

    Args:
        a: [n, 4] float, pixels.
        b: [m, 4], same dtype and device.
    Returns:
        [n, m] in square pixels; 0 where boxes only touch.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    """
    return _pairwise(BoxMeasure.INTERSECTION, a, b)


def pairwise_box_iou(a: Tensor, b: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Intersection over union of every pair of boxes.

    Args:
        a: [n, 4] float, pixels.
        b: [m, 4], same dtype and device.
        out: [n, m] contiguous tensor of that dtype to write into, outside autograd: reusing one
            saves most of the time of a large matrix, which goes into fresh memory pages.
    Returns:
        [n, m] in [0, 1]; 0 where boxes only touch, have no area, or hold a NaN.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    """
    if out is None:
        return _pairwise(BoxMeasure.IOU, a, b)
    _check_boxes(a, b, "m")
    _check_out(out, a, b)
    _write(_PAIRWISE, BoxMeasure.IOU, a.detach(), b.detach(), out)
    return out


def pairwise_box_ioa(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over the area of the second box, for every pair.

    Args:
        a: [n, 4] float, pixels.
        b: [m, 4], same dtype and device: the boxes whose area divides.
    Returns:
        [n, m] in [0, 1]: the part of b that a covers; 0 where b has no area.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    """
    return _pairwise(BoxMeasure.IOA, a, b)


def pairwise_box_giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU of every pair: IoU minus the part of the enclosing box outside both.

    Args:
        a: [n, 4] float, pixels.
        b: [m, 4], same dtype and device.
    Returns:
        [n, m] in [-1, 1], never above the IoU; where the enclosing box has no area, the IoU (0).
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    Reference: Rezatofighi et al. 2019 (arXiv 1902.09630), algorithm 1.
    """
    return _pairwise(BoxMeasure.GIOU, a, b)


def pairwise_box_diou(a: Tensor, b: Tensor) -> Tensor:
    """Distance IoU of every pair: IoU minus the squared distance of the centres, relative.

    Args:
        a: [n, 4] float, pixels.
        b: [m, 4], same dtype and device.
    Returns:
        [n, m] in [-1, 1]: the distance is divided by the diagonal of the enclosing box; a point
        against itself has 0.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    Reference: Zheng et al. 2020 (arXiv 1911.08287), equation 7.
    """
    return _pairwise(BoxMeasure.DIOU, a, b)


def pairwise_box_ciou(a: Tensor, b: Tensor) -> Tensor:
    """Complete IoU of every pair: distance IoU minus a penalty alpha v on the aspect ratios.

    v = 4 / pi^2 (atan(w_a / h_a) - atan(w_b / h_b))^2 and alpha = v / (1 - IoU + v). The gradient
    holds alpha constant, as the paper does, and divides by w^2 + h^2, which the paper replaces by
    1.

    Args:
        a: [n, 4] float, pixels.
        b: [m, 4], same dtype and device.
    Returns:
        [n, m] in (-1.5, 1], never above the DIoU; a side of 0 counts as an angle of 0 or 90
        degrees.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    Reference: Zheng et al. 2020 (arXiv 1911.08287), equations 8 to 12.
    """
    return _pairwise(BoxMeasure.CIOU, a, b)


def matched_box_intersection(a: Tensor, b: Tensor) -> Tensor:
    """Area that row i of `a` and row i of `b` have in common; see `pairwise_box_intersection`.

    Args:
        a: [n, 4] float, pixels.
        b: [n, 4], same dtype and device.
    Returns:
        [n] in square pixels.
    Empty: n = 0 gives [0].
    """
    return _matched(BoxMeasure.INTERSECTION, a, b)


def matched_box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of row i of `a` and row i of `b`; see `pairwise_box_iou`.

    Args:
        a: [n, 4] float, pixels.
        b: [n, 4], same dtype and device.
    Returns:
        [n] in [0, 1].
    Empty: n = 0 gives [0].
    """
    return _matched(BoxMeasure.IOU, a, b)


def matched_box_ioa(a: Tensor, b: Tensor) -> Tensor:
    """Part of row i of `b` that row i of `a` covers; see `pairwise_box_ioa`.

    Args:
        a: [n, 4] float, pixels.
        b: [n, 4], same dtype and device: the boxes whose area divides.
    Returns:
        [n] in [0, 1].
    Empty: n = 0 gives [0].
    """
    return _matched(BoxMeasure.IOA, a, b)


def matched_box_giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU of row i of `a` and row i of `b`; see `pairwise_box_giou`.

    Args:
        a: [n, 4] float, pixels.
        b: [n, 4], same dtype and device.
    Returns:
        [n] in [-1, 1].
    Empty: n = 0 gives [0].
    """
    return _matched(BoxMeasure.GIOU, a, b)


def matched_box_diou(a: Tensor, b: Tensor) -> Tensor:
    """Distance IoU of row i of `a` and row i of `b`; see `pairwise_box_diou`.

    Args:
        a: [n, 4] float, pixels.
        b: [n, 4], same dtype and device.
    Returns:
        [n] in [-1, 1].
    Empty: n = 0 gives [0].
    """
    return _matched(BoxMeasure.DIOU, a, b)


def matched_box_ciou(a: Tensor, b: Tensor) -> Tensor:
    """Complete IoU of row i of `a` and row i of `b`; see `pairwise_box_ciou`.

    Args:
        a: [n, 4] float, pixels.
        b: [n, 4], same dtype and device.
    Returns:
        [n] in (-1.5, 1].
    Empty: n = 0 gives [0].
    """
    return _matched(BoxMeasure.CIOU, a, b)


def _pairwise(measure: BoxMeasure, a: Tensor, b: Tensor) -> Tensor:
    _check_boxes(a, b, "m")
    return _in_float32(_PAIRWISE.operators[measure], a, b)


def _matched(measure: BoxMeasure, a: Tensor, b: Tensor) -> Tensor:
    _check_boxes(a, b, a.shape[0] if isinstance(a, Tensor) and a.ndim else "n")
    return _in_float32(_MATCHED.operators[measure], a, b)


def _in_float32(operator: Callable[..., Tensor], a: Tensor, b: Tensor) -> Tensor:
    if a.dtype in (torch.float32, torch.float64):
        return operator(a, b)
    return operator(a.float(), b.float()).to(a.dtype)


def _check_boxes(a: Tensor, b: Tensor, rows_of_b: int | str) -> None:
    # What is right is seen at once: for small tables the checks below take as long as the work.
    # What is wrong is looked at again, for its message.
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a.ndim == b.ndim == 2:
        rows, columns = b.shape
        sizes_fit = columns == a.shape[1] == 4 and rows_of_b in ("m", rows)
        if sizes_fit and a.dtype == b.dtype and a.is_floating_point() and a.device == b.device:
            return
    _check.check_floating("a", _check.check_shape("a", a, "n", 4))
    _check.check_dtype("b", _check.check_shape("b", b, rows_of_b, 4), a.dtype)
    _check.check_same_device(("a", "b"), (a, b))


def _check_out(out: Tensor, a: Tensor, b: Tensor) -> None:
    _check.check_shape("out", out, a.shape[0], b.shape[0])
    _check.check_dtype("out", out, a.dtype)
    _check.check_dtype("a (with out=)", a, torch.float32, torch.float64)
    _check.check_same_device(("a", "out"), (a, out))
    if not out.is_contiguous():
        raise ShapeError("out: expected a contiguous tensor; pass one made by torch.empty")


Gradients: TypeAlias = tuple[Tensor, Tensor]


class _Family(NamedTuple):
    """The six measures in one shape of call."""

    kernel: str  # name in the compiled modules
    operators: dict[BoxMeasure, Callable[..., Tensor]]


_PAIRWISE = _Family("pairwise_box_overlap", {})
_MATCHED = _Family("matched_box_overlap", {})


def _compute(family: _Family, measure: BoxMeasure, a: Tensor, b: Tensor) -> Tensor:
    pairs = family is _PAIRWISE
    shape = (a.shape[0], b.shape[0]) if pairs else (a.shape[0],)
    if _backend.on_cuda(a):
        out = _backend.empty(shape, a)
        _write(family, measure, a, b, out)
        return out
    # NumPy's own array, seen by torch, takes 1 us less than torch's, seen by NumPy; and large
    # ones lie on huge pages.
    values = _backend.empty_array(shape, a.dtype)
    _write_array(family, measure, a, b, values)
    return torch.from_numpy(values)


def _write(family: _Family, measure: BoxMeasure, a: Tensor, b: Tensor, out: Tensor) -> None:
    if not _backend.on_cuda(a):
        _write_array(family, measure, a, b, _backend.array(out))
        return
    a, b = a.detach().contiguous(), b.detach().contiguous()
    with torch.cuda.device(a.device):
        kernel = getattr(_backend.cuda(), family.kernel)
        kernel(a, b, int(measure), out.detach(), _backend.stream(a))


def _write_array(
    family: _Family, measure: BoxMeasure, a: Tensor, b: Tensor, out: _backend.Array
) -> None:
    kernel = getattr(_backend.cpu, family.kernel)
    kernel(_backend.array(a), _backend.array(b), int(measure), out, _backend.threads())


def _fake_pairs(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty((a.shape[0], b.shape[0]))


def _fake_matches(a: Tensor, b: Tensor) -> Tensor:
    del b
    return a.new_empty((a.shape[0],))


def _setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    del output
    ctx.save_for_backward(*inputs)


def _pairs_backward(measure: BoxMeasure, ctx: Any, grad: Tensor) -> Gradients:
    a, b = ctx.saved_tensors
    if not torch.is_grad_enabled():
        return _pairwise_gradients(a, b, grad, int(measure))
    by_a, by_b = measure_gradients(measure, a[:, None], b[None, :], grad)
    return by_a.sum(dim=1), by_b.sum(dim=0)


def _matches_backward(measure: BoxMeasure, ctx: Any, grad: Tensor) -> Gradients:
    a, b = ctx.saved_tensors
    if not torch.is_grad_enabled():
        return _matched_gradients(a, b, grad, int(measure))
    return measure_gradients(measure, a, b, grad)


def _compute_gradients(
    family: _Family, a: Tensor, b: Tensor, grad: Tensor, measure: int
) -> Gradients:
    grad_a, grad_b = a.new_empty(a.shape), b.new_empty(b.shape)
    name = family.kernel.replace("overlap", "gradients")
    if _backend.on_cuda(a):
        kernel, queue = getattr(_backend.cuda(), name), _backend.stream(a)
        a, b, grad = a.contiguous(), b.contiguous(), grad.contiguous()
        kernel(a.detach(), b.detach(), measure, grad.detach(), grad_a, grad_b, queue)
    else:
        kernel, arrays = getattr(_backend.cpu, name), (_backend.array(a), _backend.array(b))
        kernel(*arrays, measure, _backend.array(grad), grad_a.numpy(), grad_b.numpy())
    return grad_a, grad_b


def _fake_gradients(a: Tensor, b: Tensor, grad: Tensor, measure: int) -> Gradients:
    del grad, measure
    return a.new_empty(a.shape), b.new_empty(b.shape)


# One pass for both gradients. Where they are differentiated again, torch operations take over.
_pairwise_gradients, _matched_gradients = (
    register(
        f"_{family.kernel.replace('overlap', 'gradients')}"
        "(Tensor a, Tensor b, Tensor grad, int measure) -> (Tensor, Tensor)",
        cpu=partial(_compute_gradients, family),
        cuda=partial(_compute_gradients, family),
        fake=_fake_gradients,
    )
    for family in (_PAIRWISE, _MATCHED)
)


for _measure in BoxMeasure:
    _PAIRWISE.operators[_measure] = register(
        f"pairwise_box_{_measure.name.lower()}(Tensor a, Tensor b) -> Tensor",
        cpu=partial(_compute, _PAIRWISE, _measure),
        cuda=partial(_compute, _PAIRWISE, _measure),
        fake=_fake_pairs,
        setup_context=_setup_context,
        backward=partial(_pairs_backward, _measure),
    )
    _MATCHED.operators[_measure] = register(
        f"matched_box_{_measure.name.lower()}(Tensor a, Tensor b) -> Tensor",
        cpu=partial(_compute, _MATCHED, _measure),
        cuda=partial(_compute, _MATCHED, _measure),
        fake=_fake_matches,
        setup_context=_setup_context,
        backward=partial(_matches_backward, _measure),
    )
