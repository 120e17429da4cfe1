"""Specification of `geodet.ops.rois`: every sample of every cell, one after the other."""

import itertools
import math

import torch
from torch import Tensor

__all__ = ["roi_align_reference", "roi_align_rotated_reference"]


def roi_align_reference(
    features: Tensor,
    rois: Tensor,
    output_size: tuple[int, int],
    *,
    spatial_scale: float,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> Tensor:
    """Mean of bilinear samples in every cell of every roi, [r, c, oh, ow]."""
    pooled = features.new_zeros((len(rois), features.shape[1], *output_size))
    for r, (image, x1, y1, x2, y2) in enumerate(rois.tolist()):
        plane = features[int(image)]
        rows = _positions((y1, y2), output_size[0], spatial_scale, sampling_ratio, aligned)
        columns = _positions((x1, x2), output_size[1], spatial_scale, sampling_ratio, aligned)
        for i, ys in enumerate(rows):
            for j, xs in enumerate(columns):
                samples = [_bilinear(plane, y, x) for y in ys for x in xs]
                if samples:
                    pooled[r, :, i, j] = torch.stack(samples).mean(dim=0)
    return pooled


def roi_align_rotated_reference(
    features: Tensor,
    rois: Tensor,
    output_size: tuple[int, int],
    *,
    spatial_scale: float,
    sampling_ratio: int = 0,
) -> Tensor:
    """Mean of bilinear samples in every cell of every rotated roi, [r, c, oh, ow]."""
    pooled = features.new_zeros((len(rois), features.shape[1], *output_size))
    for r, (image, cx, cy, width, height, angle) in enumerate(rois.tolist()):
        if not all(math.isfinite(value) for value in (cx, cy, width, height, angle)):
            continue
        plane = features[int(image)]
        sides = (-height / 2, height / 2), (-width / 2, width / 2)
        # _positions takes half a pixel away, which here belongs to the centre.
        vs, us = (
            [
                [v + 0.5 for v in cell]
                for cell in _positions(side, cells, spatial_scale, ratio, True)
            ]
            for side, cells, ratio in zip(sides, output_size, (sampling_ratio,) * 2, strict=True)
        )
        sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
        center_x, center_y = cx * spatial_scale - 0.5, cy * spatial_scale - 0.5
        for i, j in itertools.product(*map(range, output_size)):
            samples = [
                _bilinear(plane, center_y + v * cosine - u * sine, center_x + v * sine + u * cosine)
                for v in vs[i]
                for u in us[j]
            ]
            if samples:
                pooled[r, :, i, j] = torch.stack(samples).mean(dim=0)
    return pooled


def _positions(
    roi: tuple[float, float], cells: int, scale: float, sampling_ratio: int, aligned: bool
) -> list[list[float]]:
    """Where the samples of each cell lie along one axis, in feature pixels."""
    start, end = roi[0] * scale, roi[1] * scale
    if not math.isfinite(start) or not math.isfinite(end):
        return [[] for _ in range(cells)]
    length = (end - start) if aligned else max(end - start, 1.0)
    start -= 0.5 if aligned else 0.0
    cell = length / cells
    samples = sampling_ratio if sampling_ratio > 0 else max(math.ceil(cell), 0)
    return [
        [start + cell * (index + (sample + 0.5) / samples) for sample in range(samples)]
        for index in range(cells)
    ]


def _bilinear(plane: Tensor, y: float, x: float) -> Tensor:
    """Value of a [c, h, w] map between four pixels; 0 beyond one pixel outside the outermost."""
    height, width = plane.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return plane.new_zeros(len(plane))
    y = min(max(y, 0.0), height - 1.0)
    x = min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    above = (x - left) * plane[:, top, right] + (1 - x + left) * plane[:, top, left]
    below = (x - left) * plane[:, bottom, right] + (1 - x + left) * plane[:, bottom, left]
    return (y - top) * below + (1 - y + top) * above
