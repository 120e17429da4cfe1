"""Keypoints and matching: similarity, heatmap decoding, COCO's greedy matching."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from pycocotools.cocoeval import COCOeval
from timing import OURS, Comparison
from torch import Tensor
from torchvision.models.detection.roi_heads import heatmaps_to_keypoints

from geodet import ops
from geodet.structures import Skeleton

SIGMAS = torch.tensor(Skeleton.coco_person().sigmas, dtype=torch.float64)
THRESHOLDS = torch.linspace(0.5, 0.95, 10, dtype=torch.float64)


def cases() -> Iterator[tuple[str, Callable[[], Comparison]]]:
    """Name and builder of every comparison; inputs are made when it is its turn."""
    for found, wanted in ((20, 10), (100, 50)):
        yield f"oks {found}x{wanted}, 17 points", _similarity(found, wanted)
    for kind in ("peaks", "noise"):
        yield f"heatmaps 100x17, {kind}", _decode(kind)
    for found, wanted in ((100, 7), (100, 100)):
        yield f"match_greedily {found}x{wanted}", _match(found, wanted)


def _people(count: int, seed: int) -> Tensor:
    """[count, 17, 3] points in boxes of 100 x 200 pixels, all labelled."""
    rng = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 1, 2, generator=rng) * torch.tensor([500.0, 400.0])
    xy = corners + torch.rand(count, 17, 2, generator=rng) * torch.tensor([100.0, 200.0])
    return torch.cat([xy, torch.full((count, 17, 1), 2.0)], dim=2).double()


def _similarity(found: int, wanted: int) -> Callable[[], Comparison]:
    def build() -> Comparison:
        points, targets = _people(found, 0), _people(wanted, 1)
        areas, boxes = torch.full((wanted,), 9e3).double(), torch.zeros(wanted, 4).double()
        evaluation = COCOeval(iouType="keypoints")
        evaluation.params.maxDets = [found]
        evaluation._dts[1, 1] = [
            {"score": 1 - i / found, "keypoints": p}
            for i, p in enumerate(points.flatten(1).numpy())
        ]
        evaluation._gts[1, 1] = [
            {"keypoints": p, "bbox": [0.0] * 4, "area": 9e3} for p in targets.flatten(1).numpy()
        ]
        return Comparison(
            name=f"oks {found}x{wanted}, 17 points",
            ways={
                OURS: lambda: ops.object_keypoint_similarity(points, targets, areas, boxes, SIGMAS),
                "pycocotools": lambda: evaluation.computeOks(1, 1),
            },
            agree=lambda a, b: np.allclose(a, b, rtol=1e-12, atol=1e-15),
        )

    return build


def _decode(kind: str) -> Callable[[], Comparison]:
    def build() -> Comparison:
        rng = torch.Generator().manual_seed(2)
        maps = torch.randn(100, 17, 56, 56, generator=rng)
        if kind == "peaks":
            at = torch.arange(56.0)
            x, y = 5 + 46 * torch.rand(2, 100, 17, 1, 1, generator=rng)
            maps = 10 - ((at - x) ** 2 + (at[:, None] - y) ** 2) / 20 + 0.3 * maps
        corners = torch.rand(100, 2, generator=rng) * 500
        sides = 20 + 250 * torch.rand(100, 2, generator=rng)
        boxes = torch.cat([corners, corners + sides], dim=1)

        def peer() -> Tensor:
            points, logits = heatmaps_to_keypoints(maps, boxes)
            return torch.cat([points[..., :2], logits[..., None]], dim=2)

        return Comparison(
            name=f"heatmaps 100x17, {kind}",
            ways={
                OURS: lambda: ops.decode_keypoint_heatmaps(maps, boxes),
                "torchvision": peer,
            },
            agree=lambda a, b: torch.allclose(a[..., :3], b, atol=1e-3),
        )

    return build


def _match(found: int, wanted: int) -> Callable[[], Comparison]:
    def build() -> Comparison:
        rng = np.random.default_rng(3)
        similarities = rng.random((found, wanted)) ** 2
        crowd = rng.random(wanted) < 0.1
        evaluation = COCOeval(iouType="bbox")
        evaluation.ious = {(1, 1): similarities}
        evaluation._gts[1, 1] = [
            {"id": i + 1, "ignore": int(c), "iscrowd": int(c), "area": 1}
            for i, c in enumerate(crowd)
        ]
        evaluation._dts[1, 1] = [
            {"id": i + 1, "score": 1 - i / found, "area": 1} for i in range(found)
        ]
        values, flags = torch.from_numpy(similarities), torch.from_numpy(crowd)

        def peer() -> Tensor:
            return torch.from_numpy(
                evaluation.evaluateImg(1, 1, [0, 1e10], found)["dtMatches"]
            ).long()

        return Comparison(
            name=f"match_greedily {found}x{wanted}",
            ways={
                OURS: lambda: ops.match_greedily(values, THRESHOLDS, ignored=flags, crowd=flags),
                "pycocotools": peer,
            },
            agree=lambda a, b: torch.equal(a + 1, b),
        )

    return build
