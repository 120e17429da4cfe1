"""The page for users of Detectron2 names what exists, and its script runs."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from geodet.interop.detectron2 import save_checkpoint
from geodet.models import mask_rcnn_fpn, zoo

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guides" / "from-detectron2.md").read_text("utf-8")
SOURCE = "\n".join(path.read_text("utf-8") for path in (ROOT / "geodet").rglob("*.py"))


def words_for_geodet():
    """Words in code of the right column of every table."""
    words = set()
    for line in PAGE.splitlines():
        if line.startswith("|") and "---" not in line:
            for code in re.findall(r"`([^`]+)`", line.rsplit("|", 2)[1]):
                words |= set(re.findall(r"[A-Za-z_]\w{3,}", code))
    return words


def test_every_name_of_ours_exists():
    """Classes, functions and keywords alike."""
    elsewhere = {"torch", "SyncBatchNorm", "torchrun", "ROIAlign", "ROIAlignV2", "ROIPool",
                 "ROIAlignRotated", "True", "None", "configs", "value", "before", "after",
                 "picture", "array", "path", "model", "weights", "count", "fraction"}  # fmt: skip
    words = words_for_geodet() - elsewhere
    assert len(words) > 100
    missing = {word for word in words if re.search(rf"\b{word}\b", SOURCE) is None}
    assert not missing


def test_the_script_runs(tmp_path, monkeypatch, capsys):
    """On a small model in the place of the named one, and without a network."""
    image_module = pytest.importorskip("PIL.Image")

    def small(*, num_classes=80):
        torch.manual_seed(0)
        return mask_rcnn_fpn(
            num_classes=num_classes, width=8, fpn_channels=8, box_features=(8,), mask_convs=(8,)
        )

    monkeypatch.setattr(zoo, "load", lambda name: small())
    monkeypatch.setattr(zoo, "mask_rcnn_r50_fpn", small)
    monkeypatch.chdir(tmp_path)
    save_checkpoint(small(), "model_final_f10217.pkl")
    image_module.fromarray(np.zeros((64, 64, 3), np.uint8)).save("picture.jpg")
    script = re.search(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)[1]
    exec(compile(script, "from-detectron2.md", "exec"), {})  # noqa: S102 - our own page
    assert "model_final_f10217.pkl: 299 tensors loaded" in capsys.readouterr().out
    assert (tmp_path / "back.pkl").is_file()
