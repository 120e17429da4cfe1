"""Masks as polygons with holes. Shapes: n masks, q parts, r rings, p points in all of them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Self, TypeVar

import attrs
import torch
from torch import Tensor

from geodet import _check, ops
from geodet.errors import InvalidValueError, ShapeError
from geodet.structures import _ragged
from geodet.structures._table import Table, cat_values, fail, register, rounded
from geodet.structures.bit_masks import BitMasks, check_crop
from geodet.structures.boxes import Boxes
from geodet.structures.image_size import ImageSize
from geodet.structures.rle_masks import RleMasks
from geodet.structures.roi_masks import check_image_size


@register
@attrs.frozen(eq=False, repr=False)
class PolygonMasks(Table):
    """Outlines in continuous pixels; a mask is the union of its parts.

    A part is its first ring without its further rings, the holes. Nothing depends on the
    direction of a ring; rings close by themselves. Outlines always live in host memory and in
    double precision: `to` leaves them as they are, and an index from a GPU is fetched.

    Args:
        points: [p, 2] float64, x and y of the points of all rings, one ring after the other.
        ring_offsets: [r + 1] int64, ring i is points[ring_offsets[i] : ring_offsets[i + 1]].
        part_offsets: [q + 1] int64, part i is the rings part_offsets[i] to part_offsets[i + 1].
        mask_offsets: [n + 1] int64, mask i is the parts mask_offsets[i] to mask_offsets[i + 1];
            a mask without parts is empty.
        image_size: size of the image that the masks belong to; points may lie outside.
    Raises:
        DtypeError: a value has another type or dtype.
        ShapeError: points are not [p, 2], offsets not one-dimensional or without the leading 0.
        DeviceError: a tensor is not on the CPU.
    """

    _host_only: ClassVar[bool] = True

    points: Tensor
    ring_offsets: Tensor
    part_offsets: Tensor
    mask_offsets: Tensor
    image_size: ImageSize

    def __attrs_post_init__(self) -> None:
        points = _check.check_shape("points", self.points, "p", 2)
        _check.check_dtype("points", _ragged.check_on_cpu("points", points), torch.float64)
        for name in ("ring_offsets", "part_offsets", "mask_offsets"):
            _ragged.check_offsets(name, getattr(self, name))
        check_image_size(self.image_size)

    @classmethod
    def empty(cls, image_size: ImageSize) -> "PolygonMasks":
        """Return 0 masks of an image of this size."""
        return cls.from_rings([], image_size)

    @classmethod
    def from_coco(
        cls, polygons: Sequence[Sequence[Sequence[float]]], size: ImageSize
    ) -> "PolygonMasks":
        """Read masks as COCO files hold them: every polygon is a part, and there are no holes.

        Args:
            polygons: for each mask its polygons [x1, y1, x2, y2, ...] in pixels.
            size: size of the image.
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
        return cls.from_rings(masks, size)

    @classmethod
    def from_rings(
        cls,
        masks: Sequence[Sequence[Sequence[Sequence[tuple[float, float]]]]],
        size: ImageSize,
    ) -> "PolygonMasks":
        """Make masks from nested lists: masks of parts of rings of (x, y) points.

        Args:
            masks: the first ring of a part is its outline, further rings are holes.
            size: size of the image.
        """
        parts = [part for mask in masks for part in mask]
        rings = [ring for part in parts for ring in part]
        points = [point for ring in rings for point in ring]

        def offsets(items: Sequence[Sequence[object]]) -> Tensor:
            return _ragged.from_lengths(torch.tensor([len(i) for i in items], dtype=torch.int64))

        xy = torch.tensor(points, dtype=torch.float64).view(-1, 2)
        return cls(xy, offsets(rings), offsets(parts), offsets(masks), size)

    def to_rings(self) -> list[list[list[list[tuple[float, float]]]]]:
        """Return nested lists of (x, y) points, the inverse of `from_rings`. Exact."""
        points = [(x, y) for x, y in self.points.tolist()]
        rings = _split(points, self.ring_offsets)
        return _split(_split(rings, self.part_offsets), self.mask_offsets)

    def to_coco(self) -> list[list[list[float]]]:
        """Return for each mask its polygons [x1, y1, x2, y2, ...]. Exact.

        Raises:
            InvalidValueError: a part has a hole, which COCO's polygons cannot express.
        """
        polygons = []
        for row, parts in enumerate(self.to_rings()):
            if any(len(rings) > 1 for rings in parts):
                raise InvalidValueError(
                    f"masks row {row}: expected no holes, as COCO polygons have none; "
                    "write run lengths instead: to_rle_masks().to_coco()"
                )
            polygons.append([[value for point in ring for value in point] for (ring,) in parts])
        return polygons

    def __len__(self) -> int:
        return self.mask_offsets.shape[0] - 1

    def area(self) -> Tensor:
        """[n] float64, enclosed area in square pixels, not a count of pixels.

        Holes are subtracted. Exact for rings that do not cross themselves and parts that do not
        overlap; where they do, count pixels: to_rle_masks().area().
        """
        sizes = ops.ring_areas(self.points, self.ring_offsets).abs()
        parts = _ragged.row_ids(self.part_offsets)
        first = torch.zeros(len(sizes), dtype=torch.bool)
        first[self.part_offsets[:-1][self.part_offsets.diff() > 0]] = True
        masks = _ragged.row_ids(self.mask_offsets)[parts]
        return sizes.new_zeros(len(self)).index_add_(0, masks, torch.where(first, sizes, -sizes))

    def boxes(self) -> Boxes:
        """Smallest float32 boxes around the points; a mask without points gives (0, 0, 0, 0)."""
        owner = self._mask_of_points()[:, None].expand(-1, 2)
        low, high = (
            self.points.new_zeros((len(self), 2)).scatter_reduce_(
                0, owner, self.points, reduce, include_self=False
            )
            for reduce in ("amin", "amax")
        )
        return Boxes(torch.cat((low, high), dim=1).float())

    def to_bit_masks(self) -> BitMasks:
        """Rasterise, pixel for pixel as COCO's tools. Not exact: outlines become pixels."""
        return BitMasks(ops.polygons_to_bit_masks(*self._levels(), self.image_size.as_tuple()))

    def to_rle_masks(self) -> RleMasks:
        """Rasterise, pixel for pixel as COCO's tools. Not exact: outlines become pixels."""
        size = self.image_size
        return RleMasks(*ops.polygons_to_rle(*self._levels(), size.as_tuple()), size)

    def crop_and_resize(self, boxes: Boxes, side: int) -> Tensor:
        """Move and scale outline i from box i to side x side pixels, and rasterise it there.

        The outline is scaled exactly; only the last step rounds to pixels. Runs on the CPU.

        Args:
            boxes: n boxes in pixels of this image; a side shorter than 0.1 counts as 0.1.
            side: rows and columns of the result.
        Returns:
            [n, side, side] bool on the device of the boxes.
        Raises:
            ShapeError: the counts differ.
            InvalidValueError: `side` is smaller than 1.
        Empty: n = 0 gives [0, side, side].
        """
        check_crop(len(self), boxes, side)
        xyxy = boxes.xyxy.detach().cpu()
        return ops.polygon_roi_targets(*self._levels(), xyxy, side).to(boxes.device)

    def flip_horizontally(self) -> Self:
        """Mirror left and right. Exact for the outlines."""
        x, y = self.points.unbind(1)
        return self._with_points(torch.stack((self.image_size.width - x, y), dim=1))

    def flip_vertically(self) -> Self:
        """Mirror top and bottom. Exact for the outlines."""
        x, y = self.points.unbind(1)
        return self._with_points(torch.stack((x, self.image_size.height - y), dim=1))

    def scale(self, x: float, y: float, size: ImageSize) -> Self:
        """Multiply x coordinates by `x`, y coordinates by `y`; the image becomes `size`."""
        factors = self.points.new_tensor([x, y])
        return attrs.evolve(self, points=self.points * factors, image_size=size)

    def translate(self, dx: float, dy: float, size: ImageSize) -> Self:
        """Move the outlines by (dx, dy) pixels; the image becomes `size`."""
        step = self.points.new_tensor([dx, dy])
        return attrs.evolve(self, points=self.points + step, image_size=size)

    def resize(self, size: ImageSize) -> Self:
        """Scale the outlines to an image of another size. Exact."""
        old = self.image_size
        return self.scale(size.width / old.width, size.height / old.height, size)

    def validated(self, *, where: str = "") -> Self:
        """Return the masks when every value is sound.

        Args:
            where: put before the message, for example a file and an image.
        Raises:
            InvalidValueError: offsets are broken, a part has no ring, a ring has fewer than 3
                points, or a coordinate is not finite.
        """
        _ragged.validate_offsets("ring_offsets", self.ring_offsets, len(self.points), where)
        rings = len(self.ring_offsets) - 1
        _ragged.validate_offsets("part_offsets", self.part_offsets, rings, where)
        parts = len(self.part_offsets) - 1
        _ragged.validate_offsets("mask_offsets", self.mask_offsets, parts, where)
        mask_of_part = _ragged.row_ids(self.mask_offsets)
        bare = (self.part_offsets.diff() == 0).nonzero()
        if len(bare) > 0:
            part = int(bare[0, 0])
            fail(
                f"masks row {int(mask_of_part[part])}: expected parts with a ring, got none", where
            )
        mask_of_ring = mask_of_part[_ragged.row_ids(self.part_offsets)]
        lengths = self.ring_offsets.diff()
        short = (lengths < 3).nonzero()
        if len(short) > 0:
            ring = int(short[0, 0])
            fail(
                f"masks row {int(mask_of_ring[ring])}: expected at least 3 points a ring, "
                f"got {int(lengths[ring])}",
                where,
            )
        wild = (~self.points.isfinite().all(1)).nonzero()
        if len(wild) > 0:
            point = int(wild[0, 0])
            row = int(self._mask_of_points()[point])
            found = rounded(self.points[point])
            fail(f"masks row {row}: expected finite x, y, got {found}", where)
        return self

    def _mask_of_points(self) -> Tensor:
        """[p] int64, the mask that each point belongs to."""
        parts = _ragged.row_ids(self.part_offsets)[_ragged.row_ids(self.ring_offsets)]
        return _ragged.row_ids(self.mask_offsets)[parts]

    def _levels(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.points, self.ring_offsets, self.part_offsets, self.mask_offsets

    def _with_points(self, points: Tensor) -> Self:
        return attrs.evolve(self, points=points)

    def _rows(self, index: slice | Tensor) -> Self:
        rows = index.cpu() if isinstance(index, Tensor) else index
        parts, mask_offsets = _ragged.take(self.mask_offsets, rows)
        rings, part_offsets = _ragged.take(self.part_offsets, parts)
        points, ring_offsets = _ragged.take(self.ring_offsets, rings)
        return type(self)(
            self.points[points], ring_offsets, part_offsets, mask_offsets, self.image_size
        )

    @classmethod
    def _cat(cls, tables: Sequence[Self]) -> Self:
        size = cat_values("PolygonMasks.cat: image_size", [table.image_size for table in tables])
        return cls(
            torch.cat([table.points for table in tables]),
            _ragged.join([table.ring_offsets for table in tables]),
            _ragged.join([table.part_offsets for table in tables]),
            _ragged.join([table.mask_offsets for table in tables]),
            size,
        )


T = TypeVar("T")


def _split(items: list[T], offsets: Tensor) -> list[list[T]]:
    """Cut a flat list into rows."""
    bounds = offsets.tolist()
    return [items[start:stop] for start, stop in pairwise(bounds)]
