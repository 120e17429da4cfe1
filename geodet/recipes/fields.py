"""Checks of single recipe fields; each message starts with the name of the field."""

import difflib
import math
from collections.abc import Callable, Iterable
from typing import Any

from geodet.errors import RecipeError

__all__ = ["choices_text", "fraction", "nearest", "number", "whole", "wholes"]

_Validator = Callable[[Any, Any, Any], None]


def whole(*, at_least: int = 1, optional: bool = False) -> _Validator:
    """Check that a field is a whole number, at least so large; None too when `optional`."""

    def check(_recipe: Any, attribute: Any, value: Any) -> None:
        if value is None and optional:
            return
        if type(value) is not int or value < at_least:
            raise RecipeError(
                f"{attribute.name}: expected a whole number, {at_least} or more, got {value!r}"
            )

    return check


def wholes(*, at_least: int = 1) -> _Validator:
    """Check that a field is a tuple of at least one whole number, each so large."""

    def check(_recipe: Any, attribute: Any, value: Any) -> None:
        good = isinstance(value, tuple) and value
        if not good or any(type(each) is not int or each < at_least for each in value):
            raise RecipeError(
                f"{attribute.name}: expected a tuple of whole numbers, {at_least} or more, "
                f"got {value!r}"
            )

    return check


def number(*, above: float = 0.0, or_equal: bool = False, optional: bool = False) -> _Validator:
    """Check that a field is a finite number above a limit, or at it when `or_equal`."""

    def check(_recipe: Any, attribute: Any, value: Any) -> None:
        if value is None and optional:
            return
        good = type(value) in (int, float) and math.isfinite(value)
        if not good or value < above or (value == above and not or_equal):
            limit = f"{above:g} or more" if or_equal else f"above {above:g}"
            raise RecipeError(f"{attribute.name}: expected a number {limit}, got {value!r}")

    return check


def fraction(_recipe: Any, attribute: Any, value: Any) -> None:
    """Check that a field is a number in 0..1."""
    if type(value) not in (int, float) or not 0.0 <= value <= 1.0:
        raise RecipeError(f"{attribute.name}: expected a number from 0 to 1, got {value!r}")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the known word nearest to `word`, or nothing."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def choices_text(choices: Iterable[object]) -> str:
    """Return choices as a reader lists them."""
    return ", ".join(repr(choice) for choice in choices)
