"""Objects and background of one image together: truth to train on, and predictions."""

from collections.abc import Iterable
from typing import Protocol, Self, runtime_checkable

import attrs

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.structures._table import Structure, register
from geodet.structures.instances import Instances
from geodet.structures.panoptic import PanopticSegmentation
from geodet.structures.semantic import SemanticMap, SemanticScores


def _things(value: Iterable[int]) -> tuple[int, ...]:
    return tuple(value)


def _semantic(value: Iterable[int | None]) -> tuple[int | None, ...]:
    return tuple(value)


@attrs.frozen(kw_only=True)
class SceneLabels:
    """How the classes of boxes and those of a semantic map stand for the classes of a scene.

    A scene (a `PanopticSegmentation`) numbers things and stuff together. A box head knows the
    things alone, under numbers of its own; a semantic head knows the stuff, and the things
    either one by one or as one class "some thing". Nothing about this is implied anywhere else.

    Args:
        things: scene class of each class of the boxes.
        semantic: scene class of each class of the semantic map; None is the class that stands
            for all things without a class of their own here.
    Raises:
        InvalidValueError: a number is negative or comes twice, or there are two None.
    """

    things: tuple[int, ...] = attrs.field(converter=_things)
    semantic: tuple[int | None, ...] = attrs.field(converter=_semantic)

    def __attrs_post_init__(self) -> None:
        for name, classes in (("things", self.things), ("semantic", self.semantic)):
            if len(set(classes)) != len(classes):
                raise InvalidValueError(f"{name}: expected every class once, got {classes}")
            if any(label is not None and label < 0 for label in classes):
                raise InvalidValueError(f"{name}: expected classes of at least 0, got {classes}")

    @classmethod
    def with_things_as_one(cls, *, num_things: int, num_stuff: int) -> "SceneLabels":
        """Number as Detectron2's Panoptic FPN does.

        In the scene things come first, then stuff; in the semantic map class 0 is any thing, and
        stuff follows from 1.
        """
        stuff = range(num_things, num_things + num_stuff)
        return cls(things=range(num_things), semantic=(None, *stuff))

    @classmethod
    def all_semantic(cls, *, num_things: int, num_stuff: int) -> "SceneLabels":
        """Number things first, then stuff, alike in the scene and in the semantic map."""
        return cls(things=range(num_things), semantic=range(num_things + num_stuff))

    @property
    def num_classes(self) -> int:
        """One more than the highest class of the scene."""
        known = (*self.things, *(label for label in self.semantic if label is not None))
        return max(known, default=-1) + 1

    def is_thing(self, label: int) -> bool:
        """Tell whether a scene class is one of things."""
        return label in self.things

    def semantic_map(
        self, panoptic: PanopticSegmentation, *, ignore_crowd: bool = False
    ) -> SemanticMap:
        """Return the scene as a semantic head is to see it.

        Args:
            panoptic: in scene classes. Pixels without a segment get -1, and so do scene classes
                that the semantic map does not have.
            ignore_crowd: crowd segments get -1 too.
        """
        own = {label: index for index, label in enumerate(self.semantic) if label is not None}
        any_thing = self.semantic.index(None) if None in self.semantic else -1
        highest = max((segment.label for segment in panoptic.segments), default=-1)
        table = [
            own.get(label, any_thing if self.is_thing(label) else -1)
            for label in range(highest + 1)
        ]
        return SemanticMap.from_panoptic(panoptic, ignore_crowd=ignore_crowd).relabelled(table)


@register
@attrs.frozen(eq=False, repr=False)
class SceneTarget(Structure):
    """What is in an image, to train a model of objects and background on.

    Args:
        instances: the objects, in the classes of the boxes.
        semantic: the class of each pixel, in the classes of the semantic head.
    Raises:
        DtypeError: a part has another type.
        ShapeError: the two are of different image sizes.
    """

    instances: Instances
    semantic: SemanticMap

    def __attrs_post_init__(self) -> None:
        _check_part("instances", self.instances, Instances)
        _check_part("semantic", self.semantic, SemanticMap)
        _check_sizes(self.instances, self.semantic)

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.instances)


@runtime_checkable
class SceneMerging(Protocol):
    """A rule that makes one scene of objects and scores of pixels; compares by value."""

    def merge(self, instances: Instances, semantic: SemanticScores) -> PanopticSegmentation:
        """Merge what was found in an image.

        Args:
            instances: the objects, of some image size.
            semantic: scores for an image of the same size.
        Returns:
            The scene, of that size.
        """
        ...


@register
@attrs.frozen(eq=False, repr=False)
class ScenePrediction(Structure):
    """What a model found in an image: objects, classes of pixels, and both merged.

    The merged scene depends on the size it is asked for at, so it is made from the parts when
    `panoptic` is read: scale the parts first, then merge.

    Args:
        instances: the objects.
        semantic: the scores of the pixels, for an image of the same size.
        merging: how the two become one scene.
    Raises:
        DtypeError: a part has another type.
        ShapeError: the two are of different image sizes.
    """

    instances: Instances
    semantic: SemanticScores
    merging: SceneMerging

    def __attrs_post_init__(self) -> None:
        _check_part("instances", self.instances, Instances)
        _check_part("semantic", self.semantic, SemanticScores)
        if not isinstance(self.merging, SceneMerging):
            raise DtypeError(f"merging: expected a SceneMerging, got {type(self.merging).__name__}")
        _check_sizes(self.instances, self.semantic)

    @property
    def panoptic(self) -> PanopticSegmentation:
        """The merged scene, made anew each time this is read."""
        return self.merging.merge(self.instances, self.semantic)

    def with_parts(self, instances: Instances, semantic: SemanticScores) -> Self:
        """Return a copy with other objects and scores, merged by the same rule."""
        return attrs.evolve(self, instances=instances, semantic=semantic)


def _check_part(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise DtypeError(f"{name}: expected {kind.__name__}, got {type(value).__name__}")


def _check_sizes(instances: Instances, semantic: SemanticMap | SemanticScores) -> None:
    if instances.image_size != semantic.image_size:
        raise ShapeError(
            f"semantic: expected an image of {instances.image_size} as instances has, got "
            f"{semantic.image_size}"
        )
