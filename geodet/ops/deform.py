"""Deformable convolution, by torchvision's kernels.

torchvision is imported at the first call: `import geodet` needs it for nothing else. Letters in
shapes: b images, c channels in, d channels out, g groups of the weight, o groups of offsets, kh and
kw kernel size, h and w map size, oh and ow output size.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import MissingDependencyError, ShapeError

__all__ = ["deform_conv2d"]


def deform_conv2d(
    features: Tensor,
    offsets: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    modulation: Tensor | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> Tensor:
    """Convolution whose kernel points are moved by learned offsets, version 1 or 2.

    Differentiable in every tensor, on CPU and CUDA, wherever torchvision is. Samples outside the
    map count as 0, and so does one whose offset is NaN.

    Args:
        features: [b, c, h, w] float.
        offsets: [b, 2 * o * kh * kw, oh, ow], pixels, for each group and kernel point y, then x.
        weight: [d, c / g, kh, kw].
        bias: [d], or None.
        modulation: [b, o * kh * kw, oh, ow], a factor for every sample (after the sigmoid), which
            makes it version 2; None is version 1.
        stride, padding, dilation: (vertical, horizontal).
    Returns:
        [b, d, oh, ow].
    Raises:
        MissingDependencyError: torchvision is not installed, or does not fit the installed torch.
        ShapeError, DtypeError, DeviceError: the tensors do not fit each other.
    Empty: b = 0 gives [0, d, oh, ow].
    Reference: Dai et al. 2017, "Deformable Convolutional Networks"; Zhu et al. 2019, "Deformable
        ConvNets v2".
    """
    _check_inputs(features, offsets, weight, bias, modulation)
    _check_sizes(features, offsets, weight, (stride, padding, dilation))
    return _torchvisions()(
        features,
        _without_nan(features, offsets, weight, padding, dilation),
        weight,
        bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        mask=modulation,
    )


def _torchvisions() -> Callable[..., Tensor]:
    try:
        from torchvision.ops import deform_conv2d as kernel  # noqa: PLC0415 - optional, heavy
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        raise MissingDependencyError(
            "deform_conv2d runs torchvision's kernels, and torchvision could not be imported "
            f"({error}). Install the one that fits your torch: `pip install torchvision`."
        ) from error
    convolve: Callable[..., Tensor] = kernel
    return convolve


def _without_nan(
    features: Tensor,
    offsets: Tensor,
    weight: Tensor,
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> Tensor:
    """Offsets whose NaNs and infinities point beyond the map; the others as they are.

    torchvision reads memory at a NaN turned into an integer, which may end the process.
    """
    extents = [step * kernel for step, kernel in zip(dilation, weight.shape[2:], strict=True)]
    beyond = 2.0 * (max(*features.shape[2:], 1) + max(padding) + max(extents) + 1)
    return torch.nan_to_num(offsets, nan=beyond, posinf=beyond, neginf=-beyond)


def _check_inputs(
    features: Tensor,
    offsets: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    modulation: Tensor | None,
) -> None:
    _check.check_floating("features", _check.check_shape("features", features, "b", "c", "h", "w"))
    _check.check_shape("weight", weight, "d", "c / g", "kh", "kw")
    images, points = len(features), weight.shape[2] * weight.shape[3]
    _check.check_shape("offsets", offsets, images, "2 * o * kh * kw", "oh", "ow")
    groups, rest = divmod(offsets.shape[1], 2 * max(points, 1))
    if rest or not groups:
        raise ShapeError(
            f"offsets: expected a multiple of 2 * kh * kw = {2 * points} channels (y and x of "
            f"every kernel point), got {offsets.shape[1]}"
        )
    named = {"features": features, "offsets": offsets, "weight": weight}
    if bias is not None:
        named["bias"] = _check.check_shape("bias", bias, len(weight))
    if modulation is not None:
        shape = (images, groups * points, *offsets.shape[2:])
        named["modulation"] = _check.check_shape("modulation", modulation, *shape)
    for name, tensor in named.items():
        _check.check_dtype(name, tensor, features.dtype)
    _check.check_same_device(tuple(named), tuple(named.values()))


def _check_sizes(
    features: Tensor, offsets: Tensor, weight: Tensor, steps: tuple[tuple[int, int], ...]
) -> None:
    channels, per_group = features.shape[1], weight.shape[1]
    if per_group == 0 or channels % per_group:
        raise ShapeError(
            f"weight: expected c / g channels with c = {channels} from features, got {per_group}"
        )
    size = [
        (length + 2 * pad - dilate * (kernel - 1) - 1) // step + 1
        for length, kernel, step, pad, dilate in zip(
            features.shape[2:], weight.shape[2:], *steps, strict=True
        )
    ]
    if size != list(offsets.shape[2:]):
        raise ShapeError(
            f"offsets: expected the output's size {size} (from map, kernel, stride, padding and "
            f"dilation), got {list(offsets.shape[2:])}"
        )
