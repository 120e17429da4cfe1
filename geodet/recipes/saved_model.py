"""A trained model on the disk: weights, and all that is needed to use them again.

    model.safetensors   the weights
    model.json          class names, data set ids, keypoints, the recipe

A checkpoint holds the same description, so whatever can be done with a finished run can be done
with one that was stopped.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from torch import nn

from geodet.data.label_map import LabelMap
from geodet.data.sources.source import Source
from geodet.engine import Checkpoints
from geodet.errors import CheckpointError, DtypeError, InvalidValueError, ShapeError
from geodet.recipes.facts import DataFacts, stuff_names
from geodet.recipes.text import from_data, to_data
from geodet.recipes.train_recipe import TrainRecipe
from geodet.structures import Skeleton
from geodet.weights import load_weights, read_tensors, write_tensors

__all__ = ["Description", "build_trained", "describe_weights", "find_weights", "save_model"]

_WEIGHTS = "model.safetensors"


@attrs.frozen(kw_only=True)
class Description:
    """What weights belong to.

    Args:
        recipe: of the run that made them.
        label_map: names and data set ids of the classes, in label order.
        stuff_names: names of the background classes.
        skeleton: of the keypoints.
    """

    recipe: TrainRecipe
    label_map: LabelMap
    stuff_names: tuple[str, ...] = ()
    skeleton: Skeleton | None = None

    @classmethod
    def of(cls, recipe: TrainRecipe, source: Source) -> "Description":
        """Return what a recipe's model learns from a source."""
        return cls(
            recipe=recipe,
            label_map=source.label_map,
            stuff_names=stuff_names(source),
            skeleton=source.skeleton,
        )

    @property
    def facts(self) -> DataFacts:
        """What the model has to know of the data."""
        return DataFacts(
            num_classes=len(self.label_map),
            num_stuff=len(self.stuff_names),
            skeleton=self.skeleton,
            short_edge=self.recipe.data.test_short_edge,
            max_long_edge=self.recipe.data.max_long_edge,
        )

    def to_data(self) -> dict[str, Any]:
        """Return the description as plain JSON data."""
        return {
            "class_names": list(self.label_map.names),
            "dataset_ids": list(self.label_map.dataset_ids),
            "stuff_names": list(self.stuff_names),
            "skeleton": None if self.skeleton is None else attrs.asdict(self.skeleton),
            "recipe": to_data(self.recipe),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any], *, source: str) -> "Description":
        """Read what `to_data` gave.

        Raises:
            CheckpointError: an entry is missing, or the classes in it are no classes.
            RecipeError: the recipe in it is no longer valid.
        """
        if not isinstance(data, Mapping):
            raise CheckpointError(f"{source}: expected an object, got {type(data).__name__}")
        missing = {"class_names", "dataset_ids", "recipe"} - set(data)
        if missing:
            raise CheckpointError(
                f"{source}: expected the entries {sorted(missing)}, they are missing"
            )
        for entry in ("class_names", "dataset_ids"):
            if not isinstance(data[entry], list):
                raise CheckpointError(
                    f"{source}: {entry}: expected a list, got {data[entry]!r:.60}"
                )
        try:
            label_map = LabelMap(tuple(data["class_names"]), tuple(data["dataset_ids"]))
            skeleton = data.get("skeleton")
            skeleton = None if skeleton is None else Skeleton(**skeleton)
        except (InvalidValueError, DtypeError, ShapeError, TypeError, ValueError) as error:
            raise CheckpointError(f"{source}: {error}") from error
        recipe = from_data(data["recipe"], TrainRecipe, source=f"recipe in {source}")
        return cls(
            recipe=recipe,
            label_map=label_map,
            stuff_names=tuple(data.get("stuff_names", ())),
            skeleton=skeleton,
        )


def save_model(folder: Path, model: nn.Module, description: Description) -> Path:
    """Write the weights and their description to a folder.

    Returns:
        The weights file.
    Raises:
        CheckpointError: a file cannot be written.
    """
    weights = folder / _WEIGHTS
    # Renamed at the end: a file of this name is always whole.
    part = folder / f".{_WEIGHTS}.part"
    (folder / "model.json").write_text(json.dumps(description.to_data(), indent=1) + "\n", "utf-8")
    write_tensors(part, model.state_dict())
    part.replace(weights)
    return weights


def find_weights(path: Path) -> Path:
    """Return the weights file that a path means.

    Args:
        path: a safetensors file; a run folder (its final weights, else its latest checkpoint);
            or a checkpoint folder.
    Raises:
        CheckpointError: there are no weights.
    """
    if path.is_file():
        return path
    if (path / _WEIGHTS).is_file():
        return path / _WEIGHTS
    latest = Checkpoints(path / "checkpoints").latest()
    if latest is None:
        raise CheckpointError(
            f"{path}: expected a run folder, a checkpoint or a .safetensors file, found no weights"
        )
    return latest / _WEIGHTS


def describe_weights(weights: Path) -> Description | None:
    """Return the description that lies beside a weights file; None when there is none.

    Raises:
        CheckpointError, RecipeError: there is one, and it is broken.
    """
    for name in ("model.json", "state.json"):
        path = weights.with_name(name)
        if not path.is_file():
            continue
        try:
            data = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise CheckpointError(f"{path}: not JSON: {error}") from error
        if name == "state.json" and isinstance(data, dict):
            data = data.get("description", {})
        return Description.from_data(data, source=str(path))
    return None


def build_trained(description: Description, weights: Path) -> nn.Module:
    """Build the model of a description and load its weights.

    Raises:
        RecipeError: the recipe names another number of classes.
        CheckpointError: the weights do not fit; one table says where.
    """
    description.recipe.check_classes(len(description.label_map))
    model: nn.Module = description.recipe.model.build(description.facts)
    load_weights(model, read_tensors(weights), source=str(weights))
    return model
