"""Area and pairwise overlap of axis-aligned boxes.

Boxes are rows x1, y1, x2, y2 in continuous pixels: width is x2 - x1, nothing is added.
Letters in shapes: n and m are numbers of boxes.
"""

from typing import Any

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import ShapeError
from geodet.ops import _backend
from geodet.ops._library import register

__all__ = ["box_area", "pairwise_box_iou"]


def box_area(xyxy: Tensor) -> Tensor:
    """Area of every box.

    Args:
        xyxy: [n, 4] float, pixels.
    Returns:
        [n] in square pixels; negative where exactly one side is inverted.
    Raises:
        ShapeError, DtypeError: `xyxy` is not a floating-point [n, 4] tensor.
    Empty: n = 0 gives [0].
    """
    _check.check_floating("xyxy", _check.check_shape("xyxy", xyxy, "n", 4))
    return (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])


def pairwise_box_iou(a: Tensor, b: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Intersection over union of every pair of boxes.

    Half-precision boxes are computed in float32 and rounded once. Differentiable in both.

    Args:
        a: [n, 4] float, pixels.
        b: [m, 4], same dtype and device.
        out: [n, m] contiguous tensor of that dtype to write into, outside autograd: reusing one
            saves most of the time of a large matrix, which goes into fresh memory pages.
    Returns:
        [n, m] in [0, 1]; 0 where boxes only touch, have no area, or hold a NaN.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    """
    _check.check_floating("a", _check.check_shape("a", a, "n", 4))
    _check.check_dtype("b", _check.check_shape("b", b, "m", 4), a.dtype)
    _check.check_same_device(("a", "b"), (a, b))
    if out is not None:
        _check_out(out, a, b)
        _write_iou(a, b, out)
        return out
    if a.dtype in {torch.float16, torch.bfloat16}:
        return _pairwise_box_iou(a.float(), b.float()).to(a.dtype)
    return _pairwise_box_iou(a, b)


def _check_out(out: Tensor, a: Tensor, b: Tensor) -> None:
    _check.check_shape("out", out, a.shape[0], b.shape[0])
    _check.check_dtype("out", out, a.dtype)
    _check.check_dtype("a (with out=)", a, torch.float32, torch.float64)
    _check.check_same_device(("a", "out"), (a, out))
    if not out.is_contiguous():
        raise ShapeError("out: expected a contiguous tensor; pass one made by torch.empty")


def _write_iou(a: Tensor, b: Tensor, out: Tensor) -> None:
    if _backend.on_cuda(a):
        with torch.cuda.device(a.device):
            _backend.cuda().pairwise_box_iou(
                a.detach().contiguous(), b.detach().contiguous(), out.detach(), _backend.stream(a)
            )
    else:
        _backend.cpu.pairwise_box_iou(
            _backend.array(a), _backend.array(b), _backend.array(out), _backend.threads()
        )


def _compute(a: Tensor, b: Tensor) -> Tensor:
    out = _backend.empty((a.shape[0], b.shape[0]), a)
    _write_iou(a, b, out)
    return out


def _fake(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty((a.shape[0], b.shape[0]))


def _setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    del output
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of intersection / union, in elementary operations so that it differentiates again.

    Where boxes do not overlap the IoU is constant 0 and so is its gradient.
    """
    a, b = ctx.saved_tensors
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = (high - low).clamp(min=0)
    intersection = sides[..., 0] * sides[..., 1]
    union = box_area(a)[:, None] + box_area(b)[None, :] - intersection
    overlaps = intersection > 0
    safe_union = torch.where(overlaps, union, torch.ones_like(union))
    scaled = torch.where(overlaps, grad / safe_union, torch.zeros_like(grad))
    iou = intersection / safe_union
    by_intersection = scaled * (1 + iou)
    by_area = -scaled * iou
    # d intersection / d sides, sent to whichever box bounds that side; ties go to both in halves.
    by_sides = by_intersection[..., None] * sides.flip(-1)
    a_low = _share(a[:, None, :2], b[None, :, :2])
    a_high = _share(-a[:, None, 2:], -b[None, :, 2:])
    grad_a = torch.cat([-by_sides * a_low, by_sides * a_high], dim=-1).sum(dim=1)
    grad_b = torch.cat([-by_sides * (1 - a_low), by_sides * (1 - a_high)], dim=-1).sum(dim=0)
    return (
        grad_a + by_area.sum(dim=1)[:, None] * _area_gradient(a),
        grad_b + by_area.sum(dim=0)[:, None] * _area_gradient(b),
    )


def _share(x: Tensor, y: Tensor) -> Tensor:
    """Part of the gradient of maximum(x, y) that goes to x."""
    return torch.where(x > y, 1.0, torch.where(x == y, 0.5, 0.0)).to(x.dtype)


def _area_gradient(xyxy: Tensor) -> Tensor:
    width, height = (xyxy[:, 2:] - xyxy[:, :2]).unbind(-1)
    return torch.stack([-height, -width, height, width], dim=-1)


_pairwise_box_iou = register(
    "pairwise_box_iou(Tensor a, Tensor b) -> Tensor",
    cpu=_compute,
    cuda=_compute,
    fake=_fake,
    setup_context=_setup_context,
    backward=_backward,
)
