"""Precision and recall over all images from the fate of every prediction, as COCO defines them.

Shapes: T IoU thresholds, R recall thresholds, K classes, A area ranges, M detection limits,
n predictions of one class.
"""

import attrs
import numpy as np
from numpy.typing import NDArray

from geodet.evaluation.coco_matching import Matches

__all__ = ["CocoCurves", "accumulate"]

_EPSILON = np.spacing(1)


@attrs.frozen(kw_only=True, eq=False)
class CocoCurves:
    """Precision, recall and score arrays; -1 where a class has no target to find.

    Attributes:
        precision: [T, R, K, A, M] highest precision at this recall or above.
        recall: [T, K, A, M] highest recall reached.
        scores: [T, R, K, A, M] score of the prediction that reaches the recall.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    scores: NDArray[np.float64]


def accumulate(
    matches: Matches,
    pred_labels: NDArray[np.int64],
    pred_scores: NDArray[np.float64],
    pred_ranks: NDArray[np.int64],
    target_counts: NDArray[np.int64],
    *,
    recall_thresholds: NDArray[np.float64],
    max_detections: tuple[int, ...],
) -> CocoCurves:
    """Sort the predictions of every class by score and walk down the list.

    Args:
        matches: matched and ignored [A, T, n]; predictions that are not counted at all are
            ignored there, matched or not.
        pred_labels: [n] classes, predictions ordered by image, then descending score.
        pred_scores: [n].
        pred_ranks: [n] place of the prediction in its image and class, from 0.
        target_counts: [A, K] targets that count.
        recall_thresholds: [R] ascending.
        max_detections: M limits on predictions per image and class.
    Empty: a class without targets keeps -1; targets without predictions give 0.
    """
    num_areas, num_thresholds, _ = matches.matched.shape
    num_classes = target_counts.shape[1]
    limits = len(max_detections)
    sizes = (num_thresholds, len(recall_thresholds), num_classes, num_areas, limits)
    precision = np.full(sizes, -1.0)
    scores = np.full(sizes, -1.0)
    recall = np.full((num_thresholds, num_classes, num_areas, limits), -1.0)
    by_label = np.argsort(pred_labels, kind="stable")
    bounds = np.searchsorted(pred_labels[by_label], np.arange(num_classes + 1))
    for label in np.flatnonzero(target_counts.any(axis=0)):
        rows = by_label[bounds[label] : bounds[label + 1]]
        rows = rows[np.argsort(-pred_scores[rows], kind="stable")]
        matched = matches.matched[:, :, rows]
        counted = ~matches.ignored[:, :, rows]
        hits, misses = matched & counted, ~matched & counted
        for limit, most in enumerate(max_detections):
            within = np.flatnonzero(pred_ranks[rows] < most)
            for area in np.flatnonzero(target_counts[:, label]):
                where = (label, area, limit)
                recall[:, *where], precision[:, :, *where], scores[:, :, *where] = _curve(
                    hits[area][:, within],
                    misses[area][:, within],
                    pred_scores[rows[within]],
                    int(target_counts[area, label]),
                    recall_thresholds,
                )
    return CocoCurves(precision=precision, recall=recall, scores=scores)


def _curve(
    hits: NDArray[np.bool_],
    misses: NDArray[np.bool_],
    scores: NDArray[np.float64],
    num_targets: int,
    recall_thresholds: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Final recall [T], precision [T, R] and scores [T, R] of one class sorted by score."""
    num_thresholds, num_preds = hits.shape
    if num_preds == 0:
        none = np.zeros((num_thresholds, len(recall_thresholds)))
        return np.zeros(num_thresholds), none, none
    true = np.cumsum(hits, axis=1).astype(np.float64)
    false = np.cumsum(misses, axis=1).astype(np.float64)
    recall = true / num_targets
    precision = true / (false + true + _EPSILON)
    # Precision at a recall is the best one at this recall or any higher.
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    at = np.stack([np.searchsorted(row, recall_thresholds, side="left") for row in recall])
    reached = at < num_preds
    at = np.minimum(at, num_preds - 1)
    return (
        recall[:, -1],
        np.where(reached, np.take_along_axis(best, at, axis=1), 0.0),
        np.where(reached, scores[at], 0.0),
    )
