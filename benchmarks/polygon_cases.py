"""Polygons: pixels, targets of a mask head, outlines. 100 masks in an image of 800 x 1333."""

from collections.abc import Callable, Iterator

import numpy as np
import shapely
import torch
from box_cases import IMAGE_HW
from pycocotools import mask as coco_mask
from timing import OURS, Comparison
from torch import Tensor

from geodet import ops

COUNT = 100
SIDE = 28
WINDOW = (300.0, 200.0, 900.0, 600.0)
TOLERANCE = 2.0


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
    yield "polygons cut to a window", _clip
    yield "polygons simplified", _simplify
    yield "polygons checked", _check_simple
    yield "convex hulls", _hulls
    yield "smallest rectangles", _rectangles


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


def _shapely_polygons() -> np.ndarray:
    return np.array([shapely.Polygon(shape).buffer(0) for shape in outlines()])


def _flat_shapely(polygons: np.ndarray) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Shapely's valid polygons as ours: outlines alone, and parts where there are several."""
    masks = [shapely.get_parts(polygon) for polygon in polygons]
    rings = [shapely.get_coordinates(part.exterior)[:-1] for parts in masks for part in parts]
    points, ring_offsets, part_offsets, _ = flat_polygons(rings)
    mask_offsets = torch.tensor([0, *(len(parts) for parts in masks)]).cumsum(0)
    return points, ring_offsets, part_offsets, mask_offsets


def _mask_areas(points: Tensor, rings: Tensor, _: Tensor, masks: Tensor) -> np.ndarray:
    """Areas of masks without holes."""
    sums = torch.cat([torch.zeros(1), ops.ring_areas(points, rings).abs().cumsum(0)])
    return sums[masks].diff().numpy()


def _clip() -> Comparison:
    polygons = _shapely_polygons()
    flat = _flat_shapely(polygons)
    window = shapely.box(*WINDOW)
    return Comparison(
        name="polygons cut to a window",
        ways={
            OURS: lambda: ops.clip_polygons(*flat, WINDOW),
            "shapely": lambda: shapely.intersection(polygons, window),
            "shapely clip_by_rect": lambda: shapely.clip_by_rect(polygons, *WINDOW),
        },
        agree=lambda a, b: np.allclose(_mask_areas(*a), shapely.area(b), rtol=1e-9, atol=1e-6),
    )


def _simplify() -> Comparison:
    polygons = np.array([shapely.Polygon(shape) for shape in outlines()])
    flat = flat_polygons(outlines())

    def agree(ours: object, theirs: object) -> bool:
        """Points left; shapely's ring may also lose the point where it begins."""
        left = np.diff(ours[1].numpy())
        return bool((abs(left - (shapely.get_num_coordinates(theirs) - 1)) <= 1).all())

    return Comparison(
        name="polygons simplified",
        ways={
            OURS: lambda: ops.simplify_polygons(*flat[:2], TOLERANCE),
            "shapely": lambda: shapely.simplify(polygons, TOLERANCE, preserve_topology=False),
        },
        agree=agree,
    )


def _check_simple() -> Comparison:
    shapes = [*outlines(), *(shape[::-1][[0, 2, 1, *range(3, len(shape))]] for shape in outlines())]
    polygons = np.array([shapely.Polygon(shape) for shape in shapes])
    flat = flat_polygons(shapes)
    return Comparison(
        name="polygons checked",
        ways={
            OURS: lambda: ops.rings_are_simple(*flat[:2]),
            "shapely is_valid": lambda: shapely.is_valid(polygons),
        },
        agree=same_arrays,
    )


def _hulls() -> Comparison:
    points = np.array([shapely.MultiPoint(shape) for shape in outlines()])
    flat = flat_polygons(outlines())
    return Comparison(
        name="convex hulls",
        ways={
            OURS: lambda: ops.convex_hulls(*flat[:2]),
            "shapely": lambda: shapely.convex_hull(points),
        },
        agree=lambda a, b: np.allclose(ops.ring_areas(*a), shapely.area(b), rtol=1e-12),
    )


def _rectangles() -> Comparison:
    points = np.array([shapely.MultiPoint(shape) for shape in outlines()])
    flat = flat_polygons(outlines())
    return Comparison(
        name="smallest rectangles",
        ways={
            OURS: lambda: ops.min_area_rectangles(*flat[:2]),
            "shapely": lambda: shapely.minimum_rotated_rectangle(points),
        },
        agree=lambda a, b: np.allclose(a[:, 2] * a[:, 3], shapely.area(b), rtol=1e-6),
    )
