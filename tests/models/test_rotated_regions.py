"""Masks, keypoints, cascades and PointRend beside rotated boxes."""

from functools import partial

import numpy as np
import pytest
import torch

from geodet.data.sources.shapes import ShapesSource
from geodet.errors import CompositionError
from geodet.models import (
    RCNN,
    ROTATED,
    Preprocess,
    RotatedBoxCoder,
    group_norm,
    rescale_instances,
    rotated_faster_rcnn_fpn,
    rotated_keypoint_rcnn_fpn,
    rotated_mask_rcnn_fpn,
)
from geodet.models.detectors import fpn_cascade_head, fpn_mask_head, fpn_point_rend_head
from geodet.structures import ImageSize, Keypoints, RoiMasks, RotatedBoxes

SIZE = ImageSize(64, 64)
CODERS = [RotatedBoxCoder((10.0 * k, 10.0 * k, 5.0 * k, 5.0 * k, 1.0 * k)) for k in (1, 2, 3)]


def turned_shapes(count=2, seed=0):
    """Pictures of shapes with rotated boxes as their targets, masks and points beside them."""
    source = ShapesSource(count, size=SIZE, seed=seed, max_objects=2, lengths=(0.4, 0.7), pattern=0)
    samples = [source[i] for i in range(count)]
    targets = [
        sample.instances.with_(boxes=sample.instances.extras["rotated_boxes"]) for sample in samples
    ]
    return [sample.image for sample in samples], targets


def options(**changes):
    """Numbers of a model that trains in seconds."""
    torch.manual_seed(0)
    return {
        "num_classes": len(ShapesSource(1, seed=0).label_map),
        "preprocess": Preprocess(
            channel_order="rgb", mean=(110.0,) * 3, std=(60.0,) * 3, size_divisor=32
        ),
        "depth": 18,
        "width": 8,
        "norm": group_norm(4),
        "freeze_at": 0,
        "fpn_channels": 16,
        "anchor_sizes": (16, 32, 48, 96, 192),
        "rpn_samples": 256,
        "train_proposals": (60, 40),
        "test_proposals": (60, 40),
        "box_samples": 32,
        "box_features": (32,),
        **changes,
    }


def with_masks(**changes):
    """Rotated Mask R-CNN."""
    return rotated_mask_rcnn_fpn(**options(mask_convs=(16,), **changes))


def with_keypoints(**changes):
    """Rotated Keypoint R-CNN."""
    skeleton = ShapesSource(1, seed=0).skeleton
    convs = changes.pop("keypoint_convs", (16,))
    return rotated_keypoint_rcnn_fpn(**options(skeleton=skeleton, keypoint_convs=convs, **changes))


def with_points(**changes):
    """Rotated PointRend."""
    numbers = options(**changes)
    head = partial(
        fpn_point_rend_head,
        num_classes=numbers["num_classes"],
        coarse_channels=16,
        coarse_features=(32,),
        point_channels=(16,),
        subdivision_steps=2,
        kind=ROTATED,
    )
    return rotated_faster_rcnn_fpn(**numbers, mask_head=head)


def as_cascade(**changes):
    """Cascade Mask R-CNN of rotated boxes."""
    boxes = with_masks(**changes)
    return RCNN(
        preprocess=boxes.preprocess,
        backbone=boxes.backbone,
        proposals=boxes.proposals,
        box_head=fpn_cascade_head(
            boxes.backbone,
            num_classes=boxes.num_classes,
            coders=CODERS,
            fc_features=(32,),
            samples_per_image=32,
            score_threshold=changes.get("score_threshold", 0.05),
        ),
        mask_head=boxes.mask_head,
    )


MODELS = [with_masks, with_keypoints, with_points, as_cascade]


@pytest.mark.parametrize("make", MODELS)
def test_losses_reach_every_parameter(make):
    """With objects and without any."""
    model = make()
    images, targets = turned_shapes()
    losses = model(images, targets)
    assert ("keypoints" in losses) == (make is with_keypoints)
    assert ("masks" in losses) == (make is not with_keypoints)
    assert all(torch.isfinite(loss) for loss in losses.values())
    sum(losses.values()).backward()
    assert all(value.grad is not None for value in model.parameters())
    model.zero_grad()
    sum(model(images, [target[:0] for target in targets]).values()).backward()
    assert all(value.grad is not None for value in model.parameters())


@pytest.mark.parametrize("make", MODELS)
def test_detections_lie_in_rotated_boxes(make):
    """Columns of the right kind, which move to another size of the image row by row."""
    model = make(score_threshold=0.0).eval()
    with torch.no_grad():
        found = model(turned_shapes()[0])
    for instances in found:
        assert 0 < len(instances) <= 100
        assert isinstance(instances.boxes, RotatedBoxes)
        for size in (ImageSize(128, 128), ImageSize(96, 160)):  # evenly, unevenly
            scaled = rescale_instances(instances, size)
            assert len(scaled) == len(instances)
            assert scaled.image_size == size
            if make is with_keypoints:
                assert isinstance(scaled.keypoints, Keypoints)
                x, y = scaled.keypoints.xyv[..., 0], scaled.keypoints.xyv[..., 1]
                factors = size.width / 64, size.height / 64
                torch.testing.assert_close(x, instances.keypoints.xyv[..., 0] * factors[0])
                torch.testing.assert_close(y, instances.keypoints.xyv[..., 1] * factors[1])
            else:
                assert isinstance(scaled.masks, RoiMasks)
                assert isinstance(scaled.masks.roi_boxes, RotatedBoxes)
                share = scaled.masks.area().double() / instances.masks.area()
                large = instances.masks.area() > 200
                expected = size.width * size.height / 64**2
                # untrained masks are noise around one half, of which blurring moves some
                assert (share[large] / expected - 1).abs().median() < 0.1


def test_heads_of_another_kind_are_refused():
    """A head for upright boxes beside rotated ones is an error at construction."""
    head = partial(fpn_mask_head, num_classes=3, conv_channels=(8,))
    with pytest.raises(CompositionError, match="MaskHead reads Boxes, BoxHead gives RotatedBoxes"):
        rotated_faster_rcnn_fpn(**options(num_classes=3), mask_head=head)


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.parametrize("make", [with_masks, with_keypoints])
def test_a_model_learns_a_few_pictures_by_heart(make):
    """Every object is found in its rotated box, with its mask or its points."""
    images, targets = turned_shapes(3, seed=1)
    changes = {
        "width": 16,
        "fpn_channels": 32,
        "box_features": (128,),
        "box_samples": 64,
        "train_proposals": (200, 100),
        "score_threshold": 0.3,
    }
    if make is with_keypoints:
        changes["keypoint_convs"] = (32, 32, 32)
    model = make(**changes)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for step in range(300):
        if step == 220:
            optimizer.param_groups[0]["lr"] = 5e-4
        loss = sum(model(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = model.eval()(images)
    overlaps, errors, shares = [], [], []
    for instances, truth in zip(found, targets, strict=True):
        same = instances.labels[:, None] == truth.labels
        overlap = torch.where(same, instances.boxes.pairwise_iou(truth.boxes), 0.0)
        best, row = overlap.max(dim=0)
        overlaps += best.tolist()
        if make is with_keypoints:
            wanted = truth.keypoints.xyv
            gap = (instances.keypoints.xyv[row, :, :2] - wanted[:, :, :2]).norm(dim=2)
            errors += gap[wanted[:, :, 2] > 0].tolist()
        else:
            pasted = instances.masks[row].to_rle_masks()
            shares += pasted.pairwise_iou(truth.masks.to_rle_masks()).diagonal().tolist()
    assert min(overlaps) > 0.6, overlaps
    if make is with_keypoints:
        assert np.median(errors) < 2.0, errors  # pixels
    else:
        assert min(shares) > 0.7, shares
