"""Panoptic FPN on Detectron2's parity weights: its features, objects, classes of pixels, scene."""

import importlib.util
import json

import numpy as np
import pytest
import torch

from geodet.data import read_image
from geodet.evaluation import PanopticEvaluator
from geodet.models import (
    deeplab_v3,
    mask_rcnn_fpn,
    panoptic_deeplab,
    panoptic_fpn,
    rescale_prediction,
    semantic_fpn,
)
from geodet.models.published import DETECTRON2, published_names
from geodet.structures import ImageSize, PanopticSegmentation, SceneLabels, Segment
from geodet.transforms import Resize, shortest_edge_size

LABELS = SceneLabels.with_things_as_one(num_things=80, num_stuff=53)
NAME = "panoptic_fpn_R_50"

_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_HEADS = ("sem_seg_head", "ins_embed_head")
_BRANCHES = ("center", "offset")


def model():
    """Panoptic FPN of Detectron2's sizes."""
    return panoptic_fpn(mask_rcnn_fpn(num_classes=80), labels=LABELS)


def key_list(shared_dir):
    """Detectron2's names and shapes."""
    return json.loads((shared_dir / "parity" / "keys" / f"{NAME}.keys.json").read_text())


def test_every_tensor_has_detectron2s_name_and_shape(shared_dir):
    """One name for each, none missing; semantic FPN alone has the same of its own."""
    keys = key_list(shared_dir)
    with torch.device("meta"):
        ours, pixels = model(), semantic_fpn(num_classes=54)
    state, names = ours.state_dict(), published_names(ours, DETECTRON2)
    assert {names[name]: list(value.shape) for name, value in state.items()} == keys
    alone = set(published_names(pixels, DETECTRON2).values())
    assert alone == {key for key in keys if key.startswith(("backbone.", "sem_seg_head."))}


def test_deeplab_has_the_names_of_detectron2s_project():
    """Every tensor of Panoptic-DeepLab, by the names of its published checkpoints; V3 likewise."""
    conv_norm = ("weight", *(f"norm.{name}" for name in _NORM))
    separable = tuple(f"{part}.{name}" for part in ("depthwise", "pointwise") for name in conv_norm)
    predictor = ("weight", "bias")
    decoder = {
        "res5.project_conv.convs.0": conv_norm,
        **{f"res5.project_conv.convs.{i}": separable for i in (1, 2, 3)},
        "res5.project_conv.convs.4.1": predictor,
        "res5.project_conv.project": conv_norm,
        **{f"{level}.project_conv": conv_norm for level in ("res2", "res3")},
        **{f"{level}.fuse_conv": separable for level in ("res2", "res3")},
    }
    expected = {
        f"{head}.decoder.{part}": names for part, names in decoder.items() for head in _HEADS
    }
    expected |= {f"sem_seg_head.head.{i}": conv_norm for i in (0, 1)}
    expected |= {f"ins_embed_head.{b}_head.{i}": conv_norm for b in _BRANCHES for i in (0, 1)}
    expected |= {f"ins_embed_head.{branch}_predictor": predictor for branch in _BRANCHES}
    expected["sem_seg_head.predictor"] = predictor
    model = panoptic_deeplab(
        labels=SceneLabels.all_semantic(num_things=2, num_stuff=2), width=8, aspp_channels=8
    )
    found = {name for name in published_names(model, DETECTRON2).values() if "head" in name}
    assert found == {f"{part}.{name}" for part, names in expected.items() for name in names}
    with torch.device("meta"):
        names = set(published_names(deeplab_v3(num_classes=2), DETECTRON2).values())
    assert {"sem_seg_head.aspp.convs.4.1.bias", "sem_seg_head.predictor.weight"} < names


@pytest.mark.slow
def test_scenes_are_detectron2s(shared_dir):
    """Features to 1e-4, 99.9 % of the pixels' classes, PQ of one against the other above 0.99."""
    spec = importlib.util.spec_from_file_location("draw", shared_dir / "parity" / "weights.py")
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    ours, keys = model().eval(), key_list(shared_dir)
    drawn = {key: torch.from_numpy(weights.draw(key, shape)) for key, shape in keys.items()}
    names = published_names(ours, DETECTRON2)
    ours.load_state_dict({name: drawn[names[name]] for name in ours.state_dict()})
    expected = np.load(shared_dir / "parity" / "expected" / f"{NAME}.npz")
    image = read_image(shared_dir / "data" / "coco_mini" / "train2017" / "000000000790.jpg")
    size = ImageSize(*image.shape[1:])
    resized = Resize(size, shortest_edge_size(size, 800, 1333)).apply_image(image)
    features = {}
    ours.backbone.register_forward_hook(lambda module, inputs, maps: features.update(maps))
    with torch.no_grad():
        scene = ours([resized])[0]
        found = rescale_prediction(scene, size)
    for name, level in features.items():
        flat, wanted = level.flatten(), expected[f"feature/{name}/sample"]
        sample = flat[:: max(1, flat.numel() // 2000)][:2000].numpy()
        assert np.abs(sample - wanted).max() < 1e-4 * np.abs(wanted).max()
    assert set(features) == {"p2", "p3", "p4", "p5", "p6"}
    assert len(scene.instances) == len(found.instances) == len(expected["boxes"])
    assert np.allclose(found.instances.boxes.xyxy, expected["boxes"], atol=0.05)
    assert np.allclose(found.instances.scores, expected["scores"], atol=1e-4)
    assert found.instances.labels.tolist() == expected["classes"].tolist()
    classes = found.semantic.to_semantic_map().labels.numpy()
    assert (classes == expected["sem_seg_argmax"]).mean() > 0.999
    theirs = PanopticSegmentation(
        torch.from_numpy(expected["panoptic"]).int(),
        [
            Segment(
                info["id"],
                info["category_id"] if info["isthing"] else LABELS.semantic[info["category_id"]],
                is_thing=info["isthing"],
            )
            for info in json.loads(str(expected["panoptic_info"]))
        ],
    )
    evaluator = PanopticEvaluator(num_classes=133, things=LABELS.things)
    evaluator.update(790, found.panoptic, theirs)
    assert evaluator.result().pq > 0.99
