"""Eight pictures of shapes learned by heart on transformers, from random weights, in 250 steps.

The short version is `test_losses_fall` of test_vitdet.py.
"""

import pytest
import torch

from geodet.data.sources.shapes import ShapesSource
from geodet.evaluation import CocoEvaluator
from geodet.models import Preprocess
from geodet.models.detectors import mvit_fpn, pyramid_mask_rcnn, swin_fpn, vitdet_pyramid
from geodet.structures import ImageSize

STEPS = 250
KINDS = ("boxes", "masks")
SIZES = {
    vitdet_pyramid: {
        "channels": 64,
        "depth": 4,
        "num_heads": 4,
        "global_blocks": (1, 3),
        "image_side": 128,
        "window_side": 4,
        "pyramid_channels": 48,
    },
    swin_fpn: {"channels": 16, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 4, 8)},
    mvit_fpn: {"channels": 16, "depth": 6, "stage_ends": (0, 2, 4, 5), "window_side": 16},
}


def _model(make_pyramid):
    torch.manual_seed(0)
    pyramid = {} if make_pyramid is vitdet_pyramid else {"fpn_channels": 48}
    return pyramid_mask_rcnn(
        make_pyramid(drop_path=0.0, **SIZES[make_pyramid], **pyramid),
        num_classes=7,
        preprocess=Preprocess(
            channel_order="rgb", mean=(110.0,) * 3, std=(60.0,) * 3, size_divisor=32
        ),
        anchor_sizes=(16, 32, 64, 128, 256),
        rpn_convs=1,
        rpn_samples=128,
        train_proposals=(400, 200),
        test_proposals=(200, 100),
        box_convs=(),
        box_features=(128, 128),
        box_samples=64,
        mask_convs=(32, 32),
    )


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.parametrize("make_pyramid", SIZES)
def test_boxes_and_masks_are_learned_by_heart(make_pyramid):
    """AP over all thresholds above 0.9 of both."""
    source = ShapesSource(
        8, size=ImageSize(128, 128), seed=1, max_objects=3, lengths=(0.25, 0.6), pattern=0.3
    )
    samples = [source[i] for i in range(len(source))]
    images, targets = [s.image for s in samples], [s.instances for s in samples]
    model = _model(make_pyramid)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 2e-3, total_steps=STEPS, pct_start=0.1
    )
    for _ in range(STEPS):
        losses = model(images, targets)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        schedule.step()
    evaluator = CocoEvaluator(num_classes=7, iou_types=KINDS)
    with torch.no_grad():
        for image_id, found in enumerate(model.eval()(images)):
            evaluator.update(image_id, found, targets[image_id])
    result = evaluator.result()
    assert {kind: result[kind].ap > 0.9 for kind in KINDS} == dict.fromkeys(KINDS, True)
