"""RetinaNet against torchvision's losses and Detectron2's outputs."""

import importlib.util
import json
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.detection import retinanet as torchvision_retinanet

from geodet.interop.detectron2 import load_checkpoint
from geodet.models import EmaNormaliser, rescale_instances, retinanet_fpn
from geodet.models.published import DETECTRON2, published_names
from geodet.structures import ImageSize


def _peer(num_classes, anchors_per_location):
    """Torchvision's RetinaNet around a backbone that is never run."""
    backbone = nn.Identity()
    backbone.out_channels = 8
    generator = torchvision_retinanet.AnchorGenerator(
        sizes=((16,),), aspect_ratios=((1.0,) * anchors_per_location,)
    )
    return torchvision_retinanet.RetinaNet(
        backbone, num_classes=num_classes, anchor_generator=generator
    )


def test_losses_equal_torchvision(tiny_retinanet, pictures):
    """Same predictions, anchors and truth, divided by the positives of one image."""
    images, targets = pictures
    model = tiny_retinanet(normaliser=EmaNormaliser(initial=1.0, momentum=0.0))
    peer = _peer(2, model.anchors.anchors_per_location)
    for image, target in zip(images, targets, strict=True):
        output = model.predict(model.backbone(model.preprocess([image]).tensor))
        assigned = model.assign(output.anchors, [target.boxes.xyxy], [target.labels])
        losses = model.losses(output, assigned, torch.tensor(float(len(assigned.positive))))
        wanted = peer.compute_loss(
            [{"boxes": target.boxes.xyxy, "labels": target.labels}],
            {
                "cls_logits": torch.cat(output.logits, dim=1),
                "bbox_regression": torch.cat(output.deltas, dim=1),
            },
            [torch.cat(output.anchors)],
        )
        torch.testing.assert_close(losses["classes"], wanted["classification"])
        torch.testing.assert_close(losses["boxes"], wanted["bbox_regression"])
        whole = model([image], [target])  # momentum 0: the normaliser is this image's count
        torch.testing.assert_close(whole["classes"], wanted["classification"])
        torch.testing.assert_close(whole["boxes"], wanted["bbox_regression"])


def test_a_batch_costs_the_sum_of_its_images(tiny_retinanet, pictures):
    """Divided by one number, however the positives are spread."""
    model = tiny_retinanet()
    images, targets = pictures
    with torch.no_grad():  # the normaliser stays
        together = model(images, targets)
        apart = [model([image], [target]) for image, target in zip(images, targets, strict=True)]
    for name, value in together.items():
        torch.testing.assert_close(value, sum(losses[name] for losses in apart))


def test_detections_equal_torchvision(tiny_retinanet):
    """The same predictions, where no box leaves the image, since torchvision clips before NMS."""
    torch.manual_seed(3)
    model = tiny_retinanet(score_threshold=0.3, candidates_per_level=40, aspect_ratios=(1.0,))
    peer = _peer(2, model.anchors.anchors_per_location)
    peer.score_thresh, peer.topk_candidates, peer.nms_thresh, peer.detections_per_img = (
        0.3, 40, 0.5, 100,
    )  # fmt: skip
    size = (64, 96)
    anchors = model.anchors([(-(-size[0] // s), -(-size[1] // s)) for s in model.anchors.strides])
    inside = [
        (level[:, :2] >= 8).all(1) & (level[:, 2] <= size[1] - 8) & (level[:, 3] <= size[0] - 8)
        for level in anchors
    ]
    logits = [torch.randn(1, len(rows), 2).masked_fill(~rows[:, None], -9) for rows in inside]
    deltas = [torch.randn(1, len(level), 4) * 0.05 for level in anchors]
    (found,) = model.selector(
        anchors, [x.sigmoid() for x in logits], deltas, [ImageSize(*size)], coder=model.coder
    )
    (wanted,) = peer.postprocess_detections(
        {"cls_logits": logits, "bbox_regression": deltas}, [anchors], [size]
    )
    assert len(wanted["scores"]) > 10
    torch.testing.assert_close(found.boxes, wanted["boxes"])
    torch.testing.assert_close(found.scores, wanted["scores"])
    assert torch.equal(found.labels, wanted["labels"])


def test_tensors_fit_detectron2_one_to_one(shared_dir):
    """Every key has one place, of the same shape; only the normaliser is ours alone."""
    keys = json.loads((shared_dir / "parity/keys/retinanet_R_50_FPN.keys.json").read_text())
    with torch.device("meta"):
        model = retinanet_fpn(num_classes=80)
    names = published_names(model, DETECTRON2)
    shapes = {names[key]: list(value.shape) for key, value in model.state_dict().items()}
    assert shapes.pop("normaliser.value") == []
    assert shapes == keys


def test_anchors_are_detectron2s():
    """Nine per cell: three octave scales of three shapes, centred on the cell's corner."""
    with torch.device("meta"):
        model = retinanet_fpn(num_classes=1)
    assert model.anchors.anchors_per_location == 9
    assert model.anchors.strides == (8, 16, 32, 64, 128)
    anchors = retinanet_fpn(num_classes=1, depth=18, width=8, fpn_channels=8, head_convs=0).anchors(
        [(1, 2), (1, 1), (1, 1), (1, 1), (1, 1)]
    )
    assert [len(level) for level in anchors] == [18, 9, 9, 9, 9]
    areas = (anchors[4][:, 2:] - anchors[4][:, :2]).prod(1).sqrt()
    wanted = [512.0] * 3 + [512 * 2 ** (1 / 3)] * 3 + [512 * 2 ** (2 / 3)] * 3
    assert areas.tolist() == pytest.approx(wanted)
    shift = torch.tensor([[8.0, 0.0, 8.0, 0.0]]).repeat(9, 1)
    torch.testing.assert_close(anchors[0][9:] - anchors[0][:9], shift)
    torch.testing.assert_close(anchors[0][:9, :2], -anchors[0][:9, 2:])


@pytest.mark.slow
def test_predictions_equal_detectron2(shared_dir, tmp_path):
    """One photograph through RetinaNet R50-FPN: features, boxes, classes, scores."""
    image_module = pytest.importorskip("PIL.Image")
    folder = shared_dir / "parity"
    spec = importlib.util.spec_from_file_location("parity_weights", folder / "weights.py")
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    keys = json.loads((folder / "keys/retinanet_R_50_FPN.keys.json").read_text())
    model = retinanet_fpn(num_classes=80).eval()
    drawn = {key: weights.draw(key, shape) for key, shape in keys.items()}
    (tmp_path / "zoo.pkl").write_bytes(pickle.dumps({"model": drawn, "__author__": "parity"}))
    report = load_checkpoint(model, tmp_path / "zoo.pkl")
    assert len(report.loaded) == len(keys)  # the normaliser, which the file lacks, stays
    expected = np.load(folder / "expected/retinanet_R_50_FPN.npz")
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
        wanted = expected[f"feature/{level}/sample"]
        assert np.abs(sample - wanted).max() < 1e-4 * np.abs(wanted).max()
    found = rescale_instances(detected, ImageSize(*expected["image_size"].tolist()))
    assert len(found) == len(expected["boxes"])
    overlap = found.boxes.pairwise_iou(type(found.boxes)(torch.from_numpy(expected["boxes"])))
    same = found.labels[:, None] == torch.from_numpy(expected["classes"])
    near = (found.scores[:, None] - torch.from_numpy(expected["scores"])).abs() < 1e-3
    # Anchors whose scores round to the same number come in index order here and in any order
    # there, so that another of two near-equal boxes may survive.
    assert ((overlap > 0.99) & same & near).any(dim=0).float().mean() >= 0.99
