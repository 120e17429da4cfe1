"""Panoptic FPN: shapes and the textures behind them, as one scene.

python -m geodet.train configs/shapes_panoptic.py
"""

import attrs

from geodet.recipes import PanopticFpnRecipe, SemanticHeadRecipe, TrainRecipe, default_recipe


def recipe() -> TrainRecipe:
    """The default run with a semantic head beside the detector."""
    base = default_recipe()
    return attrs.evolve(
        base,
        model=PanopticFpnRecipe(
            detector=base.model,
            semantic_head=SemanticHeadRecipe(channels=32, loss_weight=0.5),
            score_threshold=0.3,  # so short a training leaves scores low
            min_stuff_area=100,
        ),
        steps=800,
        evaluate_every=None,
        num_workers=0,
    )
