"""Measures of two boxes beyond IoU: generalised, distance and complete IoU, with gradients."""

from collections.abc import Callable, Iterator

import torch
import torchvision.ops as tv_ops
from box_cases import random_boxes
from timing import OURS, Comparison
from torch import Tensor

from geodet import ops

PAIRWISE = {
    "giou": tv_ops.generalized_box_iou,
    "diou": tv_ops.distance_box_iou,
    "ciou": tv_ops.complete_box_iou,
}
LOSSES = {
    "giou": tv_ops.generalized_box_iou_loss,
    "diou": tv_ops.distance_box_iou_loss,
    "ciou": tv_ops.complete_box_iou_loss,
}


def cases() -> Iterator[tuple[str, Callable[[], Comparison]]]:
    """Name and builder of every comparison; inputs are made when it is its turn."""
    for measure in PAIRWISE:
        for count in (100, 1_000):
            yield f"pairwise_{measure} {count}x{count}", _pairwise(measure, count)
    for measure in LOSSES:
        yield f"{measure} loss and gradient, 1000", _loss(measure)


def _close(ours: object, theirs: object) -> bool:
    return torch.allclose(torch.as_tensor(ours), torch.as_tensor(theirs), atol=1e-5)


def _pairwise(measure: str, count: int) -> Callable[[], Comparison]:
    def build() -> Comparison:
        a, b = random_boxes(count, 0), random_boxes(count, 1)
        ours, theirs = getattr(ops, f"pairwise_box_{measure}"), PAIRWISE[measure]
        return Comparison(
            name=f"pairwise_{measure} {count}x{count}",
            ways={OURS: lambda: ours(a, b), "torchvision": lambda: theirs(a, b)},
            agree=_close,
        )

    return build


def _loss(measure: str) -> Callable[[], Comparison]:
    def build() -> Comparison:
        a, b = random_boxes(1_000, 0).requires_grad_(), random_boxes(1_000, 1)
        ours, theirs = getattr(ops, f"matched_box_{measure}"), LOSSES[measure]

        def gradient(loss: Tensor) -> Tensor:
            return torch.autograd.grad(loss, a)[0]

        return Comparison(
            name=f"{measure} loss and gradient, 1000",
            ways={
                OURS: lambda: gradient((1 - ours(a, b)).sum()),
                "torchvision": lambda: gradient(theirs(a, b, reduction="sum")),
            },
            agree=_close,
        )

    return build
