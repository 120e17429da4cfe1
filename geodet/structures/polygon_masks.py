"""Masks as polygons with holes. Shapes: n masks, q parts, r rings, p points in all of them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import attrs
import torch
from torch import Tensor

from geodet import _check, ops
from geodet.ops._angles import cos_sin_deg
from geodet.structures import _polygon_lists as lists
from geodet.structures import _ragged
from geodet.structures._mask_checks import check_padding, check_same_image, check_window
from geodet.structures._polygon_checks import check_polygons, check_simple
from geodet.structures._table import Table, cat_values, register
from geodet.structures.bit_masks import _CHUNK_PIXELS, BitMasks, check_crop
from geodet.structures.boxes import Boxes
from geodet.structures.image_size import ImageSize
from geodet.structures.rle_masks import RleMasks
from geodet.structures.roi_masks import check_image_size
from geodet.structures.rotated_boxes import RotatedBoxes


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
        return cls.from_rings(lists.rings_from_coco(polygons), size)

    @classmethod
    def from_rings(cls, masks: lists.Rings, size: ImageSize) -> "PolygonMasks":
        """Make masks from nested lists: masks of parts of rings of (x, y) points.

        Args:
            masks: the first ring of a part is its outline, further rings are holes.
            size: size of the image.
        """
        return cls(*lists.levels_from_rings(masks), size)

    @classmethod
    def from_geojson(
        cls, geometries: Sequence[Mapping[str, Any]], size: ImageSize
    ) -> "PolygonMasks":
        """Read masks from GeoJSON's Polygon and MultiPolygon objects, in pixels. Exact.

        Args:
            geometries: one mapping with "type" and "coordinates" for each mask, also what shapely
                gives as `__geo_interface__`; heights of points are ignored.
            size: size of the image.
        Raises:
            InvalidValueError: a geometry is of another type, or a ring does not end where it
                began.
        """
        return cls.from_rings(lists.rings_from_geojson(geometries), size)

    @classmethod
    def from_boxes(cls, boxes: Boxes, size: ImageSize) -> "PolygonMasks":
        """Outline horizontal boxes: four points each, clockwise from the top left. Exact."""
        return cls._from_corners(boxes.corners(), size)

    @classmethod
    def from_rotated_boxes(cls, boxes: RotatedBoxes, size: ImageSize) -> "PolygonMasks":
        """Outline rotated boxes: four points each, clockwise. Corners are rounded to float64."""
        return cls._from_corners(boxes.to(dtype=torch.float64).corners(), size)

    def to_rings(self) -> list[list[list[list[tuple[float, float]]]]]:
        """Return nested lists of (x, y) points, the inverse of `from_rings`. Exact."""
        return lists.rings_from_levels(self._levels())

    def to_coco(self) -> list[list[list[float]]]:
        """Return for each mask its polygons [x1, y1, x2, y2, ...]. Exact.

        Raises:
            InvalidValueError: a part has a hole, which COCO's polygons cannot express.
        """
        return lists.coco_from_rings(self.to_rings())

    def to_geojson(self) -> list[dict[str, Any]]:
        """Return a MultiPolygon object for each mask; rings repeat their first point. Exact."""
        return lists.geojson_from_rings(self.to_rings())

    def __len__(self) -> int:
        return self.mask_offsets.shape[0] - 1

    def area(self) -> Tensor:
        """[n] float64, enclosed area in square pixels, not a count of pixels.

        Holes are subtracted, parts added. Exact for rings that do not cross themselves and parts
        that do not overlap; where they do, count pixels: to_rle_masks().area().
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

    def nonempty(self) -> Tensor:
        """[n] bool, True where a mask encloses an area."""
        return self.area() > 0

    def pairwise_iou(self, other: "PolygonMasks", is_crowd: Tensor | None = None) -> Tensor:
        """Intersection over union of every pair, in pixels. Not exact: see `to_rle_masks`.

        Args:
            other: m masks of the same image size.
            is_crowd: [m] bool, as for `RleMasks.pairwise_iou`.
        Returns:
            [n, m] float64 in [0, 1]; a pair without pixels has 0.
        Raises:
            DtypeError: `other` is another kind of masks.
            ShapeError: the image sizes differ.
        Empty: n = 0 or m = 0 gives a [n, m] tensor.
        """
        check_same_image(self, other)
        return self.to_rle_masks().pairwise_iou(other.to_rle_masks(), is_crowd)

    def pairwise_ioa(self, other: "PolygonMasks") -> Tensor:
        """Intersection over the area of `other`, in pixels. Not exact, as `pairwise_iou`."""
        check_same_image(self, other)
        return self.to_rle_masks().pairwise_ioa(other.to_rle_masks())

    def union(self, other: "PolygonMasks") -> "PolygonMasks":
        """Row by row, the parts of both masks. Exact as a region and in pixels.

        Where parts overlap they stay two parts, and `area` counts the place twice.

        Args:
            other: n masks of the same image size; so for the other two.
        Raises:
            DtypeError: `other` is another kind of masks.
            ShapeError: the numbers of masks or the image sizes differ.
        """
        self._check_partner(other)
        rows = torch.arange(2 * len(self)).view(2, -1).T.flatten()
        both = PolygonMasks.cat([self, other])[rows]
        return attrs.evolve(both, mask_offsets=both.mask_offsets[::2].clone())

    def intersection(self, other: "PolygonMasks") -> RleMasks:
        """Row by row, the pixels in both masks. Not exact: outlines become pixels.

        `crop` and `clip_to_window` are exact intersections with a rectangle.
        """
        self._check_partner(other)
        return self.to_rle_masks().intersection(other.to_rle_masks())

    def difference(self, other: "PolygonMasks") -> RleMasks:
        """Row by row, the pixels of this mask that are not in the other. Not exact, as above."""
        self._check_partner(other)
        return self.to_rle_masks().difference(other.to_rle_masks())

    def connected_components(self) -> tuple[Self, Tensor]:
        """Each part as a mask of its own, holes kept. Exact where parts are apart.

        Returns:
            q masks and [q] int64, the row each comes from.
        """
        parts = torch.arange(len(self.part_offsets))
        return attrs.evolve(self, mask_offsets=parts), _ragged.row_ids(self.mask_offsets)

    def contours(self) -> Self:
        """Return the masks themselves: they are their outlines."""
        return self

    def to_polygon_masks(self) -> Self:
        """Return the masks themselves. Exact."""
        return self

    def hulls(self) -> "PolygonMasks":
        """Convex hull of all points of each mask as its one part. Exact; holes are filled.

        A mask whose points lie on a line has none. Corners run clockwise from the leftmost.
        """
        points, offsets = ops.convex_hulls(self.points, self._points_of_masks())
        lengths = offsets.diff()
        is_area = lengths > 2
        ring_offsets = _ragged.from_lengths(lengths[is_area])
        each = torch.arange(len(ring_offsets))
        kept = torch.repeat_interleave(is_area, lengths)
        mask_offsets = _ragged.from_lengths(is_area.long())
        return PolygonMasks(points[kept], ring_offsets, each, mask_offsets, self.image_size)

    def to_rotated_boxes(self) -> RotatedBoxes:
        """Smallest float32 rotated boxes around the points; a mask without points gives zeros.

        Returns:
            n boxes with angles in [-45, 45); see `geodet.ops.min_area_rectangles`.
        """
        return RotatedBoxes(ops.min_area_rectangles(self.points, self._points_of_masks()).float())

    def simplify(self, tolerance: float) -> Self:
        """Leave out points that lie within `tolerance` pixels of the line without them.

        No ring falls below three points, but rings may come to cross: `validated(simple=True)`
        tells. See `geodet.ops.simplify_polygons`.
        """
        points, ring_offsets = ops.simplify_polygons(self.points, self.ring_offsets, tolerance)
        return attrs.evolve(self, points=points, ring_offsets=ring_offsets)

    def to_bit_masks(self) -> BitMasks:
        """Rasterise, pixel for pixel as COCO's tools. Not exact: outlines become pixels."""
        return BitMasks(ops.polygons_to_bit_masks(*self._levels(), self.image_size.as_tuple()))

    def to_rle_masks(self) -> RleMasks:
        """Rasterise, pixel for pixel as COCO's tools. Not exact: outlines become pixels."""
        size = self.image_size
        return RleMasks(*ops.polygons_to_rle(*self._levels(), size.as_tuple()), size)

    def coverage(self, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """[n, h, w] share of each pixel that a mask covers, in [0, 1].

        Exact where rings do not cross and parts do not overlap; see
        `geodet.ops.polygon_coverage`.
        """
        size = self.image_size.as_tuple()
        return ops.polygon_coverage(*self._levels(), size, dtype=dtype)

    def to_bit_masks_by_area(self) -> BitMasks:
        """Set the pixels that are covered by half or more. Not exact, but nearest in area.

        Unlike COCO's pixels they do not depend on how an outline is cut into edges.
        """
        rows = max(1, _CHUNK_PIXELS // (4 * self.image_size.area))
        bits = [torch.zeros((0, *self.image_size), dtype=torch.bool)]
        bits += [
            self[start : start + rows].coverage() >= 0.5 for start in range(0, len(self), rows)
        ]
        return BitMasks(torch.cat(bits))

    def dilate(self, radius: int) -> RleMasks:
        """Add every pixel near a mask, as `RleMasks.dilate`. Not exact: outlines become pixels."""
        return self.to_rle_masks().dilate(radius)

    def erode(self, radius: int) -> RleMasks:
        """Take away every pixel near one outside, as `RleMasks.erode`. Not exact, as above."""
        return self.to_rle_masks().erode(radius)

    def boundary(self, radius: int) -> RleMasks:
        """Return the pixels that `erode` takes away. Not exact: outlines become pixels."""
        return self.to_rle_masks().boundary(radius)

    def clip_to_window(self, xyxy: tuple[float, float, float, float]) -> Self:
        """Cut the outlines to a rectangle; the image stays. Exact.

        What the window cuts in two comes apart into parts, and holes open at its border; see
        `geodet.ops.clip_polygons`.

        Args:
            xyxy: left, top, right, bottom in pixels, anywhere.
        """
        return type(self)(*ops.clip_polygons(*self._levels(), xyxy), self.image_size)

    def crop(self, xyxy: tuple[int, int, int, int]) -> Self:
        """Cut a window of whole pixels out of every mask; it is the new image. Exact.

        Args:
            xyxy: left, top, right, bottom, inside the image and not empty.
        Raises:
            InvalidValueError: the window is empty or not inside the image.
        """
        size = check_window(xyxy, self.image_size)
        return self.clip_to_window(xyxy).translate(-xyxy[0], -xyxy[1], size)

    def pad(self, left: int, top: int, right: int, bottom: int) -> Self:
        """Make the image larger by so many empty pixels on each side. Exact.

        Outlines that lie outside of the image stay there, and may lie inside afterwards; `crop`
        takes them away.

        Raises:
            InvalidValueError: a number is negative.
        """
        size = check_padding(left, top, right, bottom, self.image_size)
        return self.translate(left, top, size)

    def crop_and_resize(self, boxes: Boxes | RotatedBoxes, side: int) -> Tensor:
        """Move and scale outline i from box i to side x side pixels, and rasterise it there.

        The outline is scaled exactly; only the last step rounds to pixels. Runs on the CPU.

        Args:
            boxes: n boxes in pixels of this image, horizontal or rotated (the outline is turned
                into the box's own axes first); a side shorter than 0.1 counts as 0.1.
            side: rows and columns of the result.
        Returns:
            [n, side, side] bool on the device of the boxes.
        Raises:
            ShapeError: the counts differ.
            InvalidValueError: `side` is smaller than 1.
        Empty: n = 0 gives [0, side, side].
        """
        check_crop(len(self), boxes, side)
        if isinstance(boxes, Boxes):
            levels, xyxy = self._levels(), boxes.xyxy.detach().cpu()
        else:
            points, xyxy = self._in_own_axes(boxes.cxcywha.detach().cpu())
            levels = (points, *self._levels()[1:])
        return ops.polygon_roi_targets(*levels, xyxy, side).to(boxes.device)

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

    def rotate_90(self, quarter_turns: int = 1) -> Self:
        """Turn image and masks counter-clockwise as seen. Exact for the outlines.

        Args:
            quarter_turns: any whole number; negative ones turn clockwise.
        """
        x, y = self.points.unbind(1)
        height, width = self.image_size
        turned = ((x, y), (y, width - x), (width - x, height - y), (height - y, x))
        points = torch.stack(turned[quarter_turns % 4], dim=1)
        size = ImageSize(width, height) if quarter_turns % 2 else self.image_size
        return attrs.evolve(self, points=points, image_size=size)

    def rotate(self, angle_deg: float, *, center: tuple[float, float]) -> Self:
        """Turn the outlines counter-clockwise as seen, around a point; the image stays.

        Args:
            angle_deg: any angle in degrees; whole quarters are free of rounding.
            center: (x, y) of the point that stays.
        """
        cos, sin = (float(value) for value in cos_sin_deg(self.points.new_tensor(angle_deg)))
        cx, cy = center
        matrix = [[cos, sin, cx - cos * cx - sin * cy], [-sin, cos, cy + sin * cx - cos * cy]]
        return self.affine(self.points.new_tensor(matrix), self.image_size)

    def affine(self, matrix: Tensor, size: ImageSize) -> Self:
        """Map every point (x, y) to matrix @ (x, y, 1); the image becomes `size`.

        Exact for the outlines: straight edges stay straight.

        Args:
            matrix: [2, 3] floating point, in pixels, on the CPU.
            size: of the new image.
        Raises:
            ShapeError, DtypeError, DeviceError: the matrix is not as above.
        """
        _check.check_floating("matrix", _check.check_shape("matrix", matrix, 2, 3))
        exact = _ragged.check_on_cpu("matrix", matrix).to(torch.float64)
        points = self.points @ exact[:, :2].T + exact[:, 2]
        return attrs.evolve(self, points=points, image_size=size)

    def validated(self, *, where: str = "", simple: bool = False) -> Self:
        """Return the masks when every value is sound.

        Args:
            where: put before the message, for example a file and an image.
            simple: also refuse rings that cross or touch themselves or enclose no area.
        Raises:
            InvalidValueError: offsets are broken, a part has no ring, a ring has fewer than 3
                points, a coordinate is not finite, or, if asked for, a ring is not simple.
        """
        check_polygons(self, where)
        if simple:
            check_simple(self, where)
        return self

    def _mask_of_points(self) -> Tensor:
        """[p] int64, the mask that each point belongs to."""
        parts = _ragged.row_ids(self.part_offsets)[_ragged.row_ids(self.ring_offsets)]
        return _ragged.row_ids(self.mask_offsets)[parts]

    def _points_of_masks(self) -> Tensor:
        """[n + 1] offsets: the points of mask i lie between two of them."""
        return self.ring_offsets[self.part_offsets[self.mask_offsets]]

    def _check_partner(self, other: "PolygonMasks") -> None:
        check_same_image(self, other)
        _check.check_rows("other", len(other), len(self), "one for each mask")

    @classmethod
    def _from_corners(cls, corners: Tensor, size: ImageSize) -> "PolygonMasks":
        points = corners.detach().cpu().double().reshape(-1, 2)
        each = torch.arange(len(corners) + 1)
        return cls(points, 4 * each, each, each, size)

    def _in_own_axes(self, cxcywha: Tensor) -> tuple[Tensor, Tensor]:
        """Points counted from the top left corner of each mask's rotated box, along its sides.

        Also those boxes in the same numbers: [n, 4] xyxy from (0, 0).
        """
        cx, cy, w, h, angle = cxcywha.double().unbind(1)
        mask = self._mask_of_points()
        cos, sin = (value[mask] for value in cos_sin_deg(angle))
        x, y = self.points[:, 0] - cx[mask], self.points[:, 1] - cy[mask]
        u, v = x * cos - y * sin + w[mask] / 2, x * sin + y * cos + h[mask] / 2
        zero = torch.zeros_like(w)
        return torch.stack((u, v), dim=1), torch.stack((zero, zero, w, h), dim=1)

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
