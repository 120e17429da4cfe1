"""Detectron2's own outputs, of the same weights and picture, against ours.

The short versions of these are the fits of names and shapes in tests/models/test_zoo.py.
"""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from geodet.inference import Predictor
from geodet.interop.detectron2 import load_checkpoint
from geodet.models import zoo

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def parity():
    """The script that prints the table, as a module."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("parity")
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in ("parity", "parity_figures"):
            sys.modules.pop(name, None)


def load(parity, shared_dir, name, folder):
    """The named size with drawn weights; all of the file's tensors must have found their place."""
    model = getattr(zoo, parity.ARCHITECTURES[name])()
    path, count = parity.draw_checkpoint(shared_dir, name, folder)
    report = load_checkpoint(model, path)
    path.unlink()
    frozen_counters = sum(key.endswith("num_batches_tracked") for key in report.ignored)
    assert len(report.loaded) + frozen_counters == count
    assert not report.skipped
    return model, len(report.loaded)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "mask_rcnn_R_50_FPN",
        "faster_rcnn_R_50_C4",
        "keypoint_rcnn_R_50_FPN",
        "panoptic_fpn_R_50",
        "retinanet_R_50_FPN",
    ],
)
def test_predictions_equal_detectron2(parity, shared_dir, tmp_path, name):
    """Features, detections, masks, keypoints, pixels and scenes, within the stated margins."""
    model, loaded = load(parity, shared_dir, name, tmp_path)
    with np.load(shared_dir / "parity" / "expected" / f"{name}.npz") as file:
        expected = dict(file)
    figures = parity.measure(model, expected, shared_dir / parity.PICTURE)
    sys.stdout.write(f"{parity.ARCHITECTURES[name]}: {loaded} keys, {figures}\n")
    assert figures.features < 1e-4
    assert figures.matched >= 0.99
    if "mask_rle" in expected:
        assert figures.masks >= 0.95
    if "keypoints" in expected:
        assert figures.keypoints >= 0.99
    if "panoptic" in expected:
        assert figures.semantic >= 0.999
        assert figures.pq > 0.99


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "cascade_mask_rcnn_R_50_FPN",
        "fcos_R_50_FPN",
        "mask_rcnn_R_50_C4",
        "mask_rcnn_R_50_DC5",
        "mask_rcnn_R_50_FPN_dconv",
        "mask_rcnn_R_50_FPN_gn",
        "mask_rcnn_R_50_LSJ",
        "mask_rcnn_X_101",
        "mask_rcnn_regnetx",
        "vitdet_b_mask",
    ],
)
def test_the_others_load_and_run(parity, shared_dir, tmp_path, name):
    """On a small version of the picture: finite boxes inside it, and the heads' columns."""
    model, _ = load(parity, shared_dir, name, tmp_path)
    found = Predictor(model, short_edge=256)(shared_dir / parity.PICTURE)
    # The drawn weights of RegNet make features of 1e5, whose boxes all lie outside the picture.
    assert len(found) > 0 or name == "mask_rcnn_regnetx"
    assert torch.isfinite(found.boxes.xyxy).all()
    assert bool(found.boxes.inside(found.image_size).all())
    assert ("mask" in name) == (found.masks is not None)
