"""A model that is ready to predict, with the names of its classes: of a run, or of the zoo."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
from torch import nn

from geodet.data.coco_classes import coco_person, coco_stuff, coco_things
from geodet.data.label_map import LabelMap
from geodet.engine import choose_device
from geodet.errors import CheckpointError, RecipeError
from geodet.inference import MaskForm, Predictor
from geodet.models import zoo
from geodet.models.published import load_detectron2
from geodet.recipes.fields import nearest
from geodet.recipes.overrides import apply_overrides
from geodet.recipes.saved_model import build_trained, describe_weights, find_weights
from geodet.recipes.scoring import build_predictor

__all__ = ["LoadedModel", "load_run", "load_zoo_model", "read_labels"]


@attrs.frozen(kw_only=True)
class LoadedModel:
    """A predictor and what its classes are called.

    Args:
        predictor: of the model.
        label_map: classes of the objects.
        stuff: background classes, whose labels follow those of the objects.
    """

    predictor: Predictor
    label_map: LabelMap
    stuff: LabelMap

    @property
    def category_ids(self) -> tuple[int, ...]:
        """Data set ids of all classes of a scene: objects, then background."""
        return (*self.label_map.dataset_ids, *self.stuff.dataset_ids)


def load_run(path: Path, overrides: Sequence[str] = ()) -> LoadedModel:
    """Load the model of a training run.

    Args:
        path: a run folder, a checkpoint, or its weights file.
        overrides: `path.to.field=value` each, for the run's recipe.
    Raises:
        CheckpointError, RecipeError: there is no model, or it does not fit.
    """
    weights = find_weights(path)
    described = describe_weights(weights)
    if described is None:
        raise RecipeError(f"{weights}: no model.json beside it, so its classes are unknown")
    recipe = apply_overrides(described.recipe, overrides)
    described = attrs.evolve(described, recipe=recipe)
    model = build_trained(described, weights)
    device = choose_device(recipe.device)
    label_map = described.label_map
    return LoadedModel(
        predictor=build_predictor(model, recipe, label_map, device),
        label_map=label_map,
        stuff=LabelMap.from_names(
            described.stuff_names, first_id=max(label_map.dataset_ids, default=0) + 1
        ),
    )


def load_zoo_model(
    name: str,
    weights: Path,
    *,
    labels: LabelMap | None = None,
    device: str = "auto",
    masks: MaskForm = "rle",
) -> LoadedModel:
    """Load a checkpoint of Detectron2 into a model of the zoo.

    Args:
        name: a function of `geodet.models.zoo`, such as "mask_rcnn_r50_fpn".
        weights: .pkl, .pth or .safetensors.
        labels: classes of the objects; None knows those of COCO by their number, and calls
            others by numbers.
        device: "auto" is CUDA when there is any, else the CPU.
        masks: see `Predictor`.
    Raises:
        RecipeError: no such model, or it has another number of classes than `labels`.
        CheckpointError: the weights do not fit.
    """
    function = _zoo_function(name)
    if not weights.is_file():
        raise CheckpointError(f"{weights}: no such file; expected a .pkl, .pth or .safetensors")
    model = _build(function, name, labels)
    load_detectron2(model, weights)
    things, stuff = _classes(model, labels)
    predictor = Predictor(
        model, class_names=things.names, device=choose_device(device), masks=masks
    )
    return LoadedModel(predictor=predictor, label_map=things, stuff=stuff)


def read_labels(path: Path) -> LabelMap:
    """Read class names, one a line; their ids count from 1.

    Raises:
        RecipeError: the file is absent, empty, or names a class twice.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"--labels {path}: {error}; expected a text with a class a line"
        ) from error
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise RecipeError(f"--labels {path}: expected a class name a line, got none")
    try:
        return LabelMap.from_names(names, first_id=1)
    except ValueError as error:
        raise RecipeError(f"--labels {path}: {error}") from error


# Functions of the zoo that make no model of their own.
_ZOO_LOADERS = ("default_cache", "fetch", "load")


def _zoo_function(name: str) -> Callable[..., Any]:
    known = [
        each
        for each in zoo.__all__
        if inspect.isfunction(getattr(zoo, each)) and each not in _ZOO_LOADERS
    ]
    if name not in known:
        raise RecipeError(
            f"--model {name}: expected a function of geodet.models.zoo, such as mask_rcnn_r50_fpn"
            f"{nearest(name, known)}"
        )
    function: Callable[..., Any] = getattr(zoo, name)
    return function


def _build(function: Callable[..., Any], name: str, labels: LabelMap | None) -> nn.Module:
    parameters = inspect.signature(function).parameters
    sizes = [each for each in ("num_classes", "num_things") if each in parameters]
    options = {sizes[0]: len(labels)} if labels is not None and sizes else {}
    model = function(**options)
    if not isinstance(model, nn.Module):
        raise RecipeError(f"--model {name}: expected the name of a model, this gives no module")
    return model


def _classes(model: nn.Module, labels: LabelMap | None) -> tuple[LabelMap, LabelMap]:
    """Classes of the objects and of the background."""
    none = LabelMap((), ())
    count = int(getattr(model, "num_classes", 0))
    kind = getattr(model, "target_kind", "instances")
    if labels is not None:
        if len(labels) != count:
            raise RecipeError(f"--labels: expected {count} classes of the model, got {len(labels)}")
        return labels, none
    things, stuff = coco_things(), coco_stuff()
    if kind == "semantic" and count == 1 + len(stuff):
        return LabelMap(("things",), (0,)), stuff
    if count == len(things):
        return things, stuff if kind == "scene" else none
    if count == 1 and getattr(model, "keypoint_head", None) is not None:
        return coco_person(), none
    return LabelMap.from_names([str(index) for index in range(count)], first_id=1), none
