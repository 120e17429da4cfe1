"""Eight pictures of shapes learned by heart in two stages, from random weights."""

import pytest
import torch

from geodet.data.sources.shapes import ShapesSource
from geodet.evaluation import CocoEvaluator
from geodet.models import (
    IouLoss,
    Preprocess,
    SigmoidClasses,
    faster_rcnn_fpn,
    group_norm,
    mask_rcnn_c4,
    mask_rcnn_dc5,
    mask_rcnn_fpn,
    rotated_faster_rcnn_fpn,
)
from geodet.structures import ImageSize

STEPS = 150
COMMON = {
    "num_classes": 7,
    "width": 16,
    "norm": group_norm(8),
    "freeze_at": 0,
    "rpn_samples": 128,
    "train_proposals": (400, 200),
    "test_proposals": (200, 100),
    "box_samples": 64,
}
PYRAMID = {
    "depth": 18,
    "fpn_channels": 48,
    "anchor_sizes": (16, 32, 64, 128, 256),
    "box_features": (128, 128),
}
ONE_MAP = {
    "depth": 50,
    "width": 8,
    "anchor_sizes": (24, 48, 80),
    "rpn_samples": 64,
    "train_proposals": (200, 100),
    "box_samples": 32,
}
C4 = {**ONE_MAP, "mask_channels": 64}
DC5 = {**ONE_MAP, "box_features": (128, 128), "mask_convs": (32, 32)}


def learned(family, kinds, change=None, *, steps=STEPS, **options):
    """AP of each kind on the pictures that a model was trained on."""
    source = ShapesSource(
        8, size=ImageSize(128, 128), seed=1, max_objects=3, lengths=(0.25, 0.6), pattern=0.3
    )
    samples = [source[i] for i in range(len(source))]
    images, targets = [s.image for s in samples], [s.instances for s in samples]
    if "rotated_boxes" in kinds:
        targets = [table.with_(boxes=table.extras["rotated_boxes"]) for table in targets]
    torch.manual_seed(0)
    preprocess = Preprocess(
        channel_order="rgb", mean=(110.0,) * 3, std=(60.0,) * 3, size_divisor=32
    )
    model = family(preprocess=preprocess, **{**COMMON, **options})
    if change is not None:
        change(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=steps, pct_start=0.1
    )
    for _ in range(steps):
        losses = model(images, targets)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        schedule.step()
    evaluator = CocoEvaluator(num_classes=7, iou_types=kinds)
    with torch.no_grad():
        for image_id, found in enumerate(model.eval()(images)):
            evaluator.update(image_id, found, targets[image_id])
    result = evaluator.result()
    return {kind: result[kind].ap for kind in kinds}


@pytest.mark.learning
@pytest.mark.slow
def test_boxes_are_learned_by_heart():
    """AP over all thresholds above 0.9, in 150 steps."""
    assert learned(faster_rcnn_fpn, ("boxes",), **PYRAMID)["boxes"] > 0.9


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "options", "steps"), [(mask_rcnn_c4, C4, 180), (mask_rcnn_dc5, DC5, 100)]
)
def test_one_map_is_enough(family, options, steps):
    """Boxes as well as on a pyramid, and masks of few cells well above chance."""
    found = learned(family, ("boxes", "masks"), steps=steps, **options)
    assert found["boxes"] > 0.9
    assert found["masks"] > 0.5


@pytest.mark.learning
@pytest.mark.slow
def test_rotated_boxes_are_learned_by_heart():
    """Regions at every angle, in 300 steps: more of them count, and turns count more."""
    found = learned(
        rotated_faster_rcnn_fpn,
        ("rotated_boxes",),
        steps=300,
        **{
            **PYRAMID,
            "box_features": (256, 256),
            "box_weights": (10.0, 10.0, 5.0, 5.0, 4.0),
            "box_samples": 128,
            "train_proposals": (400, 300),
        },
    )
    assert found["rotated_boxes"] > 0.9


def _by_overlap(model):
    model.proposals.box_loss = IouLoss("giou")
    model.box_head.box_loss = IouLoss("giou", weight=5.0)
    model.box_head.class_loss = SigmoidClasses()


@pytest.mark.learning
@pytest.mark.slow
def test_masks_are_learned_beside_boxes_by_other_losses():
    """Overlap instead of distance, every class for itself, in 150 steps."""
    found = learned(mask_rcnn_fpn, ("boxes", "masks"), _by_overlap, **PYRAMID, mask_convs=(32, 32))
    assert found["boxes"] > 0.9
    assert found["masks"] > 0.5
