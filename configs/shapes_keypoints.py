"""Keypoint R-CNN: four points of every shape.

    python -m geodet.train configs/shapes_keypoints.py

Four of the seven shapes look the same after half a turn, and the star after a fifth of one: which
of their ends is the head cannot be told, so the best possible figures are far below 1. Heatmaps
begin to form late: in these steps boxes are learned, points only begin to be.
"""

import attrs

from geodet.recipes import KeypointHeadRecipe, TrainRecipe, default_recipe


def recipe() -> TrainRecipe:
    """The default run with keypoints in place of masks, on larger shapes."""
    base = default_recipe()
    return attrs.evolve(
        base,
        model=attrs.evolve(
            base.model,
            # Points are read from the finest maps.
            box_head=attrs.evolve(base.model.box_head, canonical_size=224.0),
            mask_head=None,
            keypoint_head=KeypointHeadRecipe(conv_channels=(64, 64, 64, 64)),
        ),
        data=attrs.evolve(base.data, max_objects=2, lengths=(0.5, 0.9)),
        steps=1400,
        evaluate_every=None,
        num_workers=0,
    )
