"""torchvision's detectors and ours in one process: equal weights, equal outputs, every stage."""

import re

import pytest
import torch
from torch import nn

from geodet.errors import CheckpointError
from geodet.interop.torchvision import load_checkpoint
from geodet.models.detectors.torchvision_families import (
    torchvision_rcnn_fpn,
    torchvision_retinanet_fpn,
)
from geodet.models.heads import ProposalBudget, rois_from_boxes
from geodet.ops import pairwise_box_iou
from geodet.structures import Skeleton

detection = pytest.importorskip("torchvision.models.detection")

SIZE = (96, 128)
PROPOSALS, DETECTIONS = 150, 25  # instead of 1000 and 100, for the time they take


@pytest.fixture(scope="module")
def picture():
    """[3, h, w] in 0..1, which no model has to resize or pad."""
    torch.manual_seed(3)
    coarse = torch.rand(1, 3, 10, 14)
    return nn.functional.interpolate(coarse, SIZE, mode="bicubic").clamp(0, 1)[0]


def theirs(make):
    """Torchvision's model with weights that make many different detections."""
    torch.manual_seed(0)
    changes = (
        {}
        if "retinanet" in make.__name__
        else {"rpn_post_nms_top_n_test": PROPOSALS, "box_detections_per_img": DETECTIONS}
    )
    model = make(weights=None, weights_backbone=None, min_size=SIZE[0], max_size=400, **changes)
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.8, 1.2)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif ".bn3." in name and name.endswith("weight"):
            value.uniform_(0.2, 0.3)
        elif value.ndim > 1:
            scale = {"cls_score": 0.4, "cls_logits": 1.0, "bbox": 0.3, "fpn": 0.7}
            factor = next((f for part, f in scale.items() if part in name), 1.0)
            value.normal_(0, factor * (2.0 / value[0].numel()) ** 0.5)
            if "cls" in name or "bbox" in name or "logits" in name:
                value.sub_(value.flatten(1).mean(1).reshape(-1, *[1] * (value.ndim - 1)))
    return model.eval()


def stages(model, modules):
    """Outputs of the modules called `modules`, filled when the model runs."""
    seen = {}
    for name in modules:
        module = model.get_submodule(name)
        module.register_forward_hook(
            lambda _, inputs, output, name=name: seen.update({name: output, f"{name}.in": inputs})
        )
    return seen


def share_found(wanted, found):
    """Share of `wanted` rows (boxes, scores, labels) that `found` has, each used once.

    The same label, IoU above 0.99 and a score within 1e-3. Not all: where the overlap of two
    boxes is within rounding of a threshold, torchvision, which moves the boxes of each class
    apart by thousands of pixels before it compares them, decides otherwise at times.
    """
    boxes, scores, labels = found
    free = torch.ones(len(boxes), dtype=torch.bool)
    hits = 0
    for box, score, label in zip(*wanted, strict=True):
        overlap = pairwise_box_iou(box[None], boxes)[0]
        near = (labels == label) & ((scores - score).abs() < 1e-3) & free & (overlap > 0.99)
        if bool(near.any()):
            free[int(torch.where(near, overlap, -1.0).argmax())] = False
            hits += 1
    return hits / max(len(wanted[0]), 1)


def assert_same_detections(found, wanted, *, shift=1):
    """At least 99 % of each side's detections are the other's."""
    ours = found.boxes.xyxy, found.scores, found.labels + shift
    theirs = wanted["boxes"], wanted["scores"], wanted["labels"]
    assert share_found(theirs, ours) >= 0.99
    assert share_found(ours, theirs) >= 0.99


def compare_two_stages(model, oracle, image):
    """Run both and compare feature maps, proposals, logits and final boxes."""
    model.proposals.test_budget = ProposalBudget(before_nms=1000, after_nms=PROPOSALS)
    model.box_head.max_detections = DETECTIONS
    seen = stages(oracle, ["backbone", "rpn", "roi_heads.box_predictor"])
    mine = stages(model, ["backbone", "proposals"])
    with torch.no_grad():
        (wanted,) = oracle([image])
        (found,) = model([image * 255])
    for ours, their in zip(mine["backbone"].values(), seen["backbone"].values(), strict=True):
        torch.testing.assert_close(ours, their, atol=1e-4 * float(their.abs().max()), rtol=0)
    proposals = seen["rpn"][0][0]
    (ours,) = model.proposals.select(
        mine["proposals"], [found.image_size], model.proposals.test_budget
    )
    assert len(proposals) > 100
    rows = torch.zeros(len(proposals)), torch.zeros(len(proposals))
    assert abs(len(ours.boxes) - len(proposals)) <= 0.01 * len(proposals)
    extra = torch.zeros(len(ours.boxes))
    assert share_found((proposals, *rows), (ours.boxes, extra, extra)) >= 0.99
    maps = dict(zip(mine["backbone"], seen["backbone"].values(), strict=True))
    with torch.no_grad():
        logits, deltas = model.box_head(maps, rois_from_boxes([proposals]))
    their_logits, their_deltas = seen["roi_heads.box_predictor"]
    torch.testing.assert_close(logits.roll(1, 1), their_logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(deltas, their_deltas[:, 4:], atol=1e-4, rtol=1e-4)
    assert len(wanted["boxes"]) > 20
    assert_same_detections(found, wanted)
    return found, wanted


def test_faster_rcnn(picture):
    """Features, proposals, logits, detections."""
    oracle = theirs(detection.fasterrcnn_resnet50_fpn)
    model = torchvision_rcnn_fpn(num_classes=90, norm=nn.BatchNorm2d, freeze_at=0).eval()
    report = load_checkpoint(model, oracle.state_dict())
    assert len(report.loaded) == len(oracle.state_dict())
    compare_two_stages(model, oracle, picture)


def test_mask_rcnn(picture):
    """Masks too, before they are pasted."""
    oracle = theirs(detection.maskrcnn_resnet50_fpn)
    model = torchvision_rcnn_fpn(
        num_classes=90, norm=nn.BatchNorm2d, freeze_at=0, mask_convs=(256,) * 4
    ).eval()
    load_checkpoint(model, oracle.state_dict())
    seen = stages(oracle, ["roi_heads.mask_predictor"])
    found, wanted = compare_two_stages(model, oracle, picture)
    logits = seen["roi_heads.mask_predictor"]
    rows = torch.arange(len(logits))
    chosen = logits[rows, wanted["labels"]].sigmoid()
    pairs = pairwise_box_iou(wanted["boxes"], found.boxes.xyxy)
    pairs[wanted["labels"][:, None] != found.labels + 1] = 0
    overlap, match = pairs.max(1)
    same = overlap > 0.999
    assert float(same.float().mean()) >= 0.99
    torch.testing.assert_close(
        found.masks.probabilities[match[same]], chosen[same], atol=1e-3, rtol=0
    )


@pytest.mark.slow
def test_keypoint_rcnn(picture):
    """Points too; torchvision's scores of points are logits, ours probabilities."""
    oracle = theirs(detection.keypointrcnn_resnet50_fpn)
    model = torchvision_rcnn_fpn(
        num_classes=1, norm=nn.BatchNorm2d, freeze_at=0, skeleton=Skeleton.coco_person()
    ).eval()
    load_checkpoint(model, oracle.state_dict())
    found, wanted = compare_two_stages(model, oracle, picture)
    overlap, match = pairwise_box_iou(wanted["boxes"], found.boxes.xyxy).max(1)
    same = overlap > 0.999
    assert float(same.float().mean()) >= 0.99
    apart = found.keypoints.xyv[match[same]][..., :2] - wanted["keypoints"][same][..., :2]
    assert float((apart.norm(dim=-1) < 0.1).float().mean()) >= 0.99  # pixels


@pytest.mark.slow
@pytest.mark.parametrize("masks", [False, True])
def test_version_2(picture, masks):
    """Convolutions in the box head, two in the RPN, batch norms everywhere."""
    make = detection.maskrcnn_resnet50_fpn_v2 if masks else detection.fasterrcnn_resnet50_fpn_v2
    oracle = theirs(make)
    model = torchvision_rcnn_fpn(
        num_classes=90,
        norm=nn.BatchNorm2d,
        freeze_at=0,
        fpn_norm=nn.BatchNorm2d,
        rpn_convs=2,
        box_convs=(256,) * 4,
        box_features=(1024,),
        head_norm=nn.BatchNorm2d,
        mask_convs=(256,) * 4 if masks else (),
    ).eval()
    load_checkpoint(model, oracle.state_dict())
    compare_two_stages(model, oracle, picture)


def test_retinanet(picture):
    """Features, logits and offsets of every anchor, detections."""
    oracle = theirs(detection.retinanet_resnet50_fpn)
    oracle.head.classification_head.cls_logits.bias.data.fill_(-4.0)
    model = torchvision_retinanet_fpn(num_classes=91, norm=nn.BatchNorm2d, freeze_at=0).eval()
    load_checkpoint(model, oracle.state_dict())
    seen = stages(oracle, ["backbone", "head"])
    mine = stages(model, ["backbone"])
    with torch.no_grad():
        (wanted,) = oracle([picture])
        (found,) = model([picture * 255])
        output = model.predict(mine["backbone"])
    for ours, their in zip(mine["backbone"].values(), seen["backbone"].values(), strict=True):
        torch.testing.assert_close(ours, their, atol=1e-4 * float(their.abs().max()), rtol=0)
    # Ours: ratios of each size; theirs: sizes of each ratio.
    order = torch.arange(9).reshape(3, 3).t().flatten()
    for ours, their in (
        (torch.cat(output.logits, 1), seen["head"]["cls_logits"]),
        (torch.cat(output.deltas, 1), seen["head"]["bbox_regression"]),
    ):
        theirs_sorted = their.unflatten(1, (-1, 9))[:, :, order].flatten(1, 2)
        torch.testing.assert_close(ours, theirs_sorted, atol=1e-3, rtol=1e-3)
    solid = (wanted["boxes"][:, 2:] > wanted["boxes"][:, :2]).all(1)  # we drop the others
    assert int(solid.sum()) > 50
    assert_same_detections(found, {key: rows[solid] for key, rows in wanted.items()}, shift=0)


def former_names(state):
    """As torchvision's files were called before it put convolutions into sequences."""
    old = {}
    for name, value in state.items():
        for pattern, replacement in (
            (r"(fpn\.(?:inner|layer)_blocks\.\d)\.0\.", r"\1."),
            (r"rpn\.head\.conv\.0\.0\.", "rpn.head.conv."),
        ):
            name = re.sub(pattern, replacement, name)  # noqa: PLW2901
        name = re.sub(  # noqa: PLW2901
            r"mask_head\.(\d)\.0\.", lambda match: f"mask_head.mask_fcn{int(match[1]) + 1}.", name
        )
        name = re.sub(  # noqa: PLW2901
            r"(_head\.conv)\.(\d)\.0\.", lambda match: f"{match[1]}.{2 * int(match[2])}.", name
        )
        old[name] = value
    return old


@pytest.mark.parametrize("kind", ["maskrcnn", "retinanet"])
def test_files_of_older_names_load_too(tmp_path, kind):
    """Those of the first published weights; frozen norms have no counters."""
    if kind == "maskrcnn":
        state = detection.maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
        model = torchvision_rcnn_fpn(num_classes=90, mask_convs=(256,) * 4)
    else:
        state = detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
        model = torchvision_retinanet_fpn(num_classes=91)
    old = former_names(state)
    assert old.keys() != state.keys()
    torch.save(old, tmp_path / "old.pth")
    report = load_checkpoint(model, tmp_path / "old.pth")
    assert len(report.ignored) == 53
    assert not report.skipped
    head = model.mask_head.predictor if kind == "maskrcnn" else model.head.class_tower[6]
    wanted = (
        state["roi_heads.mask_predictor.mask_fcn_logits.weight"][1:]
        if kind == "maskrcnn"
        else state["head.classification_head.conv.3.0.weight"]
    )
    assert torch.equal(head.weight, wanted)
    assert model.backbone.bottom_up.stem.conv1.norm.eps == 0.0


def test_other_models_are_refused_in_both_names(tmp_path):
    """A table of what differs; nothing is loaded, unless it may be in part."""
    state = detection.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=5
    ).state_dict()
    model = torchvision_rcnn_fpn(num_classes=90)
    before = model.state_dict()["box_head.features.fcs.0.weight"].clone()
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(model, state)
    assert "0 missing, 0 unexpected, 4 of another shape" in str(caught.value)
    assert "roi_heads.box_predictor.cls_score.weight" in str(caught.value)
    assert torch.equal(before, model.state_dict()["box_head.features.fcs.0.weight"])
    report = load_checkpoint(model, state, partial=True)
    assert len(report.reshaped) == 4
    with pytest.raises(CheckpointError, match="none of its 1 names"):
        load_checkpoint(model, {"a": torch.zeros(1)})
