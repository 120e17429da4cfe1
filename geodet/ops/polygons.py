"""Polygons to run lengths, pixel for pixel as COCO rasterises them, and areas of rings.

A flat batch of polygon masks is four levels: `points` [p, 2] x, y in continuous pixels; rings are
stretches of points, closed by themselves; a part is an outline ring minus the rings after it, its
holes; a mask is the union of its parts. Each level is told by offsets into the one before.

Letters in shapes: p points, r rings, q parts, n masks.
"""

# ruff: noqa: PLR0917 - kernels take what their schema lists, by position
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geodet import _check
from geodet.ops import _backend, _rle_cuda
from geodet.ops._library import register
from geodet.ops._rle_batch import (
    FlatRle,
    as_tensors,
    check_levels,
    check_offsets,
    check_size,
    fake_batch,
)

__all__ = ["polygons_to_rle", "ring_areas"]

Rows = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]


def polygons_to_rle(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    size_hw: tuple[int, int],
) -> FlatRle:
    """Run lengths of polygon masks; bit-equal to COCO's own rasteriser where there are no holes.

    Memory and time grow with the points and with the columns of the image that edges cross, not
    with the length of the edges.

    Args:
        points: [p, 2] float64, x and y in pixels, anywhere up to 1e8 from the image.
        ring_offsets: [r + 1] int64, rising from 0 to p; a ring of fewer than three points covers
            nothing.
        part_offsets: [q + 1] int64, from 0 to r; every part has an outline ring.
        mask_offsets: [n + 1] int64, from 0 to q.
        size_hw: height and width of the masks.
    Returns:
        counts [t] int32 and offsets [n + 1] int64, canonical.
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: a coordinate is not finite or too far away (the message names the ring),
            or offsets do not rise as they should.
    Empty: n = 0 gives a batch of none; a mask of no parts has no pixel set.
    """
    check_polygons(points, ring_offsets, part_offsets, mask_offsets)
    height, width = check_size("size_hw", size_hw)
    return _polygons_to_rle(points, ring_offsets, part_offsets, mask_offsets, height, width)


def ring_areas(points: Tensor, ring_offsets: Tensor) -> Tensor:
    """Signed area of every ring (shoelace).

    Args:
        points: [p, 2] float64, x and y in pixels.
        ring_offsets: [r + 1] int64, rising from 0 to p, same device.
    Returns:
        [r] float64 in square pixels, positive for rings that run clockwise on the screen (y down).
    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are not as above.
        InvalidValueError: the offsets do not rise from 0 to p.
    Empty: r = 0 gives [0]; a ring of fewer than three points has area 0.
    """
    check_rings(points, ring_offsets)
    return _ring_areas(points, ring_offsets)


def check_polygons(
    points: Tensor, ring_offsets: Tensor, part_offsets: Tensor, mask_offsets: Tensor
) -> None:
    """Check type, rank and device of the four levels; the core checks their values.

    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are no polygon masks.
    """
    check_rings(points, ring_offsets)
    check_offsets("part_offsets", part_offsets)
    check_offsets("mask_offsets", mask_offsets)
    names = ("points", "ring_offsets", "part_offsets", "mask_offsets")
    _check.check_same_device(names, (points, ring_offsets, part_offsets, mask_offsets))


def check_rings(points: Tensor, ring_offsets: Tensor) -> None:
    """Check type, rank and device of points and ring offsets; the core checks their values.

    Raises:
        ShapeError, DtypeError, DeviceError: the tensors are no rings.
    """
    _check.check_dtype("points", _check.check_shape("points", points, "p", 2), torch.float64)
    check_offsets("ring_offsets", ring_offsets)
    _check.check_same_device(("points", "ring_offsets"), (points, ring_offsets))


def _select(batch: Rows, chosen: npt.NDArray[np.bool_]) -> Rows:
    counts, offsets = batch
    lengths = np.diff(offsets)
    kept = counts[np.repeat(chosen, lengths)]
    return kept, np.concatenate([[0], np.cumsum(lengths[chosen])])


def _polygons_on_cpu(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    height: int,
    width: int,
) -> FlatRle:
    parts: npt.NDArray[Any] = _backend.array(part_offsets)
    masks: npt.NDArray[Any] = _backend.array(mask_offsets)
    check_levels(part_offsets, mask_offsets, len(ring_offsets) - 1)
    threads = _backend.threads()
    batch: Rows = _backend.cpu.rasterize_rings(
        _backend.array(points), _backend.array(ring_offsets), height, width, threads
    )
    num_parts = len(parts) - 1
    if num_parts < len(ring_offsets) - 1:
        is_outline = np.zeros(len(ring_offsets) - 1, dtype=np.bool_)
        is_outline[parts[:-1]] = True
        holes = _backend.cpu.rle_reduce(
            *_select(batch, ~is_outline),
            parts - np.arange(num_parts + 1),
            False,
            height * width,
            threads,
        )
        outlines = _select(batch, is_outline)
        batch = _backend.cpu.rle_combine(*outlines, *holes, "difference", threads)
    if (np.diff(masks) != 1).any():
        batch = _backend.cpu.rle_reduce(*batch, masks, False, height * width, threads)
    return as_tensors(batch)


def _polygons_fake(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    height: int,
    width: int,
) -> FlatRle:
    del ring_offsets, part_offsets, height, width
    return fake_batch(points, mask_offsets.shape[0] - 1)


def _areas_on_cpu(points: Tensor, ring_offsets: Tensor) -> Tensor:
    return torch.from_numpy(
        _backend.cpu.ring_areas(_backend.array(points), _backend.array(ring_offsets))
    )


def _areas_fake(points: Tensor, ring_offsets: Tensor) -> Tensor:
    return points.new_empty((ring_offsets.shape[0] - 1,))


_polygons_to_rle = register(
    "polygons_to_rle(Tensor points, Tensor ring_offsets, Tensor part_offsets, "
    "Tensor mask_offsets, SymInt height, SymInt width) -> (Tensor, Tensor)",
    cpu=_polygons_on_cpu,
    cuda=_rle_cuda.polygons,
    fake=_polygons_fake,
)
_ring_areas = register(
    "ring_areas(Tensor points, Tensor ring_offsets) -> Tensor",
    cpu=_areas_on_cpu,
    cuda=_rle_cuda.areas,
    fake=_areas_fake,
)
