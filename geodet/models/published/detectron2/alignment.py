"""Which tensor of a file belongs to which of ours."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import attrs
from torch import Tensor

from geodet.errors import CheckpointError

__all__ = ["BackboneExtent", "align"]


def align(
    names: Mapping[str, str],
    shapes: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    *,
    by_suffix: bool,
) -> dict[str, str]:
    """Find the tensor of a file for each of ours, by its whole name or the longest end of it.

    Args:
        names: our names -> theirs, whole.
        shapes: our tensors by our names; of several whose names end alike, the one whose shape
            fits takes the file's.
        tensors: the file's.
        by_suffix: whether ends of names count.
    Returns:
        Our name -> the file's key, of those that the file has.
    Raises:
        CheckpointError: a tensor of the file fits two of ours; names all three.
    """
    claims: dict[str, list[str]] = defaultdict(list)
    for ours, whole in names.items():
        words = whole.split(".")
        ends = (".".join(words[i:]) for i in range(len(words) if by_suffix else 1))
        key = next((end for end in ends if end in tensors), None)
        if key is not None:
            claims[key].append(ours)
    found = {}
    for key, owners in claims.items():
        chosen = owners
        if len(owners) > 1:
            exact = [ours for ours in owners if names[ours] == key]
            chosen = exact or [o for o in owners if shapes[o].shape == tensors[key].shape]
        if len(chosen) > 1:
            raise CheckpointError(
                f"{key!r} of the file could be {names[chosen[0]]!r} or {names[chosen[1]]!r} of the "
                "model; load it into the part of the model that it belongs to"
            )
        found.update(dict.fromkeys(chosen, key))
    return {ours: found[ours] for ours in names if ours in found}


@attrs.frozen
class BackboneExtent:
    """How far a file of a backbone reaches into a model.

    Its names lack what stands before them in the model. Stages are called by the first word
    of a name in the file, blocks by the first two.

    Args:
        prefixes: what stands before the file's names, whole names of the other side.
        stages: that the file knows, with their prefixes.
        blocks: that the file knows, with their prefixes.
    """

    prefixes: frozenset[str]
    stages: frozenset[str]
    blocks: frozenset[str]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> "BackboneExtent":
        """From whole names and the keys of the file that are their ends."""
        rows = [(whole.removesuffix(key), key.split(".")) for whole, key in pairs]
        return cls(
            prefixes=frozenset(prefix for prefix, _ in rows),
            stages=frozenset(prefix + words[0] for prefix, words in rows),
            blocks=frozenset(prefix + ".".join(words[:2]) for prefix, words in rows),
        )

    def lacks(self, whole: str) -> bool:
        """Whether the file should have this tensor: it knows the stage, but not the block."""
        for prefix in self.prefixes:
            words = whole.removeprefix(prefix).split(".")
            if whole.startswith(prefix) and prefix + words[0] in self.stages:
                return prefix + ".".join(words[:2]) not in self.blocks
        return False

    def covers(self, key: str) -> bool:
        """Whether a key of the file belongs to a stage that the model has."""
        stage = key.partition(".")[0]
        return any(prefix + stage in self.stages for prefix in self.prefixes)
