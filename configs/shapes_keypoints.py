"""Keypoint R-CNN: four points of triangles and arrows.

    python -m geodet.train configs/shapes_keypoints.py

Of the seven shapes only these two show which end is the head: disc, brick, ring and halves look
the same after half a turn, and the star nearly so after a fifth of one. Heatmaps form late: their
loss starts near 8, the entropy of a blank map of 56 x 56, and most of what it loses it loses after
the first two hundred steps. One object in each picture, seldom cut by the border, gets it there
sooner.
"""

import attrs

from geodet.recipes import KeypointHeadRecipe, TrainRecipe, default_recipe


def recipe() -> TrainRecipe:
    """The default run with keypoints in place of masks, on one directed shape in each picture."""
    base = default_recipe()
    return attrs.evolve(
        base,
        model=attrs.evolve(
            base.model,
            box_head=attrs.evolve(
                base.model.box_head,
                # Points are read from the finest maps.
                canonical_size=224.0,
                # Heatmaps of half as many regions: more steps in the same time.
                samples_per_image=24,
            ),
            mask_head=None,
            keypoint_head=KeypointHeadRecipe(conv_channels=(64, 64, 64, 64)),
        ),
        data=attrs.evolve(
            base.data, classes=("triangle", "arrow"), max_objects=1, lengths=(0.4, 0.7)
        ),
        optimizer=attrs.evolve(base.optimizer, lr=2e-3),
        steps=1600,
        evaluate_every=None,
        num_workers=0,
    )
