"""Any source with rotated boxes in place of upright ones."""

import attrs

from geodet.data.label_map import LabelMap
from geodet.data.sample import Sample
from geodet.data.sources.source import Source
from geodet.errors import DataError
from geodet.structures import ImageSize, Instances, RotatedBoxes, Skeleton

__all__ = ["RotatedBoxSource"]

_COLUMN = "rotated_boxes"


@attrs.frozen(eq=False)
class RotatedBoxSource:
    """The samples of a source, each object in a rotated box.

    The box is the source's own, when its samples have `extras["rotated_boxes"]`, and otherwise
    the rectangle of the smallest area around the object's mask, whose orientation says nothing
    about which end is the top.

    Args:
        source: with rotated boxes or masks.
    """

    source: Source

    @property
    def label_map(self) -> LabelMap:
        """Names and data set ids of the classes."""
        return self.source.label_map

    @property
    def skeleton(self) -> Skeleton | None:
        """Of the keypoints of the source."""
        return self.source.skeleton

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        """Read the sample at `index`.

        Raises:
            IndexError: there is no such index.
            DataError: objects have neither rotated boxes nor masks, or as the source says.
        Empty: an image without objects has rotated boxes of length 0.
        """
        sample = self.source[index]
        boxes = _rotated(sample)
        extras = {name: each for name, each in sample.instances.extras.items() if name != _COLUMN}
        return attrs.evolve(sample, instances=sample.instances.with_(boxes=boxes, extras=extras))

    def image_sizes(self) -> list[ImageSize] | None:
        """Sizes of all images, where the source knows them."""
        return self.source.image_sizes()

    def describe(self, index: int) -> str:
        """Name the sample at `index` as the source does."""
        return self.source.describe(index)


def _rotated(sample: Sample) -> RotatedBoxes:
    instances: Instances = sample.instances
    given = instances.extras.get(_COLUMN)
    if isinstance(given, RotatedBoxes):
        return given
    if instances.masks is not None:
        return instances.masks.to_rle_masks().to_rotated_boxes()
    if len(instances) == 0:
        return RotatedBoxes.empty()
    raise DataError(
        f"image {sample.image_id!r} ({sample.source}): expected rotated boxes or masks to make them"
        " of, got neither"
    )
