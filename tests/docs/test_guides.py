"""The scripts in the guides do what their pages say."""

import json
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from geodet.data.sources.shapes import ShapesSource
from geodet.errors import CompositionError
from geodet.models import ROTATED, LastLevelP6P7, rotated_retinanet_fpn
from geodet.structures import RotatedBoxes

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"

# Imports of these fail, as in a project that does not have them.
BLOCKED = """
import sys
for name in ("torchvision", "pycocotools", "PIL", "scipy", "shapely", "hypothesis", "cattrs"):
    sys.modules[name] = None
"""


def script_of(page):
    """The first Python of a guide."""
    text = (GUIDES / page).read_text("utf-8")
    return re.search(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)[1]


def coco_file(mask_api):
    """A picture with a square, a copy of it one pixel on, one with a hole, one half outside."""
    ring = np.zeros((40, 60), dtype=np.uint8)
    ring[20:32, 30:42] = 1
    ring[24:28, 34:38] = 0
    runs = mask_api.encode(np.asfortranarray(ring))
    shapes = [
        [[4, 4, 16, 4, 16, 16, 4, 16]],
        [[5, 4, 17, 4, 17, 16, 5, 16]],
        {"size": [40, 60], "counts": runs["counts"].decode()},
        [[50, 10, 70, 20, 60, 40, 40, 30]],
    ]
    scores = (0.5, 0.75, 1.0, 0.25)
    annotations = [
        {"id": i, "image_id": 7, "category_id": 2, "segmentation": shape, "score": score}
        for i, (shape, score) in enumerate(zip(shapes, scores, strict=True))
    ]
    images = [
        {"id": 7, "height": 40, "width": 60, "file_name": "a.png"},
        {"id": 8, "height": 30, "width": 50, "file_name": "nothing.png"},
    ]
    return {"images": images, "annotations": annotations}, ring


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
def test_the_structures_script_runs_without_torchvision(tmp_path):
    """It keeps the better copy, the hole and the object at the border, in runs that COCO reads."""
    mask_api = pytest.importorskip("pycocotools.mask")
    script = script_of("structures-alone.md")
    code = [line for line in script.splitlines() if line and not line.lstrip().startswith('"""')]
    assert len(code) <= 40
    coco, ring = coco_file(mask_api)
    (tmp_path / "in.json").write_text(json.dumps(coco))
    (tmp_path / "keep_best.py").write_text(script)
    (tmp_path / "blocked.py").write_text(
        BLOCKED + "import runpy; runpy.run_path('keep_best.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "blocked.py", "in.json", "out.json"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "out.json").read_text())
    runs = [each["segmentation"] for each in kept]
    overlaps = mask_api.iou(runs, runs, [0] * len(runs))
    np.fill_diagonal(overlaps, 0)
    assert done.stdout.splitlines() == [
        f"a.png: 4 -> 3, mask IoU <= {overlaps.max():.2f}",
        "nothing.png: 0 -> 0, mask IoU <= 0.00",
    ]
    assert [each["score"] for each in kept] == [1.0, 0.75, 0.25]
    pixels = [mask_api.decode(one) for one in runs]
    assert np.array_equal(pixels[0], ring)
    assert kept[1]["bbox"] == pytest.approx([5, 4, 12, 12], abs=1e-4)
    left, top, width, height = kept[2]["bbox"]
    # The outline, not its pixels, has its corners at (40, 30) and (50, 10): a pixel of slack.
    assert (left, top) == pytest.approx((40, 10), abs=1)
    assert left + width == pytest.approx(60)
    assert top + height == pytest.approx(40)


def test_the_laws_of_the_guide_hold_and_catch_its_mistake(tmp_path):
    """The three tests pass; without the clamp that the page names, they fail."""
    script = script_of("test-your-own-structures.md")
    assert script.count(".clamp(min=0)") == 1
    for name, text, passes in (
        ("right", script, True),
        ("wrong", script.replace(".clamp(min=0)", ""), False),
    ):
        file = tmp_path / f"test_{name}.py"
        file.write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert (done.returncode == 0) == passes, done.stdout
    assert "AssertionError: IoU" in done.stdout


def test_the_table_of_laws_is_complete():
    """Every law of `geodet.testing` about geometry stands in the guide's table, or its kin does."""
    from geodet import testing as gt

    text = (GUIDES / "test-your-own-structures.md").read_text("utf-8")
    named = set(re.findall(r"assert_\w+", text))
    assert named <= set(gt.__all__)
    modules = ("regions", "masks", "keypoints", "transforms")
    for name in (n for n in gt.__all__ if n.startswith("assert_")):
        if getattr(gt, name).__module__.rpartition(".")[2] in modules:
            assert name in named


def blocks_of(page):
    """Every piece of Python of a guide."""
    text = (GUIDES / page).read_text("utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def own_parts():
    """The parts of `build-a-model.md`, and what its last piece trains on."""
    module = types.ModuleType("own_parts")
    exec("\n\n".join(blocks_of("build-a-model.md")), module.__dict__)  # noqa: S102 - our own page
    return module


def test_own_backbone_and_head_take_under_60_lines():
    """Imports, both parts and the detector; without the docstrings, and the loop that follows."""
    lines = "\n".join(blocks_of("build-a-model.md")[:3]).splitlines()
    assert len([line for line in lines if line and not line.lstrip().startswith('"""')]) < 60


def test_own_parts_make_a_whole_detector(own_parts):
    """Every parameter learns, pictures without objects included; masks come out."""
    torch.manual_seed(0)
    source = ShapesSource(2, seed=0)
    model = own_parts.own_detector(num_classes=len(source.label_map.names))
    images = [sample.image for sample in source]
    targets = [source[0].instances, source[1].instances[:0]]
    losses = model(images, targets)
    sum(losses.values()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    empty = model(images[1:], targets[1:])
    assert float(empty["masks"].detach()) == 0.0
    with torch.no_grad():
        for found in model(images):
            assert found.masks.probabilities.shape == (len(found), 14, 14)


def test_own_head_works_beside_rotated_boxes_too(own_parts):
    """In a detector of one stage, as the page promises."""
    torch.manual_seed(0)
    pyramid = own_parts.FPN(
        own_parts.Separable(width=32),
        in_features=("res3", "res4", "res5"),
        channels=32,
        top=LastLevelP6P7(256, 32),
    )
    pooler = own_parts.RoiPooler({"p3": 8, "p4": 16, "p5": 32}, output_side=7, kind=ROTATED)
    model = rotated_retinanet_fpn(
        num_classes=8,
        preprocess=own_parts.own_detector(2).preprocess,
        backbone=pyramid,
        angles=(-60.0, -30.0, 0.0),
        score_threshold=0.0,
        max_detections=3,
        mask_head=lambda _: own_parts.LinearMaskHead(pooler, in_channels=32, side=14),
    )
    sample = ShapesSource(1, seed=0)[0]
    truth = sample.instances.with_(boxes=sample.instances.masks.to_rotated_boxes())
    losses = model([sample.image], [truth])
    assert float(losses["masks"].detach()) > 0
    with torch.no_grad():
        (found,) = model([sample.image])
    assert isinstance(found.boxes, RotatedBoxes)
    assert found.masks.probabilities.shape == (3, 14, 14)


def test_misfits_are_told_as_the_page_says(own_parts, monkeypatch):
    """The message that the page shows."""
    text = (GUIDES / "build-a-model.md").read_text("utf-8")
    message = re.search(r"^CompositionError: (.*)$", text, flags=re.MULTILINE)[1]
    make = own_parts.LinearMaskHead
    monkeypatch.setattr(
        own_parts,
        "LinearMaskHead",
        lambda pooler, side, **_: make(pooler, in_channels=64, side=side),
    )
    with pytest.raises(CompositionError, match=re.escape(message)):
        own_parts.own_detector(num_classes=2)


@pytest.mark.learning
@pytest.mark.slow
def test_the_model_of_the_guide_learns_four_pictures(tmp_path):
    """The whole script: after 120 steps it finds nearly all objects, with masks."""
    (tmp_path / "own_parts.py").write_text("\n\n".join(blocks_of("build-a-model.md")))
    done = subprocess.run(
        [sys.executable, "own_parts.py", "120"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    counts = re.findall(r"^(\d+) objects, (\d+) found$", done.stdout, flags=re.MULTILINE)
    assert len(counts) == 4
    assert sum(int(found) for _, found in counts) >= sum(int(there) for there, _ in counts) - 2
