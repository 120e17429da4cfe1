"""Rotated boxes: pairwise IoU and suppression.

shapely's STRtree runs here. Detectron2 does not: its figures are carried over, see scaled_peer.py.
"""

from collections.abc import Callable, Iterator

import numpy as np
import shapely
import torch
from scaled_peer import NMS_YARDSTICK, detectron2, nms_yardstick
from timing import OURS, Comparison
from torch import Tensor

from geodet import ops

# Sides and extent that make 8.5 % (a crowd) and 0.1 % (aerial photographs) of the pairs overlap.
DENSE = (20.0, 225.0, 810.0)
AERIAL = (10.0, 120.0, 4000.0)


def rotated_boxes(count: int, seed: int, low: float, high: float, extent: float) -> Tensor:
    """[count, 5] boxes in a square, sides between low and high pixels, all angles."""
    rng = torch.Generator().manual_seed(seed)
    centers = extent * torch.rand(count, 2, generator=rng)
    sides = low + (high - low) * torch.rand(count, 2, generator=rng)
    angles = 360 * torch.rand(count, 1, generator=rng) - 180
    return torch.cat([centers, sides, angles], dim=1)


def clustered_rotated_boxes(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Boxes in groups of about ten around one object, as before suppression, with scores."""
    rng = torch.Generator().manual_seed(seed)
    objects = rotated_boxes(max(count // 10, 1), seed, 10, 300, 1333)
    chosen = objects[torch.randint(len(objects), (count,), generator=rng)]
    jitter = torch.randn(count, 5, generator=rng) * torch.tensor([8.0, 8, 8, 8, 5])
    boxes = chosen + jitter
    boxes[:, 2:4] = boxes[:, 2:4].clamp(min=4)
    return boxes, torch.rand(count, generator=rng)


def cases() -> Iterator[tuple[str, Callable[[], Comparison]]]:
    """Name and builder of every comparison; inputs are made when it is its turn."""
    yield "rotated_iou 1000x1000 dense", _iou(1_000, "dense", DENSE, 1024.0)
    yield "rotated_iou 1000x1000 aerial", _iou(1_000, "aerial", AERIAL, 988.0)
    yield "rotated_iou 100x100 dense", _iou(100, "dense", DENSE, 10.3)
    yield "rotated_nms 1000 at 0.5", _nms(1_000, 47.9)
    yield "rotated_nms 5000 at 0.5", _nms(5_000, 1118.0)


def _corners(boxes: Tensor) -> np.ndarray:
    cx, cy, w, h, angle = boxes.double().numpy().T
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    right, down = np.array([-1, 1, 1, -1]) / 2, np.array([-1, -1, 1, 1]) / 2
    u, v = w[:, None] * right, h[:, None] * down
    x = cx[:, None] + u * cos[:, None] + v * sin[:, None]
    y = cy[:, None] - u * sin[:, None] + v * cos[:, None]
    return np.stack([x, y], axis=2)


def shapely_iou(a: Tensor, b: Tensor) -> np.ndarray:
    """The fastest way with shapely: candidates from a tree of bounds, then areas of those."""
    p, q = shapely.polygons(_corners(a)), shapely.polygons(_corners(b))
    i, j = shapely.STRtree(q).query(p)
    shared = shapely.area(shapely.intersection(p[i], q[j]))
    iou = np.zeros((len(a), len(b)), np.float32)
    area_p, area_q = shapely.area(p), shapely.area(q)
    iou[i, j] = shared / (area_p[i] + area_q[j] - shared)
    return iou


def _close(ours: Tensor, theirs: np.ndarray) -> bool:
    return torch.allclose(ours, torch.from_numpy(theirs), rtol=0, atol=1e-6)


def _iou(
    count: int, kind: str, shape: tuple[float, float, float], detectron2_ms: float
) -> Callable[[], Comparison]:
    def build() -> Comparison:
        a, b = rotated_boxes(count, 0, *shape), rotated_boxes(count, 1, *shape)
        out = torch.empty(count, count)
        overlapping = (ops.pairwise_rotated_iou(a, b) > 0).float().mean().item()
        return Comparison(
            name=f"rotated_iou {count}x{count} {kind} {overlapping:.1%}",
            ways={
                OURS: lambda: ops.pairwise_rotated_iou(a, b),
                "shapely STRtree": lambda: shapely_iou(a, b),
                "geodet with out=": lambda: ops.pairwise_rotated_iou(a, b, out=out),
                NMS_YARDSTICK: nms_yardstick(),
            },
            agree=lambda ours, theirs: _close(ours, np.asarray(theirs)),
            scaled=(detectron2(detectron2_ms),),
        )

    return build


def _nms(count: int, detectron2_ms: float) -> Callable[[], Comparison]:
    def build() -> Comparison:
        boxes, scores = clustered_rotated_boxes(count, 2)

        def by_shapely() -> Tensor:
            """Greedy over the sparse matrix of overlaps."""
            p = shapely.polygons(_corners(boxes))
            i, j = shapely.STRtree(p).query(p)
            shared = shapely.area(shapely.intersection(p[i], p[j]))
            area = shapely.area(p)
            suppresses = shared / (area[i] + area[j] - shared) > 0.5
            rivals = np.split(j[suppresses], np.searchsorted(i[suppresses], np.arange(1, count)))
            alive = np.ones(count, bool)
            kept = []
            for index in scores.sort(descending=True, stable=True).indices.tolist():
                if alive[index]:
                    kept.append(index)
                    alive[rivals[index]] = False
            return torch.tensor(kept)

        return Comparison(
            name=f"rotated_nms {count} at 0.5",
            ways={
                OURS: lambda: ops.rotated_nms(boxes, scores, 0.5),
                NMS_YARDSTICK: nms_yardstick(),
                # Beyond 1,000 its pairs take minutes.
                **({"shapely STRtree": by_shapely} if count <= 1_000 else {}),
            },
            agree=torch.equal,
            scaled=(detectron2(detectron2_ms),),
        )

    return build
