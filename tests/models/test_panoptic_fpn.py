"""Panoptic FPN: objects and background from one pass, at any size."""

import pytest
import torch

from geodet.errors import CompositionError, DtypeError
from geodet.models import PanopticFPN, PanopticMerging, group_norm, panoptic_fpn, rescale_prediction
from geodet.structures import (
    ImageSize,
    Instances,
    SceneLabels,
    ScenePrediction,
    SceneTarget,
    SemanticMap,
)

LABELS = SceneLabels.with_things_as_one(num_things=2, num_stuff=2)


@pytest.fixture
def tiny(tiny_mask_rcnn):
    """Makes Panoptic FPN of a few hundred thousand parameters, drawn from a fixed seed."""

    def make(**changes):
        options = {
            "labels": LABELS,
            "head_channels": 16,
            "head_norm": group_norm(4),
            "min_stuff_area": 64,
        }
        return panoptic_fpn(tiny_mask_rcnn(), **{**options, **changes})

    return make


@pytest.fixture
def scenes(pictures):
    """Two pictures; background is class 1 at the left of column 32, 2 at the right."""
    images, targets = pictures
    scenes = []
    for target in targets:
        labels = torch.ones(64, 64, dtype=torch.int64)
        labels[:, 32:] = 2
        labels[target.masks.data.any(0)] = 0
        scenes.append(SceneTarget(target, SemanticMap(labels)))
    return images, scenes


def test_losses_are_those_of_both_parts(tiny, scenes, tiny_mask_rcnn):
    """The detector's losses are its own, and one more is for the pixels."""
    images, targets = scenes
    model = tiny()
    torch.manual_seed(3)
    losses = model(images, targets)
    torch.manual_seed(3)
    alone = model.detector(images, [target.instances for target in targets])
    assert set(losses) == {*alone, "semantic"}
    assert all(torch.equal(losses[name], alone[name]) for name in alone)
    assert model.counts["rpn_positive"] > 0
    sum(losses.values()).backward()
    grads = [p.grad for p in model.parameters()]
    assert all(grad is not None and grad.any() for grad in grads)


def test_batches_without_objects_or_labels_train(tiny, scenes):
    """Gradients of 0 reach every parameter of heads that had nothing to learn."""
    images, targets = scenes
    model = tiny()
    nothing = [
        SceneTarget(target.instances[:0], SemanticMap.empty(target.semantic.image_size))
        for target in targets
    ]
    losses = model(images, nothing)
    sum(losses.values()).backward()
    assert losses["semantic"] == losses["masks"] == 0
    assert all(p.grad is not None for p in model.parameters())


def test_scenes_are_merged_at_the_size_they_are_asked_for(tiny):
    """Each image has its own size; scaled predictions merge anew."""
    model = tiny().eval()
    images = [torch.randint(0, 256, (3, h, w), dtype=torch.uint8) for h, w in ((50, 64), (40, 33))]
    with torch.no_grad():
        found = model(images)
    for image, scene in zip(images, found, strict=True):
        assert isinstance(scene, ScenePrediction)
        assert scene.panoptic.image_size.as_tuple() == tuple(image.shape[1:])
        size = ImageSize(image.shape[1] * 2, image.shape[2] + 9)
        larger = rescale_prediction(scene, size)
        assert larger.panoptic.image_size == size
        assert larger.instances.image_size == larger.semantic.image_size == size
        assert larger.panoptic.equal(model.merging.merge(larger.instances, larger.semantic))


def test_hard_masks_of_a_scene_are_scaled_too(tiny, pictures):
    """Run lengths take the nearest pixel, where a detector's soft masks stay soft."""
    with torch.no_grad():
        scene = tiny().eval()(pictures[0])[0]
    hard = scene.with_parts(
        scene.instances.with_(masks=scene.instances.masks.to_rle_masks()), scene.semantic
    )
    size = ImageSize(128, 96)
    scaled = rescale_prediction(hard, size)
    assert scaled.instances.masks.image_size == size
    assert scaled.panoptic.image_size == size


def test_no_tensor_comes_twice_and_all_come_back(tiny, pictures):
    """A state dict names each tensor once, and restores the predictions."""
    model, other = tiny().eval(), tiny()
    state = model.state_dict()
    assert len({value.data_ptr() for value in state.values() if value.numel()}) == len(
        [value for value in state.values() if value.numel()]
    )
    for value in other.parameters():
        torch.nn.init.zeros_(value)
    other.load_state_dict(state)
    with torch.no_grad():
        first, second = model(pictures[0])[0], other.eval()(pictures[0])[0]
    assert first.equal(second)


def test_mixed_precision_runs(tiny, scenes):
    """Losses are float32 numbers under autocast, and scenes come out."""
    images, targets = scenes
    model = tiny()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model(images, targets)
        scene = model(images)[0]
    assert all(loss.dtype == torch.float32 and torch.isfinite(loss) for loss in losses.values())
    assert scene.panoptic.image_size.as_tuple() == (64, 64)


def test_parts_and_targets_that_do_not_fit_are_named(tiny, tiny_mask_rcnn, scenes):
    """A detector without masks, tables of other lengths, targets of another kind."""
    images, targets = scenes
    model = tiny()
    with pytest.raises(DtypeError, match=r"targets\[0\].*SceneTarget.*Instances"):
        model(images, [target.instances for target in targets])
    assert isinstance(targets[0].instances, Instances)
    with pytest.raises(CompositionError, match=r"RCNN has num_classes=2.* name 3"):
        panoptic_fpn(
            tiny_mask_rcnn(), labels=SceneLabels.with_things_as_one(num_things=3, num_stuff=1)
        )
    merging = PanopticMerging(labels=SceneLabels.with_things_as_one(num_things=2, num_stuff=5))
    with pytest.raises(CompositionError, match="semantic head has num_classes=3"):
        PanopticFPN(detector=tiny_mask_rcnn(), semantic_head=model.semantic_head, merging=merging)
    bare = tiny_mask_rcnn()
    bare.mask_head = None
    with pytest.raises(CompositionError, match="mask_head"):
        PanopticFPN(detector=bare, semantic_head=model.semantic_head, merging=model.merging)


def test_it_learns_the_background(tiny, scenes):
    """After 15 steps most pixels have their background class."""
    images, targets = scenes
    model = tiny()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(15):
        optimizer.zero_grad()
        sum(model(images, targets).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    with torch.no_grad():
        found = model.eval()(images)
    right = [
        (scene.semantic.to_semantic_map().labels == target.semantic.labels).float().mean()
        for scene, target in zip(found, targets, strict=True)
    ]
    assert sum(right) / len(right) > 0.75
