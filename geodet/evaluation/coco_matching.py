"""Which prediction meets which target: COCO's greedy matching, for all images at once.

Shapes: n predictions, g targets, e candidate pairs, T IoU thresholds, A area ranges.

Predictions arrive sorted by image, then class, then descending score; targets by image, then
class. A *group* is one class of one image, and only members of one group can meet. Two facts
make the whole set fit in a few array operations:

- a pair under the lowest threshold never matches, so a short list of pairs replaces matrices;
- groups do not touch each other, so the first prediction of every group is decided in one step,
  then the second of every group, and so on, for all thresholds and area ranges together.

Targets are known by row. COCO's own tool knows them by annotation id and takes id 0 for "no
match"; that quirk has no counterpart here.
"""

from collections.abc import Iterator

import attrs
import numpy as np
from numpy.typing import NDArray

__all__ = ["CandidatePairs", "Matches", "box_candidates", "match_greedily"]

# The official tool lowers a threshold of 1 by this much, so that an IoU of 1 - 1e-16 counts.
_HIGHEST_THRESHOLD = 1 - 1e-10

# Pairs whose IoU is computed at once: about 100 MB of float64 temporaries.
_PAIRS_PER_CHUNK = 1 << 20


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
        target_ignored: [A, g] not counted in this area range; true for crowds in all.
        target_crowd: [g].
        iou_thresholds: [T], a pair matches at IoU >= threshold.
    Empty: no pairs, no matches.
    """
    num_areas, num_targets = target_ignored.shape
    shape = (num_areas, len(iou_thresholds), len(pred_groups))
    matched = np.zeros(shape, np.bool_)
    ignored = np.zeros(shape, np.bool_)
    if len(pairs.ious) == 0:
        return Matches(matched=matched, ignored=ignored)
    limits = np.minimum(iou_thresholds, _HIGHEST_THRESHOLD)[:, None]
    edges = _sorted_edges(pairs, pred_groups, target_ignored)
    # A target per area range: the ranges are matched independently of each other.
    targets = edges.areas * num_targets + edges.targets
    free_always = target_crowd[edges.targets]
    taken = np.zeros((len(iou_thresholds), num_areas * num_targets), np.bool_)
    round_starts = np.flatnonzero(np.diff(edges.rounds, prepend=-1))
    for begin, end in zip(round_starts, [*round_starts[1:], len(edges.rounds)], strict=True):
        now = slice(begin, end)
        available = ~taken[:, targets[now]] | free_always[now]
        available &= edges.ious[now] >= limits
        # The edges of one prediction lie in order of preference: its first available one wins.
        position = np.where(available, np.arange(end - begin), end - begin)
        chosen = np.minimum.reduceat(position, _run_starts(edges, now), axis=1)
        thresholds, column = np.nonzero(chosen < end - begin)
        edge = begin + chosen[thresholds, column]
        taken[thresholds, targets[edge]] = True
        place = (edges.areas[edge], thresholds, edges.predictions[edge])
        matched[place] = True
        ignored[place] = edges.ignored[edge]
    return Matches(matched=matched, ignored=ignored)


@attrs.frozen(kw_only=True, eq=False)
class _Edges:
    """Candidate pairs, once per area range, in the order in which they are decided."""

    rounds: NDArray[np.int64]
    areas: NDArray[np.int64]
    predictions: NDArray[np.int64]
    targets: NDArray[np.int64]
    ious: NDArray[np.float64]
    ignored: NDArray[np.bool_]


def _sorted_edges(
    pairs: CandidatePairs, pred_groups: NDArray[np.int64], target_ignored: NDArray[np.bool_]
) -> _Edges:
    """Repeat the pairs for every area range, sorted by round, range, prediction, preference."""
    num_areas = len(target_ignored)
    # Only predictions with a candidate take a turn: the rest can neither match nor block.
    active, slot = np.unique(pairs.predictions, return_inverse=True)
    groups = pred_groups[active]
    turn = np.arange(len(active)) - np.searchsorted(groups, groups, side="left")
    rounds = np.tile(turn[slot], num_areas)
    areas = np.repeat(np.arange(num_areas), len(pairs.ious))
    predictions = np.tile(pairs.predictions, num_areas)
    targets = np.tile(pairs.targets, num_areas)
    ious = np.tile(pairs.ious, num_areas)
    ignored = target_ignored[:, pairs.targets].ravel()
    order = np.lexsort((-targets, -ious, ignored, predictions, areas, rounds))
    return _Edges(
        rounds=rounds[order],
        areas=areas[order],
        predictions=predictions[order],
        targets=targets[order],
        ious=ious[order],
        ignored=ignored[order],
    )


def _run_starts(edges: _Edges, now: slice) -> NDArray[np.intp]:
    """First edge of every (area range, prediction) within one round."""
    areas, predictions = edges.areas[now], edges.predictions[now]
    changes = (np.diff(areas) != 0) | (np.diff(predictions) != 0)
    return np.concatenate([[0], np.flatnonzero(changes) + 1])
