"""Keypoint R-CNN, Cascade R-CNN, PointRend: Detectron2's tensors and numbers, what they learn."""

import importlib.util
import json
import pickle

import numpy as np
import pytest
import torch

from geodet.data.sources.shapes import ShapesSource
from geodet.errors import DtypeError
from geodet.interop.detectron2 import load_checkpoint
from geodet.models import (
    Preprocess,
    cascade_mask_rcnn_fpn,
    cascade_rcnn_fpn,
    group_norm,
    keypoint_rcnn_fpn,
    point_rend_mask_rcnn_fpn,
    rescale_instances,
)
from geodet.models.published.detectron2 import DETECTRON2
from geodet.models.published.names import published_names
from geodet.structures import ImageSize, Keypoints, RoiMasks

SIZE = ImageSize(64, 64)
TINY = {
    "preprocess": Preprocess(
        channel_order="rgb", mean=(110.0,) * 3, std=(60.0,) * 3, size_divisor=32
    ),
    "depth": 18,
    "width": 8,
    "norm": group_norm(4),
    "freeze_at": 0,
    "fpn_channels": 16,
    "anchor_sizes": (12, 24, 48, 96, 192),
    "rpn_samples": 1024,
    "train_proposals": (60, 40),
    "test_proposals": (60, 40),
    "box_samples": 32,
    "box_features": (32,),
}


def shapes(count=2, seed=0):
    """Pictures of shapes and their targets."""
    source = ShapesSource(count, size=SIZE, seed=seed, max_objects=3, lengths=(0.3, 0.6))
    samples = [source[i] for i in range(count)]
    return [sample.image for sample in samples], [sample.instances for sample in samples]


def tiny(family, seed=0, **changes):
    """A model of a family that trains in seconds."""
    torch.manual_seed(seed)
    source = ShapesSource(1, size=SIZE, seed=0)
    options = {"num_classes": len(source.label_map), **TINY}
    if family is keypoint_rcnn_fpn:
        options |= {"skeleton": source.skeleton, "keypoint_convs": (16, 16)}
    if family is cascade_mask_rcnn_fpn:
        options |= {"mask_convs": (16,)}
    if family is point_rend_mask_rcnn_fpn:
        options |= {
            "coarse_channels": 16,
            "coarse_features": (32,),
            "point_channels": (16,),
            "train_points": 64,
            "subdivision_steps": 3,
        }
    return family(**{**options, **changes})


CASCADES = [cascade_rcnn_fpn, cascade_mask_rcnn_fpn]
WITH_MASKS = [cascade_mask_rcnn_fpn, point_rend_mask_rcnn_fpn]
FAMILIES = [keypoint_rcnn_fpn, *CASCADES, point_rend_mask_rcnn_fpn]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("negative", [False, True])
def test_a_gradient_reaches_every_parameter(family, negative):
    """Named finite losses; also in a batch without objects, where gradients may be 0."""
    model = tiny(family)
    images, targets = shapes()
    if negative:
        targets = [target[:0] for target in targets]
    losses = model(images, targets)
    stages = 3 if family in CASCADES else 1
    assert sum(name.startswith("box_classes") for name in losses) == stages
    assert sum(name.startswith("box_deltas") for name in losses) == stages
    assert ("keypoints" in losses) == (family is keypoint_rcnn_fpn)
    assert ("masks" in losses) == (family in WITH_MASKS)
    assert ("mask_points" in losses) == (family is point_rend_mask_rcnn_fpn)
    assert all(torch.isfinite(loss) for loss in losses.values())
    sum(losses.values()).backward()
    assert all(value.grad is not None for value in model.parameters())
    if not negative:
        dead = [name for name, value in model.named_parameters() if not value.grad.any()]
        assert not dead


@pytest.mark.parametrize("family", FAMILIES)
def test_detections_have_their_columns(family):
    """Sound instances of the size of the image, repeatable, also through a saved state."""
    model = tiny(family, score_threshold=0.0).eval()
    images, _ = shapes()
    with torch.no_grad():
        found = model(images)
        other = tiny(family, seed=1, score_threshold=0.0).eval()
        other.load_state_dict(model.state_dict())
        again = other(images)
    for instances, repeated in zip(found, again, strict=True):
        instances.validated(num_classes=model.num_classes)
        assert 0 < len(instances) <= 100
        assert torch.equal(instances.boxes.xyxy, repeated.boxes.xyxy)
        assert (instances.scores.diff() <= 0).all()
        if family is keypoint_rcnn_fpn:
            assert isinstance(instances.keypoints, Keypoints)
            assert instances.keypoints.skeleton == ShapesSource(1, seed=0).skeleton
        if family in WITH_MASKS:
            assert isinstance(instances.masks, RoiMasks)


def test_images_without_detections_have_empty_columns():
    """A threshold that nothing reaches leaves tables without rows, columns kept."""
    for family in FAMILIES:
        model = tiny(family, score_threshold=1.0).eval()
        with torch.no_grad():
            found = model(shapes()[0])
        assert [len(instances) for instances in found] == [0, 0]
        assert all((i.keypoints is not None) == (family is keypoint_rcnn_fpn) for i in found)


def test_missing_keypoints_are_named():
    """Targets without the column that a head learns from are refused."""
    images, targets = shapes()
    bare = [target.with_(keypoints=None) for target in targets]
    with pytest.raises(DtypeError, match=r"targets\[0\]\.keypoints: expected"):
        tiny(keypoint_rcnn_fpn)(images, bare)


def train(model, images, targets, steps, lr):
    """Adam on one batch; returns the sums of the losses."""
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    history = []
    for _ in range(steps):
        loss = sum(model(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(float(loss.detach()))
    return history


@pytest.mark.parametrize("family", [keypoint_rcnn_fpn, *WITH_MASKS])
def test_losses_fall(family):
    """A few steps on two pictures lower the sum of all losses."""
    history = train(tiny(family), *shapes(), steps=10, lr=2e-3)
    assert sum(history[-3:]) / 3 < 0.9 * history[0], history


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.parametrize("family", [keypoint_rcnn_fpn, *WITH_MASKS])
def test_a_family_overfits_a_few_pictures(family):
    """Every object is found with its class, its box, and its points or mask."""
    images, targets = shapes(4, seed=3)
    changes = {"width": 16, "fpn_channels": 32, "box_features": (128,), "score_threshold": 0.3}
    if family is keypoint_rcnn_fpn:
        changes["keypoint_convs"] = (32,) * 4
    elif family is cascade_mask_rcnn_fpn:
        changes["mask_convs"] = (32,) * 2
    else:
        changes |= {"coarse_features": (128,), "point_channels": (32, 32)}
    model = tiny(family, **changes)
    train(model, images, targets, steps=300, lr=2e-3)
    with torch.no_grad():
        found = model.eval()(images)
    overlaps, errors, shares = [], [], []
    for instances, truth in zip(found, targets, strict=True):
        same = instances.labels[:, None] == truth.labels
        overlap = torch.where(same, instances.boxes.pairwise_iou(truth.boxes), 0.0)
        best, row = overlap.max(dim=0)
        overlaps += best.tolist()
        if family is keypoint_rcnn_fpn:
            wanted = truth.keypoints.xyv
            gap = (instances.keypoints.xyv[row, :, :2] - wanted[:, :, :2]).norm(dim=2)
            errors += gap[wanted[:, :, 2] > 0].tolist()
        else:
            pasted = instances.masks[row].to_rle_masks()
            shares += pasted.pairwise_iou(truth.masks.to_rle_masks()).diagonal().tolist()
    assert min(overlaps) > 0.6, overlaps
    if family is keypoint_rcnn_fpn:
        assert np.median(errors) < 2.0, errors  # pixels
    else:
        assert min(shares) > 0.6, shares


@pytest.mark.parametrize(
    ("family", "file", "options"),
    [
        (keypoint_rcnn_fpn, "keypoint_rcnn_R_50_FPN", {}),
        (cascade_mask_rcnn_fpn, "cascade_mask_rcnn_R_50_FPN", {"num_classes": 80}),
    ],
)
def test_tensors_are_those_of_detectron2(shared_dir, family, file, options):
    """Every tensor of the published checkpoint has its place, one to one, with its shape."""
    keys = json.loads((shared_dir / f"parity/keys/{file}.keys.json").read_text())
    with torch.device("meta"):
        model = family(**options)
    names = published_names(model, DETECTRON2)
    shapes_of = {names[key]: list(value.shape) for key, value in model.state_dict().items()}
    assert shapes_of == keys


@pytest.mark.slow
def test_keypoints_equal_detectron2(shared_dir, tmp_path):
    """One photograph through Keypoint R-CNN R50-FPN: boxes, scores and points."""
    image_module = pytest.importorskip("PIL.Image")
    folder = shared_dir / "parity"
    spec = importlib.util.spec_from_file_location("parity_weights", folder / "weights.py")
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    keys = json.loads((folder / "keys/keypoint_rcnn_R_50_FPN.keys.json").read_text())
    drawn = {key: weights.draw(key, shape) for key, shape in keys.items()}
    (tmp_path / "zoo.pkl").write_bytes(pickle.dumps({"model": drawn, "__author__": "parity"}))
    model = keypoint_rcnn_fpn().eval()
    load_checkpoint(model, tmp_path / "zoo.pkl")
    expected = np.load(folder / "expected/keypoint_rcnn_R_50_FPN.npz")
    height, width = expected["input_size"].tolist()
    path = shared_dir / "data/coco_mini/train2017/000000000790.jpg"
    with image_module.open(path) as file:
        resized = file.convert("RGB").resize((width, height), image_module.Resampling.BILINEAR)
    image = torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()
    with torch.no_grad():
        (detected,) = model([image])
    found = rescale_instances(detected, ImageSize(*expected["image_size"].tolist()))
    overlap = found.boxes.pairwise_iou(type(found.boxes)(torch.from_numpy(expected["boxes"])))
    best, row = overlap.max(dim=0)
    near = (found.scores[row] - torch.from_numpy(expected["scores"])).abs() < 1e-3
    assert ((best > 0.99) & near).float().mean() >= 0.99
    assert len(found) == len(expected["boxes"])
    points = torch.from_numpy(expected["keypoints"])
    gap = (found.keypoints.xyv[row, :, :2] - points[:, :, :2]).norm(dim=2)
    assert (gap < 0.1).float().mean() >= 0.99  # pixels
    # The weights make logits of hundreds: scores far above 1, whose logarithms compare. float32
    # holds such logits to 1e-5, and sums of thousands of products to some hundred times that.
    ratio = (found.keypoints.xyv[row, :, 2] / points[:, :, 2]).log().abs()
    assert ratio.max() < 0.05


def test_tensors_of_point_rend_are_those_of_detectron2():
    """Names and shapes of the heads of its project, from their definition there."""
    with torch.device("meta"):
        model = point_rend_mask_rcnn_fpn(num_classes=80)
    names = published_names(model, DETECTRON2)
    found = {names[key]: tuple(value.shape) for key, value in model.state_dict().items()}
    head = {key: shape for key, shape in found.items() if "mask_head" in key}
    coarse, point = "roi_heads.mask_head.coarse_head", "roi_heads.mask_head.point_head"
    weights = {
        f"{coarse}.reduce_spatial_dim_conv": (256, 256, 2, 2),
        f"{coarse}.fc1": (1024, 256 * 7 * 7),
        f"{coarse}.fc2": (1024, 1024),
        f"{coarse}.prediction": (80 * 7 * 7, 1024),
        f"{point}.fc1": (256, 336, 1),
        f"{point}.fc2": (256, 336, 1),
        f"{point}.fc3": (256, 336, 1),
        f"{point}.predictor": (80, 336, 1),
    }
    expected = {f"{key}.weight": shape for key, shape in weights.items()}
    expected |= {f"{key}.bias": shape[:1] for key, shape in weights.items()}
    assert head == expected
    assert model.mask_head.side == 224


def test_older_checkpoints_of_point_rend_load(tmp_path):
    """Its first checkpoints name the parts of the mask head otherwise; all of them load."""
    model, other = tiny(point_rend_mask_rcnn_fpn), tiny(point_rend_mask_rcnn_fpn, seed=1)
    names = published_names(model, DETECTRON2)
    older = {}
    for key, value in model.state_dict().items():
        name = names[key].replace("mask_head.point_head", "mask_point_head")
        name = name.replace("mask_head.coarse_head.fc", "mask_coarse_head.coarse_mask_fc")
        older[name.replace("mask_head.coarse_head", "mask_coarse_head")] = value.numpy()
    assert "roi_heads.mask_coarse_head.coarse_mask_fc1.weight" in older
    (tmp_path / "old.pkl").write_bytes(pickle.dumps({"model": older, "__author__": "older"}))
    load_checkpoint(other, tmp_path / "old.pkl")
    for key, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_seed_repeats_the_losses(family):
    """Anchors, regions and points are drawn from torch's generator alone."""
    model, batch = tiny(family), shapes()
    runs = []
    for _ in range(2):
        torch.manual_seed(7)
        runs.append(model(*batch))
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
