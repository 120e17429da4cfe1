"""RetinaNet of rotated boxes.

python -m geodet.train configs/shapes_rotated_retinanet.py
"""

import attrs

from geodet.recipes import RetinaNetRecipe, TrainRecipe, default_recipe


def recipe() -> TrainRecipe:
    """The default run with rotated anchors in one stage."""
    base = default_recipe()
    return attrs.evolve(
        base,
        model=RetinaNetRecipe(
            backbone=base.model.backbone,
            rotated=True,
            anchor_sizes=(16.0, 32.0, 64.0, 96.0, 128.0),
            octave_scales=(1.0,),
            aspect_ratios=(0.5, 1.0),
            head_convs=2,
            max_detections=30,
        ),
        steps=800,
        evaluate_every=None,
        num_workers=0,
    )
