"""RoIAlign: every box's part of a feature map, resampled to one size.

A box, upright or rotated, is cut into a grid of equal cells and each cell is the mean of bilinear
samples inside it. Coordinates are continuous and pixel centres lie at .5 (`aligned=True`); samples
more than one pixel outside the outermost pixel centres count as 0, nearer ones take the border's
value. Letters in shapes: b images, c channels, r rois, oh and ow cells per roi.
"""

# ruff: noqa: PLR0917 - torch passes the arguments of registered operators by position
from typing import Any, TypeAlias

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import InvalidValueError
from geodet.ops import _backend
from geodet.ops._library import register

__all__ = ["roi_align", "roi_align_rotated"]

_MAX_SAMPLING_RATIO = 1024  # kMaxSamplingRatio of the compiled core

_UPRIGHT_COLUMNS = 5
_ROTATED_COLUMNS = 6  # how the kernels tell rotated rois

# spatial_scale, sampling_ratio, aligned
_Settings: TypeAlias = tuple[float, int, bool]


def roi_align(
    features: Tensor,
    rois: Tensor,
    output_size: tuple[int, int],
    *,
    spatial_scale: float,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> Tensor:
    """Mean of bilinear samples in every cell of every roi.

    Differentiable (twice) in `features`; rois get no gradient. Half-precision features are
    computed in float32 and rounded once. A roi with a coordinate that is not finite gives zeros;
    an inverted one gives zeros when `sampling_ratio` is 0 and is read mirrored otherwise. However
    large a roi is, the work is bounded by the feature map. Maps in channels_last format are read as
    they lie, and their gradient lies like them.

    Args:
        features: [b, c, h, w] float.
        rois: [r, 5] rows image index, x1, y1, x2, y2 in input pixels; dtype of `features`, or
            float32 with half-precision features. On CUDA an image index out of range gives NaN,
            since refusing it would mean to wait for the device.
        output_size: cells (oh, ow) of every roi.
        spatial_scale: feature pixels per input pixel, 1 / stride.
        sampling_ratio: samples per cell along each axis; 0 takes one a feature pixel, rounded up.
        aligned: False gives the rule before half-pixel alignment: pixel centres lie at whole
            numbers and rois are at least one feature pixel large.
    Returns:
        [r, c, oh, ow], dtype of `features`.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a number is out of its range, or (CPU) an image index is.
    Empty: r = 0, b = 0 or c = 0 gives an empty tensor of that shape; h = 0 or w = 0 gives zeros.
    Reference: He et al. 2017, "Mask R-CNN", section 3.
    """
    return _pool(
        features,
        rois,
        _UPRIGHT_COLUMNS,
        output_size,
        (float(spatial_scale), sampling_ratio, aligned),
    )


def roi_align_rotated(
    features: Tensor,
    rois: Tensor,
    output_size: tuple[int, int],
    *,
    spatial_scale: float,
    sampling_ratio: int = 0,
) -> Tensor:
    """Mean of bilinear samples in every cell of every rotated roi.

    The grid of cells turns with the roi: its rows run along the roi's width, from the corner that
    is top left at angle 0. There the values are those of `roi_align`, up to rounding.
    Differentiable (twice) in `features`; rois get no gradient. Half-precision features are computed
    in float32 and rounded once. A roi with a number that is not finite, or that reaches further
    than 2^24 feature pixels, gives zeros; one with a negative side gives zeros when
    `sampling_ratio` is 0 and is read mirrored otherwise.

    Args:
        features: [b, c, h, w] float.
        rois: [r, 6] rows image index, cx, cy, width, height in input pixels, angle in degrees,
            counter-clockwise as seen; dtype of `features`, or float32 with half-precision features.
            On CUDA an image index out of range gives NaN.
        output_size: cells (oh, ow) of every roi.
        spatial_scale: feature pixels per input pixel, 1 / stride.
        sampling_ratio: samples per cell along each axis; 0 takes one a feature pixel, rounded up.
    Returns:
        [r, c, oh, ow], dtype of `features`.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a number is out of its range, or (CPU) an image index is.
    Empty: r = 0, b = 0 or c = 0 gives an empty tensor of that shape; h = 0 or w = 0 gives zeros.
    Reference: Ma et al. 2018, "Arbitrary-Oriented Scene Text Detection via Rotation Proposals";
        sample positions are those of Detectron2's ROIAlignRotated.
    """
    return _pool(
        features, rois, _ROTATED_COLUMNS, output_size, (float(spatial_scale), sampling_ratio, True)
    )


def _pool(
    features: Tensor, rois: Tensor, columns: int, output_size: tuple[int, int], settings: _Settings
) -> Tensor:
    _check_inputs(features, rois, columns)
    height, width = output_size
    _check_numbers(height, width, *settings[:2])
    if features.dtype in {torch.float32, torch.float64}:
        return _roi_align(features, rois, height, width, *settings)
    pooled = _roi_align(features.float(), rois.float(), height, width, *settings)
    return pooled.to(features.dtype)


def _check_inputs(features: Tensor, rois: Tensor, columns: int) -> None:
    _check.check_floating("features", _check.check_shape("features", features, "b", "c", "h", "w"))
    _check.check_shape("rois", rois, "r", columns)
    if features.dtype in {torch.float32, torch.float64}:
        _check.check_dtype("rois", rois, features.dtype)
    else:
        _check.check_dtype("rois", rois, features.dtype, torch.float32)
    _check.check_same_device(("features", "rois"), (features, rois))


def _check_numbers(height: int, width: int, spatial_scale: float, sampling_ratio: int) -> None:
    if height < 1 or width < 1:
        raise InvalidValueError(
            f"output_size: expected two positive numbers, got {(height, width)}"
        )
    if not 0 < spatial_scale < float("inf"):
        raise InvalidValueError(
            f"spatial_scale: expected a positive number (1 / stride), got {spatial_scale}"
        )
    if not 0 <= sampling_ratio <= _MAX_SAMPLING_RATIO:
        raise InvalidValueError(
            f"sampling_ratio: expected 0 (adaptive) to {_MAX_SAMPLING_RATIO}, got {sampling_ratio}"
        )


def _out_of_range(images: int) -> InvalidValueError:
    return InvalidValueError(
        f"rois[:, 0]: expected whole image indices in [0, {images}), got one outside; "
        "the first column is the position of the image in the batch"
    )


def _run(
    kernel: str, source: Tensor, rois: Tensor, target: Tensor, map_side: Tensor, settings: _Settings
) -> None:
    """Let a kernel write `target`; `map_side` is source or target, whichever is a feature map."""
    if _backend.on_cuda(source):
        getattr(_backend.cuda(), kernel)(
            source.detach().contiguous(),
            rois.detach().contiguous(),
            target,
            *settings,
            _backend.stream(source),
        )
        return
    channels_last = _is_channels_last(map_side)
    if channels_last:
        source, target = (
            tensor.permute(0, 2, 3, 1) if tensor is map_side else tensor
            for tensor in (source, target)
        )
    try:
        getattr(_backend.cpu, kernel)(
            _backend.array(source),
            _backend.array(rois),
            target.numpy(),
            *settings,
            channels_last,
            _backend.threads(),
        )
    except IndexError as error:
        raise _out_of_range(map_side.shape[0]) from error


def _is_channels_last(features: Tensor) -> bool:
    """Tell whether a map's channels, and they alone, lie side by side; CUDA kernels copy it."""
    return (
        features.device.type == "cpu"
        and not features.is_contiguous()
        and features.is_contiguous(memory_format=torch.channels_last)
    )


def _compute(
    features: Tensor,
    rois: Tensor,
    height: int,
    width: int,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    out = _backend.empty((rois.shape[0], features.shape[1], height, width), features)
    _run("roi_align", features, rois, out, features, (spatial_scale, sampling_ratio, aligned))
    return out


def _fake(
    features: Tensor,
    rois: Tensor,
    height: int,
    width: int,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    del spatial_scale, sampling_ratio, aligned
    return features.new_empty((rois.shape[0], features.shape[1], height, width))


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    del output
    features, rois, _, _, *settings = inputs
    ctx.save_for_backward(rois)
    images, _, height, width = features.shape
    ctx.map_side = (images, height, width, _is_channels_last(features))
    ctx.settings = settings


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    (rois,) = ctx.saved_tensors
    grad_features = _roi_align_backward(grad, rois, *ctx.map_side, *ctx.settings)
    return grad_features, None, None, None, None, None, None


def _compute_backward(
    grad: Tensor,
    rois: Tensor,
    images: int,
    height: int,
    width: int,
    channels_last: bool,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    channels = grad.shape[1]
    if channels_last:
        grad_features = _backend.zeros((images, height, width, channels), grad).permute(0, 3, 1, 2)
    else:
        grad_features = _backend.zeros((images, channels, height, width), grad)
    settings = (spatial_scale, sampling_ratio, aligned)
    _run("roi_align_backward", grad, rois, grad_features, grad_features, settings)
    return grad_features


def _fake_backward(
    grad: Tensor,
    rois: Tensor,
    images: int,
    height: int,
    width: int,
    channels_last: bool,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    del rois, spatial_scale, sampling_ratio, aligned
    channels = grad.shape[1]
    if channels_last:
        return grad.new_empty((images, height, width, channels)).permute(0, 3, 1, 2)
    return grad.new_empty((images, channels, height, width))


def _setup_second_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    del output
    grad, rois, _, _, _, _, *settings = inputs
    ctx.save_for_backward(rois)
    ctx.cells = grad.shape[2:]
    ctx.settings = settings


def _second_backward(ctx: Any, grad_grad: Tensor) -> tuple[Tensor | None, ...]:
    """RoIAlign is linear in the features: the gradient of its gradient is RoIAlign again."""
    (rois,) = ctx.saved_tensors
    grad = _roi_align(grad_grad, rois, *ctx.cells, *ctx.settings)
    return grad, None, None, None, None, None, None, None, None


# Upright and rotated rois are one operator each way: their columns, 5 or 6, tell them apart.
_roi_align = register(
    "roi_align(Tensor features, Tensor rois, SymInt height, SymInt width, float spatial_scale, "
    "int sampling_ratio, bool aligned) -> Tensor",
    cpu=_compute,
    cuda=_compute,
    fake=_fake,
    setup_context=_setup_context,
    backward=_backward,
)

_roi_align_backward = register(
    "roi_align_backward(Tensor grad, Tensor rois, SymInt images, SymInt height, SymInt width, "
    "bool channels_last, float spatial_scale, int sampling_ratio, bool aligned) -> Tensor",
    cpu=_compute_backward,
    cuda=_compute_backward,
    fake=_fake_backward,
    setup_context=_setup_second_context,
    backward=_second_backward,
)
