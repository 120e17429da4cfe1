"""How the tensors of a file differ from those of a model, as a table by part."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import attrs
from torch import Tensor

__all__ = ["Difference", "describe_differences", "find_differences"]

_ROWS_PER_PART = 6


@attrs.frozen(kw_only=True)
class Difference:
    """One tensor that the model and the file do not agree on.

    Args:
        name: in the model; of a tensor without a place there, the file's name.
        file_name: in the file.
        expected: its shape in the model; None when the model has none.
        found: its shape in the file; None when the file has none.
    """

    name: str
    file_name: str
    expected: tuple[int, ...] | None
    found: tuple[int, ...] | None


def find_differences(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], file_names: Mapping[str, str]
) -> list[Difference]:
    """Compare names and shapes.

    Args:
        expected: the model's tensors by its own names.
        found: the file's tensors by its names.
        file_names: the model's names -> the file's.
    Returns:
        What differs: the model's entries first, in its order, then what only the file has.
    Empty: nothing differs.
    """
    rows = []
    for name, tensor in expected.items():
        key = file_names[name]
        shape = tuple(found[key].shape) if key in found else None
        if shape != tuple(tensor.shape):
            rows.append(
                Difference(name=name, file_name=key, expected=tuple(tensor.shape), found=shape)
            )
    known = {file_names[name] for name in expected}
    rows += [
        Difference(name=key, file_name=key, expected=None, found=tuple(tensor.shape))
        for key, tensor in found.items()
        if key not in known
    ]
    return rows


def describe_differences(
    rows: Sequence[Difference], *, expected: Iterable[str] | None = None
) -> str:
    """Write differences as counts, and then a table for each part of the architecture.

    Args:
        rows: what differs; at least one.
        expected: all names of the model; when given, each part tells how many it has.
    """
    missing = sum(row.found is None for row in rows)
    unexpected = sum(row.expected is None for row in rows)
    lines = [
        f"{missing} missing, {unexpected} unexpected, "
        f"{len(rows) - missing - unexpected} of another shape"
    ]
    names = None if expected is None else tuple(expected)
    totals: dict[str, int] = defaultdict(int)
    for name in names or ():
        totals[_part(name)] += 1
    for (ours, theirs), differing in _by_part(rows, names).items():
        also = "" if theirs in (ours, "") else f" ({theirs} in the file)"
        count = "" if names is None else f", the model has {totals.get(ours, 0)}"
        lines.append(f"{ours}{also}: {len(differing)} differ{count}")
        lines += _table(differing)
    return "\n".join(lines)


def _by_part(
    rows: Sequence[Difference], names: tuple[str, ...] | None
) -> dict[tuple[str, str], list[Difference]]:
    """Rows by the model's part; what only the file has joins the part of the same file names."""
    home: dict[str, str] = {}
    for row in rows:
        if row.expected is not None:
            home.setdefault(_part(row.file_name), _part(row.name))
    parts: dict[tuple[str, str], list[Difference]] = defaultdict(list)
    labels: dict[str, str] = {}
    for row in rows:
        theirs = _part(row.file_name)
        ours = _part(row.name) if row.expected is not None else home.get(theirs, theirs)
        parts[ours, labels.setdefault(ours, theirs)].append(row)
    return parts


def _part(name: str) -> str:
    """Name the part of the architecture: three levels deep at most, numbered layers together."""
    parents = name.split(".")[:-1][:3]
    while len(parents) > 1 and parents[-1].isdigit():
        parents.pop()
    return ".".join(parents) if parents else "(top level)"


def _table(rows: Sequence[Difference]) -> list[str]:
    shown = rows[:_ROWS_PER_PART]
    renamed = any(row.name != row.file_name for row in shown)
    heads = ["", *(["name in the file"] if renamed else []), "model", "file"]
    cells = [
        [
            "-" if row.expected is None and renamed else row.name,
            *([row.file_name] if renamed else []),
            _shape(row.expected),
            _shape(row.found),
        ]
        for row in shown
    ]
    widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(len(heads))]
    lines = []
    for line in [heads, *cells]:
        padded = [f"{text:{width}}" for text, width in zip(line, widths, strict=True)]
        lines.append(("  " + "  ".join(padded)).rstrip())
    if len(rows) > len(shown):
        lines.append(f"  ... and {len(rows) - len(shown)} more")
    return lines


def _shape(shape: tuple[int, ...] | None) -> str:
    return "-" if shape is None else str(list(shape))
