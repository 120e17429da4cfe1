"""Keypoint R-CNN: four points of every shape.

python -m geodet.train configs/shapes_keypoints.py
"""

import attrs

from geodet.recipes import KeypointHeadRecipe, TrainRecipe, default_recipe


def recipe() -> TrainRecipe:
    """The default run with keypoints in place of masks."""
    base = default_recipe()
    return attrs.evolve(
        base,
        model=attrs.evolve(
            base.model,
            mask_head=None,
            keypoint_head=KeypointHeadRecipe(conv_channels=(48, 48, 48)),
        ),
        steps=800,
        evaluate_every=None,
        num_workers=0,
    )
