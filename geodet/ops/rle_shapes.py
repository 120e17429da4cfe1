"""Shapes of masks as run lengths: connected components, contours and quarter turns.

Batches are as in `geodet.ops.rle`; every result is canonical. Nothing becomes dense: times are
for one mask of s set stretches of columns and height h, unless said otherwise.
"""

# ruff: noqa: PLR0917 - kernels take what their schema lists, by position
import torch
from torch import Tensor

from geodet.errors import InvalidValueError
from geodet.ops import _backend
from geodet.ops._library import register
from geodet.ops._rle_batch import (
    FlatRle,
    as_tensors,
    check_batch,
    check_size,
    cpu_only,
    fake_batch,
)
from geodet.ops.rle_algebra import rle_crop, rle_flip

__all__ = ["check_connectivity", "rle_connected_components", "rle_contours", "rle_rotate_90"]

FlatPolygons = tuple[Tensor, Tensor, Tensor, Tensor]


def rle_connected_components(
    counts: Tensor, offsets: Tensor, size_hw: tuple[int, int], *, connectivity: int = 4
) -> tuple[Tensor, Tensor, Tensor]:
    """Each connected piece of every mask as a mask of its own; O(s) for all pieces together.

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, on the CPU as well.
        size_hw: height and width of the masks.
        connectivity: 4 when pixels are neighbours that share a side, 8 when also those that
            share a corner are.
    Returns:
        counts and offsets of c masks, and origins [c] int64, the row each piece comes from. They
        are ordered by row, then by their first pixel: leftmost column, then topmost row.
    Raises:
        ShapeError, DtypeError, DeviceError, BackendError: the tensors are not as above.
        InvalidValueError: the batch is not one of masks of this size, or the connectivity is
            another.
    Empty: n = 0 gives none; a mask with no set pixel gives no piece.
    """
    check_batch(counts, offsets)
    height, width = check_size("size_hw", size_hw)
    check_connectivity(connectivity)
    return _components(counts, offsets, height, width, connectivity)


def rle_contours(counts: Tensor, offsets: Tensor, size_hw: tuple[int, int]) -> FlatPolygons:
    """Outlines of every mask along the edges of its pixels, with holes; O(s + h).

    Exact: the polygons enclose the set pixels and nothing else. Corners have whole coordinates,
    and points on a straight line between their neighbours are left out. A part is one piece of
    pixels that share sides. No ring meets itself, parts touch at corners only, and so do the
    holes of a part: every part is a valid polygon.

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, on the CPU as well.
        size_hw: height and width of the masks.
    Returns:
        points [p, 2] float64, ring_offsets [r + 1], part_offsets [q + 1] and mask_offsets [n + 1],
        all int64, as `polygons_to_rle` takes them. The outline of a part comes first and runs
        clockwise on the screen, its holes counter-clockwise: set pixels lie to the right. Parts
        come in the order of `rle_connected_components`; a ring begins at the topmost of its
        leftmost corners, and the holes of a part are ordered by where they begin.
    Raises:
        ShapeError, DtypeError, DeviceError, BackendError: the tensors are not as above.
        InvalidValueError: the batch is not one of masks of this size.
    Empty: n = 0 gives no mask; a mask with no set pixel gives a mask of no parts.
    """
    check_batch(counts, offsets)
    height, width = check_size("size_hw", size_hw)
    return _contours(counts, offsets, height, width)


def rle_rotate_90(
    counts: Tensor, offsets: Tensor, size_hw: tuple[int, int], quarter_turns: int = 1
) -> FlatRle:
    """Every mask turned counter-clockwise as seen; O(s + stretches of rows + h).

    One quarter turn takes pixel (x, y) of a mask of width w to (y, w - 1 - x).

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, on the CPU as well.
        size_hw: height and width of the masks.
        quarter_turns: any whole number; negative ones turn clockwise.
    Returns:
        counts and offsets of n masks, of size (width, height) after an odd number of quarters.
    Raises:
        ShapeError, DtypeError, DeviceError, BackendError: the tensors are not as above.
        InvalidValueError: the batch is not one of masks of this size.
    Empty: n = 0 gives a batch of none.
    """
    check_batch(counts, offsets)
    height, width = check_size("size_hw", size_hw)
    quarters = int(quarter_turns) % 4
    if quarters % 2 == 1:
        return _turn(counts, offsets, height, width, quarters == 3, quarters == 1)
    if quarters == 0:
        return rle_crop(counts, offsets, (height, width), (0, 0, width, height))
    mirrored = rle_flip(counts, offsets, (height, width), horizontal=True)
    return rle_flip(*mirrored, (height, width), horizontal=False)


def check_connectivity(connectivity: int) -> None:
    """Check that a connectivity is 4 or 8.

    Raises:
        InvalidValueError: it is not.
    """
    if connectivity not in (4, 8):
        raise InvalidValueError(
            f"connectivity: expected 4 (sides) or 8 (sides and corners), got {connectivity}"
        )


def _components_on_cpu(
    counts: Tensor, offsets: Tensor, height: int, width: int, connectivity: int
) -> tuple[Tensor, Tensor, Tensor]:
    arrays = _backend.array(counts), _backend.array(offsets)
    pieces = _backend.cpu.rle_connected_components(
        *arrays, height, width, connectivity, _backend.threads()
    )
    return (*as_tensors(pieces[:2]), torch.from_numpy(pieces[2]))


def _components_fake(
    counts: Tensor, offsets: Tensor, height: int, width: int, connectivity: int
) -> tuple[Tensor, Tensor, Tensor]:
    del height, width, connectivity
    pieces = torch.library.get_ctx().new_dynamic_size()
    return (*fake_batch(counts, pieces), offsets.new_empty([pieces]))


def _contours_on_cpu(counts: Tensor, offsets: Tensor, height: int, width: int) -> FlatPolygons:
    arrays = _backend.array(counts), _backend.array(offsets)
    points, rings, parts, masks = _backend.cpu.rle_contours(
        *arrays, height, width, _backend.threads()
    )
    return (
        torch.from_numpy(points),
        torch.from_numpy(rings),
        torch.from_numpy(parts),
        torch.from_numpy(masks),
    )


def _contours_fake(counts: Tensor, offsets: Tensor, height: int, width: int) -> FlatPolygons:
    del height, width
    points, rings, parts = (torch.library.get_ctx().new_dynamic_size() for _ in range(3))
    return (
        counts.new_empty([points, 2], dtype=torch.float64),
        offsets.new_empty([rings]),
        offsets.new_empty([parts]),
        torch.empty_like(offsets),
    )


def _turn_on_cpu(
    counts: Tensor,
    offsets: Tensor,
    height: int,
    width: int,
    bottom_row_first: bool,
    right_end_first: bool,
) -> FlatRle:
    arrays = _backend.array(counts), _backend.array(offsets)
    return as_tensors(
        _backend.cpu.rle_turn(
            *arrays, height, width, bottom_row_first, right_end_first, _backend.threads()
        )
    )


def _turn_fake(
    counts: Tensor,
    offsets: Tensor,
    height: int,
    width: int,
    bottom_row_first: bool,
    right_end_first: bool,
) -> FlatRle:
    del height, width, bottom_row_first, right_end_first
    return fake_batch(counts, offsets.shape[0] - 1)


_components = register(
    "rle_connected_components(Tensor counts, Tensor offsets, SymInt height, SymInt width, "
    "int connectivity) -> (Tensor, Tensor, Tensor)",
    cpu=_components_on_cpu,
    cuda=cpu_only("rle_connected_components"),
    fake=_components_fake,
)
_contours = register(
    "rle_contours(Tensor counts, Tensor offsets, SymInt height, SymInt width)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    cpu=_contours_on_cpu,
    cuda=cpu_only("rle_contours"),
    fake=_contours_fake,
)
_turn = register(
    "rle_turn(Tensor counts, Tensor offsets, SymInt height, SymInt width, "
    "bool bottom_row_first, bool right_end_first) -> (Tensor, Tensor)",
    cpu=_turn_on_cpu,
    cuda=cpu_only("rle_rotate_90"),
    fake=_turn_fake,
)
