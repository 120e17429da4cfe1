"""Mask R-CNN R50-FPN on COCO, 3x: the numbers of Detectron2's configuration of this name.

Data: COCO 2017 under `datasets/coco`. Initial weights: ResNet-50 of MSRA on ImageNet, converted
to safetensors with the key names of `geodet.models.backbones.resnet`.
Command: torchrun --nproc-per-node 8 -m geodet.train configs/mask_rcnn_r50_fpn_coco_3x.py
Hardware: 8 GPUs, 2 images each; one GPU takes 16 images at once if its memory allows.
Expected AP: Detectron2's model zoo reports 41.0 box and 37.2 mask AP for its own run of these
numbers (MODEL_ZOO.md, "R50-FPN, 3x"); geodet has not run it yet.
"""

from pathlib import Path

from geodet.recipes import (
    CocoRecipe,
    MaskRcnnRecipe,
    MultiStep,
    PreprocessRecipe,
    ResNetFpnRecipe,
    Sgd,
    TrainRecipe,
)


def recipe() -> TrainRecipe:
    return TrainRecipe(
        model=MaskRcnnRecipe(
            backbone=ResNetFpnRecipe(
                depth=50,
                norm="frozen",
                freeze_at=2,
                weights=Path("weights/resnet50_msra.safetensors"),
            ),
            num_classes=80,
            preprocess=PreprocessRecipe(
                channel_order="bgr", mean=(103.53, 116.28, 123.675), std=(1.0, 1.0, 1.0)
            ),
        ),
        data=CocoRecipe(
            root=Path("datasets/coco"),
            keep_empty=False,
            on_bad="skip",  # two boxes of train2017 have no width or no height
        ),
        optimizer=Sgd(lr=0.02, momentum=0.9, weight_decay=1e-4),
        schedule=MultiStep(milestones=(210_000, 250_000), warmup_steps=1000),
        steps=270_000,
        batch_size=16,
        checkpoint_every=5000,
        num_workers=4,
    )
