"""Random COCO cases, and the official tool run on them in memory."""

import contextlib
import functools
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geodet.structures import BitMasks, Boxes, ImageSize, Instances

PYCOCO_TYPES = {
    "boxes": "bbox",
    "masks": "segm",
    "keypoints": "keypoints",
    "rotated_boxes": "bbox",
}


def run_pycocotools(
    dataset: dict[str, Any],
    results: list[dict[str, Any]],
    kind: str,
    *,
    sigmas: Sequence[float] | None = None,
    iou: Callable[..., np.ndarray] | None = None,
) -> Any:
    """COCOeval after evaluate, accumulate and summarize.

    `sigmas` are those of the keypoints; `iou` replaces the overlap of boxes: it gets the "bbox"
    of predictions and targets and the targets' crowd flags.
    """
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        truth = coco.COCO()
        # Copies: the tool writes into the dictionaries it is given.
        truth.dataset = json.loads(json.dumps(dataset))
        truth.createIndex()
        rows = json.loads(json.dumps(results))
        if rows:
            found = truth.loadRes(rows)
        else:
            found = coco.COCO()
            found.dataset = {**truth.dataset, "annotations": []}
            found.createIndex()
        evaluation = cocoeval.COCOeval(truth, found, PYCOCO_TYPES[kind])
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        if iou is not None:
            evaluation.computeIoU = functools.partial(_overlaps, evaluation, iou)
        evaluation.evaluate()
        evaluation.accumulate()
        printed.truncate(0)
        printed.seek(0)
        evaluation.summarize()
    evaluation.summary = printed.getvalue()
    return evaluation


def _overlaps(evaluation: Any, iou: Callable[..., np.ndarray], image_id: int, label: int) -> Any:
    """Stand-in for COCOeval.computeIoU: sorted and cut as there."""
    targets = evaluation._gts[image_id, label]
    found = evaluation._dts[image_id, label]
    if not targets and not found:
        return []
    order = np.argsort([-row["score"] for row in found], kind="mergesort")
    found = [found[index] for index in order[: evaluation.params.maxDets[-1]]]
    return iou(
        [row["bbox"] for row in found],
        [row["bbox"] for row in targets],
        [bool(row["iscrowd"]) for row in targets],
    )


@pytest.fixture(scope="session")
def pycocotools_evaluation() -> Callable[..., Any]:
    """The oracle: (COCO data set, COCO results, kind) to a finished COCOeval."""
    return run_pycocotools


def _random_masks(rng: np.random.Generator, count: int, size: tuple[int, int]) -> np.ndarray:
    """[count, h, w] unions of two rectangles, now and then empty, from specks to whole images."""
    height, width = size
    masks = np.zeros((count, height, width), bool)
    for mask in masks:
        for _ in range(rng.integers(0 if rng.random() < 0.1 else 1, 3)):
            y, x = rng.integers(0, height), rng.integers(0, width)
            side = rng.choice([3, 12, 40, 110])
            mask[y : y + rng.integers(1, side + 1), x : x + rng.integers(1, side + 1)] = True
    return masks


def _shifted(rng: np.random.Generator, masks: np.ndarray) -> np.ndarray:
    """The same masks moved by up to two pixels."""
    return np.stack(
        [np.roll(mask, tuple(rng.integers(-2, 3, 2)), axis=(0, 1)) for mask in masks]
        or [masks.sum(0, dtype=bool)]
    )[: len(masks)]


def _mask_boxes(masks: np.ndarray) -> torch.Tensor:
    return BitMasks(torch.from_numpy(masks)).boxes().xyxy


class CocoCase:
    """A random data set with predictions, as `Instances` and as COCO dictionaries.

    Scores have one decimal, so most tie; predictions are jittered targets, copies and strays;
    some targets are crowds, some images have nothing on one side or both.
    """

    def __init__(
        self, seed: int, *, images: int = 12, classes: int = 4, most: int = 12, dtype: Any = None
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype or self.rng.choice([torch.float32, torch.float64])
        self.num_classes = classes
        self.given_areas = bool(self.rng.integers(2))
        self.images: dict[int, tuple[Instances, Instances]] = {}
        # Ids out of order and with gaps: the tool sorts them.
        for image_id in self.rng.permutation(1000)[:images].tolist():
            self.images[image_id] = self._image(most)

    def _image(self, most: int) -> tuple[Instances, Instances]:
        rng = self.rng
        size = (int(rng.integers(90, 160)), int(rng.integers(90, 160)))
        num_targets = int(rng.integers(0, most)) if rng.random() > 0.2 else 0
        num_strays = int(rng.integers(0, most)) if rng.random() > 0.2 else 0
        truth = _random_masks(rng, num_targets, size)
        if num_targets > 2:
            truth[1] = truth[0]  # equal overlap with two targets
        copies = rng.integers(0, max(num_targets, 1), 2 * num_targets if rng.random() > 0.2 else 0)
        guesses = np.concatenate(
            [_shifted(rng, truth[copies]), _random_masks(rng, num_strays, size)]
        )
        labels = rng.integers(0, self.num_classes, num_targets)
        guessed = np.concatenate([labels[copies], rng.integers(0, self.num_classes, num_strays)])
        return (
            self._instances(size, guesses, guessed, scores=rng.integers(0, 11, len(guesses)) / 10),
            self._instances(size, truth, labels, crowd=rng.random(num_targets) < 0.2),
        )

    def _instances(self, size, masks, labels, *, scores=None, crowd=None) -> Instances:
        xyxy = _mask_boxes(masks).double()
        xyxy = xyxy + torch.from_numpy(self.rng.normal(0, 1, xyxy.shape))
        # Ordered corners, some of them touching: a box without area is possible.
        xyxy = torch.cat(
            [xyxy.minimum(xyxy.roll(2, 1))[:, :2], xyxy.maximum(xyxy.roll(2, 1))[:, 2:]], 1
        )
        columns: dict[str, Any] = {}
        if scores is not None:
            columns["scores"] = torch.from_numpy(scores).to(self.dtype)
        if crowd is not None:
            columns["is_crowd"] = torch.from_numpy(crowd)
            if self.given_areas:
                areas = self.rng.choice([0.0, 500.5, 1024.0, 5000.0, 9216.0, 2e4], len(masks))
                columns["extras"] = {"area": torch.from_numpy(areas)}
        return Instances(
            ImageSize(*size),
            boxes=Boxes(xyxy.to(self.dtype)),
            labels=torch.from_numpy(labels).long(),
            masks=BitMasks(torch.from_numpy(masks)),
            **columns,
        )

    def dataset(self, kind: str) -> dict[str, Any]:
        """The targets as a COCO data set whose `area` is what the evaluator should use."""
        annotations = []
        for image_id, (_, targets) in self.images.items():
            for row in _coco_rows(image_id, targets):
                row["area"] = row["given_area"]
                if row["area"] is None and kind == "boxes":
                    row["area"] = row["bbox"][2] * row["bbox"][3]
                if row["area"] is None:
                    row["area"] = row["mask_area"]
                annotations.append({**row, "id": len(annotations) + 1})
        return {
            "images": [
                {
                    "id": image_id,
                    "height": targets.image_size.height,
                    "width": targets.image_size.width,
                }
                for image_id, (_, targets) in self.images.items()
            ],
            "categories": [{"id": label, "name": str(label)} for label in range(self.num_classes)],
            "annotations": annotations,
        }

    def results(self, kind: str) -> list[dict[str, Any]]:
        """The predictions as COCO results; without boxes for masks, so that areas are masks'."""
        wanted = {"image_id", "category_id", "score", "bbox" if kind == "boxes" else "segmentation"}
        return [
            {key: value for key, value in row.items() if key in wanted}
            for image_id, (predictions, _) in self.images.items()
            for row in _coco_rows(image_id, predictions)
        ]


def _coco_rows(image_id: int, instances: Instances) -> list[dict[str, Any]]:
    """One COCO dictionary per instance, numbers as Python prints them."""
    if len(instances) == 0:
        return []
    coco_mask = pytest.importorskip("pycocotools.mask")
    columns = np.asfortranarray(instances.masks.data.numpy().astype(np.uint8).transpose(1, 2, 0))
    rles = coco_mask.encode(columns)
    given = instances.extras.get("area")
    crowd, scores = instances.is_crowd, instances.scores
    return [
        {
            "image_id": image_id,
            "category_id": int(instances.labels[row]),
            "bbox": instances.boxes.to_xywh()[row].tolist(),
            "segmentation": {**rle, "counts": rle["counts"].decode()},
            "mask_area": int(coco_mask.area(rle)),
            "given_area": None if given is None else float(given[row]),
            "iscrowd": 0 if crowd is None else int(crowd[row]),
            "score": None if scores is None else float(scores[row]),
        }
        for row, rle in enumerate(rles)
    ]


@pytest.fixture(scope="session")
def coco_case() -> type[CocoCase]:
    """Class of random cases."""
    return CocoCase


@pytest.fixture(scope="session")
def eval_reference(shared_dir: Path) -> Path:
    """Folder of predictions with the numbers of the official evaluators."""
    return shared_dir / "data" / "eval_reference"
