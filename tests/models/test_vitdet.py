"""Detectors on plain transformers, whole."""

import json

import pytest
import torch

from geodet.errors import ShapeError
from geodet.models.detectors import (
    mvit_fpn,
    pyramid_cascade_mask_rcnn,
    swin_fpn,
    vitdet_cascade_mask_rcnn,
    vitdet_mask_rcnn,
    vitdet_preprocess,
)
from geodet.models.published import DETECTRON2, load_detectron2, published_names
from geodet.structures import RoiMasks


def _tiny(make=vitdet_mask_rcnn, **changes):
    torch.manual_seed(0)
    options = {
        "num_classes": 2,
        "channels": 32,
        "depth": 2,
        "num_heads": 4,
        "global_blocks": (1,),
        "drop_path": 0.0,
        "image_side": 64,
        "window_side": 3,
        "pyramid_channels": 16,
        "anchor_sizes": (16, 32, 64, 128, 256),
        "rpn_samples": 64,
        "train_proposals": (100, 50),
        "test_proposals": (100, 50),
        "box_convs": (16, 16),
        "box_features": (64,),
        "box_samples": 32,
        "mask_convs": (16, 16),
    }
    return make(**{**options, **changes})


def test_losses_reach_every_parameter(pictures):
    """Both stages, the masks, the pyramid and the transformer."""
    model = _tiny()
    torch.nn.init.normal_(model.backbone.bottom_up.blocks[1].attn.rel_pos_h)
    losses = model(*pictures)
    assert set(losses) == {"rpn_objectness", "rpn_boxes", "box_classes", "box_deltas", "masks"}
    sum(losses.values()).backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    assert not missing


def test_small_images_are_padded_to_the_square_and_large_ones_refused():
    """Detections stay in their own image; nothing is cropped."""
    model = _tiny(score_threshold=0.0).eval()
    image = torch.randint(0, 256, (3, 40, 64), dtype=torch.uint8)
    with torch.no_grad():
        (found,) = model([image])
    assert len(found) > 0
    found.boxes.validated(size=found.image_size)
    assert isinstance(found.masks, RoiMasks)
    with pytest.raises(ShapeError, match="at most 64 x 64"):
        model([torch.zeros(3, 65, 64, dtype=torch.uint8)])


def test_images_of_any_size_without_a_fixed_square():
    """Another Preprocess, the same network: positions are interpolated."""
    torch.manual_seed(0)
    preprocess = vitdet_preprocess(64)
    preprocess.square_side = None
    model = _tiny(score_threshold=0.0, preprocess=preprocess).eval()
    with torch.no_grad():
        (found,) = model([torch.randint(0, 256, (3, 90, 150), dtype=torch.uint8)])
    assert len(found) > 0


def test_published_sizes_are_told_to_whoever_reads_images():
    """Short and long side 1024, then a square of 1024, RGB."""
    preprocess = vitdet_preprocess()
    assert preprocess.channel_order == "rgb"
    sides = (preprocess.short_edge, preprocess.max_long_edge, preprocess.square_side)
    assert sides == (1024, 1024, 1024)


def test_cascade_learns_and_detects(pictures):
    """Three stages on the same pyramid: losses of each, and masks of what the last one finds."""
    model = _tiny(make=vitdet_cascade_mask_rcnn, score_threshold=0.0)
    losses = model(*pictures)
    assert {name for name in losses if name.startswith("box_")} == {
        f"box_{kind}_stage{stage}" for kind in ("classes", "deltas") for stage in range(3)
    }
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    with torch.no_grad():
        found = model.eval()(pictures[0])
    assert all(len(instances) > 0 and instances.masks is not None for instances in found)


@pytest.mark.parametrize("make_pyramid", [swin_fpn, mvit_fpn])
def test_transformers_in_stages_under_a_pyramid(pictures, make_pyramid):
    """Swin and MViT with the same heads: any image size, a gradient for every parameter."""
    torch.manual_seed(0)
    sizes = {
        swin_fpn: {"depths": (1, 1, 1, 1), "num_heads": (1, 2, 4, 8)},
        mvit_fpn: {"depth": 4, "stage_ends": (0, 1, 2, 3), "window_side": 8},
    }
    backbone = make_pyramid(channels=8, fpn_channels=16, drop_path=0.0, **sizes[make_pyramid])
    model = pyramid_cascade_mask_rcnn(
        backbone,
        num_classes=2,
        anchor_sizes=(16, 32, 64, 128, 256),
        train_proposals=(100, 50),
        test_proposals=(100, 50),
        box_convs=(16,),
        box_features=(32,),
        box_samples=32,
        mask_convs=(16,),
        score_threshold=0.0,
    )
    losses = model(*pictures)
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    with torch.no_grad():
        (found,) = model.eval()([torch.randint(0, 256, (3, 90, 70), dtype=torch.uint8)])
    assert len(found) > 0
    found.boxes.validated(size=found.image_size)


def _train(model, pictures, steps):
    """Total loss of every step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    totals = []
    for _ in range(steps):
        total = sum(model(*pictures).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(float(total.detach()))
    return totals


def test_losses_fall(pictures):
    """The short version of the test below."""
    totals = _train(_tiny(), pictures, 12)
    assert totals[-1] < 0.85 * totals[0]


@pytest.mark.learning
@pytest.mark.slow
def test_two_pictures_are_learned_by_heart(pictures):
    """From random weights to the right boxes and labels in a bounded number of steps."""
    model = _tiny()
    _train(model, pictures, 160)
    images, targets = pictures
    model.eval()
    with torch.no_grad():
        found = model(images)
    for instances, truth in zip(found, targets, strict=True):
        for box, label in zip(truth.boxes, truth.labels, strict=True):
            overlap = instances.boxes.pairwise_iou(box)[:, 0]
            right = (overlap > 0.5) & (instances.labels == label) & (instances.scores > 0.5)
            assert right.any()


def test_bfloat16_autocast(pictures):
    """Losses are finite and detections come out in half precision too."""
    model = _tiny(score_threshold=0.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model(*pictures)
        with torch.no_grad():
            found = model(pictures[0])
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert all(len(instances) > 0 for instances in found)


def test_names_and_shapes_are_those_of_the_published_vitdet_b(shared_dir):
    """245 tensors of Detectron2's list, none more, none less."""
    listed = json.loads((shared_dir / "parity/keys/vitdet_b_mask.keys.json").read_text())
    with torch.device("meta"):
        model = vitdet_mask_rcnn(num_classes=80)
    names = published_names(model, DETECTRON2)
    ours = {names[name]: tuple(value.shape) for name, value in model.state_dict().items()}
    assert ours == {name: tuple(shape) for name, shape in listed.items()}


def test_names_of_the_cascade_are_detectron2s(shared_dir):
    """Heads and predictors are numbered; boxes are for all classes."""
    listed = json.loads((shared_dir / "parity/keys/vitdet_b_mask.keys.json").read_text())
    wanted = {}
    for name, shape in listed.items():
        part = next((p for p in ("box_head.", "box_predictor.") if f"roi_heads.{p}" in name), "")
        for stage in range(3) if part else [None]:
            numbered = name.replace(part, f"{part}{stage}.") if part else name
            wanted[numbered] = (4, *shape[1:]) if "bbox_pred" in name else tuple(shape)
    with torch.device("meta"):
        model = vitdet_cascade_mask_rcnn(num_classes=80)
    names = published_names(model, DETECTRON2)
    ours = {names[name]: tuple(value.shape) for name, value in model.state_dict().items()}
    assert ours == wanted


def test_weights_of_masked_autoencoders_start_the_transformer(tmp_path):
    """Their decoder and class token are left out; what they lack starts as it was."""
    source, model = _tiny().backbone.bottom_up, _tiny()
    weights = {
        name: torch.randn_like(value)
        for name, value in source.state_dict().items()
        if "rel_pos" not in name
    }
    others = {
        "cls_token": torch.zeros(1, 1, 32),
        "norm.weight": torch.ones(32),
        "mask_token": torch.zeros(1, 1, 16),
        "decoder_pos_embed": torch.zeros(1, 197, 16),
        "decoder_blocks.0.norm1.weight": torch.ones(16),
    }
    torch.save({"model": weights | others}, tmp_path / "mae.pth")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = load_detectron2(model, tmp_path / "mae.pth")
    after = model.state_dict()
    assert set(report.loaded) == {f"backbone.bottom_up.{name}" for name in weights}
    assert set(report.ignored) == set(others)
    for name, value in before.items():
        wanted = weights.get(name.removeprefix("backbone.bottom_up."), value)
        assert torch.equal(after[name], wanted), name
