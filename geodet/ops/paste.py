"""Mask pasting: small maps of probabilities stretched over their boxes in the image.

Every image pixel is sampled at its centre, bilinearly between the centres of the map's cells.
Beyond the outermost centres a map falls off to zero over one cell, so soft values reach half a
cell outside the box. This is torch's grid_sample with zero padding and align_corners=False. In a
rotated box the map's columns run along the width and its rows along the height.
Letters in shapes: n masks, s_h and s_w their cells, h and w the image's pixels.
"""

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import InvalidValueError, ShapeError
from geodet.ops import _backend, _rle_cuda
from geodet.ops._library import register
from geodet.ops._precision import widened
from geodet.ops._rle_batch import FlatRle, as_tensors, check_size, fake_batch

__all__ = [
    "paste_mask_probabilities",
    "paste_masks",
    "paste_masks_to_rle",
    "paste_rotated_mask_probabilities",
    "paste_rotated_masks",
    "paste_rotated_masks_to_rle",
]

# How the kernels tell upright and rotated boxes.
_UPRIGHT_COLUMNS = 4
_ROTATED_COLUMNS = 5


def paste_masks(
    probabilities: Tensor,
    xyxy: Tensor,
    image_size: tuple[int, int],
    *,
    threshold: float = 0.5,
) -> Tensor:
    """Where pasted probabilities reach a threshold.

    Not differentiable. Pixels whose value differs from the threshold by rounding alone may fall
    on either side of what another implementation says; CPU and CUDA agree on every pixel. Large
    CPU results are zeroed by the system page by page, and only rows under a box are touched.

    Args:
        probabilities: [n, s_h, s_w] float in [0, 1]; half precision is computed in float32; NaN
            is below every threshold.
        xyxy: [n, 4] boxes in pixels, dtype of `probabilities`, or float32 with half precision. A
            box without area, inverted or with a number that is not finite paints nothing; parts
            outside the image are cut off.
        image_size: (h, w).
        threshold: in (0, 1], rounded to the dtype of the computation.
    Returns:
        [n, h, w] bool.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the threshold or a size is out of its range.
    Empty: n = 0, h = 0 or w = 0 gives an empty tensor of that shape.
    Reference: He et al. 2017, "Mask R-CNN", section 3.1.
    """
    return _masks(probabilities, xyxy, _UPRIGHT_COLUMNS, image_size, threshold)


def paste_rotated_masks(
    probabilities: Tensor,
    cxcywha: Tensor,
    image_size: tuple[int, int],
    *,
    threshold: float = 0.5,
) -> Tensor:
    """Where probabilities pasted into rotated boxes reach a threshold.

    Pixels are placed in float64, whatever the dtype. Not differentiable. At angle 0 the pixels are
    those of `paste_masks`, but for values that differ from the threshold by rounding alone.

    Args:
        probabilities: [n, s_h, s_w] float in [0, 1], as in `paste_masks`.
        cxcywha: [n, 5] boxes: centre, width, height in pixels, angle in degrees, counter-clockwise
            as seen; dtypes and odd numbers as in `paste_masks`.
        image_size: (h, w).
        threshold: in (0, 1], rounded to the dtype of the computation.
    Returns:
        [n, h, w] bool.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the threshold or a size is out of its range.
    Empty: n = 0, h = 0 or w = 0 gives an empty tensor of that shape.
    """
    return _masks(probabilities, cxcywha, _ROTATED_COLUMNS, image_size, threshold)


def paste_masks_to_rle(
    probabilities: Tensor,
    xyxy: Tensor,
    image_size: tuple[int, int],
    *,
    threshold: float = 0.5,
) -> FlatRle:
    """Run lengths of the pixels where pasted probabilities reach a threshold.

    Bit for bit `rle_encode(paste_masks(...))`, in the time and memory of the boxes instead of the
    image's. Not differentiable.

    Args:
        probabilities: [n, s_h, s_w] float in [0, 1], as in `paste_masks`.
        xyxy: [n, 4] boxes in pixels, as in `paste_masks`.
        image_size: (h, w), at most 2^31 - 1 pixels.
        threshold: in (0, 1], rounded to the dtype of the computation.
    Returns:
        counts [t] int32 and offsets [n + 1] int64 of n masks, canonical, on the device of the
        arguments; see `geodet.ops.rle`.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the threshold or a size is out of its range.
    Empty: n = 0 gives counts [0] and offsets [1]; a mask without pixels is the one run 0.
    Reference: He et al. 2017, "Mask R-CNN", section 3.1.
    """
    return _runs(probabilities, xyxy, _UPRIGHT_COLUMNS, image_size, threshold)


def paste_rotated_masks_to_rle(
    probabilities: Tensor,
    cxcywha: Tensor,
    image_size: tuple[int, int],
    *,
    threshold: float = 0.5,
) -> FlatRle:
    """Run lengths of the pixels where probabilities pasted into rotated boxes reach a threshold.

    Bit for bit `rle_encode(paste_rotated_masks(...))`, without images. Not differentiable.

    Args:
        probabilities: [n, s_h, s_w] float in [0, 1], as in `paste_masks`.
        cxcywha: [n, 5] boxes, as in `paste_rotated_masks`.
        image_size: (h, w), at most 2^31 - 1 pixels.
        threshold: in (0, 1], rounded to the dtype of the computation.
    Returns:
        counts [t] int32 and offsets [n + 1] int64, as `paste_masks_to_rle`.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the threshold or a size is out of its range.
    Empty: n = 0 gives counts [0] and offsets [1]; a mask without pixels is the one run 0.
    """
    return _runs(probabilities, cxcywha, _ROTATED_COLUMNS, image_size, threshold)


def paste_mask_probabilities(
    probabilities: Tensor, xyxy: Tensor, image_size: tuple[int, int]
) -> Tensor:
    """Pasted probabilities themselves.

    The result carries no gradient; train on the small maps instead.

    Args:
        probabilities: [n, s_h, s_w] float; half precision is computed in float32.
        xyxy: [n, 4] boxes in pixels, as in `paste_masks`.
        image_size: (h, w).
    Returns:
        [n, h, w], dtype of `probabilities`; 0 away from the box.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a size is negative.
    Empty: n = 0, h = 0 or w = 0 gives an empty tensor of that shape.
    """
    return _soft(probabilities, xyxy, _UPRIGHT_COLUMNS, image_size)


def paste_rotated_mask_probabilities(
    probabilities: Tensor, cxcywha: Tensor, image_size: tuple[int, int]
) -> Tensor:
    """Probabilities themselves, pasted into rotated boxes.

    The result carries no gradient; train on the small maps instead.

    Args:
        probabilities: [n, s_h, s_w] float; half precision is computed in float32.
        cxcywha: [n, 5] boxes, as in `paste_rotated_masks`.
        image_size: (h, w).
    Returns:
        [n, h, w], dtype of `probabilities`; 0 away from the box.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a size is negative.
    Empty: n = 0, h = 0 or w = 0 gives an empty tensor of that shape.
    """
    return _soft(probabilities, cxcywha, _ROTATED_COLUMNS, image_size)


def _masks(
    probabilities: Tensor,
    boxes: Tensor,
    columns: int,
    image_size: tuple[int, int],
    threshold: float,
) -> Tensor:
    _check_inputs(probabilities, boxes, columns, image_size)
    _check_threshold(threshold)
    masks: Tensor = _paste_masks(
        widened(probabilities), widened(boxes), *image_size, float(threshold)
    )
    return masks


def _runs(
    probabilities: Tensor,
    boxes: Tensor,
    columns: int,
    image_size: tuple[int, int],
    threshold: float,
) -> FlatRle:
    _check_inputs(probabilities, boxes, columns, image_size)
    _check_threshold(threshold)
    height, width = check_size("image_size", image_size)
    runs: FlatRle = _paste_runs(
        widened(probabilities), widened(boxes), height, width, float(threshold)
    )
    return runs


def _soft(
    probabilities: Tensor, boxes: Tensor, columns: int, image_size: tuple[int, int]
) -> Tensor:
    _check_inputs(probabilities, boxes, columns, image_size)
    pasted = _paste_probabilities(
        widened(probabilities.detach()), widened(boxes.detach()), *image_size
    )
    return pasted.to(probabilities.dtype)


def _check_inputs(
    probabilities: Tensor, boxes: Tensor, columns: int, image_size: tuple[int, int]
) -> None:
    name = "xyxy" if columns == _UPRIGHT_COLUMNS else "cxcywha"
    _check.check_shape("probabilities", probabilities, "n", "s_h", "s_w")
    _check.check_floating("probabilities", probabilities)
    _check.check_shape(name, boxes, len(probabilities), columns)
    if probabilities.dtype in {torch.float32, torch.float64}:
        _check.check_dtype(name, boxes, probabilities.dtype)
    else:
        _check.check_dtype(name, boxes, probabilities.dtype, torch.float32)
    _check.check_same_device(("probabilities", name), (probabilities, boxes))
    if 0 in probabilities.shape[1:]:
        raise ShapeError(
            f"probabilities: expected masks of at least one cell, got {list(probabilities.shape)}"
        )
    height, width = image_size
    if height < 0 or width < 0:
        raise InvalidValueError(
            f"image_size: expected (height, width) of at least 0, got {(height, width)}"
        )


def _check_threshold(threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise InvalidValueError(f"threshold: expected a number in (0, 1], got {threshold}")


def _compute_masks(
    probabilities: Tensor, boxes: Tensor, height: int, width: int, threshold: float
) -> Tensor:
    shape = (len(probabilities), height, width)
    if _backend.on_cuda(probabilities):
        out = _backend.empty(shape, probabilities, torch.bool)
        _backend.cuda().paste_masks(
            probabilities.detach().contiguous(),
            boxes.detach().contiguous(),
            out,
            threshold,
            _backend.stream(probabilities),
        )
        return out
    out = _backend.zeros(shape, probabilities, torch.bool)
    _backend.cpu.paste_masks(
        _backend.array(probabilities),
        _backend.array(boxes),
        out.numpy(),
        threshold,
        _backend.threads(),
    )
    return out


def _fake_masks(
    probabilities: Tensor, boxes: Tensor, height: int, width: int, threshold: float
) -> Tensor:
    del boxes, threshold
    return probabilities.new_empty((probabilities.shape[0], height, width), dtype=torch.bool)


def _compute_probabilities(probabilities: Tensor, boxes: Tensor, height: int, width: int) -> Tensor:
    shape = (len(probabilities), height, width)
    if _backend.on_cuda(probabilities):
        out = _backend.empty(shape, probabilities)
        _backend.cuda().paste_probabilities(
            probabilities.detach().contiguous(),
            boxes.detach().contiguous(),
            out,
            _backend.stream(probabilities),
        )
        return out
    out = _backend.zeros(shape, probabilities)
    _backend.cpu.paste_probabilities(
        _backend.array(probabilities), _backend.array(boxes), out.numpy(), _backend.threads()
    )
    return out


def _fake_probabilities(probabilities: Tensor, boxes: Tensor, height: int, width: int) -> Tensor:
    del boxes
    return probabilities.new_empty((probabilities.shape[0], height, width))


def _compute_runs(
    probabilities: Tensor, boxes: Tensor, height: int, width: int, threshold: float
) -> FlatRle:
    return as_tensors(
        _backend.cpu.paste_masks_to_rle(
            _backend.array(probabilities),
            _backend.array(boxes),
            height,
            width,
            threshold,
            _backend.threads(),
        )
    )


def _fake_runs(
    probabilities: Tensor, boxes: Tensor, height: int, width: int, threshold: float
) -> FlatRle:
    del boxes, height, width, threshold
    return fake_batch(probabilities, probabilities.shape[0])


# Upright and rotated boxes are one operator each: their columns, 4 or 5, tell them apart.
_paste_masks = register(
    "paste_masks(Tensor probabilities, Tensor boxes, SymInt height, SymInt width, "
    "float threshold) -> Tensor",
    cpu=_compute_masks,
    cuda=_compute_masks,
    fake=_fake_masks,
)

_paste_probabilities = register(
    "paste_mask_probabilities(Tensor probabilities, Tensor boxes, SymInt height, SymInt width) "
    "-> Tensor",
    cpu=_compute_probabilities,
    cuda=_compute_probabilities,
    fake=_fake_probabilities,
)

_paste_runs = register(
    "paste_masks_to_rle(Tensor probabilities, Tensor boxes, SymInt height, SymInt width, "
    "float threshold) -> (Tensor, Tensor)",
    cpu=_compute_runs,
    cuda=_rle_cuda.paste,
    fake=_fake_runs,
)
