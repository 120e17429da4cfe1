"""Defects of a data set, collected so that one message can name them together."""

import warnings
from collections.abc import Sequence

import attrs

from geodet.errors import DataError

__all__ = ["Problem", "fail_or_warn"]

_SHOWN = 8


@attrs.frozen
class Problem:
    """One defect of one entry of a data set.

    Args:
        where: the entry as its file numbers it, with the image it belongs to.
        what: what was expected and what was found.
        image_id: id of the image, where it is known.
        annotation_id: id of the annotation, where it is one and has one.
    """

    where: str
    what: str
    image_id: int | str | None = None
    annotation_id: int | None = None

    def __str__(self) -> str:
        """Return the place and the defect in one line."""
        return f"{self.where}: {self.what}"


def fail_or_warn(source: str, problems: Sequence[Problem], *, skip: bool) -> None:
    """Report problems once: as an error, or as a warning when the entries are left out.

    Args:
        source: file the problems are in.
        problems: all of them; the first few are shown, and their number.
        skip: True when the entries have been left out.
    Raises:
        DataError: there are problems and `skip` is False.
    Empty: without problems nothing happens.
    """
    if not problems:
        return
    many = len(problems) != 1
    shown = "".join(f"\n  {problem}" for problem in problems[:_SHOWN])
    rest = f"\n  ... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    if skip:
        warnings.warn(
            f"{source}: left out {len(problems)} broken {'entries' if many else 'entry'} "
            f"(all are in `source.problems`):{shown}{rest}",
            stacklevel=3,
        )
        return
    raise DataError(
        f"{source}: {len(problems)} broken {'entries' if many else 'entry'}:{shown}{rest}\n"
        f'Correct the file, or leave {"them" if many else "it"} out: on_bad="skip" in Python, '
        "--set data.on_bad=skip on the command line."
    )
