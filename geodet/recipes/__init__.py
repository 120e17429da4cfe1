"""Recipes: a whole training run as plain, typed data, to text and back."""

from geodet.recipes.config import load_recipe
from geodet.recipes.data import CocoRecipe, DataRecipe, ShapesRecipe
from geodet.recipes.default import default_recipe
from geodet.recipes.models import (
    BoxHeadRecipe,
    FasterRcnnRecipe,
    MaskHeadRecipe,
    MaskRcnnRecipe,
    ModelRecipe,
    PreprocessRecipe,
    ResNetFpnRecipe,
    RpnRecipe,
)
from geodet.recipes.optimizers import AdamW, Cosine, MultiStep, Sgd
from geodet.recipes.overrides import apply_overrides
from geodet.recipes.saved_model import (
    Description,
    build_trained,
    describe_weights,
    find_weights,
    save_model,
)
from geodet.recipes.scoring import build_predictor, check_same_classes, report_numbers, score
from geodet.recipes.text import from_text, to_text
from geodet.recipes.train_recipe import BuiltTraining, TrainRecipe

__all__ = [
    "AdamW",
    "BoxHeadRecipe",
    "BuiltTraining",
    "CocoRecipe",
    "Cosine",
    "DataRecipe",
    "Description",
    "FasterRcnnRecipe",
    "MaskHeadRecipe",
    "MaskRcnnRecipe",
    "ModelRecipe",
    "MultiStep",
    "PreprocessRecipe",
    "ResNetFpnRecipe",
    "RpnRecipe",
    "Sgd",
    "ShapesRecipe",
    "TrainRecipe",
    "apply_overrides",
    "build_predictor",
    "build_trained",
    "check_same_classes",
    "default_recipe",
    "describe_weights",
    "find_weights",
    "from_text",
    "load_recipe",
    "report_numbers",
    "save_model",
    "score",
    "to_text",
]
