"""`--set a.b=value`: change one field of a recipe, the value read by the field's type."""

import json
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from geodet.errors import RecipeError
from geodet.recipes.fields import choices_text, nearest
from geodet.recipes.text import TAG, from_data, recipe_classes, to_data
from geodet.recipes.train_recipe import TrainRecipe

__all__ = ["apply_overrides"]


def apply_overrides(recipe: TrainRecipe, overrides: Iterable[str]) -> TrainRecipe:
    """Return a recipe with some fields changed; all changes are made before any is checked.

    Args:
        recipe: where to start.
        overrides: texts `path.to.field=value`. Numbers, true, false and null are read as JSON;
            tuples as `640,672` or `[640, 672]`; a whole part as a JSON object with its "type",
            or as the name of its class alone when that needs nothing else.
    Raises:
        RecipeError: no such field, or a value that it cannot take; the path is named.
    Empty: no overrides give an equal recipe.
    """
    data = to_data(recipe)
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise RecipeError(f"--set {override}: expected path.to.field=value")
        _assign(data, path.strip(), text.strip())
    return from_data(data, TrainRecipe, source="recipe after --set")


def _assign(data: dict[str, Any], path: str, text: str) -> None:
    node: Any = data
    kind: type = TrainRecipe
    *parents, last = path.split(".")
    walked: list[str] = []
    for name in parents:
        declared = _field_type(kind, name, walked, path)
        walked.append(name)
        node = node[name]
        classes = recipe_classes(declared)
        if not classes or not isinstance(node, dict):
            raise RecipeError(f"--set {path}: {'.'.join(walked)} has no fields inside")
        kind = next((each for each in classes if each.__name__ == node.get(TAG)), classes[0])
    node[last] = _parse(text, _field_type(kind, last, walked, path))


def _field_type(kind: type, name: str, walked: list[str], path: str) -> Any:
    fields = attrs.fields_dict(attrs.resolve_types(kind))
    if name not in fields:
        place = ".".join(walked) or "the recipe"
        hint = nearest(name, fields) or f"; known are {choices_text(fields)}"
        raise RecipeError(f"--set {path}: {place} ({kind.__name__}) has no field {name!r}{hint}")
    return fields[name].type


def _parse(text: str, kind: Any) -> Any:
    """Read a text as the field's type; what cannot be read stays text and is refused later."""
    members = get_args(kind) if get_origin(kind) in (types.UnionType, Union) else (kind,)
    if type(None) in members and text.lower() in ("null", "none"):
        return None
    if recipe_classes(kind):
        return _json(text) if text.startswith("{") else {TAG: text}
    for member in members:
        if get_origin(member) is tuple:
            if text.startswith("["):
                return _json(text)
            element = get_args(member)[0]
            return [_parse(part.strip(), element) for part in text.split(",") if part.strip()]
        if get_origin(member) is Literal and text in get_args(member):
            return text
    if {str, Path} & set(members):
        return text
    return _json(text)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:
        return float(text)  # .5 and 1. are numbers to everyone but JSON
    except ValueError:
        return text
