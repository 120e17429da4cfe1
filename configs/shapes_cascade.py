"""Cascade Mask R-CNN: three stages of ever stricter boxes.

python -m geodet.train configs/shapes_cascade.py
"""

import attrs

from geodet.recipes import TrainRecipe, default_recipe


def recipe() -> TrainRecipe:
    """The default run with a cascade in place of one box head."""
    base = default_recipe()
    return attrs.evolve(
        base,
        model=attrs.evolve(
            base.model,
            box_head=attrs.evolve(base.model.box_head, cascade_ious=(0.5, 0.6, 0.7)),
        ),
        steps=800,
        evaluate_every=None,
        num_workers=0,
    )
