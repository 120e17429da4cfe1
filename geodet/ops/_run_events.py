"""Set operations on run lengths as sorts and sums of tensors, for devices without loops.

A mask is a set of intervals of positions; each has a weight, +weight where it starts and -weight
where it stops. Summing those over a group of masks tells at every position how much weight covers
it, and a threshold on that sum is a union (1), an intersection (the number of masks) or, with
negative weights, a difference. O(t log t) whatever the masks.
"""

import torch
from torch import Tensor

from geodet.ops._rle_batch import FlatRle

__all__ = ["combine", "combine_rows", "compose_parts", "from_changes"]


def from_changes(rows: Tensor, positions: Tensor, num_rows: int, num_pixels: int) -> FlatRle:
    """Return the masks that change at the given positions; changes that meet cancel out.

    Args:
        rows: [e] int64, the mask of each change, in any order.
        positions: [e] int64, 0 to num_pixels.
        num_rows: number of masks.
        num_pixels: of each mask.
    """
    keys = (rows * (num_pixels + 1) + positions)[positions < num_pixels]
    keys, repeats = torch.unique(keys, return_counts=True)
    keys = keys[repeats % 2 == 1]
    rows, positions = keys // (num_pixels + 1), keys % (num_pixels + 1)
    lengths = torch.bincount(rows, minlength=num_rows) + 1
    offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    # One more change ends each mask: e + num_rows in all.
    ends = positions.new_full((len(keys) + num_rows,), num_pixels)
    ends[torch.arange(len(keys), device=keys.device) + rows] = positions
    begins = torch.cat([ends.new_zeros(1), ends[:-1]]) if len(ends) else ends
    begins[offsets[:-1]] = 0
    return (ends - begins).to(torch.int32), offsets


def combine(
    batch: FlatRle, group_offsets: Tensor, weights: Tensor, thresholds: Tensor, num_pixels: int
) -> FlatRle:
    """Return one mask a group: the positions that at least a threshold of weight covers.

    Args:
        batch: n masks of num_pixels.
        group_offsets: [g + 1] int64, rising from 0 to n.
        weights: [n] int64.
        thresholds: [g] int64; 0 or less covers every position of a group of no masks.
        num_pixels: of each mask.
    """
    num_groups = len(thresholds)
    groups = _rows_of(group_offsets)
    rows, starts, stops = _intervals(batch)
    base = groups[rows] * (num_pixels + 1)
    keys = torch.cat([base + starts, base + stops])
    changes = torch.cat([weights[rows], -weights[rows]])
    keys, where = torch.unique(keys, return_inverse=True)
    change = torch.zeros_like(keys).index_add_(0, where, changes)
    after = change.cumsum(0)
    group = keys // (num_pixels + 1)
    limit = thresholds[group]
    turns = (after >= limit) != (after - change >= limit)
    everywhere = torch.nonzero(thresholds <= 0).flatten()
    return from_changes(
        torch.cat([group[turns], everywhere]),
        torch.cat([(keys % (num_pixels + 1))[turns], torch.zeros_like(everywhere)]),
        num_groups,
        num_pixels,
    )


def combine_rows(a: FlatRle, b: FlatRle, operation: str, num_pixels: int) -> FlatRle:
    """Return row by row the union, intersection or difference of a and b."""
    rows = len(a[1]) - 1
    pairs = torch.arange(rows + 1, device=a[1].device) * 2
    order = torch.arange(2 * rows, device=a[1].device).reshape(2, rows).T.flatten()
    both = _take_rows((torch.cat([a[0], b[0]]), torch.cat([a[1], b[1][1:] + a[1][-1]])), order)
    weights = torch.ones(2 * rows, dtype=torch.int64, device=pairs.device)
    if operation == "difference":
        weights[1::2] = -2
    thresholds = torch.full_like(pairs[1:], 2 if operation == "intersection" else 1)
    return combine(both, pairs, weights, thresholds, num_pixels)


def compose_parts(
    rings: FlatRle, part_offsets: Tensor, mask_offsets: Tensor, num_pixels: int
) -> FlatRle:
    """Return masks from rings: a part is its first ring minus the others, a mask all its parts."""
    parts = rings
    if len(part_offsets) < len(rings[1]):
        # No sum of outline (1) and holes (-2 each) is 1 inside of a hole.
        weights = part_offsets.new_full((len(rings[1]) - 1,), -2)
        weights[part_offsets[:-1]] = 1
        parts = combine(rings, part_offsets, weights, torch.ones_like(part_offsets[1:]), num_pixels)
    ones = torch.ones_like(part_offsets[1:])
    return combine(parts, mask_offsets, ones, torch.ones_like(mask_offsets[1:]), num_pixels)


def _rows_of(offsets: Tensor) -> Tensor:
    """Row of each element, from where rows begin."""
    lengths = offsets.diff()
    return torch.repeat_interleave(torch.arange(len(lengths), device=offsets.device), lengths)


def _intervals(batch: FlatRle) -> tuple[Tensor, Tensor, Tensor]:
    """Mask, start and stop of every run of ones."""
    counts, offsets = batch
    rows = _rows_of(offsets)
    totals = torch.cat([offsets.new_zeros(1), counts.cumsum(0, dtype=torch.int64)])
    stops = totals[1:] - totals[offsets[:-1]][rows]
    ones = (torch.arange(len(counts), device=counts.device) - offsets[rows]) % 2 == 1
    return rows[ones], (stops - counts)[ones], stops[ones]


def _take_rows(batch: FlatRle, order: Tensor) -> FlatRle:
    counts, offsets = batch
    lengths = offsets.diff()[order]
    taken = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    within = torch.arange(len(counts), device=counts.device) - torch.repeat_interleave(
        taken[:-1], lengths
    )
    return counts[torch.repeat_interleave(offsets[:-1][order], lengths) + within], taken
