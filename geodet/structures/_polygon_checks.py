"""What is wrong with the values of polygon masks, in words."""

from typing import TYPE_CHECKING

from geodet import ops
from geodet.structures import _ragged
from geodet.structures._table import fail, rounded

if TYPE_CHECKING:
    from geodet.structures.polygon_masks import PolygonMasks


def check_polygons(masks: "PolygonMasks", where: str) -> None:
    """Check offsets, numbers of rings and points, and coordinates.

    Raises:
        InvalidValueError: one is wrong; the row of the mask is named.
    """
    _ragged.validate_offsets("ring_offsets", masks.ring_offsets, len(masks.points), where)
    rings = len(masks.ring_offsets) - 1
    _ragged.validate_offsets("part_offsets", masks.part_offsets, rings, where)
    parts = len(masks.part_offsets) - 1
    _ragged.validate_offsets("mask_offsets", masks.mask_offsets, parts, where)
    mask_of_part = _ragged.row_ids(masks.mask_offsets)
    bare = (masks.part_offsets.diff() == 0).nonzero()
    if len(bare) > 0:
        part = int(bare[0, 0])
        fail(f"masks row {int(mask_of_part[part])}: expected parts with a ring, got none", where)
    mask_of_ring = mask_of_part[_ragged.row_ids(masks.part_offsets)]
    lengths = masks.ring_offsets.diff()
    short = (lengths < 3).nonzero()
    if len(short) > 0:
        ring = int(short[0, 0])
        fail(
            f"masks row {int(mask_of_ring[ring])}: expected at least 3 points a ring, "
            f"got {int(lengths[ring])}",
            where,
        )
    wild = (~masks.points.isfinite().all(1)).nonzero()
    if len(wild) > 0:
        point = int(wild[0, 0])
        row = int(masks._mask_of_points()[point])
        found = rounded(masks.points[point])
        fail(f"masks row {row}: expected finite x, y, got {found}", where)


def check_simple(masks: "PolygonMasks", where: str) -> None:
    """Check that no ring crosses or touches itself; coordinates are sound.

    Raises:
        InvalidValueError: a ring does; the row of its mask is named.
    """
    crossed = (~ops.rings_are_simple(masks.points, masks.ring_offsets)).nonzero()
    if len(crossed) > 0:
        ring = int(crossed[0, 0])
        part = int(_ragged.row_ids(masks.part_offsets)[ring])
        row = int(_ragged.row_ids(masks.mask_offsets)[part])
        hole = ring - int(masks.part_offsets[part])
        name = f"hole {hole - 1}" if hole else "the outline"
        part_of_mask = part - int(masks.mask_offsets[row])
        fail(
            f"masks row {row}, part {part_of_mask}: expected rings that enclose an area and do "
            f"not cross or touch themselves, but {name} does not",
            where,
        )
