"""Recipes: a whole training run as plain, typed data, to text and back."""

from geodet.recipes.backbones import PreprocessRecipe, ResNetFpnRecipe
from geodet.recipes.config import load_recipe
from geodet.recipes.data import CocoRecipe, DataRecipe, ShapesRecipe
from geodet.recipes.default import default_recipe
from geodet.recipes.detectors import (
    FasterRcnnRecipe,
    FcosRecipe,
    KeypointRcnnRecipe,
    MaskRcnnRecipe,
    RcnnRecipe,
    RetinaNetRecipe,
)
from geodet.recipes.facts import DataFacts, Output
from geodet.recipes.heads import (
    BoxHeadRecipe,
    KeypointHeadRecipe,
    MaskHeadRecipe,
    PointRendRecipe,
    RpnRecipe,
    SemanticHeadRecipe,
)
from geodet.recipes.models import ModelRecipe
from geodet.recipes.optimizers import AdamW, Cosine, MultiStep, Poly, Sgd
from geodet.recipes.overrides import apply_overrides
from geodet.recipes.panoptic_deeplab import PanopticDeepLabRecipe
from geodet.recipes.pixel_models import DeepLabRecipe, PanopticFpnRecipe, SemanticFpnRecipe
from geodet.recipes.saved_model import (
    Description,
    build_trained,
    describe_weights,
    find_weights,
    save_model,
)
from geodet.recipes.scoring import ScoreReport, build_predictor, check_same_classes, score
from geodet.recipes.text import from_text, to_text
from geodet.recipes.train_recipe import BuiltTraining, TrainRecipe
from geodet.recipes.transformer_backbones import MvitFpnRecipe, SwinFpnRecipe, VitDetRecipe

__all__ = [
    "AdamW",
    "BackboneRecipe",
    "BoxHeadRecipe",
    "BuiltTraining",
    "CocoRecipe",
    "Cosine",
    "DataFacts",
    "DataRecipe",
    "DeepLabRecipe",
    "Description",
    "FasterRcnnRecipe",
    "FcosRecipe",
    "KeypointHeadRecipe",
    "KeypointRcnnRecipe",
    "MaskHeadRecipe",
    "MaskRcnnRecipe",
    "ModelRecipe",
    "MultiStep",
    "MvitFpnRecipe",
    "Output",
    "PanopticDeepLabRecipe",
    "PanopticFpnRecipe",
    "PointRendRecipe",
    "Poly",
    "PreprocessRecipe",
    "RcnnRecipe",
    "ResNetFpnRecipe",
    "RetinaNetRecipe",
    "RpnRecipe",
    "ScoreReport",
    "SemanticFpnRecipe",
    "SemanticHeadRecipe",
    "Sgd",
    "ShapesRecipe",
    "SwinFpnRecipe",
    "TrainRecipe",
    "VitDetRecipe",
    "apply_overrides",
    "build_predictor",
    "build_trained",
    "check_same_classes",
    "default_recipe",
    "describe_weights",
    "find_weights",
    "from_text",
    "load_recipe",
    "save_model",
    "score",
    "to_text",
]
