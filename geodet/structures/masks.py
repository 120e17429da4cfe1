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
    from geodet.structures.rle_masks import RleMasks


@runtime_checkable
class Masks(Protocol):
    """n masks of one image; `BitMasks`, `RleMasks`, `PolygonMasks` and `RoiMasks` meet it.

    Each conversion says in its docstring whether it is exact.
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

    def crop_and_resize(self, boxes: "Boxes", side: int) -> Tensor:
        """[n, side, side] bool: mask i inside box i, resampled."""
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
