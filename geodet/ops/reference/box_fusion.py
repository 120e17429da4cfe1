"""Specification of `geodet.ops.box_fusion` in plain Python numbers."""

import math
from collections.abc import Sequence

from geodet.ops.reference.box_overlap import Box, box_iou_reference

__all__ = ["weighted_box_fusion_reference"]


def weighted_box_fusion_reference(
    entries: Sequence[tuple[Box, float, int, int]],
    *,
    weights: Sequence[float],
    iou_threshold: float,
    min_score: float,
    confidence: str,
) -> list[tuple[list[float], float, int]]:
    """Fused boxes, scores and labels: by descending score, then label, then start.

    Entries are box, score, label and model.
    """
    boxes, scores, labels, models = zip(*entries, strict=True) if entries else ((), (), (), ())
    results = []
    for label in sorted(set(labels)):
        rows = [
            i
            for i, (x1, y1, x2, y2) in enumerate(boxes)
            if labels[i] == label
            and all(map(math.isfinite, (x1, y1, x2, y2, scores[i])))
            and x1 < x2
            and y1 < y2
            and scores[i] >= min_score
            and scores[i] > 0
        ]
        weighted = {i: scores[i] * weights[models[i]] for i in rows}
        clusters: list[list[int]] = []
        for i in sorted(rows, key=lambda i: -weighted[i]):
            overlaps = [box_iou_reference(_mean(c, boxes, weighted), boxes[i]) for c in clusters]
            best = max(range(len(clusters)), key=overlaps.__getitem__, default=-1)
            if best >= 0 and overlaps[best] > iou_threshold:
                clusters[best].append(i)
            else:
                clusters.append([i])
        for cluster in clusters:
            mean = sum(weighted[i] for i in cluster) / len(cluster)
            score = {
                "capped": mean * min(len(cluster), len(weights)) / sum(weights),
                "counted": mean * len(cluster) / sum(weights),
                "maximum": max(weighted[i] for i in cluster) / max(weights),
            }[confidence]
            results.append((_mean(cluster, boxes, weighted), score, label))
    return sorted(results, key=lambda result: -result[1])


def _mean(cluster: list[int], boxes: Sequence[Box], weighted: dict[int, float]) -> list[float]:
    if len(cluster) == 1:
        return list(boxes[cluster[0]])
    total = sum(weighted[i] for i in cluster)
    return [sum(weighted[i] * boxes[i][k] for i in cluster) / total for k in range(4)]
