"""Eight pictures of shapes learned by heart, from weights drawn at random, in 120 steps."""

from functools import partial

import pytest
import torch

from geodet.data.sources.shapes import ShapesSource
from geodet.evaluation import CocoEvaluator
from geodet.models import (
    EmaNormaliser,
    IouLoss,
    Preprocess,
    fcos_fpn,
    group_norm,
    retinanet_fpn,
    rotated_retinanet_fpn,
)
from geodet.models.detectors import fpn_mask_head
from geodet.structures import ImageSize

STEPS = 120
MASKS = {"mask_head": partial(fpn_mask_head, num_classes=7, conv_channels=(32, 32))}


def _learned(family, kinds, **changes):
    """AP of each kind on the pictures that a model was trained on for STEPS steps."""
    source = ShapesSource(
        8, size=ImageSize(128, 128), seed=1, max_objects=3, lengths=(0.25, 0.6), pattern=0.3
    )
    samples = [source[i] for i in range(len(source))]
    images, targets = [s.image for s in samples], [s.instances for s in samples]
    if "rotated_boxes" in kinds:
        targets = [table.with_(boxes=table.extras["rotated_boxes"]) for table in targets]
    torch.manual_seed(0)
    model = family(
        num_classes=7,
        preprocess=Preprocess(
            channel_order="rgb", mean=(110.0,) * 3, std=(60.0,) * 3, size_divisor=32
        ),
        depth=18,
        width=16,
        norm=group_norm(8),
        freeze_at=0,
        fpn_channels=48,
        head_convs=1,
        head_norm=group_norm(8),
        normaliser=EmaNormaliser(initial=30.0),
        **changes,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=STEPS, pct_start=0.1
    )
    for _ in range(STEPS):
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
@pytest.mark.parametrize(
    ("family", "changes"),
    [
        (retinanet_fpn, {}),
        (retinanet_fpn, {"box_loss": IouLoss("giou", 2.0)}),
        (fcos_fpn, {}),
    ],
)
def test_boxes_are_learned_by_heart(family, changes):
    """AP over all thresholds above 0.9."""
    assert _learned(family, ("boxes",), **changes)["boxes"] > 0.9


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"box_loss": IouLoss("giou", 2.0)}])
def test_rotated_boxes_are_learned_by_heart(changes):
    """The same, by offsets and by overlap of regions."""
    found = _learned(rotated_retinanet_fpn, ("rotated_boxes",), **changes)
    assert found["rotated_boxes"] > 0.9


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.parametrize("family", [retinanet_fpn, fcos_fpn])
def test_masks_are_learned_beside_boxes(family):
    """Boxes as well as without masks, and masks of 28 x 28 cells well above chance."""
    found = _learned(family, ("boxes", "masks"), **MASKS)
    assert found["boxes"] > 0.9
    assert found["masks"] > 0.5
