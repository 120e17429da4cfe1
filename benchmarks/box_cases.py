"""Boxes and features: pairwise IoU, suppression."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torchvision.ops as tv_ops
from pycocotools import mask as coco_mask
from timing import OURS, Comparison
from torch import Tensor

from geodet import ops

IMAGE_HW = (800, 1333)


def random_boxes(count: int, seed: int) -> Tensor:
    """[count, 4] xyxy inside an image of 800 x 1333, sides 10 to 300 pixels."""
    rng = torch.Generator().manual_seed(seed)
    sides = 10 + 290 * torch.rand(count, 2, generator=rng)
    limits = torch.tensor([IMAGE_HW[1], IMAGE_HW[0]]) - sides
    corners = torch.rand(count, 2, generator=rng) * limits
    return torch.cat([corners, corners + sides], dim=1)


def clustered_boxes(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Boxes in groups of about ten around one object, as before suppression, with scores."""
    rng = torch.Generator().manual_seed(seed)
    centers = random_boxes(max(count // 10, 1), seed)
    chosen = centers[torch.randint(len(centers), (count,), generator=rng)]
    boxes = chosen + 8 * torch.randn(count, 4, generator=rng)
    ordered = torch.cat(
        [boxes.minimum(boxes.roll(2, 1))[:, :2], boxes.maximum(boxes.roll(2, 1))[:, 2:]], 1
    )
    return ordered, torch.rand(count, generator=rng)


def cases() -> Iterator[tuple[str, Callable[[], Comparison]]]:
    """Name and builder of every comparison; inputs are made when it is its turn."""
    for count in (100, 1_000, 5_000):
        yield f"pairwise_iou {count}x{count}", _iou(count)
    for count in (1_000, 5_000, 20_000):
        for threshold in (0.5, 0.7):
            yield f"nms {count} at {threshold}", _nms(count, threshold)
    for count in (1_000, 5_000, 20_000):
        yield f"batched_nms {count}, 80 groups", _batched_nms(count)


def _close(ours: object, theirs: object) -> bool:
    return torch.allclose(torch.as_tensor(ours), torch.as_tensor(theirs).to(ours), atol=2e-4)


def _iou(count: int) -> Callable[[], Comparison]:
    def build() -> Comparison:
        a, b = random_boxes(count, 0), random_boxes(count, 1)
        a_xywh, b_xywh = (
            np.asarray(torch.cat([x[:, :2], x[:, 2:] - x[:, :2]], 1).double()) for x in (a, b)
        )
        crowd = np.zeros(count, np.uint8)
        out = torch.empty(count, count)
        return Comparison(
            name=f"pairwise_iou {count}x{count}",
            ways={
                OURS: lambda: ops.pairwise_box_iou(a, b),
                "torchvision": lambda: tv_ops.box_iou(a, b),
                "pycocotools (float64)": lambda: coco_mask.iou(a_xywh, b_xywh, crowd),
                "geodet with out=": lambda: ops.pairwise_box_iou(a, b, out=out),
            },
            agree=_close,
        )

    return build


def _same_indices(ours: object, theirs: object) -> bool:
    return torch.equal(ours, theirs)


def _nms(count: int, threshold: float) -> Callable[[], Comparison]:
    def build() -> Comparison:
        boxes, scores = clustered_boxes(count, 2)
        return Comparison(
            name=f"nms {count} at {threshold}",
            ways={
                OURS: lambda: ops.nms(boxes, scores, threshold),
                "torchvision": lambda: tv_ops.nms(boxes, scores, threshold),
            },
            agree=_same_indices,
        )

    return build


def _batched_nms(count: int) -> Callable[[], Comparison]:
    def build() -> Comparison:
        boxes, scores = clustered_boxes(count, 3)
        groups = torch.randint(80, (count,), generator=torch.Generator().manual_seed(3))
        return Comparison(
            name=f"batched_nms {count}, 80 groups",
            ways={
                OURS: lambda: ops.batched_nms(boxes, scores, groups, 0.5),
                "torchvision": lambda: tv_ops.batched_nms(boxes, scores, groups, 0.5),
            },
            agree=_same_indices,
        )

    return build
