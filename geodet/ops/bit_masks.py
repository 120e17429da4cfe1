"""Dense masks: connected components, dilation and erosion, and overlaps of every pair.

Masks are [n, h, w] bool on any device. On the CPU the work is done on run lengths, which cost a
fraction of looking at every pixel; on a GPU on pixels. Results are whole numbers or quotients of
them, and the same on both.

Letters in shapes: n and m are numbers of masks.
"""

import math

import torch
from torch import Tensor

from geodet import _check
from geodet.errors import ShapeError
from geodet.ops import _backend
from geodet.ops._library import register
from geodet.ops._rle_batch import check_size
from geodet.ops.rle import pairwise_rle_iou, rle_decode, rle_encode
from geodet.ops.rle_morphology import (
    Neighbourhood,
    check_morphology,
    rle_boundary,
    rle_dilate,
    rle_erode,
)
from geodet.ops.rle_pairs import pairwise_rle_ioa
from geodet.ops.rle_shapes import check_connectivity

__all__ = [
    "bit_mask_boundaries",
    "bit_mask_components",
    "dilate_bit_masks",
    "erode_bit_masks",
    "pairwise_bit_mask_ioa",
    "pairwise_bit_mask_iou",
]

# Pixels of a mask that one matrix product sums up: below 2^24, float32 counts exactly.
_PIXELS_PER_PRODUCT = 1 << 23
# Numbers that a product may hold of both sides at a time.
_NUMBERS_PER_PRODUCT = 1 << 27


def bit_mask_components(masks: Tensor, *, connectivity: int = 4) -> tuple[Tensor, Tensor]:
    """Number the connected pieces of every mask.

    Args:
        masks: [n, h, w] bool.
        connectivity: 4 when pixels are neighbours that share a side, 8 when also those that
            share a corner are.
    Returns:
        labels [n, h, w] int32: 0 where no pixel is set, 1, 2, ... for the pieces of each mask in
        the order of their first pixels (leftmost column, then topmost row); and [n] int64, how
        many pieces each mask has.
    Raises:
        ShapeError, DtypeError: `masks` is not a bool [n, h, w] tensor.
        InvalidValueError: the connectivity is another, or a mask has more than 2^31 - 1 pixels.
    Empty: n = 0 gives [0, h, w] and [0]; a mask with no set pixel has 0 pieces.
    Reference: Playne & Hawick 2018 (on a GPU: one atomic minimum per pair of neighbours).
    """
    _check_masks("masks", masks)
    check_connectivity(connectivity)
    return _components(masks, connectivity)


def dilate_bit_masks(
    masks: Tensor,
    radius: int,
    neighbourhood: Neighbourhood = "square",
    *,
    outside: bool = False,
) -> Tensor:
    """Every mask and the pixels near it.

    Args:
        masks: [n, h, w] bool.
        radius: pixels, 0 or more.
        neighbourhood: which pixels are near, as for `rle_dilate`.
        outside: whether pixels outside of the image count as set.
    Returns:
        [n, h, w] bool.
    Raises:
        ShapeError, DtypeError: `masks` is not a bool [n, h, w] tensor.
        InvalidValueError: radius or neighbourhood are not as above.
    Empty: n = 0 gives [0, h, w].
    """
    _check_masks("masks", masks)
    radius = check_morphology(radius, neighbourhood)
    return _morphology(masks, radius, neighbourhood, outside, "dilate")


def erode_bit_masks(
    masks: Tensor,
    radius: int,
    neighbourhood: Neighbourhood = "square",
    *,
    outside: bool = False,
) -> Tensor:
    """The pixels of every mask that are near none outside of it.

    Args:
        masks: [n, h, w] bool.
        radius: pixels, 0 or more.
        neighbourhood: which pixels are near, as for `rle_dilate`.
        outside: whether pixels outside of the image count as set; by default they do not, and
            masks shrink at the border of the image too.
    Returns:
        [n, h, w] bool.
    Raises:
        ShapeError, DtypeError: `masks` is not a bool [n, h, w] tensor.
        InvalidValueError: radius or neighbourhood are not as above.
    Empty: n = 0 gives [0, h, w].
    """
    _check_masks("masks", masks)
    radius = check_morphology(radius, neighbourhood)
    return _morphology(masks, radius, neighbourhood, outside, "erode")


def bit_mask_boundaries(masks: Tensor, radius: int) -> Tensor:
    """The pixels of every mask at most `radius` (in x and in y) from a pixel outside of it.

    What boundary IoU compares, as `rle_boundary`; pixels outside of the image are not set.

    Args:
        masks: [n, h, w] bool.
        radius: pixels, 0 or more; `boundary_radius` gives the customary one.
    Returns:
        [n, h, w] bool.
    Raises:
        ShapeError, DtypeError: `masks` is not a bool [n, h, w] tensor.
        InvalidValueError: the radius is negative.
    Empty: n = 0 gives [0, h, w].
    Reference: Cheng et al., Boundary IoU, CVPR 2021, section 4.
    """
    _check_masks("masks", masks)
    return _morphology(masks, check_morphology(radius, "square"), "square", False, "boundary")


def pairwise_bit_mask_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every pair of masks.

    Args:
        a: [n, h, w] bool.
        b: [m, h, w] bool, same device.
    Returns:
        [n, m] float64 in [0, 1], 0 where masks do not overlap.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    """
    _check_pair(a, b)
    return _overlap(a, b, False)


def pairwise_bit_mask_ioa(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over the area of b of every pair of masks.

    Args:
        a: [n, h, w] bool.
        b: [m, h, w] bool, same device.
    Returns:
        [n, m] float64 in [0, 1], 0 where masks do not overlap.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
    Empty: n = 0 or m = 0 gives an [n, m] tensor.
    """
    _check_pair(a, b)
    return _overlap(a, b, True)


def _check_masks(name: str, masks: Tensor) -> None:
    _check.check_dtype(name, _check.check_shape(name, masks, "n", "h", "w"), torch.bool)
    check_size(name, (masks.shape[1], masks.shape[2]))


def _check_pair(a: Tensor, b: Tensor) -> None:
    _check_masks("a", a)
    _check_masks("b", b)
    if a.shape[1:] != b.shape[1:]:
        raise ShapeError(f"b: expected masks of {list(a.shape[1:])}, got {list(b.shape[1:])}")
    _check.check_same_device(("a", "b"), (a, b))


def _components_on_cpu(masks: Tensor, connectivity: int) -> tuple[Tensor, Tensor]:
    counts, offsets = rle_encode(masks)
    labels = _backend.zeros(tuple(masks.shape), masks, torch.int32)
    numbers = _backend.cpu.label_pixels(
        _backend.array(counts),
        _backend.array(offsets),
        _backend.array(labels),
        connectivity,
        _backend.threads(),
    )
    return labels, torch.from_numpy(numbers)


def _components_on_cuda(masks: Tensor, connectivity: int) -> tuple[Tensor, Tensor]:
    masks = masks.contiguous()
    n, height, width = masks.shape
    stream = _backend.stream(masks)
    parents = masks.new_empty((n, width * height), dtype=torch.int32)
    _backend.cuda().find_components(masks, connectivity == 8, parents, stream)
    roots = parents == torch.arange(width * height, dtype=torch.int32, device=masks.device)
    ranks = roots.cumsum(1, dtype=torch.int32)
    labels = torch.empty(masks.shape, dtype=torch.int32, device=masks.device)
    _backend.cuda().label_components(parents, ranks, labels, stream)
    return labels, roots.sum(1)


def _components_fake(masks: Tensor, connectivity: int) -> tuple[Tensor, Tensor]:
    del connectivity
    labels = torch.empty_like(masks, dtype=torch.int32, memory_format=torch.contiguous_format)
    return labels, masks.new_empty((masks.shape[0],), dtype=torch.int64)


def _morphology_on_cpu(
    masks: Tensor, radius: int, neighbourhood: Neighbourhood, outside: bool, operation: str
) -> Tensor:
    size = (masks.shape[1], masks.shape[2])
    runs = rle_encode(masks)
    if operation == "boundary":
        return rle_decode(*rle_boundary(*runs, size, radius), size)
    work = rle_erode if operation == "erode" else rle_dilate
    return rle_decode(*work(*runs, size, radius, neighbourhood, outside=outside), size)


def _morphology_by_shifts(
    masks: Tensor, radius: int, neighbourhood: Neighbourhood, outside: bool, operation: str
) -> Tensor:
    """Work on whole images, for devices where pixels are cheap."""
    if operation == "dilate":
        return _grown_by_shifts(masks, radius, neighbourhood, outside)
    lost = _grown_by_shifts(~masks, radius, neighbourhood, not outside)
    return masks & lost if operation == "boundary" else lost.logical_not_()


def _grown_by_shifts(
    masks: Tensor, radius: int, neighbourhood: Neighbourhood, outside: bool
) -> Tensor:
    height, width = masks.shape[1:]
    radius = min(radius, height + width)  # farther than any two pixels are apart
    if neighbourhood == "square":
        grown = _near_along(_near_along(masks, 1, radius), 2, radius)
    else:
        grown = _near_along(masks, 1, radius)
        for dx in range(1, min(radius + 1, width)):
            column = _near_along(masks, 1, _half_height(neighbourhood, radius, dx))
            grown[:, :, dx:] |= column[:, :, :-dx]
            grown[:, :, :-dx] |= column[:, :, dx:]
    if outside and radius > 0:
        # Every neighbourhood has arms of the radius, and no pixel beyond their reach.
        for dim in (1, 2):
            reach = min(radius, grown.shape[dim])
            grown.narrow(dim, 0, reach).fill_(True)
            grown.narrow(dim, grown.shape[dim] - reach, reach).fill_(True)
    return grown


def _near_along(masks: Tensor, dim: int, radius: int) -> Tensor:
    """Whether a pixel at most `radius` away along a dimension is set: windows double in size."""
    near = masks.clone()
    length = masks.shape[dim]
    for sign in (1, -1):
        window = masks
        size = 1
        wanted = min(radius, length) + 1
        while size < wanted:
            step = min(size, wanted - size)
            size += step
            if step >= length:
                break
            wider = window.clone()
            kept, source = (step, 0) if sign == 1 else (0, step)
            wider.narrow(dim, kept, length - step).logical_or_(
                window.narrow(dim, source, length - step)
            )
            window = wider
        near |= window
    return near


def _half_height(neighbourhood: Neighbourhood, radius: int, dx: int) -> int:
    if neighbourhood == "diamond":
        return radius - dx
    return math.isqrt(radius * radius - dx * dx)


def _morphology_fake(
    masks: Tensor, radius: int, neighbourhood: Neighbourhood, outside: bool, operation: str
) -> Tensor:
    del radius, neighbourhood, outside, operation
    return torch.empty_like(masks, memory_format=torch.contiguous_format)


def _overlap_on_cpu(a: Tensor, b: Tensor, over_b: bool) -> Tensor:
    overlap = pairwise_rle_ioa if over_b else pairwise_rle_iou
    return overlap(*rle_encode(a), *rle_encode(b), height=a.shape[1])


def _overlap_by_products(a: Tensor, b: Tensor, over_b: bool) -> Tensor:
    """Count common pixels by matrix products, a stretch of pixels at a time."""
    a, b = a.flatten(1), b.flatten(1)
    common = torch.zeros((len(a), len(b)), dtype=torch.float64, device=a.device)
    step = max(1, min(_PIXELS_PER_PRODUCT, _NUMBERS_PER_PRODUCT // max(1, len(a) + len(b))))
    # Zeros and ones are exact in every format that a product may round its factors to, and sums
    # are float32; but autocast would round the result.
    with torch.autocast(a.device.type, enabled=False):
        for start in range(0, a.shape[1], step):
            ours, theirs = (pixels[:, start : start + step].float() for pixels in (a, b))
            common += (ours @ theirs.T).double()
    areas = b.sum(1).double().expand_as(common)
    whole = areas if over_b else a.sum(1).double()[:, None] + areas - common
    return common / whole.clamp(min=1)


def _overlap_fake(a: Tensor, b: Tensor, over_b: bool) -> Tensor:
    del over_b
    return a.new_empty((a.shape[0], b.shape[0]), dtype=torch.float64)


_components = register(
    "bit_mask_components(Tensor masks, int connectivity) -> (Tensor, Tensor)",
    cpu=_components_on_cpu,
    cuda=_components_on_cuda,
    fake=_components_fake,
)
_morphology = register(
    "bit_mask_morphology(Tensor masks, SymInt radius, str neighbourhood, bool outside, "
    "str operation) -> Tensor",
    cpu=_morphology_on_cpu,
    cuda=_morphology_by_shifts,
    fake=_morphology_fake,
)
_overlap = register(
    "pairwise_bit_mask_overlap(Tensor a, Tensor b, bool over_b) -> Tensor",
    cpu=_overlap_on_cpu,
    cuda=_overlap_by_products,
    fake=_overlap_fake,
)
