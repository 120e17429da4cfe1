"""Mask R-CNN whose masks are refined point by point (PointRend).

python -m geodet.train configs/shapes_point_rend.py
"""

import attrs

from geodet.recipes import PointRendRecipe, TrainRecipe, default_recipe


def recipe() -> TrainRecipe:
    """The default run with another mask head."""
    base = default_recipe()
    return attrs.evolve(
        base,
        model=attrs.evolve(
            base.model,
            mask_head=PointRendRecipe(
                coarse_channels=48,
                coarse_features=(128,),
                point_channels=(64, 64),
                train_points=100,
                subdivision_steps=3,
                subdivision_points=196,
            ),
        ),
        steps=800,
        evaluate_every=None,
        num_workers=0,
    )
