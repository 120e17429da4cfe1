"""Faster R-CNN R18-FPN on BCCD: blood cells in microscope pictures, trained from scratch.

Data: BCCD (MIT licence), 364 pictures of 640 x 480, red cells, white cells and platelets, with
`JPEGImages/` and `coco/instances_{train,val}.json` in one folder.
Command: python -m geodet.train configs/bccd_faster_rcnn.py --set data.root=FOLDER
Hardware, time, AP: 8 minutes on 2 CPU cores, box AP 0.588 and AP50 0.897 on val; see
configs/README.md.
"""

from pathlib import Path

from geodet.recipes import (
    AdamW,
    BoxHeadRecipe,
    CocoRecipe,
    Cosine,
    FasterRcnnRecipe,
    ResNetFpnRecipe,
    RpnRecipe,
    TrainRecipe,
)


def recipe() -> TrainRecipe:
    return TrainRecipe(
        model=FasterRcnnRecipe(
            backbone=ResNetFpnRecipe(depth=18, width=24, fpn_channels=64, norm="batch"),
            rpn=RpnRecipe(
                anchor_sizes=(12.0, 24.0, 48.0, 96.0, 128.0),
                samples_per_image=128,
                train_before_nms=500,
                train_after_nms=300,
                test_before_nms=500,
                test_after_nms=300,
            ),
            box_head=BoxHeadRecipe(
                fc_features=(256, 256), samples_per_image=96, canonical_size=112.0
            ),
        ),
        data=CocoRecipe(
            root=Path("../shared/data/bccd"),
            train_images=Path("JPEGImages"),
            train_annotations=Path("coco/instances_train.json"),
            val_images=Path("JPEGImages"),
            val_annotations=Path("coco/instances_val.json"),
            masks=False,
            short_edges=(224, 240, 256, 272, 288),
            max_long_edge=480,
            test_short_edge=256,
        ),
        optimizer=AdamW(lr=1e-3),
        schedule=Cosine(warmup_steps=100, warmup_start=0.05),
        steps=2000,
        batch_size=4,
        evaluate_every=500,
        checkpoint_every=250,
        log_every=10,
        clip_norm=5.0,
        channels_last=True,
        num_workers=1,
    )
