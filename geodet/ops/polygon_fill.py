"""Polygons to dense masks: COCO's pixels in an image or in boxes, and exact coverage.

Polygon masks come as the four levels of `geodet.ops.polygons`: points, rings, parts, masks.

Letters in shapes: p points, r rings, q parts, n masks, s cells along a side.
"""

# ruff: noqa: PLR0917 - kernels take what their schema lists, by position
import torch
from torch import Tensor

from geodet import _check
from geodet.errors import DtypeError, InvalidValueError
from geodet.ops import _backend, _rle_cuda
from geodet.ops._library import register
from geodet.ops._rle_batch import check_size, cpu_only
from geodet.ops.polygons import check_polygons

__all__ = ["polygon_coverage", "polygon_roi_targets", "polygons_to_bit_masks"]

# Detectron2 and COCO's tools never divide by a box side shorter than this.
_MIN_BOX_SIDE_PX = 0.1


def polygons_to_bit_masks(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    size_hw: tuple[int, int],
) -> Tensor:
    """Dense masks of polygons; the pixels of `polygons_to_rle`, which are COCO's.

    Memory away from the polygons is not touched before somebody reads it.

    Args:
        points: [p, 2] float64, x and y in pixels, anywhere up to 1e8 from the image.
        ring_offsets: [r + 1] int64, rising from 0 to p; a ring of fewer than three points covers
            nothing.
        part_offsets: [q + 1] int64, from 0 to r; every part has an outline ring.
        mask_offsets: [n + 1] int64, from 0 to q.
        size_hw: height and width of the masks.
    Returns:
        [n, h, w] bool.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a coordinate is not finite or too far away (the message names the ring),
            or offsets do not rise as they should.
    Empty: n = 0 gives [0, h, w]; a mask of no parts has no pixel set.
    """
    check_polygons(points, ring_offsets, part_offsets, mask_offsets)
    height, width = check_size("size_hw", size_hw)
    return _polygons_to_bit_masks(points, ring_offsets, part_offsets, mask_offsets, height, width)


def polygon_roi_targets(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    xyxy: Tensor,
    side: int,
) -> Tensor:
    """Masks moved and scaled from their boxes to a small square, and rasterised there as COCO does.

    The outlines are scaled exactly; only the last step rounds to pixels.

    Args:
        points: [p, 2] float64, x and y in pixels.
        ring_offsets: [r + 1] int64, rising from 0 to p.
        part_offsets: [q + 1] int64, from 0 to r; every part has an outline ring.
        mask_offsets: [n + 1] int64, from 0 to q.
        xyxy: [n, 4] floating point, a box for every mask in the same pixels and on the same device;
            a side shorter than 0.1 counts as 0.1.
        side: rows and columns of the result.
    Returns:
        [n, side, side] bool.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: `side` is smaller than 1, offsets do not rise as they should, or a
            coordinate is not finite or beyond 1e8 cells once it is moved (the mask is named).
    Empty: n = 0 gives [0, side, side].
    """
    check_polygons(points, ring_offsets, part_offsets, mask_offsets)
    _check.check_floating("xyxy", _check.check_shape("xyxy", xyxy, len(mask_offsets) - 1, 4))
    _check.check_same_device(("points", "xyxy"), (points, xyxy))
    if side < 1:
        raise InvalidValueError(f"side: expected at least 1, got {side}")
    check_size("side", (side, side))
    return _polygon_roi_targets(
        points, ring_offsets, part_offsets, mask_offsets, xyxy.double(), side
    )


def polygon_coverage(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    size_hw: tuple[int, int],
    *,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Share of every pixel that a polygon mask covers, from areas and not from samples.

    A part covers what its outline does without what its holes do; the parts of a mask add up, and
    the sum ends at 1. Exact, to 1e-9 for coordinates up to 1e6 and then to the rounding of
    `dtype`, where rings do not cross themselves, holes lie in their outline and apart, and parts
    do not overlap: the sum over all pixels is then the area inside the image. Where parts overlap,
    their shares still add up: a pixel is then never told less than it has, and never more than 1.
    Where a ring winds around a place twice, it counts twice. Memory away from the polygons is not
    touched before somebody reads it.

    Args:
        points: [p, 2] float64, x and y in pixels, at most 1e8 from the origin; on the CPU.
        ring_offsets: [r + 1] int64, rising from 0 to p.
        part_offsets: [q + 1] int64, from 0 to r; every part has an outline ring.
        mask_offsets: [n + 1] int64, from 0 to q.
        size_hw: height and width of the masks.
        dtype: float32 or float64.
    Returns:
        [n, h, w] of `dtype` in [0, 1].
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above, or `dtype` is another.
        InvalidValueError: a coordinate is not finite or too far away (the message names the ring),
            or offsets do not rise as they should.
        BackendError: the tensors are on a GPU.
    Empty: n = 0 gives [0, h, w]; a mask of no parts covers nothing.
    """
    check_polygons(points, ring_offsets, part_offsets, mask_offsets)
    height, width = check_size("size_hw", size_hw)
    if dtype not in {torch.float32, torch.float64}:
        raise DtypeError(f"dtype: expected torch.float32 or torch.float64, got {dtype}")
    return _polygon_coverage(
        points, ring_offsets, part_offsets, mask_offsets, height, width, dtype == torch.float64
    )


def _masks_on_cpu(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    height: int,
    width: int,
) -> Tensor:
    # Before memory is asked for: broken outlines often come with absurd sizes.
    _backend.cpu.ring_check(_backend.array(points), _backend.array(ring_offsets), True)
    masks = _backend.zeros((len(mask_offsets) - 1, height, width), points, torch.bool)
    _backend.cpu.fill_polygons(
        _backend.array(points),
        _backend.array(ring_offsets),
        _backend.array(part_offsets),
        _backend.array(mask_offsets),
        _backend.array(masks),
        _backend.threads(),
    )
    return masks


def _masks_on_cuda(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    height: int,
    width: int,
) -> Tensor:
    runs = _rle_cuda.polygons(points, ring_offsets, part_offsets, mask_offsets, height, width)
    return _rle_cuda.decode(*runs, height, width)


def _masks_fake(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    height: int,
    width: int,
) -> Tensor:
    del ring_offsets, part_offsets
    return points.new_empty((mask_offsets.shape[0] - 1, height, width), dtype=torch.bool)


def _targets_on_cpu(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    xyxy: Tensor,
    side: int,
) -> Tensor:
    targets = _backend.zeros((len(mask_offsets) - 1, side, side), points, torch.bool)
    _backend.cpu.fill_polygon_rois(
        _backend.array(points),
        _backend.array(ring_offsets),
        _backend.array(part_offsets),
        _backend.array(mask_offsets),
        _backend.array(xyxy),
        _MIN_BOX_SIDE_PX,
        _backend.array(targets),
        _backend.threads(),
    )
    return targets


def _targets_on_cuda(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    xyxy: Tensor,
    side: int,
) -> Tensor:
    of_point = torch.arange(len(mask_offsets) - 1, device=points.device)
    for offsets in (mask_offsets, part_offsets, ring_offsets):
        of_point = torch.repeat_interleave(of_point, offsets.diff())
    scales = side / (xyxy[:, 2:] - xyxy[:, :2]).clamp(min=_MIN_BOX_SIDE_PX)
    moved = (points - xyxy[of_point, :2]) * scales[of_point]
    return _masks_on_cuda(moved, ring_offsets, part_offsets, mask_offsets, side, side)


def _targets_fake(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    xyxy: Tensor,
    side: int,
) -> Tensor:
    del ring_offsets, part_offsets, xyxy
    return points.new_empty((mask_offsets.shape[0] - 1, side, side), dtype=torch.bool)


def _coverage_on_cpu(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    height: int,
    width: int,
    double: bool,
) -> Tensor:
    dtype = torch.float64 if double else torch.float32
    _backend.cpu.ring_check(_backend.array(points), _backend.array(ring_offsets), True)
    coverage = _backend.zeros((len(mask_offsets) - 1, height, width), points, dtype)
    kernel = (
        _backend.cpu.polygon_coverage_float64 if double else _backend.cpu.polygon_coverage_float32
    )
    kernel(
        _backend.array(points),
        _backend.array(ring_offsets),
        _backend.array(part_offsets),
        _backend.array(mask_offsets),
        _backend.array(coverage),
        _backend.threads(),
    )
    return coverage


def _coverage_fake(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    height: int,
    width: int,
    double: bool,
) -> Tensor:
    del ring_offsets, part_offsets
    dtype = torch.float64 if double else torch.float32
    return points.new_empty((mask_offsets.shape[0] - 1, height, width), dtype=dtype)


_polygons_to_bit_masks = register(
    "polygons_to_bit_masks(Tensor points, Tensor ring_offsets, Tensor part_offsets, "
    "Tensor mask_offsets, SymInt height, SymInt width) -> Tensor",
    cpu=_masks_on_cpu,
    cuda=_masks_on_cuda,
    fake=_masks_fake,
)
_polygon_roi_targets = register(
    "polygon_roi_targets(Tensor points, Tensor ring_offsets, Tensor part_offsets, "
    "Tensor mask_offsets, Tensor xyxy, SymInt side) -> Tensor",
    cpu=_targets_on_cpu,
    cuda=_targets_on_cuda,
    fake=_targets_fake,
)
_polygon_coverage = register(
    "polygon_coverage(Tensor points, Tensor ring_offsets, Tensor part_offsets, "
    "Tensor mask_offsets, SymInt height, SymInt width, bool double) -> Tensor",
    cpu=_coverage_on_cpu,
    cuda=cpu_only("polygon_coverage"),
    fake=_coverage_fake,
)
