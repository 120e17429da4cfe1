"""Polygons: pixels, targets of a mask head. 100 masks in an image of 800 x 1333."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from box_cases import IMAGE_HW
from pycocotools import mask as coco_mask
from timing import OURS, Comparison
from torch import Tensor

from geodet import ops

COUNT = 100
SIDE = 28


def blobs(count: int, size_hw: tuple[int, int], seed: int) -> list[np.ndarray]:
    """`count` wavy closed outlines [p, 2] float64 with 12 to 60 corners inside the image."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    outlines = []
    for _ in range(count):
        corners = int(rng.integers(12, 61))
        angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
        radius = rng.uniform(0.02, 0.2) * height * (1 + 0.15 * rng.standard_normal(corners))
        center = rng.uniform(0.1, 0.9, 2) * (width, height)
        points = center + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        outlines.append(np.clip(points, 0, (width, height)).round(2))
    return outlines


def flat_polygons(outlines: list[np.ndarray]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points, ring, part and mask offsets of masks that are one ring each."""
    points = torch.from_numpy(np.concatenate(outlines))
    lengths = torch.tensor([0, *(len(outline) for outline in outlines)])
    single = torch.arange(len(outlines) + 1)
    return points, lengths.cumsum(0), single, single


def outlines() -> list[np.ndarray]:
    """The masks that all comparisons use."""
    return blobs(COUNT, IMAGE_HW, 6)


def _texts(rle: object) -> list[bytes]:
    """Compressed text of either side's run lengths."""
    if isinstance(rle, tuple):
        return ops.rle_to_strings(*rle)
    return [row["counts"] for row in rle]


def same_rles(ours: object, theirs: object) -> bool:
    """Whether the compressed texts are equal."""
    return _texts(ours) == _texts(theirs)


def same_arrays(ours: object, theirs: object) -> bool:
    """Whether all elements are equal."""
    return np.array_equal(np.asarray(ours), np.asarray(theirs))


def cases() -> Iterator[tuple[str, Callable[[], Comparison]]]:
    """Name and builder of every comparison."""
    yield "polygons to RLE", _polygons_to_rle
    yield "polygons to masks", _polygons_to_masks
    yield "polygons to 28x28 targets", _polygons_to_targets


def _polygons_to_rle() -> Comparison:
    shapes = outlines()
    flat = flat_polygons(shapes)
    lists = [outline.ravel().tolist() for outline in shapes]
    return Comparison(
        name="polygons to RLE",
        ways={
            OURS: lambda: ops.polygons_to_rle(*flat, IMAGE_HW),
            "pycocotools": lambda: coco_mask.frPyObjects(lists, *IMAGE_HW),
        },
        agree=same_rles,
    )


def _polygons_to_masks() -> Comparison:
    shapes = outlines()
    flat = flat_polygons(shapes)
    lists = [outline.ravel().tolist() for outline in shapes]

    def theirs() -> np.ndarray:
        masks = coco_mask.decode(coco_mask.frPyObjects(lists, *IMAGE_HW))
        return np.ascontiguousarray(masks.transpose(2, 0, 1)).view(bool)

    return Comparison(
        name="polygons to masks",
        ways={
            OURS: lambda: ops.polygons_to_bit_masks(*flat, IMAGE_HW),
            "pycocotools": theirs,
        },
        agree=same_arrays,
    )


def _polygons_to_targets() -> Comparison:
    shapes = outlines()
    flat = flat_polygons(shapes)
    rng = np.random.default_rng(9)
    tight = np.array([[*shape.min(0), *shape.max(0)] for shape in shapes])
    boxes = torch.from_numpy(tight + rng.uniform(-5, 5, tight.shape)).float()
    xyxy = boxes.double().numpy()

    def theirs() -> np.ndarray:
        targets = []
        for shape, box in zip(shapes, xyxy, strict=True):
            moved = (shape - box[:2]) * (SIDE / np.maximum(box[2:] - box[:2], 0.1))
            records = coco_mask.frPyObjects([moved.ravel().tolist()], SIDE, SIDE)
            targets.append(coco_mask.decode(coco_mask.merge(records)))
        return np.stack(targets).view(bool)

    return Comparison(
        name="polygons to 28x28 targets",
        ways={
            OURS: lambda: ops.polygon_roi_targets(*flat, boxes, SIDE),
            "pycocotools": theirs,
        },
        agree=same_arrays,
    )
