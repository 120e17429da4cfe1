"""The CUDA side of the operators on run lengths and polygons.

Batches are checked by the very code that checks them on the CPU: run lengths are few, and results
of unknown length wait for the GPU anyway.
"""

# ruff: noqa: PLR0917 - kernels take what their schema lists, by position
from collections.abc import Callable

import torch
from torch import Tensor

from geodet.errors import InvalidValueError
from geodet.ops import _backend, _rle_batch, _run_events
from geodet.ops._rle_batch import FlatRle

__all__ = [
    "area",
    "areas",
    "boxes",
    "combine_rows",
    "decode",
    "encode",
    "iou",
    "matched_intersection",
    "paste",
    "polygons",
    "reduce",
    "remap",
]


def encode(masks: Tensor) -> FlatRle:
    """Run lengths of dense masks."""
    masks = masks.detach().contiguous()
    stream = _backend.stream(masks)
    return _from_columns(
        masks,
        tuple(masks.shape),
        lambda changes: _backend.cuda().rle_encode_count(masks, changes, stream),
        lambda starts, positions: _backend.cuda().rle_encode_fill(
            masks, starts.flatten(), positions, stream
        ),
    )


def paste(
    probabilities: Tensor, boxes: Tensor, height: int, width: int, threshold: float
) -> FlatRle:
    """Run lengths of masks pasted into upright or rotated boxes: no full-size mask is made."""
    probabilities, boxes = probabilities.detach().contiguous(), boxes.detach().contiguous()
    rows, cuda, stream = len(probabilities), _backend.cuda(), _backend.stream(probabilities)
    if height * width == 0:
        counts = torch.zeros(rows, dtype=torch.int32, device=boxes.device)
        return counts, torch.arange(rows + 1, device=boxes.device)
    given = probabilities, boxes, height, threshold
    return _from_columns(
        probabilities,
        (rows, height, width),
        lambda changes: cuda.paste_runs_count(*given, changes, stream),
        lambda starts, positions: cuda.paste_runs_fill(*given, starts, positions, stream),
    )


def decode(counts: Tensor, offsets: Tensor, height: int, width: int) -> Tensor:
    """Dense masks from run lengths."""
    counts, offsets = counts.contiguous(), offsets.contiguous()
    _check(counts, offsets, height * width)
    shape = (len(offsets) - 1, height, width)
    masks = torch.empty(shape, dtype=torch.bool, device=counts.device)
    ends = _ends(counts, offsets)
    _backend.cuda().rle_decode(counts, offsets, ends, masks, _backend.stream(counts))
    return masks


def area(counts: Tensor, offsets: Tensor) -> Tensor:
    """Number of set pixels of every mask."""
    counts, offsets = counts.contiguous(), offsets.contiguous()
    _check(counts, offsets)
    result = offsets.new_empty(len(offsets) - 1)
    _backend.cuda().rle_area(counts, offsets, result, _backend.stream(counts))
    return result


def boxes(counts: Tensor, offsets: Tensor, height: int) -> Tensor:
    """Tightest box around the set pixels of every mask."""
    counts, offsets = counts.contiguous(), offsets.contiguous()
    pixels = _check(counts, offsets)
    if pixels > 0 and (height == 0 or pixels % height != 0):
        raise InvalidValueError(f"height: masks of {pixels} pixels do not have {height} rows")
    result = torch.empty((len(offsets) - 1, 4), dtype=torch.float32, device=counts.device)
    _backend.cuda().rle_boxes(counts, offsets, height, result, _backend.stream(counts))
    return result


def iou(
    a_counts: Tensor,
    a_offsets: Tensor,
    b_counts: Tensor,
    b_offsets: Tensor,
    is_crowd: Tensor | None,
    height: int,
) -> Tensor:
    """Overlap of every pair of masks."""
    a = a_counts.contiguous(), a_offsets.contiguous()
    b = b_counts.contiguous(), b_offsets.contiguous()
    pixels = _check_pair(a, b)
    if len(a_offsets) > 1 and height > 0 and pixels % height != 0:
        raise InvalidValueError(f"height: masks of {pixels} pixels do not have {height} rows")
    n, m = len(a_offsets) - 1, len(b_offsets) - 1
    scratch = a_offsets.new_empty((n + m, 4))
    result = torch.empty((n, m), dtype=torch.float64, device=a_counts.device)
    _backend.cuda().pairwise_rle_iou(
        *a,
        _ends(*a),
        *b,
        _ends(*b),
        None if is_crowd is None else is_crowd.contiguous(),
        height,
        scratch,
        result,
        _backend.stream(a_counts),
    )
    return result


def reduce(counts: Tensor, offsets: Tensor, group_offsets: Tensor, intersect: bool) -> FlatRle:
    """Union or intersection of the masks of each group."""
    pixels = _check(counts, offsets)
    sizes = group_offsets.diff()
    rows = len(offsets) - 1
    ends = (int(group_offsets[0]), int(group_offsets[-1]))
    if ends != (0, rows) or bool((sizes < 0).any()):
        raise InvalidValueError(
            f"group_offsets: expected to rise from 0 to the number of masks, {rows}"
        )
    thresholds = sizes if intersect else torch.ones_like(sizes)
    return _run_events.combine(
        (counts, offsets), group_offsets, torch.ones_like(offsets[1:]), thresholds, pixels
    )


def combine_rows(
    a_counts: Tensor, a_offsets: Tensor, b_counts: Tensor, b_offsets: Tensor, operation: str
) -> FlatRle:
    """Row by row, union, intersection or difference of two masks."""
    a, b = (a_counts, a_offsets), (b_counts, b_offsets)
    return _run_events.combine_rows(a, b, operation, _check_pair(a, b))


def matched_intersection(
    a_counts: Tensor, a_offsets: Tensor, b_counts: Tensor, b_offsets: Tensor
) -> Tensor:
    """Row by row, the number of pixels that both masks set."""
    common = combine_rows(a_counts, a_offsets, b_counts, b_offsets, "intersection")
    return area(*common)


def remap(
    counts: Tensor, offsets: Tensor, width: int, columns: Tensor, rows: Tensor, new_height: int
) -> FlatRle:
    """Columns and rows of masks moved: crops, mirrors and nearest resizes."""
    counts, offsets = counts.contiguous(), offsets.contiguous()
    columns, rows = columns.contiguous(), rows.contiguous()
    _check_map(columns.cpu(), rows.cpu(), width, new_height)
    masks, new_width = len(offsets) - 1, len(columns)
    _check(counts, offsets, (len(rows) - 1) * width)
    if new_height * new_width == 0:
        return counts.new_zeros(masks), torch.arange(masks + 1, device=counts.device)
    cuda, stream = _backend.cuda(), _backend.stream(counts)
    given = counts, offsets, _ends(counts, offsets), columns, rows, width, new_height
    return _from_columns(
        counts,
        (masks, new_height, new_width),
        lambda changes: cuda.rle_remap_count(*given, changes, stream),
        lambda starts, positions: cuda.rle_remap_fill(*given, starts, positions, stream),
    )


def polygons(
    points: Tensor,
    ring_offsets: Tensor,
    part_offsets: Tensor,
    mask_offsets: Tensor,
    height: int,
    width: int,
) -> FlatRle:
    """Run lengths of polygon masks."""
    points, ring_offsets = points.detach().contiguous(), ring_offsets.contiguous()
    _backend.cpu.ring_check(_host(points), _host(ring_offsets), True)
    _rle_batch.check_levels(part_offsets.cpu(), mask_offsets.cpu(), len(ring_offsets) - 1)
    num_rings = len(ring_offsets) - 1
    of_ring = torch.arange(num_rings, device=points.device)
    point_rings = torch.repeat_interleave(of_ring, ring_offsets.diff())
    crossings = torch.empty_like(point_rings)
    stream = _backend.stream(points)
    # Without rows there is nothing to cross.
    crossed_width = width if height > 0 else 0
    _backend.cuda().edge_crossings(
        points, ring_offsets, point_rings, crossed_width, crossings, stream
    )
    ends = crossings.cumsum(0)
    positions = ends.new_empty(int(ends[-1]) if len(ends) else 0)
    _backend.cuda().fill_crossings(
        points,
        ring_offsets,
        point_rings,
        height,
        crossed_width,
        (ends - crossings).contiguous(),
        positions,
        stream,
    )
    rows = torch.repeat_interleave(point_rings, crossings)
    rings = _run_events.from_changes(rows, positions, num_rings, height * width)
    return _run_events.compose_parts(rings, part_offsets, mask_offsets, height * width)


def areas(points: Tensor, ring_offsets: Tensor) -> Tensor:
    """Signed area of every ring."""
    points, ring_offsets = points.detach().contiguous(), ring_offsets.contiguous()
    _backend.cpu.ring_check(_host(points), _host(ring_offsets), False)
    result = points.new_empty(len(ring_offsets) - 1)
    _backend.cuda().ring_areas(points, ring_offsets, result, _backend.stream(points))
    return result


def _from_columns(
    like: Tensor,
    shape: tuple[int, ...],
    count: Callable[[Tensor], object],
    fill: Callable[[Tensor, Tensor], object],
) -> FlatRle:
    """Masks of `shape` from kernels that count and list the changes of each column.

    Args:
        like: a tensor on the device.
        shape: n, h, w.
        count: writes the number of changes into [n, w] int32.
        fill: writes positions [e] int64 of all changes; the first argument, [n, w] int64, says
            where those of each column begin.
    """
    rows, height, width = shape
    changes = torch.empty((rows, width), dtype=torch.int32, device=like.device)
    count(changes)
    ends = changes.flatten().cumsum(0, dtype=torch.int64)
    starts = (ends - changes.flatten()).reshape(rows, width)
    positions = ends.new_empty(int(ends[-1]) if len(ends) else 0)
    fill(starts, positions)
    of_mask = torch.arange(rows, device=like.device)
    change_rows = torch.repeat_interleave(of_mask, changes.sum(dim=1, dtype=torch.int64))
    return _run_events.from_changes(change_rows, positions, rows, height * width)


def _host(tensor: Tensor) -> _backend.Array:
    return _backend.array(tensor.cpu())


def _check(counts: Tensor, offsets: Tensor, num_pixels: int = -1, name: str = "") -> int:
    pixels: int = _backend.cpu.rle_check(_host(counts), _host(offsets), num_pixels, name)
    return pixels


def _check_pair(a: FlatRle, b: FlatRle) -> int:
    pixels = _check(*a, name="a")
    return _check(*b, pixels if len(a[1]) > 1 else -1, name="b")


def _check_map(columns: Tensor, rows: Tensor, width: int, new_height: int) -> None:
    steps = rows.diff()
    ends = sorted((int(rows[0]), int(rows[-1]))) if len(rows) else []
    if (
        columns.dtype != torch.int32
        or rows.dtype != torch.int32
        or bool(((columns < 0) | (columns >= width)).any())
        or ends != [0, new_height]
        or not (bool((steps >= 0).all()) or bool((steps <= 0).all()))
        or len(columns) * new_height > _rle_batch.MAX_PIXELS
    ):
        raise InvalidValueError("columns, rows: not a map between masks of these sizes")


def _ends(counts: Tensor, offsets: Tensor) -> Tensor:
    ends = torch.empty_like(counts)
    _backend.cuda().rle_ends(counts, offsets, ends, _backend.stream(counts))
    return ends
