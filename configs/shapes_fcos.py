"""FCOS: one stage, no anchors.

python -m geodet.train configs/shapes_fcos.py
"""

import attrs

from geodet.recipes import FcosRecipe, TrainRecipe, default_recipe


def recipe() -> TrainRecipe:
    """The default run with a detector of one stage that learns from points, boxes alone."""
    base = default_recipe()
    return attrs.evolve(
        base,
        model=FcosRecipe(
            backbone=base.model.backbone,
            head_convs=2,
            score_threshold=0.05,
            max_detections=30,
        ),
        steps=800,
        evaluate_every=None,
        num_workers=0,
    )
