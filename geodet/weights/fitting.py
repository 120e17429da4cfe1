"""Tensors into a model: all or nothing, or in part with a list of what was left out."""

from collections.abc import Mapping, Sequence

import attrs
from torch import Tensor, nn

from geodet.errors import CheckpointError
from geodet.weights.mismatch import Difference, describe_differences, find_differences

__all__ = ["LoadReport", "load_weights"]


@attrs.frozen(kw_only=True)
class LoadReport:
    """What became of every tensor when a file met a model.

    Args:
        source: what the user calls the file.
        loaded: the model's names of what was copied.
        skipped: what differs, and so was left as it was in the model.
        ignored: names in the file that need no place in the model.
        notes: what else is worth knowing, a sentence each.
    """

    source: str
    loaded: tuple[str, ...]
    skipped: tuple[Difference, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The model's names of what the file lacks."""
        return tuple(row.name for row in self.skipped if row.found is None)

    @property
    def unexpected(self) -> tuple[str, ...]:
        """The file's names of what the model has no place for."""
        return tuple(row.file_name for row in self.skipped if row.expected is None)

    @property
    def reshaped(self) -> tuple[str, ...]:
        """The model's names of what has another shape in the file."""
        return tuple(row.name for row in self.skipped if None not in (row.expected, row.found))

    def __str__(self) -> str:
        """Counts, then a table of what was skipped."""
        lines = [f"{self.source}: {len(self.loaded)} tensors loaded"]
        if self.skipped:
            lines.append("skipped: " + describe_differences(self.skipped))
        if self.ignored:
            shown = ", ".join(self.ignored[:4]) + (", ..." if len(self.ignored) > 4 else "")
            lines.append(f"not needed: {len(self.ignored)} ({shown})")
        return "\n".join([*lines, *self.notes])


def load_weights(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    source: str,
    partial: bool = False,
    names: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> LoadReport:
    """Copy weights into a model, after checking that every key and shape fits.

    Args:
        model: its parameters and persistent buffers are overwritten; untouched when anything
            differs and `partial` is False.
        tensors: one for every entry of the model's `state_dict`, under the file's names.
        source: what the user calls the weights, for the message.
        partial: copy what fits and report the rest.
        names: the model's names -> the file's names; None where they are the same.
        notes: added to the report, and to the message of an error.
    Returns:
        What was copied and what was not.
    Raises:
        CheckpointError: a table of what is missing, unexpected or of another shape, by part of
            the architecture, in the model's and the file's names.
    """
    state = model.state_dict()
    file_names = {name: name if names is None else names[name] for name in state}
    differences = find_differences(state, tensors, file_names)
    if differences and not partial:
        message = f"{source}: does not fit the model, nothing was loaded\n"
        message += describe_differences(differences, expected=state)
        raise CheckpointError("\n".join([message, *notes]))
    apart = {row.name for row in differences}
    chosen = {name: tensors[key] for name, key in file_names.items() if name not in apart}
    model.load_state_dict(chosen, strict=False)
    return LoadReport(
        source=source, loaded=tuple(chosen), skipped=tuple(differences), notes=tuple(notes)
    )
