"""The built-in data: pictures of simple shapes, made on the fly, with every kind of truth.

Seven classes of objects lie in depth order on textured backgrounds. Colour, size, direction and
texture say nothing about the class. The truth holds boxes, rotated boxes, masks (with holes and
several parts), keypoints and a panoptic map, so that every task can be tried without a download.
"""

from typing import Final

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

from geodet.data.label_map import LabelMap
from geodet.data.sample import Sample
from geodet.data.sources._shape_outlines import OUTLINES, POINT_NAMES
from geodet.data.sources._shape_random import Draws
from geodet.data.sources._shape_scene import STUFF_NAMES, Scene, compose
from geodet.errors import InvalidValueError
from geodet.structures import (
    BitMasks,
    Boxes,
    ImageSize,
    Instances,
    Keypoints,
    PanopticSegmentation,
    RotatedBoxes,
    Segment,
    Skeleton,
)

__all__ = ["THING_NAMES", "ShapesSource"]

THING_NAMES: Final = tuple(outline.name for outline in OUTLINES)
_SKELETON: Final = Skeleton(
    names=POINT_NAMES,
    edges=((0, 1), (0, 2), (1, 3), (2, 3)),
    flip_pairs=((1, 2),),
    sigmas=(0.05, 0.05, 0.05, 0.05),
)


@attrs.frozen
class ShapesSource:
    """Generated pictures of shapes; picture `i` depends on the seed, the size and `i` alone.

    The same pictures come out on every machine and with every version of the libraries, bit for
    bit. Instances carry boxes, labels, masks (BitMasks of the visible pixels), keypoints, is_crowd
    (all false) and `extras["rotated_boxes"]` (of the whole outline, hidden parts included, head at
    the top). Points out of the picture are not labelled, as in COCO's files. An object of which
    less than a quarter, or fewer than 12 pixels, would be seen is not painted.

    Args:
        length: number of pictures.
        size: size of every picture in pixels.
        seed: a seed >= 0; another seed gives other pictures, for instance to evaluate on.
        max_objects: most objects in a picture; the number is drawn from 1 to this.
        lengths: least and greatest length of an object as a share of the shorter image side;
            short ones are more common.
        pattern: contrast of the patterns on objects, from 0 (flat colours: easy) to 1.
        classes: names of the classes that are drawn, in the order of their labels. Only the
            triangle and the arrow show which end is the head.
    Raises:
        InvalidValueError: a number is negative, `lengths` is no ascending pair in (0, 1],
            `pattern` is not in [0, 1], or `classes` are none, unknown or given twice.
    Empty: length 0 is a source of no picture; max_objects 0 gives backgrounds alone.
    """

    length: int
    size: ImageSize = attrs.field(default=ImageSize(128, 128), kw_only=True)
    seed: int = attrs.field(kw_only=True)
    max_objects: int = attrs.field(default=6, kw_only=True)
    lengths: tuple[float, float] = attrs.field(default=(0.12, 0.5), kw_only=True)
    pattern: float = attrs.field(default=1.0, kw_only=True)
    classes: tuple[str, ...] = attrs.field(default=THING_NAMES, kw_only=True)

    def __attrs_post_init__(self) -> None:
        for name in ("length", "seed", "max_objects"):
            if getattr(self, name) < 0:
                raise InvalidValueError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        least, greatest = self.lengths
        if not 0 < least <= greatest <= 1:
            raise InvalidValueError(
                f"lengths: expected 0 < least <= greatest <= 1, got {self.lengths}"
            )
        if not 0 <= self.pattern <= 1:
            raise InvalidValueError(f"pattern: expected 0 to 1, got {self.pattern}")
        known = set(self.classes) <= set(THING_NAMES)
        if not known or not self.classes or len(set(self.classes)) < len(self.classes):
            raise InvalidValueError(
                f"classes: expected some of {', '.join(THING_NAMES)}, each once, got {self.classes}"
            )

    @property
    def label_map(self) -> LabelMap:
        """Names of the classes of objects; data set ids count from 1, as COCO's do."""
        return LabelMap.from_names(self.classes, first_id=1)

    @property
    def panoptic_label_map(self) -> LabelMap:
        """Names of all classes of the panoptic truth: the objects' first, then the backgrounds'."""
        return LabelMap.from_names(self.classes + STUFF_NAMES, first_id=1)

    @property
    def skeleton(self) -> Skeleton:
        """Names of the four points of every object; left and right as seen facing its head."""
        return _SKELETON

    def __len__(self) -> int:
        """Return the number of pictures."""
        return self.length

    def __getitem__(self, index: int) -> Sample:
        """Draw picture `index`.

        Raises:
            IndexError: `index` is not in 0 .. length - 1.
        """
        if not 0 <= index < self.length:
            raise IndexError(f"index: expected 0 <= index < {self.length}, got {index}")
        draws = Draws(self.seed, int(index))
        kinds = [THING_NAMES.index(name) for name in self.classes]
        scene = compose(
            draws,
            self.size.height,
            self.size.width,
            max_objects=self.max_objects,
            lengths=self.lengths,
            pattern=self.pattern,
            kinds=kinds,
        )
        scene = attrs.evolve(scene, labels=_renumbered(scene.labels, kinds))
        return Sample(
            image=torch.from_numpy(scene.image),
            instances=self._instances(scene),
            image_id=int(index),
            source=self.describe(index),
            original_size=self.size,
            panoptic=_panoptic(scene, num_things=len(self.classes)),
        )

    def image_sizes(self) -> list[ImageSize]:
        """Return the size of every picture; all are the same."""
        return [self.size] * self.length

    def describe(self, index: int) -> str:
        """Name picture `index` by what it is made from."""
        return f"shapes(seed={self.seed})[{index}]"

    def _instances(self, scene: Scene) -> Instances:
        return Instances(
            self.size,
            boxes=Boxes(torch.from_numpy(scene.boxes)).validated(),
            labels=torch.from_numpy(scene.labels),
            masks=BitMasks(torch.from_numpy(scene.masks)).validated(),
            keypoints=Keypoints(torch.from_numpy(scene.keypoints), _SKELETON).validated(),
            is_crowd=torch.zeros(len(scene.labels), dtype=torch.bool),
            extras={
                "rotated_boxes": RotatedBoxes(torch.from_numpy(scene.rotated_boxes)).validated()
            },
        )


def _renumbered(labels: NDArray[np.int64], kinds: list[int]) -> NDArray[np.int64]:
    """Turn positions in OUTLINES into positions in `kinds`."""
    return np.array([kinds.index(label) for label in labels.tolist()], dtype=np.int64)


def _panoptic(scene: Scene, *, num_things: int) -> PanopticSegmentation:
    """Give ids from 1 to the objects in their order, then to the backgrounds that can be seen."""
    ids = np.zeros(scene.stuff.shape, dtype=np.int32)
    segments = []
    for index, (label, mask) in enumerate(zip(scene.labels, scene.masks, strict=True)):
        ids[mask] = index + 1
        segments.append(Segment(id=index + 1, label=int(label), is_thing=True, is_crowd=False))
    background = ids == 0
    for kind in range(len(STUFF_NAMES)):
        seen = background & (scene.stuff == kind)
        if seen.any():
            ids[seen] = len(segments) + 1
            segments.append(
                Segment(
                    id=len(segments) + 1,
                    label=num_things + kind,
                    is_thing=False,
                    is_crowd=False,
                )
            )
    return PanopticSegmentation(torch.from_numpy(ids), tuple(segments))
