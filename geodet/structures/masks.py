"""What all kinds of masks have in common."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from geodet.structures._table import Index
from geodet.structures.image_size import ImageSize

if TYPE_CHECKING:
    from geodet.structures.bit_masks import BitMasks
    from geodet.structures.boxes import Boxes
    from geodet.structures.polygon_masks import PolygonMasks
    from geodet.structures.rle_masks import RleMasks
    from geodet.structures.rotated_boxes import RotatedBoxes


@runtime_checkable
class Masks(Protocol):
    """n masks of one image; `BitMasks`, `RleMasks`, `PolygonMasks` and `RoiMasks` meet it.

    What asks for a yes or no at every place is in `HardMasks`, which the soft `RoiMasks` are
    converted to first. Each conversion says in its docstring whether it is exact.
    """

    @property
    def image_size(self) -> ImageSize:
        """Size of the image that the masks belong to."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the tensors live; run lengths and polygons are always on the CPU."""
        ...

    def __len__(self) -> int:
        """Return the number of masks."""
        ...

    def __getitem__(self, index: Index) -> Self:
        """Select rows."""
        ...

    def __iter__(self) -> Iterator[Self]:
        """Yield one-row tables."""
        ...

    @classmethod
    def cat(cls, tables: Sequence[Self]) -> Self:
        """Concatenate masks of one image size."""
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

    def area(self) -> Tensor:
        """[n] square pixels."""
        ...

    def boxes(self) -> "Boxes":
        """Tight half-open boxes; an empty mask gives (0, 0, 0, 0)."""
        ...

    def to_bit_masks(self) -> "BitMasks":
        """One bool per pixel."""
        ...

    def to_rle_masks(self) -> "RleMasks":
        """Run lengths."""
        ...

    def crop_and_resize(self, boxes: "Boxes | RotatedBoxes", side: int) -> Tensor:
        """[n, side, side] bool: mask i inside box i, horizontal or rotated, resampled."""
        ...

    def flip_horizontally(self) -> Self:
        """Mirror left and right."""
        ...

    def flip_vertically(self) -> Self:
        """Mirror top and bottom."""
        ...

    def resize(self, size: ImageSize) -> Self:
        """Stretch to another image size."""
        ...

    def validated(self, *, where: str = "") -> Self:
        """Return itself when all values are sound."""
        ...


@runtime_checkable
class HardMasks(Masks, Protocol):
    """Masks that contain a place or do not: `BitMasks`, `RleMasks` and `PolygonMasks`.

    A result is of the same kind where that kind can hold it exactly (`Self`); where only pixels
    can, polygons give `RleMasks`. Methods of two tables pair row i with row i, except those named
    `pairwise_`; both tables are of one kind and one image size.
    """

    def nonempty(self) -> Tensor:
        """[n] bool, True where a mask has an area."""
        ...

    def pairwise_iou(self, other: Self) -> Tensor:
        """[n, m] intersection over union of every pair; 0 for a pair without area."""
        ...

    def pairwise_ioa(self, other: Self) -> Tensor:
        """[n, m] intersection over the area of `other`; 0 where that has none."""
        ...

    def union(self, other: Self) -> Self:
        """Row by row, what is in either mask."""
        ...

    def intersection(self, other: Self) -> Masks:
        """Row by row, what is in both masks."""
        ...

    def difference(self, other: Self) -> Masks:
        """Row by row, what is in this mask and not in the other."""
        ...

    def crop(self, xyxy: tuple[int, int, int, int]) -> Self:
        """Cut a window of whole pixels inside the image out of every mask; it is the new image."""
        ...

    def pad(self, left: int, top: int, right: int, bottom: int) -> Self:
        """Make the image larger by so many empty pixels on each side."""
        ...

    def rotate_90(self, quarter_turns: int = 1) -> Self:
        """Turn image and masks counter-clockwise as seen, by any whole number of quarters."""
        ...

    def dilate(self, radius: int) -> Masks:
        """Add every pixel at most `radius` pixels from a mask."""
        ...

    def erode(self, radius: int) -> Masks:
        """Take away every pixel at most `radius` pixels from outside of a mask."""
        ...

    def boundary(self, radius: int) -> Masks:
        """Pixels of a mask that `erode` takes away."""
        ...

    def connected_components(self) -> tuple[Self, Tensor]:
        """Each connected piece as a mask of its own, and [k] int64, the row it comes from."""
        ...

    def contours(self) -> "PolygonMasks":
        """Outlines of the masks, holes kept."""
        ...

    def to_polygon_masks(self) -> "PolygonMasks":
        """Outlines."""
        ...

    def to_rotated_boxes(self) -> "RotatedBoxes":
        """Rotated boxes of the smallest area around each mask; an empty mask gives zeros."""
        ...
