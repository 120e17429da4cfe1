"""What a kind of model trains on, picked out of a sample."""

from typing import Literal, TypeAlias

import attrs

from geodet.data.sample import Sample, TargetMaker
from geodet.errors import DataError, InvalidValueError
from geodet.structures import (
    Instances,
    PanopticSegmentation,
    SceneLabels,
    SceneTarget,
    SemanticMap,
)

__all__ = [
    "InstanceTargets",
    "PanopticTargets",
    "SceneTargets",
    "SemanticTargets",
    "TargetKind",
    "target_maker",
]

TargetKind: TypeAlias = Literal["instances", "semantic", "scene", "panoptic"]


@attrs.frozen
class InstanceTargets:
    """The objects, for detectors."""

    def __call__(self, sample: Sample) -> Instances:
        """Return the sample's objects."""
        return sample.instances


@attrs.frozen
class SemanticTargets:
    """The class of each pixel, for models of nothing else.

    Args:
        labels: how the panoptic truth becomes classes of pixels; None takes its own classes. A
            semantic truth of the sample's own is taken as it is.
        ignore_crowd: crowd segments do not train.
    """

    labels: SceneLabels | None = None
    ignore_crowd: bool = attrs.field(default=False, kw_only=True)

    def __call__(self, sample: Sample) -> SemanticMap:
        """Return the sample's semantic truth.

        Raises:
            DataError: the sample has neither semantic nor panoptic truth.
        """
        if sample.semantic is not None:
            return sample.semantic
        if sample.panoptic is None:
            raise DataError(
                f"image {sample.image_id!r} ({sample.source}): expected semantic or panoptic "
                "truth to train on, got neither; use a data set that has it, or train a detector"
            )
        if self.labels is None:
            return SemanticMap.from_panoptic(sample.panoptic, ignore_crowd=self.ignore_crowd)
        return self.labels.semantic_map(sample.panoptic, ignore_crowd=self.ignore_crowd)


@attrs.frozen
class SceneTargets:
    """Objects and the class of each pixel, for panoptic models.

    Args:
        labels: how the panoptic truth becomes classes of pixels.
        ignore_crowd: crowd segments do not train the classes of pixels.
    """

    labels: SceneLabels
    ignore_crowd: bool = attrs.field(default=False, kw_only=True)

    def __call__(self, sample: Sample) -> SceneTarget:
        """Return both truths of the sample.

        Raises:
            DataError: the sample has neither semantic nor panoptic truth.
            ShapeError: the two truths are in pixels of different sizes.
        """
        semantic = SemanticTargets(self.labels, ignore_crowd=self.ignore_crowd)
        return SceneTarget(sample.instances, semantic(sample))


@attrs.frozen
class PanopticTargets:
    """The scene itself, for models that make truth of their own of it."""

    def __call__(self, sample: Sample) -> PanopticSegmentation:
        """Return the sample's panoptic truth.

        Raises:
            DataError: the sample has none.
        """
        if sample.panoptic is None:
            raise DataError(
                f"image {sample.image_id!r} ({sample.source}): expected panoptic truth to train "
                "on, got none; use a data set that has it, or train a detector"
            )
        return sample.panoptic


def target_maker(
    kind: TargetKind, *, labels: SceneLabels | None = None, ignore_crowd: bool = False
) -> TargetMaker:
    """Return what makes the targets of a kind of model.

    Args:
        kind: "instances" for detectors, "semantic" for models of pixels, "scene" for both,
            "panoptic" for models that learn from the scene as it is.
        labels: how scene classes become classes of pixels; "scene" needs it.
        ignore_crowd: crowd segments do not train the classes of pixels.
    Raises:
        InvalidValueError: another kind, or "scene" without labels.
    """
    if kind == "instances":
        return InstanceTargets()
    if kind == "panoptic":
        return PanopticTargets()
    if kind == "semantic":
        return SemanticTargets(labels, ignore_crowd=ignore_crowd)
    if kind != "scene":
        raise InvalidValueError(
            f"kind: expected 'instances', 'semantic', 'scene' or 'panoptic', got {kind!r}"
        )
    if labels is None:
        raise InvalidValueError("labels: expected SceneLabels for targets of scenes, got None")
    return SceneTargets(labels, ignore_crowd=ignore_crowd)
