"""Eight pictures of shapes learned by heart, pixel by pixel, from random weights, in 250 steps."""

import pytest
import torch

from geodet.data import target_maker
from geodet.data.sources.shapes import ShapesSource
from geodet.evaluation import PanopticEvaluator, SemanticEvaluator
from geodet.models import (
    CenterTargets,
    Preprocess,
    deeplab_v3,
    deeplab_v3_plus,
    group_norm,
    mask_rcnn_fpn,
    panoptic_deeplab,
    panoptic_fpn,
    semantic_fpn,
)
from geodet.structures import ImageSize, SceneLabels

STEPS = 250
SOURCE = ShapesSource(
    8, size=ImageSize(128, 128), seed=1, max_objects=3, lengths=(0.25, 0.6), pattern=0.3
)
NUM_THINGS = len(SOURCE.label_map)
NUM_CLASSES = len(SOURCE.panoptic_label_map)
COUNTS = {"num_things": NUM_THINGS, "num_stuff": NUM_CLASSES - NUM_THINGS}
THINGS_AS_ONE = SceneLabels.with_things_as_one(**COUNTS)
ALL = SceneLabels.all_semantic(**COUNTS)
NARROW = {
    "preprocess": Preprocess(
        channel_order="rgb", mean=(110.0,) * 3, std=(60.0,) * 3, size_divisor=32
    ),
    "depth": 18,
    "width": 16,
    "norm": group_norm(8),
    "freeze_at": 0,
}
PYRAMID = {"fpn_channels": 48}
DEEPLAB = {"multi_grid": (1, 2), "aspp_channels": 48, "dilations": (1, 2, 3), "dropout": 0.0}


def trained(model, labels=None, *, lr=3e-3):
    """What the model predicts after STEPS steps on all pictures, and the samples."""
    samples = [SOURCE[index] for index in range(len(SOURCE))]
    make = target_maker(model.target_kind, labels=labels)
    images, targets = [s.image for s in samples], [make(s) for s in samples]
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=STEPS, pct_start=0.1)
    for _ in range(STEPS):
        losses = model(images, targets)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return model.eval()(images), samples


def semantic_quality(model):
    """IoU and accuracy on the pictures that the model was trained on."""
    evaluator = SemanticEvaluator(num_classes=NUM_CLASSES)
    make = target_maker("semantic")
    for scores, sample in zip(*trained(model), strict=True):
        evaluator.update(sample.image_id, scores, make(sample))
    return evaluator.result()


def panoptic_quality(model, labels=None, *, lr=3e-3):
    """Panoptic quality on the pictures that the model was trained on."""
    evaluator = PanopticEvaluator(num_classes=NUM_CLASSES, things=range(NUM_THINGS))
    for scene, sample in zip(*trained(model, labels, lr=lr), strict=True):
        evaluator.update(sample.image_id, scene.panoptic, sample.panoptic)
    return evaluator.result()


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "options", "least"),
    [
        (semantic_fpn, {**PYRAMID, "head_channels": 48, "head_norm": group_norm(8)}, 0.95),
        (deeplab_v3, DEEPLAB, 0.8),  # cells of 16 pixels see no edges
        (deeplab_v3_plus, {**DEEPLAB, "project_channels": 16, "decoder_channels": 48}, 0.95),
    ],
)
def test_classes_of_pixels_are_learned(family, options, least):
    """Mean IoU over all classes that occur."""
    torch.manual_seed(0)
    report = semantic_quality(family(num_classes=NUM_CLASSES, **NARROW, **options))
    assert report.miou > least


@pytest.mark.learning
@pytest.mark.slow
def test_panoptic_fpn_learns_scenes():
    """PQ above 0.9 over things and stuff."""
    torch.manual_seed(0)
    detector = mask_rcnn_fpn(
        num_classes=NUM_THINGS,
        **NARROW,
        **PYRAMID,
        anchor_sizes=(16, 32, 64, 128, 256),
        rpn_samples=128,
        train_proposals=(400, 200),
        test_proposals=(200, 100),
        box_samples=64,
        box_features=(128, 128),
        mask_convs=(48, 48),
    )
    model = panoptic_fpn(
        detector,
        labels=THINGS_AS_ONE,
        head_channels=48,
        head_norm=group_norm(8),
        min_stuff_area=128,
    )
    assert panoptic_quality(model, THINGS_AS_ONE).pq > 0.9


@pytest.mark.learning
@pytest.mark.slow
def test_panoptic_deeplab_learns_scenes():
    """PQ above 0.9 over things and stuff."""
    torch.manual_seed(0)
    model = panoptic_deeplab(
        labels=ALL,
        **NARROW,
        **DEEPLAB,
        project_channels=(16, 32),
        separable=False,
        semantic_channels=(64, 64),
        center_channels=(48, 32),
        loss_weights=(1.0, 20.0, 0.02),
        targets=CenterTargets(labels=ALL, sigma=6, small_area=0),
        min_stuff_area=128,
    )
    assert panoptic_quality(model, lr=5e-3).pq > 0.9
