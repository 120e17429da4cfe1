"""Config files: whatever is wrong with one is a RecipeError that names file and line."""

import pytest

from geodet.errors import RecipeError
from geodet.recipes import load_recipe

BAD = {
    "no Python": ("x = 1\ndef recipe(:\n", "line 2: not legal Python"),
    "null bytes": ("x = '\0'\n", "null bytes"),
    "missing import": ("\nimport no_such_package\n", "line 2: ModuleNotFoundError: No module"),
    "raises": ("def recipe():\n    x = {}\n    return x['lr']\n", "line 3: KeyError: 'lr'"),
    "exits": ("import sys\nsys.exit(3)\n", "line 2: SystemExit: 3"),
    "no function": ("recipe = 3\n", "expected a function `def recipe"),
    "other value": ("def recipe(): return 3\n", "must return a TrainRecipe, got int"),
    "unknown field": (
        "from geodet.recipes import Sgd\ndef recipe(): return Sgd(lrr=3)\n",
        "line 2: TypeError: .*'lrr'",
    ),
    "bad value": (
        "import attrs\nfrom geodet.recipes import default_recipe\n"
        "def recipe():\n    return attrs.evolve(default_recipe(), steps='3')\n",
        "line 4: steps: expected a whole number",
    ),
    "wrong part": (
        "import attrs\nfrom geodet.recipes import default_recipe\n"
        "def recipe():\n    return attrs.evolve(default_recipe(), optimizer=3)\n",
        "expected one of 'Sgd', 'AdamW', got 3",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_broken_config_is_named_with_its_line(text, message, tmp_path):
    """The user's own mistake in a Python config ends in one message, never in a traceback."""
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(RecipeError, match=f"(?s)^config {path}.*{message}"):
        load_recipe(path)


def test_a_recipe_file_of_bytes_is_named(tmp_path):
    """A .json that is no text is an error of the recipe, not of a codec."""
    path = tmp_path / "recipe.json"
    path.write_bytes(b"\x89PNG\xff")
    with pytest.raises(RecipeError, match=r"recipe\.json: not text in UTF-8"):
        load_recipe(path)


def test_ctrl_c_in_a_config_stays_ctrl_c(tmp_path):
    """An interrupt is no mistake of the config."""
    path = tmp_path / "mine.py"
    path.write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_recipe(path)
