"""Which prediction meets which target: COCO's greedy matching, for all images at once.

Shapes: n predictions, g targets, e candidate pairs, T IoU thresholds, A area ranges.

Predictions arrive sorted by image, then class, then descending score; targets by image, then
class. A *group* is one class of one image, and only members of one group can meet. A pair under
the lowest threshold never matches, so a short list of pairs is kept instead of matrices; they
become matrices again a few groups at a time, for `ops.batched_match_greedily`.

Targets are known by row. COCO's own tool knows them by annotation id and takes id 0 for "no
match"; that quirk has no counterpart here.
"""

from collections.abc import Iterator
from itertools import pairwise

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

from geodet import ops

__all__ = ["CandidatePairs", "Matches", "box_candidates", "match_greedily"]

# Pairs whose IoU is computed at once: about 100 MB of float64 temporaries.
_PAIRS_PER_CHUNK = 1 << 20
# Matrix entries, and predictions, of the groups that are matched at once.
_ENTRIES_PER_CHUNK = 1 << 21
_PREDICTIONS_PER_CHUNK = 1 << 14


@attrs.frozen(kw_only=True, eq=False)
class CandidatePairs:
    """Pairs of one prediction and one target of the same image and class.

    Attributes:
        predictions: [e] int64 rows of predictions.
        targets: [e] int64 rows of targets.
        ious: [e] float64.
    """

    predictions: NDArray[np.int64]
    targets: NDArray[np.int64]
    ious: NDArray[np.float64]


@attrs.frozen(kw_only=True, eq=False)
class Matches:
    """What became of every prediction.

    Attributes:
        matched: [A, T, n] bool, the prediction met a target.
        ignored: [A, T, n] bool, that target is not counted (crowd, or outside the area range).
    """

    matched: NDArray[np.bool_]
    ignored: NDArray[np.bool_]


def box_candidates(
    pred_xywh: NDArray[np.float64],
    pred_groups: NDArray[np.int64],
    target_xywh: NDArray[np.float64],
    target_groups: NDArray[np.int64],
    target_crowd: NDArray[np.bool_],
    *,
    min_iou: float,
) -> CandidatePairs:
    """Pairs of boxes of one group whose IoU reaches `min_iou`.

    The arithmetic is the official tool's, in its order, in double precision. The IoU with a crowd
    is the intersection over the area of the prediction.

    Args:
        pred_xywh: [n, 4] left, top, width, height in pixels.
        pred_groups: [n] ascending.
        target_xywh: [g, 4].
        target_groups: [g] ascending.
        target_crowd: [g].
        min_iou: lowest IoU that is kept, above 0.
    Empty: n = 0 or g = 0 gives no pairs.
    """
    first = np.searchsorted(target_groups, pred_groups, side="left")
    counts = np.searchsorted(target_groups, pred_groups, side="right") - first
    parts = [
        _box_chunk(
            rows,
            first=first,
            counts=counts,
            pred_xywh=pred_xywh,
            target_xywh=target_xywh,
            target_crowd=target_crowd,
            min_iou=min_iou,
        )
        for rows in _row_chunks(counts)
    ]
    if not parts:
        none = np.zeros(0, np.int64)
        return CandidatePairs(predictions=none, targets=none, ious=np.zeros(0))
    return CandidatePairs(
        predictions=np.concatenate([part.predictions for part in parts]),
        targets=np.concatenate([part.targets for part in parts]),
        ious=np.concatenate([part.ious for part in parts]),
    )


def _row_chunks(counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Runs of prediction rows that have partners, about `_PAIRS_PER_CHUNK` pairs each."""
    rows = np.flatnonzero(counts)
    if len(rows) == 0:
        return
    chunk = (np.cumsum(counts[rows]) - 1) // _PAIRS_PER_CHUNK
    yield from np.split(rows, np.flatnonzero(np.diff(chunk)) + 1)


def _box_chunk(
    rows: NDArray[np.int64],
    *,
    first: NDArray[np.int64],
    counts: NDArray[np.int64],
    pred_xywh: NDArray[np.float64],
    target_xywh: NDArray[np.float64],
    target_crowd: NDArray[np.bool_],
    min_iou: float,
) -> CandidatePairs:
    """Candidate pairs of some prediction rows with their `counts` targets from `first` on."""
    here = counts[rows]
    ends = np.cumsum(here)
    predictions = np.repeat(rows, here)
    targets = np.arange(ends[-1]) + np.repeat(first[rows] - (ends - here), here)
    px, py, pw, ph = pred_xywh[predictions].T
    tx, ty, tw, th = target_xywh[targets].T
    widths = np.minimum(pw + px, tw + tx) - np.maximum(px, tx)
    heights = np.minimum(ph + py, th + ty) - np.maximum(py, ty)
    meet = np.flatnonzero((widths > 0) & (heights > 0))
    predictions, targets = predictions[meet], targets[meet]
    intersections = widths[meet] * heights[meet]
    pred_areas = pw[meet] * ph[meet]
    # Grouped as (a + b) - i: another order changes the last digit.
    unions = (pred_areas + tw[meet] * th[meet]) - intersections
    ious = intersections / np.where(target_crowd[targets], pred_areas, unions)
    keep = ious >= min_iou
    return CandidatePairs(predictions=predictions[keep], targets=targets[keep], ious=ious[keep])


def match_greedily(
    pairs: CandidatePairs,
    pred_groups: NDArray[np.int64],
    target_groups: NDArray[np.int64],
    target_ignored: NDArray[np.bool_],
    target_crowd: NDArray[np.bool_],
    *,
    iou_thresholds: NDArray[np.float64],
) -> Matches:
    """Give every prediction, best score first, the best target that is still free.

    A counted target goes before an ignored one, then the higher IoU, then the later row. A
    target serves one prediction, a crowd serves any number.

    Args:
        pairs: candidates, in any order.
        pred_groups: [n] ascending; within a group by descending score.
        target_groups: [g] ascending.
        target_ignored: [A, g] not counted in this area range; true for crowds in all.
        target_crowd: [g].
        iou_thresholds: [T] above 0, a pair matches at IoU >= threshold.
    Empty: no pairs, no matches.
    """
    shape = (len(target_ignored), len(iou_thresholds), len(pred_groups))
    matched = np.zeros(shape, np.bool_)
    ignored = np.zeros(shape, np.bool_)
    thresholds = torch.from_numpy(iou_thresholds)
    for part in _matrices(pairs, pred_groups, target_groups):
        columns = target_ignored[:, part.targets]
        meets = ops.batched_match_greedily(
            torch.from_numpy(part.ious),
            torch.from_numpy(part.pred_offsets),
            torch.from_numpy(part.target_offsets),
            thresholds,
            ignored=torch.from_numpy(columns),
            crowd=torch.from_numpy(target_crowd[part.targets]),
        ).numpy()
        met = meets >= 0
        matched[:, :, part.predictions] = met
        ignored[:, :, part.predictions] = met & np.take_along_axis(
            columns[:, None], np.maximum(meets, 0), axis=2
        )
    return Matches(matched=matched, ignored=ignored)


@attrs.frozen(kw_only=True, eq=False)
class _Matrices:
    """Some groups as matrices; only rows of predictions that have a candidate.

    Attributes:
        predictions: [d] rows of predictions.
        targets: [t] rows of targets.
        pred_offsets: where the predictions of each group begin.
        target_offsets: where the targets of each group begin.
        ious: matrix of each group, flat; -1 where a pair is no candidate.
    """

    predictions: NDArray[np.int64]
    targets: NDArray[np.int64]
    pred_offsets: NDArray[np.int64]
    target_offsets: NDArray[np.int64]
    ious: NDArray[np.float64]


def _matrices(
    pairs: CandidatePairs, pred_groups: NDArray[np.int64], target_groups: NDArray[np.int64]
) -> Iterator[_Matrices]:
    """The pairs as matrices of their groups, a bounded number of entries at a time.

    A prediction without a candidate can neither match nor block, so it has no row.
    """
    active, slots = np.unique(pairs.predictions, return_inverse=True)
    groups, pred_starts = np.unique(pred_groups[active], return_index=True)
    pred_starts = np.append(pred_starts, len(active))
    first = np.searchsorted(target_groups, groups, side="left")
    widths = np.searchsorted(target_groups, groups, side="right") - first
    heights = np.diff(pred_starts)
    starts = _offsets(heights * widths)
    own = np.searchsorted(pred_starts, slots, side="right") - 1
    entries = starts[own] + (slots - pred_starts[own]) * widths[own] + pairs.targets - first[own]
    by_entry = np.argsort(entries, kind="stable")
    entries, ious = entries[by_entry], pairs.ious[by_entry]
    for begin, end in _group_chunks(heights, widths):
        lowest, highest = starts[begin], starts[end]
        inside = slice(*np.searchsorted(entries, [lowest, highest]))
        matrix = np.full(highest - lowest, -1.0)
        matrix[entries[inside] - lowest] = ious[inside]
        target_offsets = _offsets(widths[begin:end])
        shift = np.repeat(first[begin:end] - target_offsets[:-1], widths[begin:end])
        yield _Matrices(
            predictions=active[pred_starts[begin] : pred_starts[end]],
            targets=np.arange(target_offsets[-1]) + shift,
            pred_offsets=pred_starts[begin : end + 1] - pred_starts[begin],
            target_offsets=target_offsets,
            ious=matrix,
        )


def _group_chunks(
    heights: NDArray[np.int64], widths: NDArray[np.int64]
) -> Iterator[tuple[int, int]]:
    """Runs of groups of bounded size together; a larger group makes a run of its own."""
    if len(heights) == 0:
        return
    cost = np.cumsum(heights * widths / _ENTRIES_PER_CHUNK + heights / _PREDICTIONS_PER_CHUNK)
    chunk = np.floor(cost)
    bounds = [0, *(np.flatnonzero(np.diff(chunk)) + 1).tolist(), len(heights)]
    yield from pairwise(bounds)


def _offsets(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where parts of these sizes begin, and where the last ends."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
