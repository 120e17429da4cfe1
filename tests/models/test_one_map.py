"""Detectors on one map of stride 16: Detectron2's tensors and numbers, and training."""

import importlib.util
import json

import numpy as np
import pytest
import torch

from geodet.errors import CompositionError
from geodet.models import (
    RCNN,
    Preprocess,
    faster_rcnn_c4,
    faster_rcnn_dc5,
    group_norm,
    mask_rcnn_c4,
    mask_rcnn_dc5,
    rescale_instances,
    zoo,
)
from geodet.models.detectors import c4_mask_head, one_map_rpn, resnet_fpn
from geodet.models.published import DETECTRON2, published_names
from geodet.structures import ImageSize, Instances

FAMILIES = [faster_rcnn_c4, mask_rcnn_c4, faster_rcnn_dc5, mask_rcnn_dc5]


def _tiny(family, **changes):
    torch.manual_seed(0)
    options = {
        "num_classes": 2,
        "preprocess": Preprocess(
            channel_order="rgb", mean=(60.0,) * 3, std=(60.0,) * 3, size_divisor=1
        ),
        "width": 8,
        "norm": group_norm(8),
        "freeze_at": 0,
        "anchor_sizes": (16, 32, 48),
        "rpn_samples": 32,
        "train_proposals": (100, 40),
        "test_proposals": (100, 20),
        "box_samples": 16,
    }
    if family is mask_rcnn_c4:
        options["mask_channels"] = 16
    if family in (faster_rcnn_dc5, mask_rcnn_dc5):
        options["box_features"] = (16,)
    if family is mask_rcnn_dc5:
        options["mask_convs"] = (16,)
    return family(**{**options, **changes})


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("faster_rcnn_r50_c4", "faster_rcnn_R_50_C4"),
        ("mask_rcnn_r50_c4", "mask_rcnn_R_50_C4"),
        ("mask_rcnn_r50_dc5", "mask_rcnn_R_50_DC5"),
    ],
)
def test_tensors_fit_detectron2_one_to_one(shared_dir, name, file):
    """Every key has one place, of the same shape, and none is left."""
    keys = json.loads((shared_dir / f"parity/keys/{file}.keys.json").read_text())
    with torch.device("meta"):
        model = getattr(zoo, name)()
    names = published_names(model, DETECTRON2)
    shapes = {names[key]: list(value.shape) for key, value in model.state_dict().items()}
    assert shapes == keys


@pytest.mark.parametrize("family", FAMILIES)
def test_families_train_and_detect(family, pictures):
    """Named losses, a gradient for every parameter; detections inside images of odd sizes."""
    model = _tiny(family, score_threshold=0.0)
    masks = family in (mask_rcnn_c4, mask_rcnn_dc5)
    images, targets = pictures
    losses = model(images, targets)
    assert ("masks" in losses) == masks
    assert all(torch.isfinite(loss) and loss > 0 for loss in losses.values())
    sum(losses.values()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    odd = [torch.randint(0, 256, (3, 50, 67), dtype=torch.uint8), images[0][:, :41]]
    with torch.no_grad():
        found = model(odd)
    for image, table in zip(odd, found, strict=True):
        size = ImageSize(*image.shape[1:])
        assert table.image_size == size
        assert len(table) > 0
        table.boxes.validated(size=size)
        if masks:
            side = 14 if family is mask_rcnn_c4 else 28
            assert table.masks.probabilities.shape[1:] == (side, side)


def test_no_objects_leave_no_parameter_without_gradient(pictures):
    """Distributed training waits for all of them, also where heads share a stage."""
    model = _tiny(mask_rcnn_c4)
    images, _ = pictures
    losses = model(images, [Instances(ImageSize(64, 64))] * 2)
    assert losses["masks"] == 0
    sum(losses.values()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_heads_share_the_stage_and_its_tensors_appear_once():
    """The mask head has no stage of its own, and reads the boxes' maps of the final boxes."""
    model = _tiny(mask_rcnn_c4, score_threshold=0.0).eval()
    stages = {name for name in model.state_dict() if ".stage." in name}
    assert stages
    assert all(name.startswith("box_head.features.stage.") for name in stages)
    calls = []
    model.box_head.features.stage.register_forward_hook(
        lambda _, inputs, output: calls.append((inputs[0].shape, output.shape))
    )
    with torch.no_grad():
        (found,) = model([torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)])
    (_, proposals), (wanted, read) = calls
    assert proposals[2:] == read[2:] == (7, 7)
    assert wanted == (len(found), model.box_head.in_channels, 14, 14)


def test_known_boxes_get_the_masks_that_detection_gives():
    """`predict_in_boxes` of the detected boxes repeats their masks."""
    model = _tiny(mask_rcnn_c4, score_threshold=0.0).eval()
    image = [torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)]
    with torch.no_grad():
        found = model(image)
        again = model.predict_in_boxes(image, [found[0].with_(masks=None)])
    torch.testing.assert_close(again[0].masks.probabilities, found[0].masks.probabilities)


def test_parts_that_do_not_fit_fail_at_construction():
    """A mask head without pooler must read what the box head makes."""
    c4, other = _tiny(faster_rcnn_c4), _tiny(faster_rcnn_c4, width=16)
    parts = {"preprocess": c4.preprocess, "backbone": c4.backbone, "proposals": c4.proposals}
    head = c4_mask_head(other.box_head, num_classes=2)
    message = r"MaskHead without pooler reads 512 channels.*BoxHead makes 256 channels"
    with pytest.raises(CompositionError, match=message):
        RCNN(**parts, box_head=c4.box_head, mask_head=head)
    with pytest.raises(CompositionError, match=r"BoxHead expects 256 channels.*ResNet gives 128"):
        RCNN(**parts, box_head=other.box_head)
    refining = _tiny(mask_rcnn_c4)
    refining.box_head.refine_regions = True
    with pytest.raises(CompositionError, match="refine_regions of BoxHead"):
        RCNN(
            **parts,
            box_head=refining.box_head,
            mask_head=c4_mask_head(refining.box_head, num_classes=2),
        )
    with pytest.raises(CompositionError, match="reads one map, FPN gives"):
        one_map_rpn(resnet_fpn(depth=18, width=8, fpn_channels=8))


@pytest.mark.slow
def test_predictions_equal_detectron2(shared_dir):
    """One photograph through Faster R-CNN R50-C4: features, proposals, boxes, classes."""
    image_module = pytest.importorskip("PIL.Image")
    folder = shared_dir / "parity"
    spec = importlib.util.spec_from_file_location("parity_weights", folder / "weights.py")
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    keys = json.loads((folder / "keys/faster_rcnn_R_50_C4.keys.json").read_text())
    model = zoo.faster_rcnn_r50_c4().eval()
    names = published_names(model, DETECTRON2)
    model.load_state_dict(
        {ours: torch.from_numpy(weights.draw(key, keys[key])) for ours, key in names.items()}
    )
    expected = np.load(folder / "expected/faster_rcnn_R_50_C4.npz")
    height, width = expected["input_size"].tolist()
    path = shared_dir / "data/coco_mini/train2017/000000000790.jpg"
    with image_module.open(path) as file:
        resized = file.convert("RGB").resize((width, height), image_module.Resampling.BILINEAR)
    image = torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()
    seen = {}
    model.backbone.register_forward_hook(lambda *call: seen.update(call[-1]))
    propose = model.proposals.propose
    model.proposals.propose = lambda *args, **kwargs: seen.setdefault(
        "proposals", propose(*args, **kwargs)
    )
    with torch.no_grad():
        (detected,) = model([image])
    values = seen["res4"]
    assert list(values.shape) == expected["feature/res4/shape"].tolist()
    sample = values.flatten()[:: max(1, values.numel() // 2000)][:2000].numpy()
    reference = expected["feature/res4/sample"]
    assert np.abs(sample - reference).max() < 1e-4 * np.abs(reference).max()
    (proposals,) = seen["proposals"]
    np.testing.assert_allclose(proposals.boxes[:300], expected["proposals/boxes"], atol=0.05)
    np.testing.assert_allclose(proposals.logits[:300], expected["proposals/logits"], atol=1e-3)
    found = rescale_instances(detected, ImageSize(*expected["image_size"].tolist()))
    assert len(found) == len(expected["boxes"])
    np.testing.assert_array_equal(found.labels, expected["classes"])
    np.testing.assert_allclose(found.scores, expected["scores"], atol=1e-4)
    np.testing.assert_allclose(found.boxes.xyxy, expected["boxes"], atol=0.05)  # pixels


@pytest.mark.parametrize("family", [mask_rcnn_c4, mask_rcnn_dc5])
def test_mixed_precision_gives_float32_losses(family, pictures):
    """bfloat16 inside, sums and boxes in float32 outside."""
    model = _tiny(family, score_threshold=0.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model(*pictures)
        (found, _) = model(pictures[0])
    sum(losses.values()).backward()
    assert all(loss.dtype == torch.float32 and torch.isfinite(loss) for loss in losses.values())
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    assert found.boxes.xyxy.dtype == found.scores.dtype == torch.float32
    assert found.masks.probabilities.dtype == torch.float32
