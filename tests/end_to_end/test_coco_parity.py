"""Training and evaluation on a COCO folder, against the official tool on the same predictions."""

import contextlib
import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from geodet import cli
from geodet.engine import choose_device
from geodet.inference import to_coco_results
from geodet.recipes import (
    Description,
    build_predictor,
    build_trained,
    describe_weights,
    find_weights,
    score,
)

KINDS = {"boxes": "bbox", "masks": "segm"}


def write_data(folder):
    """Eight pictures of bright triangles with broken coordinates, crowds and given areas."""
    rng = np.random.default_rng(3)
    images, annotations = [], []
    for image_id in range(8):
        width, height = 96 - 8 * (image_id % 3), 80
        picture = Image.new("RGB", (width, height), (20, 30, 40))
        for _ in range(int(rng.integers(1, 5))):
            x, y = rng.uniform(2, width - 42), rng.uniform(2, height - 42)
            w, h = rng.uniform(15, 40, 2)
            ring = [(x, y + h), (x + w / 2, y), (x + w, y + h)]
            label = int(rng.integers(2))
            ImageDraw.Draw(picture).polygon(ring, fill=(250, 220 * label, 90))
            crowd = bool(rng.random() < 0.2)
            run = int(y) + int(x) * height
            mask = {"size": [height, width], "counts": [run, 9, width * height - run - 9]}
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id + 5,
                    "category_id": (3, 8)[label],
                    "bbox": [round(v, 2) for v in (x, y, w, h)],
                    "area": round(w * h / 2, 3),
                    "iscrowd": int(crowd),
                    "segmentation": mask if crowd else [[round(v, 2) for p in ring for v in p]],
                }
            )
        name = f"{image_id}.png"
        picture.save(folder / name)
        images.append({"id": image_id + 5, "file_name": name, "width": width, "height": height})
    categories = [{"id": 8, "name": "yellow"}, {"id": 3, "name": "red"}]
    data = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "truth.json").write_text(json.dumps(data))


@pytest.fixture(scope="module")
def run(tmp_path_factory, small):
    """A run of a few steps on such a folder."""
    folder = tmp_path_factory.mktemp("parity")
    write_data(folder)
    data = {"type": "CocoRecipe", "root": str(folder), "train_images": ".", "val_images": "."}
    data |= {"train_annotations": "truth.json", "val_annotations": "truth.json"}
    data |= {"short_edges": [80], "test_short_edge": 80}
    changes = [each for each in small if each != "--set" and not each.startswith("data.")]
    changes += [f"data={json.dumps(data)}", "steps=80", "optimizer.lr=0.002"]
    changes += ["schedule.warmup_steps=5", "model.box_head.score_threshold=0.0"]
    arguments = [part for each in changes for part in ("--set", each)]
    assert cli.main(["train", *arguments, "--out", str(folder / "run")]) == 0
    return folder


def official(truth_file, rows, kind):
    """COCOeval of result rows."""
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    if kind == "masks":  # with a box in the row, the tool would take the box's area for the mask's
        rows = [{name: value for name, value in row.items() if name != "bbox"} for row in rows]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO(str(truth_file))
        evaluation = cocoeval.COCOeval(truth, truth.loadRes(rows), KINDS[kind])
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def test_evaluation_of_a_run_equals_pycocotools_bit_for_bit(run, capsys):
    """Curves from the run's weights are those of the official tool on the predictions as JSON."""
    weights = find_weights(run / "run")
    description = describe_weights(weights)
    recipe, label_map = description.recipe, description.label_map
    model = build_trained(Description(recipe=recipe, label_map=label_map), weights)
    predictor = build_predictor(model, recipe, label_map, choose_device("cpu"))
    source = recipe.build_validation()
    report = score(predictor, source, outputs=("boxes", "masks"))
    samples = [source[index] for index in range(len(source))]
    rows = []
    for sample, found in zip(samples, predictor([each.image for each in samples]), strict=True):
        rows += to_coco_results(sample.image_id, found, label_map)
    (run / "rows.json").write_text(json.dumps(rows))
    capsys.readouterr()
    assert cli.main(["evaluate", str(run / "run"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    for kind in KINDS:
        expected = official(run / "truth.json", json.loads((run / "rows.json").read_text()), kind)
        found = report[kind]
        assert (expected.eval["precision"] > 0).any(), "nothing was found: the test shows nothing"
        np.testing.assert_array_equal(found.precision, expected.eval["precision"])
        np.testing.assert_array_equal(found.recall, expected.eval["recall"])
        np.testing.assert_array_equal(found.scores, expected.eval["scores"])
        assert list(printed[kind]["stats"].values()) == expected.stats.tolist()
