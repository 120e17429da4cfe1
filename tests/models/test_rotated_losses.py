"""Losses on the overlap of rotated boxes: values by GEOS, and what descending them does."""

import pytest
import shapely
import shapely.affinity
import torch
from torch import Tensor

from geodet.models.losses import rotated_giou_loss, rotated_iou_loss
from geodet.ops import matched_rotated_iou


def polygon(row: list[float]) -> shapely.Polygon:
    """Region of one box, made by shapely's own rotation (which counts against y)."""
    cx, cy, w, h, angle = row
    upright = shapely.box(cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
    return shapely.affinity.rotate(upright, -angle, origin="centroid")


def test_losses_are_one_minus_what_geos_computes():
    """Sums of 1 - IoU and of 1 - GIoU, with the convex hull as the enclosure."""
    a = torch.tensor([[0.0, 0, 8, 4, 30], [3, 1, 2, 6, -70], [0, 0, 2, 2, 0]]).double()
    b = torch.tensor([[1.0, 1, 6, 5, 10], [0, 0, 4, 4, 45], [9, 9, 3, 2, 20]]).double()
    by_iou, by_giou = 0.0, 0.0
    for p, q in zip(map(polygon, a.tolist()), map(polygon, b.tolist()), strict=True):
        union = p.union(q)
        iou = p.intersection(q).area / union.area
        hull = union.convex_hull.area
        by_iou += 1 - iou
        by_giou += 1 - (iou - (hull - union.area) / hull)
    assert rotated_iou_loss(a, b).item() == pytest.approx(by_iou, abs=1e-12)
    assert rotated_giou_loss(a, b).item() == pytest.approx(by_giou, abs=1e-12)


STARTS = [
    [60.0, 40, 20, 30, 80],  # apart
    [-50, -90, 5, 50, -120],  # apart, thin, upside down
    [0, 0, 4, 4, 0],  # inside
    [0, 0, 200, 150, 33],  # around
]


@pytest.mark.parametrize("start", STARTS)
def test_descending_giou_brings_boxes_together(start):
    """Gradient descent from anywhere, disjoint boxes included, ends at an IoU above 0.9."""
    target = torch.tensor([[0.0, 0, 40, 16, 25]])
    prediction = torch.tensor([start], dtype=torch.float32, requires_grad=True)
    optimizer = torch.optim.Adam([prediction], lr=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    for _ in range(400):
        optimizer.zero_grad()
        rotated_giou_loss(prediction, target).backward()
        assert prediction.grad.isfinite().all()
        optimizer.step()
        schedule.step()
    assert matched_rotated_iou(prediction, target).item() > 0.9


def test_descending_iou_brings_overlapping_boxes_together():
    """The plain IoU does the same where there is some overlap."""
    target = torch.tensor([[0.0, 0, 40, 16, 25]])
    prediction = torch.tensor([[8.0, 5, 20, 20, 0]], requires_grad=True)
    optimizer = torch.optim.Adam([prediction], lr=0.5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    for _ in range(400):
        optimizer.zero_grad()
        rotated_iou_loss(prediction, target).backward()
        optimizer.step()
        schedule.step()
    assert matched_rotated_iou(prediction, target).item() > 0.9


@pytest.mark.parametrize("loss", [rotated_iou_loss, rotated_giou_loss])
def test_losses_work_under_autocast_and_in_half(loss):
    """16-bit predictions are compared in float32; their gradient keeps their type."""
    target = torch.tensor([[0.0, 0, 40, 16, 25]])
    for dtype in (torch.bfloat16, torch.float16):
        prediction = torch.tensor([[8.0, 5, 20, 20, 0]], dtype=dtype, requires_grad=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = loss(prediction, target)
        assert value.dtype == torch.float32
        assert torch.equal(value, loss(prediction.detach().float(), target))
        value.backward()
        assert prediction.grad.dtype == dtype
        assert prediction.grad.isfinite().all()
        assert (prediction.grad != 0).any()


def test_nothing_costs_nothing():
    """No boxes: 0, and a gradient of the right shape."""
    for loss in (rotated_iou_loss, rotated_giou_loss):
        none: Tensor = torch.zeros(0, 5, requires_grad=True)
        loss(none, torch.zeros(0, 5)).backward()
        assert none.grad.shape == (0, 5)
