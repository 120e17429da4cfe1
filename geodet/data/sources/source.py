"""What a data set must offer: samples by index, the names of its classes, and where they lie."""

from typing import Protocol, runtime_checkable

from geodet.data.label_map import LabelMap
from geodet.data.sample import Sample
from geodet.structures import ImageSize, Skeleton

__all__ = ["Source"]


@runtime_checkable
class Source(Protocol):
    """Images with their truth, read one at a time in any order by any number of processes.

    A source promises three things: `source[i]` depends on `i` only; it can be pickled; reading
    in several worker processes gives what reading in one gives.
    """

    @property
    def label_map(self) -> LabelMap:
        """Names and data set ids of the classes."""
        ...

    @property
    def skeleton(self) -> Skeleton | None:
        """What the keypoints of the instances mean; None for a source without keypoints."""
        ...

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """Read the sample at `index`, 0 <= index < len.

        Raises:
            IndexError: there is no such index.
            DataError: the image or its annotations are broken; the message names the file.
        """
        ...

    def image_sizes(self) -> list[ImageSize] | None:
        """Sizes of all images without decoding any, or None where that is not known."""
        ...

    def describe(self, index: int) -> str:
        """Name the sample at `index` for a message: its file, or how it was made."""
        ...
