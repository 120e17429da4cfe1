"""The script of the page on prediction does what the page says."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from geodet.structures import RleMasks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "predict.md"


def test_the_prediction_script_runs(tmp_path, monkeypatch, capsys):
    """All pieces, one after another, on a picture of noise."""
    pieces = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    noise = np.random.default_rng(0).integers(0, 256, (50, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "in.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["predict.py", "in.png"])
    torch.manual_seed(0)
    module = types.ModuleType("predict_guide")
    exec("\n".join(pieces), module.__dict__)  # noqa: S102 - our own page

    assert isinstance(module.found.masks, RleMasks)
    assert "objects from six views" in capsys.readouterr().out
    with Image.open("found.png") as drawn:
        assert drawn.size == (80, 50)
