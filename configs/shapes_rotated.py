"""Faster R-CNN of rotated boxes, which also tell where the top of a shape is.

python -m geodet.train configs/shapes_rotated.py
"""

import attrs

from geodet.recipes import TrainRecipe, default_recipe


def recipe() -> TrainRecipe:
    """The default run with rotated boxes in place of upright ones and masks."""
    base = default_recipe()
    return attrs.evolve(
        base,
        model=attrs.evolve(base.model, rotated=True, mask_head=None),
        steps=1000,
        evaluate_every=None,
        num_workers=0,
    )
