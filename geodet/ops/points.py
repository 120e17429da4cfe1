"""Bilinear samples of feature maps at free points, as in PointRend."""

import torch
from torch import Tensor
from torch.nn import functional

from geodet import _check
from geodet.errors import InvalidValueError

__all__ = ["sample_points"]


def sample_points(features: Tensor, xy: Tensor, *, spatial_scale: float = 1.0) -> Tensor:
    """Bilinear samples of a feature map at continuous coordinates.

    Cell (i, j) of the map has its centre at (j + 0.5, i + 0.5); beyond the map lie zeros, so a
    sample fades out over one cell. This is torch's `grid_sample` with `align_corners=False` and
    zero padding. Differentiable in both arguments; half precision is computed in float32 and
    rounded once, also under autocast.

    Args:
        features: [b, c, h, w] float, h and w at least 1.
        xy: [b, p, 2] float, x and y in input pixels; another dtype than that of `features` is
            converted to it (half precision to float32). For coordinates in [0, 1] of the map,
            multiply them by (w, h) first.
        spatial_scale: feature cells per input pixel, 1 / stride.
    Returns:
        [b, c, p], dtype of `features`. A coordinate that is not finite gives 0.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the scale is not positive, or the map has no cell.
    Empty: b = 0, c = 0 or p = 0 gives an empty tensor of that shape.
    Reference: Kirillov et al. 2020, "PointRend", section 3.1.
    """
    _check.check_floating("features", _check.check_shape("features", features, "b", "c", "h", "w"))
    _check.check_floating("xy", _check.check_shape("xy", xy, len(features), "p", 2))
    _check.check_same_device(("features", "xy"), (features, xy))
    if not 0 < spatial_scale < float("inf"):
        raise InvalidValueError(
            f"spatial_scale: expected a positive number (1 / stride), got {spatial_scale}"
        )
    height, width = features.shape[2:]
    if height == 0 or width == 0:
        raise InvalidValueError(f"features: expected at least one cell, got {height} x {width}")
    if 0 in (features.shape[0], features.shape[1], xy.shape[1]):
        # An empty view of the inputs keeps the graph of a loss over no points whole.
        return features.sum((2, 3))[:, :, None] * xy.sum(2)[:, None].to(features.dtype)
    exact = features.dtype if features.dtype in {torch.float32, torch.float64} else torch.float32
    with torch.autocast(features.device.type, enabled=False):
        sizes = torch.tensor([width, height], dtype=exact, device=xy.device)
        grid = xy.to(exact) * spatial_scale * 2 / sizes - 1
        # Points that far out see zeros anyway; infinities would turn 0 * inf into NaN.
        grid = torch.where(grid.isfinite(), grid, torch.full_like(grid, 3.0)).clamp(-1e4, 1e4)
        sampled = functional.grid_sample(
            features.to(exact),
            grid[:, :, None],
            mode="bilinear",
            padding_mode="zeros",
            align_corners=False,
        )
    return sampled[..., 0].to(features.dtype)
