"""Laws of non-maximum suppression, for any function that suppresses anything.

Shapes: n regions, k of them kept. Regions may be a structure or a tensor: what can be selected by
row numbers.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from geodet.testing.laws._require import require

Suppress = Callable[[Any, Tensor], Tensor]
SuppressGroups = Callable[[Any, Tensor, Tensor], Tensor]


def assert_suppression_laws(
    suppress: Suppress, regions: Any, scores: Tensor, overlaps: Tensor, threshold: float
) -> None:
    """Check that exactly the right regions survive, in the right order.

    Best first, ties by index; no two kept regions overlap by more than the threshold; every
    dropped one overlaps a kept one that was visited before it by more than that. These three
    leave only one possible answer. And suppressing the survivors again keeps them all.

    Args:
        suppress: takes n regions and [n] scores, gives [k] row numbers.
        regions: n of them.
        scores: [n], no NaN.
        overlaps: [n, n] the IoU that the suppression compares, of all regions.
        threshold: regions overlapping by strictly more than this suppress each other.
    """
    kept = suppress(regions, scores)
    rows = kept.tolist()
    require(kept.dtype == torch.int64 and kept.ndim == 1, f"kept is {kept.dtype}{list(kept.shape)}")
    require(len(set(rows)) == len(rows), f"a region is kept twice: {rows}")
    require(all(0 <= row < len(scores) for row in rows), f"rows out of range: {rows}")
    by_rank = sorted(range(len(scores)), key=lambda row: (-float(scores[row]), row))
    rank = {row: position for position, row in enumerate(by_rank)}
    require(rows == sorted(rows, key=rank.__getitem__), f"not best first, ties by index: {rows}")
    table = overlaps.tolist()
    for row in range(len(scores)):
        earlier = [other for other in rows if rank[other] < rank[row]]
        over = [other for other in earlier if table[other][row] > threshold]
        if row in rank and row in rows:
            require(not over, f"{row} is kept although {over} overlap it by more than {threshold}")
        else:
            require(bool(over), f"{row} is dropped although no kept region before it overlaps it")
    again = suppress(regions[kept], scores[kept]).tolist()
    require(again == list(range(len(rows))), f"suppressing the survivors drops some: {again}")


def assert_suppression_ignores_order(
    suppress: Suppress, regions: Any, scores: Tensor, order: Tensor
) -> None:
    """Check that the order of the rows does not matter where no two scores are equal.

    Args:
        suppress: takes n regions and [n] scores, gives [k] row numbers.
        regions: n of them.
        scores: [n], all different; ties break by index, which an order changes.
        order: [n] a permutation of the rows.
    """
    require(
        len(scores.unique()) == len(scores), f"expected different scores, got {scores.tolist()}"
    )
    expected = suppress(regions, scores).tolist()
    found = order[suppress(regions[order], scores[order])].tolist()
    require(found == expected, f"order {order.tolist()} keeps {found} instead of {expected}")


def assert_suppression_is_unchanged_by(
    suppress: Suppress, step: Callable[[Any], Any], regions: Any, scores: Tensor
) -> None:
    """Check that moving all regions alike (an offset, a mirror, a scale) keeps the same rows.

    Args:
        suppress: takes n regions and [n] scores, gives [k] row numbers.
        step: moves regions; it must not round, or overlaps at the threshold may turn.
        regions: n of them.
        scores: [n].
    """
    expected, found = suppress(regions, scores).tolist(), suppress(step(regions), scores).tolist()
    require(found == expected, f"after the step {found} are kept instead of {expected}")


def assert_groups_are_independent(
    suppress: Suppress,
    suppress_groups: SuppressGroups,
    regions: Any,
    scores: Tensor,
    groups: Tensor,
) -> None:
    """Check that suppression by groups is suppression in each group, whatever its number.

    Args:
        suppress: takes n regions and [n] scores, gives [k] row numbers.
        suppress_groups: the same with [n] int64 groups as third argument.
        regions: n of them.
        scores: [n].
        groups: [n] int64.
    """
    kept = suppress_groups(regions, scores, groups)
    expected = []
    for group in groups.unique():
        members = (groups == group).nonzero()[:, 0]
        expected += members[suppress(regions[members], scores[members])].tolist()
    expected.sort(key=lambda row: (-float(scores[row]), row))
    require(kept.tolist() == expected, f"groups keep {kept.tolist()} instead of {expected}")
    for far in (groups * 2**40, -groups - 7, groups + 10**15):
        found = suppress_groups(regions, scores, far).tolist()
        require(found == expected, f"groups {far.tolist()} keep {found} instead of {expected}")
