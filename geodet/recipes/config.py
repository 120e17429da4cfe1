"""Find a recipe: a Python file with `recipe()`, a `recipe.json`, or the default."""

import importlib.util
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from geodet.errors import RecipeError
from geodet.recipes.default import default_recipe
from geodet.recipes.overrides import apply_overrides
from geodet.recipes.text import from_text, to_text
from geodet.recipes.train_recipe import TrainRecipe

__all__ = ["load_recipe"]

_T = TypeVar("_T")


def load_recipe(config: Path | None, overrides: Sequence[str] = ()) -> TrainRecipe:
    """Return the recipe of a config with overrides applied.

    Args:
        config: a `.py` file that defines `recipe()`, a `.json` file, a run folder with a
            `recipe.json`, or None for the built-in default.
        overrides: `path.to.field=value` each.
    Raises:
        RecipeError: there is no such file, or it holds no valid recipe.
    """
    recipe = default_recipe() if config is None else _from_file(config)
    return apply_overrides(recipe, overrides)


def _from_file(path: Path) -> TrainRecipe:
    if path.is_dir():
        path = path / "recipe.json"
    if not path.is_file():
        raise RecipeError(f"config {path}: no such file; expected a .py or .json config")
    if path.suffix == ".json":
        return from_text(_read_text(path), source=str(path))
    if path.suffix == ".py":
        return _from_python(path)
    raise RecipeError(f"config {path}: expected a .py or .json file")


def _from_python(path: Path) -> TrainRecipe:
    spec = importlib.util.spec_from_file_location(f"_geodet_config_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"config {path}: Python cannot import it")
    module = importlib.util.module_from_spec(spec)
    loader = spec.loader
    _run(path, lambda: loader.exec_module(module))
    function = getattr(module, "recipe", None)
    if not callable(function):
        raise RecipeError(f"config {path}: expected a function `def recipe() -> TrainRecipe`")
    recipe = _run(path, function)
    if not isinstance(recipe, TrainRecipe):
        raise RecipeError(
            f"config {path}: recipe() must return a TrainRecipe, got {type(recipe).__name__}"
        )
    # Python checks no types: the way through text does, and proves that recipe.json will be whole.
    return from_text(_run(path, lambda: to_text(recipe)), source=str(path))


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"config {path}: not text in UTF-8 ({error})") from error


def _run(path: Path, function: Callable[[], _T]) -> _T:
    """Call a function of a config; whatever it raises becomes one message with its line."""
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise RecipeError(f"config {path}{_line(path, error)}: {_what(error)}") from error


def _line(path: Path, error: BaseException) -> str:
    """Return ", line 12": the last line of the config that was running."""
    name = str(path.absolute())  # as Python calls it
    if isinstance(error, SyntaxError) and error.filename == name:
        return f", line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == name]
    return f", line {lines[-1]}" if lines else ""


def _what(error: BaseException) -> str:
    if isinstance(error, RecipeError):
        return str(error)
    if isinstance(error, SyntaxError):
        return f"not legal Python: {error.msg}"
    return f"{type(error).__name__}: {error}"
