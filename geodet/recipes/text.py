"""Recipes as JSON text and back. What does not fit is an error that names the field."""

import functools
import json
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn

from geodet.errors import RecipeError
from geodet.recipes.fields import choices_text, nearest
from geodet.recipes.train_recipe import TrainRecipe

__all__ = ["from_data", "from_text", "to_data", "to_text"]

_T = TypeVar("_T")

# A field that can hold one of several recipes says which under this key.
TAG = "type"


def to_data(recipe: object) -> dict[str, Any]:
    """Return a recipe as plain JSON data, every field written out.

    Raises:
        RecipeError: a field holds a value that its type does not allow.
    """
    data: dict[str, Any] = _converter().unstructure(recipe)
    return data


def to_text(recipe: object) -> str:
    """Return a recipe as JSON text."""
    return json.dumps(to_data(recipe), indent=2) + "\n"


def from_text(text: str, *, source: str = "recipe") -> TrainRecipe:
    """Return the recipe that a JSON text describes.

    Args:
        text: as `to_text` writes it; fields with a default may be left out.
        source: what the user calls the text, for messages.
    Raises:
        RecipeError: not JSON, or fields are unknown, missing or of the wrong kind; all are named.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise RecipeError(f"{source}: not JSON: {error}") from error
    return from_data(data, TrainRecipe, source=source)


def from_data(data: object, kind: type[_T], *, source: str = "recipe") -> _T:
    """Return the recipe of class `kind` that plain JSON data describe.

    Raises:
        RecipeError: fields are unknown, missing or of the wrong kind; all are named.
    """
    try:
        return _converter().structure(data, kind)
    except (RecipeError, ClassValidationError, IterableValidationError) as error:
        problems = list(_problems(error, ""))
        listed = problems[0] if len(problems) == 1 else "\n  ".join(["", *problems])
        raise RecipeError(f"{source}: {listed}") from None


def recipe_classes(kind: object) -> tuple[type, ...]:
    """Return the recipe classes that a field of this type can hold; () for other types."""
    members = get_args(kind) if get_origin(kind) in (types.UnionType, Union) else (kind,)
    return tuple(each for each in members if isinstance(each, type) and attrs.has(each))


@functools.cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind, wanted in ((bool, "true or false"), (int, "a whole number"), (str, "a text")):
        converter.register_structure_hook(kind, _exactly(kind, wanted))
    converter.register_structure_hook(float, _to_float)
    converter.register_structure_hook(Path, _to_path)
    converter.register_unstructure_hook(Path, lambda path: path.as_posix())
    converter.register_structure_hook_func(_is_literal, _check_literal)
    converter.register_structure_hook_factory(_is_tuple, functools.partial(_tuple_hook, converter))
    converter.register_structure_hook_factory(attrs.has, functools.partial(_class_hook, converter))
    converter.register_structure_hook_func(
        lambda kind: len(recipe_classes(kind)) > 1, functools.partial(_from_tagged, converter)
    )
    converter.register_unstructure_hook_factory(
        lambda kind: len(recipe_classes(kind)) > 1, functools.partial(_tagging_hook, converter)
    )
    return converter


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _exactly(kind: type, wanted: str) -> Callable[[Any, Any], Any]:
    def check(value: Any, _kind: Any) -> Any:
        # `type`, not isinstance: true is an int to Python, and never meant as one
        if type(value) is not kind:
            raise RecipeError(f": expected {wanted}, got {value!r}")
        return value

    return check


def _to_float(value: Any, _kind: Any) -> float:
    if type(value) not in (int, float):
        raise RecipeError(f": expected a number, got {value!r}")
    return float(value)


def _to_path(value: Any, _kind: Any) -> Path:
    if not isinstance(value, str):
        raise RecipeError(f": expected a path as text, got {value!r}")
    return Path(value)


def _check_literal(value: Any, kind: Any) -> Any:
    choices = get_args(kind)
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        hint = nearest(str(value), map(str, choices))
        raise RecipeError(f": expected one of {choices_text(choices)}, got {value!r}{hint}")
    return value


def _tuple_hook(converter: cattrs.Converter, kind: Any) -> Callable[[Any, Any], Any]:
    element = get_args(kind)[0]

    def structure(value: Any, _kind: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise RecipeError(f": expected a list, got {value!r}")
        return tuple(converter.structure(list(value), list[element]))  # type: ignore[valid-type]

    return structure


def _class_hook(converter: cattrs.Converter, kind: Any) -> Callable[[Any, Any], Any]:
    structure = make_dict_structure_fn(
        kind, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True
    )

    def check(value: Any, _kind: Any) -> Any:
        if not isinstance(value, Mapping):
            raise RecipeError(f": expected an object, got {value!r}")
        return structure(value, _kind)

    return check


def _from_tagged(converter: cattrs.Converter, value: Any, kind: Any) -> Any:
    classes = {each.__name__: each for each in recipe_classes(kind)}
    if value is None and type(None) in get_args(kind):
        return None
    if not isinstance(value, Mapping):
        raise RecipeError(f": expected an object with {TAG!r}, got {value!r}")
    name = value.get(TAG)
    if name not in classes:
        raise RecipeError(
            f".{TAG}: expected one of {choices_text(classes)}, got {name!r}"
            f"{nearest(str(name), classes)}"
        )
    fields = {key: each for key, each in value.items() if key != TAG}
    return converter.structure(fields, classes[name])


def _tagging_hook(converter: cattrs.Converter, kind: Any) -> Callable[[Any], Any]:
    classes = recipe_classes(kind)

    def unstructure(value: Any) -> Any:
        if value is None and type(None) in get_args(kind):
            return None
        if type(value) not in classes:
            names = choices_text(each.__name__ for each in classes)
            raise RecipeError(f"recipe: expected one of {names}, got {value!r}")
        return {TAG: type(value).__name__, **converter.unstructure(value)}

    return unstructure


def _problems(error: BaseException, path: str) -> Iterator[str]:
    """Yield one line a problem, each starting with the path of its field."""
    if isinstance(error, ClassValidationError):
        noted, plain = error.group_exceptions()
        for inner, note in noted:
            yield from _problems(inner, _join(path, note))
        for inner in plain:
            yield from _problems(inner, path)
    elif isinstance(error, IterableValidationError):
        items, plain = error.group_exceptions()
        for inner, item in items:
            yield from _problems(inner, _join(path, item))
        for inner in plain:
            yield from _problems(inner, path)
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [field.name for field in attrs.fields(error.cl)]
        for name in sorted(error.extra_fields):
            hint = nearest(name, known) or f"; known are {choices_text(known)}"
            yield f"{_dotted(path, name)}: unknown field of {error.cl.__name__}{hint}"
    elif isinstance(error, KeyError):
        yield f"{path}: required, and missing"
    elif isinstance(error, RecipeError):
        text = str(error)
        yield f"{path or 'recipe'}{text}" if text[0] in ":." else _dotted(path, text)
    else:
        yield f"{path or 'recipe'}: {error}"


def _join(path: str, note: AttributeValidationNote | IterableValidationNote) -> str:
    if isinstance(note, AttributeValidationNote):
        return _dotted(path, note.name)
    return f"{path}[{note.index}]"


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
