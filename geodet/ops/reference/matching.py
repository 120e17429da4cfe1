"""What greedy matching means, prediction by prediction."""

import torch
from torch import Tensor

__all__ = ["match_greedily"]


def match_greedily(
    similarities: Tensor, thresholds: Tensor, ignored: Tensor, crowd: Tensor
) -> Tensor:
    """Each prediction takes the best free target: counted before ignored, later before earlier."""
    rows, columns = similarities.shape
    matches = torch.full((len(thresholds), rows), -1)
    for number, threshold in enumerate(thresholds.tolist()):
        limit = min(threshold, 1 - 1e-10)
        taken: set[int] = set()
        for row in range(rows):
            free = [
                (not ignored[column], float(similarities[row, column]), column)
                for column in range(columns)
                if column not in taken and similarities[row, column] >= limit
            ]
            if not free:
                continue
            _, _, best = max(free)
            matches[number, row] = best
            if not crowd[best]:
                taken.add(best)
    return matches
