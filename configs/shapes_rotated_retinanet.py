"""RetinaNet of rotated boxes, which also tell where the top of a shape is.

    python -m geodet.train configs/shapes_rotated_retinanet.py

Shapes are longer than they are wide, and anchors are too: a square anchor, or one that lies across,
overlaps a shape as well when it is a quarter turn off, and would have to learn that turn, to either
side, together with two sides that change places.
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
            anchor_sizes=(28.0, 40.0, 56.0, 80.0, 112.0),
            octave_scales=(1.0, 1.2),
            aspect_ratios=(2.0,),
            head_convs=2,
            max_detections=30,
        ),
        optimizer=attrs.evolve(base.optimizer, lr=2e-3),
        steps=2400,
        evaluate_every=None,
        num_workers=0,
    )
