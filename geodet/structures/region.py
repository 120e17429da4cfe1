"""What horizontal and rotated boxes have in common."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from geodet.structures._table import Index
from geodet.structures.image_size import ImageSize

if TYPE_CHECKING:
    from geodet.structures.boxes import Boxes


@runtime_checkable
class Region(Protocol):
    """n regions in one image, in continuous pixels; `Boxes` and `RotatedBoxes` are regions.

    Code written against this protocol works for both. Methods mean what `Boxes` says of them.
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

    def area(self) -> Tensor:
        """[n] square pixels."""
        ...

    def centers(self) -> Tensor:
        """[n, 2] as (x, y)."""
        ...

    def hull(self) -> "Boxes":
        """Smallest horizontal box around each region."""
        ...

    def nonempty(self, min_size: float = 0.0) -> Tensor:
        """[n] bool, True where both sides are longer than `min_size`."""
        ...

    def scale(self, x: float, y: float) -> Self:
        """Multiply the axes of the plane."""
        ...

    def translate(self, dx: float, dy: float) -> Self:
        """Move."""
        ...

    def flip_horizontally(self, size: ImageSize) -> Self:
        """Mirror left and right."""
        ...

    def flip_vertically(self, size: ImageSize) -> Self:
        """Mirror top and bottom."""
        ...

    def validated(self, *, where: str = "") -> Self:
        """Return itself when all values are sound."""
        ...
