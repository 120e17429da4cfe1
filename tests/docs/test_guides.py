"""The scripts in the guides do what their pages say."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

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
