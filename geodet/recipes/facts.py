"""What a model has to know of the data, and what it makes of them."""

from collections.abc import Collection
from typing import Literal, TypeAlias

import attrs

from geodet.data.sources.source import Source
from geodet.data.targets import TargetKind
from geodet.structures import SceneLabels, Skeleton

__all__ = ["DataFacts", "Output", "facts_of", "stuff_names", "target_kind"]

Output: TypeAlias = Literal["boxes", "rotated_boxes", "masks", "keypoints", "semantic", "panoptic"]


@attrs.frozen(kw_only=True)
class DataFacts:
    """Facts of the data that decide shapes of a model, and the sizes of its images.

    Args:
        num_classes: classes of objects.
        num_stuff: classes of background; 0 where the data have no truth of every pixel.
        skeleton: of the keypoints; None where the data have none.
        short_edge: the shorter side of an image in prediction, pixels.
        max_long_edge: most pixels of the longer side; None for no limit.
    """

    num_classes: int
    num_stuff: int = 0
    skeleton: Skeleton | None = None
    short_edge: int | None = None
    max_long_edge: int | None = None

    @property
    def scene_labels(self) -> SceneLabels:
        """Objects first, then background; objects are one class to a semantic head beside boxes."""
        return SceneLabels.with_things_as_one(num_things=self.num_classes, num_stuff=self.num_stuff)


def target_kind(outputs: Collection[Output]) -> TargetKind:
    """Return the kind of target that a model of these outputs learns from."""
    if "panoptic" in outputs:
        # A model without boxes makes targets of its own of the scene.
        return "scene" if "boxes" in outputs else "panoptic"
    return "semantic" if "semantic" in outputs else "instances"


def stuff_names(source: Source) -> tuple[str, ...]:
    """Names of the background classes of a source; () where it has no truth of every pixel."""
    scene = getattr(source, "panoptic_label_map", None)
    return () if scene is None else tuple(scene.names[len(source.label_map) :])


def facts_of(
    source: Source, *, short_edge: int | None = None, max_long_edge: int | None = None
) -> DataFacts:
    """Return the facts of a source; sizes as in `DataFacts`."""
    return DataFacts(
        num_classes=len(source.label_map),
        num_stuff=len(stuff_names(source)),
        skeleton=source.skeleton,
        short_edge=short_edge,
        max_long_edge=max_long_edge,
    )
