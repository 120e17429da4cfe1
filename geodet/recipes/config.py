"""Find a recipe: a Python file with `recipe()`, a `recipe.json`, or the default."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from geodet.errors import RecipeError
from geodet.recipes.default import default_recipe
from geodet.recipes.overrides import apply_overrides
from geodet.recipes.text import from_text, to_text
from geodet.recipes.train_recipe import TrainRecipe

__all__ = ["load_recipe"]


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
        return from_text(path.read_text("utf-8"), source=str(path))
    if path.suffix == ".py":
        return _from_python(path)
    raise RecipeError(f"config {path}: expected a .py or .json file")


def _from_python(path: Path) -> TrainRecipe:
    spec = importlib.util.spec_from_file_location(f"_geodet_config_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"config {path}: Python cannot import it")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, "recipe", None)
    if not callable(function):
        raise RecipeError(f"config {path}: expected a function `def recipe() -> TrainRecipe`")
    recipe = function()
    if not isinstance(recipe, TrainRecipe):
        raise RecipeError(
            f"config {path}: recipe() must return a TrainRecipe, got {type(recipe).__name__}"
        )
    # Python checks no types: the way through text does, and proves that recipe.json will be whole.
    return from_text(to_text(recipe), source=str(path))
