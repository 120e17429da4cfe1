"""Polygon masks as nested lists: COCO's flat lists, rings of points, GeoJSON."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor

from geodet.errors import InvalidValueError, ShapeError
from geodet.structures import _ragged

Point = tuple[float, float]
# Masks of parts of rings of points.
Rings = Sequence[Sequence[Sequence[Sequence[Point]]]]
Levels = tuple[Tensor, Tensor, Tensor, Tensor]

T = TypeVar("T")


def levels_from_rings(masks: Rings) -> Levels:
    """Points [p, 2] and the offsets of rings, parts and masks."""
    parts = [part for mask in masks for part in mask]
    rings = [ring for part in parts for ring in part]
    points = [point for ring in rings for point in ring]

    def offsets(items: Sequence[Sequence[object]]) -> Tensor:
        return _ragged.from_lengths(torch.tensor([len(i) for i in items], dtype=torch.int64))

    xy = torch.tensor(points, dtype=torch.float64).view(-1, 2)
    return xy, offsets(rings), offsets(parts), offsets(masks)


def rings_from_levels(levels: Levels) -> list[list[list[list[Point]]]]:
    """Nested lists, the inverse of `levels_from_rings`."""
    xy, ring_offsets, part_offsets, mask_offsets = levels
    points = [(x, y) for x, y in xy.tolist()]
    return _split(_split(_split(points, ring_offsets), part_offsets), mask_offsets)


def rings_from_coco(polygons: Sequence[Sequence[Sequence[float]]]) -> Rings:
    """Rings of COCO's polygons [x1, y1, x2, y2, ...]: each is a part.

    Raises:
        ShapeError: a polygon has an odd number of coordinates; mask and polygon are named.
    """
    masks = []
    for row, parts in enumerate(polygons):
        for number, flat in enumerate(parts):
            if len(flat) % 2:
                raise ShapeError(
                    f"masks row {row}, polygon {number}: expected x, y pairs, "
                    f"got {len(flat)} numbers"
                )
        masks.append([[list(zip(flat[::2], flat[1::2], strict=True))] for flat in parts])
    return masks


def coco_from_rings(masks: Rings) -> list[list[list[float]]]:
    """COCO's polygons [x1, y1, x2, y2, ...] of every mask.

    Raises:
        InvalidValueError: a part has a hole, which COCO's polygons cannot express.
    """
    polygons = []
    for row, parts in enumerate(masks):
        if any(len(rings) > 1 for rings in parts):
            raise InvalidValueError(
                f"masks row {row}: expected no holes, as COCO polygons have none; "
                "write run lengths instead: to_rle_masks().to_coco()"
            )
        polygons.append([[value for point in ring for value in point] for (ring,) in parts])
    return polygons


def rings_from_geojson(geometries: Sequence[Mapping[str, Any]]) -> Rings:
    """Rings of GeoJSON's Polygon and MultiPolygon objects, without the repeated last point.

    Raises:
        InvalidValueError: a geometry is of another type, or a ring does not end where it began.
    """
    masks = []
    for row, geometry in enumerate(geometries):
        kind, coordinates = geometry.get("type"), geometry.get("coordinates")
        if kind not in {"Polygon", "MultiPolygon"} or coordinates is None:
            raise InvalidValueError(
                f"masks row {row}: expected a Polygon or MultiPolygon with coordinates, got {kind}"
            )
        parts = [coordinates] if kind == "Polygon" else coordinates
        masks.append([[_opened(row, ring) for ring in part] for part in parts if len(part) > 0])
    return masks


def geojson_from_rings(masks: Rings) -> list[dict[str, Any]]:
    """A MultiPolygon object for every mask; rings repeat their first point at the end."""
    return [
        {
            "type": "MultiPolygon",
            "coordinates": [
                [[[*point] for point in (*ring, *ring[:1])] for ring in part] for part in parts
            ],
        }
        for parts in masks
    ]


def _opened(row: int, ring: Sequence[Sequence[float]]) -> list[Point]:
    points = [(float(point[0]), float(point[1])) for point in ring]
    if points and points[0] != points[-1]:
        raise InvalidValueError(
            f"masks row {row}: expected rings that end where they begin, as GeoJSON has them, "
            f"got {points[0]} and {points[-1]}"
        )
    return points[:-1]


def _split(items: list[T], offsets: Tensor) -> list[list[T]]:
    """Cut a flat list into rows."""
    return [items[start:stop] for start, stop in pairwise(offsets.tolist())]
