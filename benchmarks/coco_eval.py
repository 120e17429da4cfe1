"""COCO evaluation against pycocotools on synthetic data: python benchmarks/coco_eval.py."""

import argparse
import contextlib
import copy
import io
from typing import Any

import numpy as np
import torch
from mask_cases import blobs, flat_polygons
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from timing import OURS, Comparison, check, header, median_ms, rows, setting

from geodet import ops
from geodet.evaluation import CocoEvaluator
from geodet.structures import Boxes, ImageSize, Instances, RleMasks

SIZE = ImageSize(480, 640)
NUM_CLASSES = 80
MEAN_TARGETS = 7.3  # of val2017
DETECTIONS = 100
PYCOCO_TYPES = {"boxes": "bbox", "masks": "segm"}


def random_image(rng: np.random.Generator) -> tuple[Instances, Instances]:
    """Predictions and targets: 100 detections, some of them moved copies of the targets."""
    num_targets = max(1, rng.poisson(MEAN_TARGETS))
    targets = _instances(rng, blobs(num_targets, SIZE.as_tuple(), int(rng.integers(2**31))))
    chosen = rng.integers(0, num_targets, DETECTIONS)
    strays = blobs(DETECTIONS, SIZE.as_tuple(), int(rng.integers(2**31)))
    near = rng.random(DETECTIONS) < 0.4
    outlines = [
        _moved(rng, targets[1][pick]) if use else stray
        for pick, use, stray in zip(chosen, near, strays, strict=True)
    ]
    labels = np.where(near, targets[0].labels.numpy()[chosen], rng.integers(0, NUM_CLASSES, 100))
    predictions = _instances(rng, outlines)[0].with_(
        labels=torch.from_numpy(labels), scores=torch.from_numpy(rng.random(DETECTIONS).round(3))
    )
    return predictions, targets[0]


def _moved(rng: np.random.Generator, outline: np.ndarray) -> np.ndarray:
    shifted = outline + rng.normal(0, 4, 2)
    return np.clip(shifted, 0, (SIZE.width, SIZE.height))


def _instances(
    rng: np.random.Generator, outlines: list[np.ndarray]
) -> tuple[Instances, list[np.ndarray]]:
    counts, offsets = ops.polygons_to_rle(*flat_polygons(outlines), SIZE.as_tuple())
    corners = np.array([[*o.min(0), *o.max(0)] for o in outlines])
    labels = torch.from_numpy(rng.integers(0, NUM_CLASSES, len(outlines)))
    masks = RleMasks(counts, offsets, SIZE)
    boxes = Boxes(torch.from_numpy(corners))
    return Instances(SIZE, boxes=boxes, labels=labels, masks=masks), outlines


def coco_rows(images: dict[int, Instances], kind: str) -> list[dict[str, Any]]:
    """The dictionaries that pycocotools starts from."""
    found = []
    for image_id, instances in images.items():
        areas = instances.masks.area().tolist()
        values = instances.boxes.to_xywh().tolist()
        regions = [{"bbox": value} for value in values]
        if kind == "masks":
            regions = [{"segmentation": rle} for rle in instances.masks.to_coco()]
        for row, region in enumerate(regions):
            score = None if instances.scores is None else float(instances.scores[row])
            category = int(instances.labels[row])
            box_area = values[row][2] * values[row][3]
            found.append(
                {
                    "id": len(found) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "score": score,
                    "iscrowd": 0,
                    "area": areas[row] if kind == "masks" else box_area,
                    **region,
                }
            )
    return found


def pycocotools_stats(
    dataset: dict[str, Any], results: list[dict[str, Any]], kind: str
) -> np.ndarray:
    """Index, evaluate, accumulate, summarise; the copy it needs is made by the caller."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), PYCOCO_TYPES[kind])
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def compare(images: dict[int, tuple[Instances, Instances]], kind: str, runs: int) -> Comparison:
    """Both tools from what they start with in memory to the twelve numbers."""
    dataset = {
        "images": [
            {"id": image_id, "height": SIZE.height, "width": SIZE.width} for image_id in images
        ],
        "categories": [{"id": label, "name": str(label)} for label in range(NUM_CLASSES)],
        "annotations": coco_rows({i: pair[1] for i, pair in images.items()}, kind),
    }
    results = coco_rows({i: pair[0] for i, pair in images.items()}, kind)
    # pycocotools writes into its input: one untouched copy per run, made outside the timing.
    copies = [copy.deepcopy((dataset, results)) for _ in range(runs + 1)]

    def ours() -> np.ndarray:
        evaluator = CocoEvaluator(num_classes=NUM_CLASSES, iou_types=[kind])
        for image_id, (predictions, targets) in images.items():
            evaluator.update(image_id, predictions, targets)
        return evaluator.result()[kind].stats

    return Comparison(
        name=f"COCO {kind}, {len(images)} images",
        ways={OURS: ours, "pycocotools": lambda: pycocotools_stats(*copies.pop(), kind)},
        agree=np.array_equal,
    )


def main() -> None:
    """Check that all twelve numbers are equal, then time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", default=list(PYCOCO_TYPES), choices=PYCOCO_TYPES)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rng = np.random.default_rng(0)
    images = {image_id: random_image(rng) for image_id in range(arguments.images)}
    print(setting("pycocotools"))
    print(header(), flush=True)
    for kind in arguments.kinds:
        comparison = compare(images, kind, arguments.runs)
        check(comparison)
        for line in rows(comparison, median_ms(comparison, arguments.runs)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
