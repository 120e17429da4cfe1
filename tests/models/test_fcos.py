"""FCOS against torchvision's, and against Detectron2's list of tensors."""

import json

import pytest
import torch
from torch import nn
from torchvision.models.detection import fcos as torchvision_fcos

from geodet.models import FCOS, EmaNormaliser, fcos_fpn, group_norm
from geodet.models.detectors.fcos import centerness_of
from geodet.models.published import DETECTRON2, published_names
from geodet.structures import ImageSize


def _peer():
    """Torchvision's FCOS around a backbone that is never run."""
    backbone = nn.Identity()
    backbone.out_channels = 32
    return torchvision_fcos.FCOS(backbone, num_classes=2)


def _at_corners(model):
    """The same model with its points where torchvision has them: at the corners of the cells."""
    names = ("preprocess", "backbone", "head", "matcher", "selector", "coder", "normaliser")
    strides = dict(zip(model.levels, model.cells.strides, strict=True))
    return FCOS(**{name: getattr(model, name) for name in names}, strides=strides, offset=0.0)


def test_tensors_fit_detectron2_one_to_one(shared_dir):
    """Every key has one place, of the same shape; only the normaliser is ours alone."""
    keys = json.loads((shared_dir / "parity/keys/fcos_R_50_FPN.keys.json").read_text())
    with torch.device("meta"):
        model = fcos_fpn(num_classes=80)
    names = published_names(model, DETECTRON2)
    shapes = {names[key]: list(value.shape) for key, value in model.state_dict().items()}
    assert shapes.pop("normaliser.value") == []
    assert shapes == keys


def test_head_equals_torchvision(tiny_fcos):
    """With the same weights: towers with group norm, centerness beside the distances."""
    head = tiny_fcos(head_convs=4, head_norm=group_norm(32), fpn_channels=32).head
    peer = torchvision_fcos.FCOSHead(32, num_anchors=1, num_classes=2)
    peer.classification_head.conv.load_state_dict(head.class_tower.state_dict())
    peer.classification_head.cls_logits.load_state_dict(head.class_logits.state_dict())
    peer.regression_head.conv.load_state_dict(head.box_tower.state_dict())
    peer.regression_head.bbox_reg.load_state_dict(head.distances.state_dict())
    peer.regression_head.bbox_ctrness.load_state_dict(head.centerness.state_dict())
    features = torch.randn(2, 32, 5, 7)
    logits, distances, centerness = head(features)
    wanted = peer([features])
    torch.testing.assert_close(logits, wanted["cls_logits"])
    torch.testing.assert_close(distances.relu(), wanted["bbox_regression"])
    torch.testing.assert_close(centerness[..., None], wanted["bbox_ctrness"])


def test_losses_equal_torchvision(tiny_fcos, pictures):
    """Same predictions, points and truth, divided by the positives of the batch."""
    images, targets = pictures
    model = _at_corners(tiny_fcos(normaliser=EmaNormaliser(initial=1.0, momentum=0.0)))
    output = model.predict(model.backbone(model.preprocess(images).tensor))
    wanted = _peer().compute_loss(
        [{"boxes": target.boxes.xyxy, "labels": target.labels.clone()} for target in targets],
        {
            "cls_logits": torch.cat(output.logits, dim=1),
            "bbox_regression": torch.cat(output.deltas, dim=1).relu(),
            "bbox_ctrness": torch.cat(output.centerness, dim=1)[..., None],
        },
        [torch.cat(output.anchors)] * 2,
        [len(level) for level in output.anchors],
    )
    losses = model(images, targets)
    assert model.counts["dense_positive"] > 5
    torch.testing.assert_close(losses["classes"], wanted["classification"])
    torch.testing.assert_close(losses["boxes"], wanted["bbox_regression"])
    torch.testing.assert_close(losses["centerness"], wanted["bbox_ctrness"])


def test_detections_equal_torchvision(tiny_fcos):
    """The same predictions, where no box leaves the image, since torchvision clips before NMS."""
    model = tiny_fcos(candidates_per_level=60)
    peer = _peer()
    peer.topk_candidates = 60
    generator = torch.Generator().manual_seed(0)
    grids = [(16, 16), (8, 8), (4, 4), (2, 2), (1, 1)]
    cells = model.cells(grids)
    logits, distances, centerness = [], [], []
    for level in cells:
        logits.append(torch.randn(1, len(level), 2, generator=generator))
        centerness.append(torch.randn(1, len(level), generator=generator))
        room = torch.minimum(level[:, :2], 128 - level[:, 2:]).amin(1).clamp(min=0)
        share = torch.rand(1, len(level), 4, generator=generator)
        distances.append(share * (room / (level[:, 2] - level[:, 0]) + 0.5)[:, None])
    output = model.predict(
        {name: torch.zeros(1, 32, *grid) for name, grid in zip(model.levels, grids, strict=True)}
    )
    output = type(output)(anchors=cells, logits=logits, deltas=distances, centerness=centerness)
    (found,) = model.select(output, [ImageSize(128, 128)])
    (wanted,) = peer.postprocess_detections(
        {
            "cls_logits": logits,
            "bbox_regression": distances,
            "bbox_ctrness": [level[..., None] for level in centerness],
        },
        [cells],
        [(128, 128)],
    )
    assert len(found.scores) == 100
    torch.testing.assert_close(found.boxes, wanted["boxes"])
    torch.testing.assert_close(found.scores, wanted["scores"])
    assert torch.equal(found.labels, wanted["labels"])


def test_points_are_the_middles_of_cells():
    """As Detectron2 has them: offset 0.5, cells as squares of the stride's side."""
    model = fcos_fpn(num_classes=1, depth=18, width=8, fpn_channels=8, head_convs=0)
    cells = model.cells([(2, 1), (1, 1), (1, 1), (1, 1), (1, 1)])
    assert cells[0].tolist() == [[0, 0, 8, 8], [0, 8, 8, 16]]
    assert cells[4].tolist() == [[0, 0, 128, 128]]


def test_centerness_is_1_in_the_middle_and_0_on_a_side():
    """Equation 3 by hand."""
    distances = torch.tensor([[2.0, 3.0, 2.0, 3.0], [1.0, 4.0, 4.0, 1.0], [0.0, 1.0, 5.0, 1.0]])
    assert centerness_of(distances).tolist() == pytest.approx([1.0, 0.25, 0.0])
    assert centerness_of(torch.zeros(0, 4)).shape == (0,)


def test_narrow_heads_take_small_pictures(tiny_fcos):
    """Eight channels to a group: the one cell of p7 has something to be normalised by."""
    model = tiny_fcos(head_norm=None)
    assert model.head.class_tower[1].num_groups == 4
    model([torch.zeros(3, 32, 32, dtype=torch.uint8)])
    with torch.device("meta"):
        assert fcos_fpn(num_classes=80).head.box_tower[10].num_groups == 32
