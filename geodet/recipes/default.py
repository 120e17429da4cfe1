"""What `python -m geodet.train` does without a config: a small Mask R-CNN on built-in data."""

from geodet.recipes.backbones import ResNetFpnRecipe
from geodet.recipes.data import ShapesRecipe
from geodet.recipes.detectors import RcnnRecipe
from geodet.recipes.heads import BoxHeadRecipe, MaskHeadRecipe, RpnRecipe
from geodet.recipes.optimizers import AdamW, Cosine
from geodet.recipes.train_recipe import TrainRecipe

__all__ = ["default_recipe"]


def default_recipe() -> TrainRecipe:
    """Return the built-in run, small enough for minutes on two CPU cores."""
    return TrainRecipe(
        model=RcnnRecipe(
            backbone=ResNetFpnRecipe(depth=18, width=24, fpn_channels=64, norm="batch"),
            rpn=RpnRecipe(
                anchor_sizes=(12.0, 24.0, 48.0, 96.0, 128.0),
                samples_per_image=64,
                train_before_nms=300,
                train_after_nms=150,
                test_before_nms=300,
                test_after_nms=100,
            ),
            box_head=BoxHeadRecipe(
                fc_features=(256, 256),
                samples_per_image=48,
                max_detections=30,
                canonical_size=112.0,
            ),
            mask_head=MaskHeadRecipe(conv_channels=(48, 48)),
        ),
        # Large objects with faint patterns: what so small a network can learn in minutes.
        data=ShapesRecipe(
            train_length=20_000,
            val_length=200,
            side=96,
            max_objects=3,
            lengths=(0.35, 0.8),
            pattern=0.1,
        ),
        optimizer=AdamW(lr=1e-3),
        schedule=Cosine(warmup_steps=50, warmup_start=0.05),
        steps=2500,
        batch_size=8,
        evaluate_every=1250,
        checkpoint_every=250,
        log_every=10,
        clip_norm=5.0,
        precision="bf16",  # a third faster where the CPU has it; emulated, slowly, where not
        channels_last=True,
        num_workers=1,
    )
