"""RetinaNet: one stage, anchors, the focal loss.

python -m geodet.train configs/shapes_retinanet.py
"""

import attrs

from geodet.recipes import RetinaNetRecipe, TrainRecipe, default_recipe


def recipe() -> TrainRecipe:
    """The default run with a detector of one stage, boxes alone."""
    base = default_recipe()
    return attrs.evolve(
        base,
        model=RetinaNetRecipe(
            backbone=base.model.backbone,
            anchor_sizes=(16.0, 32.0, 64.0, 96.0, 128.0),
            head_convs=2,
            max_detections=30,
        ),
        steps=1600,
        evaluate_every=None,
        num_workers=0,
    )
