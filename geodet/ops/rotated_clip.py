"""Clipping of rotated boxes by upright windows. Letters in shapes: n boxes."""

import torch
from torch import Tensor

from geodet import _check
from geodet.ops import _backend
from geodet.ops._library import register
from geodet.ops._precision import widened

__all__ = ["clip_rotated_boxes"]


def clip_rotated_boxes(cxcywha: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
    """Part of each rotated box inside an upright window, as a convex polygon.

    A corner cut off by the window lies on its side exactly. Half-precision boxes are computed in
    float32 and rounded once. Not differentiable.

    Args:
        cxcywha: [n, 5] float, pixels and degrees counter-clockwise as seen on the screen.
        window: [4] x1, y1, x2, y2 for all boxes, or [n, 4] one for each; same dtype and device.
            Infinite sides do not cut.
    Returns:
        points [n, 8, 2] as (x, y), clockwise as seen on the screen, 0 after the last one, and
        counts [n] int64, the number of points of each polygon: 3 to 8, or 0 where nothing is left,
        a box has no area, or a number is a NaN.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 gives [0, 8, 2] and [0].
    Reference: Sutherland & Hodgman 1974, "Reentrant polygon clipping".
    """
    _check.check_floating("cxcywha", _check.check_shape("cxcywha", cxcywha, "n", 5))
    count = cxcywha.shape[0]
    if isinstance(window, Tensor) and window.ndim == 1:
        _check.check_shape("window", window, 4)
    else:
        _check.check_shape("window", window, count, 4)
    _check.check_dtype("window", window, cxcywha.dtype)
    _check.check_same_device(("cxcywha", "window"), (cxcywha, window))
    points, counts = _clip(widened(cxcywha), widened(window).expand(count, 4))
    return points.to(cxcywha.dtype), counts


def _compute(cxcywha: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
    points, counts = _fake(cxcywha, windows)
    if _backend.on_cuda(cxcywha):
        _backend.cuda().clip_rotated_boxes(
            cxcywha.detach().contiguous(),
            windows.detach().contiguous(),
            points,
            counts,
            _backend.stream(cxcywha),
        )
    else:
        _backend.cpu.clip_rotated_boxes(
            _backend.array(cxcywha), _backend.array(windows), points.numpy(), counts.numpy()
        )
    return points, counts


def _fake(cxcywha: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
    del windows
    count = cxcywha.shape[0]
    return cxcywha.new_empty((count, 8, 2)), cxcywha.new_empty((count,), dtype=torch.int64)


_clip = register(
    "clip_rotated_boxes(Tensor cxcywha, Tensor windows) -> (Tensor, Tensor)",
    cpu=_compute,
    cuda=_compute,
    fake=_fake,
)
