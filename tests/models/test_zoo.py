"""Named sizes: their tensors fit Detectron2's, and with equal weights so do their numbers."""

import importlib.util
import json
import re

import numpy as np
import pytest
import torch
from torch import nn

from geodet.models import RCNN, group_norm, rescale_instances, zoo
from geodet.models.detectors import (
    caffe_preprocess,
    fpn_box_head,
    fpn_mask_head,
    fpn_rpn,
    resnet_fpn,
)
from geodet.structures import ImageSize

RENAMED = (
    (r"backbone\.fpn_lateral(\d)", r"backbone.laterals.\1"),
    (r"backbone\.fpn_output(\d)", r"backbone.outputs.\1"),
    (r"proposal_generator\.rpn_head\.conv\.conv(\d)", r"proposals.head.convs.\1"),
    (r"proposal_generator\.rpn_head\.conv\.", "proposals.head.convs.0."),
    (r"proposal_generator\.rpn_head\.objectness_logits", "proposals.head.objectness"),
    (r"proposal_generator\.rpn_head\.anchor_deltas", "proposals.head.deltas"),
    (r"roi_heads\.box_head\.fc1", "box_head.features.fcs.0"),
    (r"roi_heads\.box_head\.fc2", "box_head.features.fcs.1"),
    (r"roi_heads\.box_predictor\.cls_score", "box_head.predictor.class_logits"),
    (r"roi_heads\.box_predictor\.bbox_pred", "box_head.predictor.deltas"),
    (r"roi_heads\.mask_head\.deconv", "mask_head.deconv"),
    (r"roi_heads\.mask_head\.predictor", "mask_head.predictor"),
)


def _our_name(key):
    for pattern, place in (
        (r"roi_heads\.mask_head\.mask_fcn(\d)", "mask_head.convs"),
        (r"roi_heads\.box_head\.conv(\d)", "box_head.features.convs"),
    ):
        key = re.sub(pattern, lambda match, at=place: f"{at}.{int(match[1]) - 1}", key)
    for pattern, replacement in RENAMED:
        key = re.sub(pattern, replacement, key)
    return key


@pytest.mark.parametrize(
    ("name", "file"),
    [("mask_rcnn_r50_fpn", "mask_rcnn_R_50_FPN"), ("mask_rcnn_x101_fpn", "mask_rcnn_X_101")],
)
def test_tensors_fit_detectron2_one_to_one(shared_dir, name, file):
    """Every key has one place, of the same shape, and none is left."""
    keys = json.loads((shared_dir / f"parity/keys/{file}.keys.json").read_text())
    with torch.device("meta"):
        model = getattr(zoo, name)()
    shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
    assert shapes == {_our_name(key): shape for key, shape in keys.items()}


@pytest.mark.parametrize(
    ("norm", "rpn_convs", "file"),
    [(group_norm(32), 1, "mask_rcnn_R_50_FPN_gn"), (nn.BatchNorm2d, 2, "mask_rcnn_R_50_LSJ")],
)
def test_parts_wired_by_hand_fit_detectron2_too(shared_dir, norm, rpn_convs, file):
    """Models with trainable norms everywhere and convolutions in the box head."""
    keys = json.loads((shared_dir / f"parity/keys/{file}.keys.json").read_text())
    with torch.device("meta"):
        backbone = resnet_fpn(norm=norm, freeze_at=0, fpn_norm=norm)
        model = RCNN(
            preprocess=caffe_preprocess(),
            backbone=backbone,
            proposals=fpn_rpn(backbone, num_convs=rpn_convs),
            box_head=fpn_box_head(
                backbone, num_classes=80, conv_channels=(256,) * 4, fc_features=(1024,), norm=norm
            ),
            mask_head=fpn_mask_head(backbone, num_classes=80, norm=norm),
        )
    shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
    assert shapes == {_our_name(key): shape for key, shape in keys.items()}


@pytest.mark.parametrize("name", zoo.__all__)
def test_every_named_size_can_be_built(name):
    """Its parts fit each other, for any number of classes."""
    with torch.device("meta"):
        model = getattr(zoo, name)(num_classes=7)
    assert model.num_classes == 7
    for head in getattr(model.box_head, "stages", [model.box_head]):
        assert head.predictor.class_logits.out_features == 8


@pytest.mark.slow
def test_predictions_equal_detectron2(shared_dir):
    """One photograph through Mask R-CNN R50-FPN: features, proposals, boxes, classes, masks."""
    image_module = pytest.importorskip("PIL.Image")
    folder = shared_dir / "parity"
    spec = importlib.util.spec_from_file_location("parity_weights", folder / "weights.py")
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    keys = json.loads((folder / "keys/mask_rcnn_R_50_FPN.keys.json").read_text())
    model = zoo.mask_rcnn_r50_fpn().eval()
    model.load_state_dict(
        {_our_name(k): torch.from_numpy(weights.draw(k, shape)) for k, shape in keys.items()}
    )
    expected = np.load(folder / "expected/mask_rcnn_R_50_FPN.npz")
    height, width = expected["input_size"].tolist()
    path = shared_dir / "data/coco_mini/train2017/000000000790.jpg"
    with image_module.open(path) as file:
        resized = file.convert("RGB").resize((width, height), image_module.Resampling.BILINEAR)
    image = torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()
    features = {}
    model.backbone.register_forward_hook(lambda *call: features.update(call[-1]))
    with torch.no_grad():
        (detected,) = model([image])
    for level, values in features.items():
        step = max(1, values.numel() // 2000)
        sample = values.flatten()[::step][:2000].numpy()
        # Values up to 20 after 50 layers of float32 in another order.
        np.testing.assert_allclose(sample, expected[f"feature/{level}/sample"], atol=1e-3)
    found = rescale_instances(detected, ImageSize(*expected["image_size"].tolist()))
    assert len(found) == len(expected["boxes"])
    np.testing.assert_array_equal(found.labels, expected["classes"])
    np.testing.assert_allclose(found.scores, expected["scores"], atol=1e-4)
    np.testing.assert_allclose(found.boxes.xyxy, expected["boxes"], atol=0.05)  # pixels
    areas = found.masks.area().numpy()
    assert np.abs(areas - expected["mask_area"]).max() <= 3  # borderline pixels of 0.5
