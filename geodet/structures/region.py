"""What horizontal and rotated boxes have in common."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from geodet.structures._table import Index
from geodet.structures.image_size import ImageSize

if TYPE_CHECKING:
    from geodet.structures.boxes import Boxes
    from geodet.structures.rotated_boxes import RotatedBoxes


@runtime_checkable
class Region(Protocol):
    """n regions in one image, in continuous pixels; `Boxes` and `RotatedBoxes` are regions.

    Code written against this protocol works for both. Methods mean what `Boxes` says of them.
    Complete IoU is not among them: a rotated region has no aspect ratio, as width and height
    exchange with a quarter turn.
    """

    @property
    def device(self) -> torch.device:
        """Where the coordinates live."""
        ...

    def __len__(self) -> int:
        """Return the number of regions."""
        ...

    def __getitem__(self, index: Index) -> Self:
        """Select rows."""
        ...

    def __iter__(self) -> Iterator[Self]:
        """Yield one-row tables."""
        ...

    @classmethod
    def cat(cls, tables: Sequence[Self]) -> Self:
        """Concatenate."""
        ...

    def to(
        self,
        device: torch.device | str | None = None,
        *,
        dtype: torch.dtype | None = None,
        non_blocking: bool = False,
    ) -> Self:
        """Move or convert."""
        ...

    def to_rotated(self) -> "RotatedBoxes":
        """As rotated boxes; the same points."""
        ...

    def to_boxes(self) -> "Boxes":
        """As horizontal boxes; an error where that is not the same points."""
        ...

    def area(self) -> Tensor:
        """[n] square pixels."""
        ...

    def widths(self) -> Tensor:
        """[n] lengths of the sides that are horizontal at angle 0."""
        ...

    def heights(self) -> Tensor:
        """[n] lengths of the sides that are vertical at angle 0."""
        ...

    def centers(self) -> Tensor:
        """[n, 2] as (x, y)."""
        ...

    def corners(self) -> Tensor:
        """[n, 4, 2] as (x, y), clockwise as seen from the one that is top left at angle 0."""
        ...

    def hull(self) -> "Boxes":
        """Smallest horizontal box around each region."""
        ...

    def clip_to(self, size: ImageSize) -> Self:
        """Leave what lies inside an image, and no more than the type needs around it."""
        ...

    def area_inside(self, size: ImageSize) -> Tensor:
        """[n] square pixels that lie inside an image."""
        ...

    def nonempty(self, min_size: float = 0.0) -> Tensor:
        """[n] bool, True where both sides are longer than `min_size`."""
        ...

    def inside(self, size: ImageSize, margin: float = 0.0) -> Tensor:
        """[n] bool, True where no point is more than `margin` pixels outside the image."""
        ...

    def contains(self, points: Tensor) -> Tensor:
        """[n, p] bool, which of [p, 2] points lie in which region."""
        ...

    def contains_region(self, other: "Region") -> Tensor:
        """[n, m] bool, which regions lie in which; each contains itself."""
        ...

    def same_region(self, other: Self, *, atol: float = 1e-3) -> Tensor:
        """[n] bool, True where row i of both covers the same points up to `atol` pixels."""
        ...

    def same_orientation(self, other: Self, *, atol_deg: float = 1e-3) -> Tensor:
        """[n] bool, True where the tops of row i of both point the same way."""
        ...

    def scale(self, x: float, y: float) -> Self:
        """Multiply the axes of the plane."""
        ...

    def translate(self, dx: float, dy: float) -> Self:
        """Move."""
        ...

    def rotate(self, angle_deg: float, *, center: tuple[float, float]) -> "RotatedBoxes":
        """Turn counter-clockwise as seen, around a point."""
        ...

    def rotate_90(self, quarter_turns: int, size: ImageSize) -> Self:
        """Turn with the image, counter-clockwise as seen; exact."""
        ...

    def flip_horizontally(self, size: ImageSize) -> Self:
        """Mirror left and right."""
        ...

    def flip_vertically(self, size: ImageSize) -> Self:
        """Mirror top and bottom."""
        ...

    def pairwise_intersection(self, other: Self) -> Tensor:
        """[n, m] square pixels in common."""
        ...

    def matched_intersection(self, other: Self) -> Tensor:
        """[n] square pixels in common."""
        ...

    def pairwise_iou(self, other: Self) -> Tensor:
        """[n, m] in [0, 1], intersection over union."""
        ...

    def matched_iou(self, other: Self) -> Tensor:
        """[n] in [0, 1], intersection over union."""
        ...

    def pairwise_ioa(self, other: Self) -> Tensor:
        """[n, m] in [0, 1], intersection over the area of `other`."""
        ...

    def matched_ioa(self, other: Self) -> Tensor:
        """[n] in [0, 1], intersection over the area of `other`."""
        ...

    def pairwise_giou(self, other: Self) -> Tensor:
        """[n, m] in [-1, 1], IoU minus the part of the enclosure that is in neither.

        The enclosure is of the region's kind: a box around boxes, a convex hull around others.
        """
        ...

    def matched_giou(self, other: Self) -> Tensor:
        """[n] in [-1, 1], the same row by row."""
        ...

    def pairwise_diou(self, other: Self) -> Tensor:
        """[n, m] in [-1, 1], IoU minus (distance of centres / diameter of that enclosure)^2."""
        ...

    def matched_diou(self, other: Self) -> Tensor:
        """[n] in [-1, 1], the same row by row."""
        ...

    def pairwise_distance(self, other: Self) -> Tensor:
        """[n, m] pixels of the gap between; 0 where regions touch or overlap."""
        ...

    def matched_distance(self, other: Self) -> Tensor:
        """[n] pixels of the gap between; 0 where regions touch or overlap."""
        ...

    def validated(self, *, where: str = "") -> Self:
        """Return itself when all values are sound."""
        ...


if TYPE_CHECKING:

    def _both_are_regions(boxes: "Boxes", rotated: "RotatedBoxes") -> tuple[Region, Region]:
        """Let mypy compare every signature with the protocol."""
        return boxes, rotated
