"""Semantic FPN: the class of every pixel, shapes and textures alike.

python -m geodet.train configs/shapes_semantic.py
"""

import attrs

from geodet.recipes import SemanticFpnRecipe, SemanticHeadRecipe, TrainRecipe, default_recipe


def recipe() -> TrainRecipe:
    """The default run without objects: classes of pixels alone."""
    base = default_recipe()
    return attrs.evolve(
        base,
        model=SemanticFpnRecipe(
            backbone=base.model.backbone,
            semantic_head=SemanticHeadRecipe(channels=48),
        ),
        steps=800,
        evaluate_every=None,
        num_workers=0,
    )
