"""Keypoint R-CNN on rotated boxes: four points of every shape.

    python -m geodet.train configs/shapes_keypoints.py

The head sees every shape turned upright, where its points have fixed places: upright boxes would
need a far longer training. Four of the seven shapes look the same after half a turn, and the star
after a fifth of one: which of their ends is the head cannot be told, so the best possible figures
are far below 1.
"""

import attrs

from geodet.recipes import AdamW, KeypointHeadRecipe, TrainRecipe, default_recipe


def recipe() -> TrainRecipe:
    """The default run with rotated boxes and keypoints, on one large shape an image."""
    base = default_recipe()
    return attrs.evolve(
        base,
        model=attrs.evolve(
            base.model,
            rotated=True,
            # Points are read from the finest maps.
            box_head=attrs.evolve(base.model.box_head, canonical_size=224.0),
            mask_head=None,
            keypoint_head=KeypointHeadRecipe(conv_channels=(48, 48, 48)),
        ),
        data=attrs.evolve(base.data, side=64, max_objects=1, lengths=(0.6, 0.95)),
        optimizer=AdamW(lr=3e-3),
        clip_norm=10.0,
        steps=900,
        evaluate_every=None,
        num_workers=0,
    )
