"""Every kind of model that a recipe can train."""

from typing import TypeAlias

from geodet.recipes.detectors import FcosRecipe, RcnnRecipe, RetinaNetRecipe
from geodet.recipes.panoptic_deeplab import PanopticDeepLabRecipe
from geodet.recipes.pixel_models import DeepLabRecipe, PanopticFpnRecipe, SemanticFpnRecipe

__all__ = ["ModelRecipe"]

ModelRecipe: TypeAlias = (
    RcnnRecipe
    | RetinaNetRecipe
    | FcosRecipe
    | SemanticFpnRecipe
    | DeepLabRecipe
    | PanopticFpnRecipe
    | PanopticDeepLabRecipe
)
