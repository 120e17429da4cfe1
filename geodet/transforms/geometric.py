"""Changes of the place of things: flips, resizing, and several changes one after another."""

import itertools
from typing import Self

import attrs
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.structures import (
    Boxes,
    ImageSize,
    Keypoints,
    PanopticSegmentation,
    RotatedBoxes,
    SemanticMap,
)
from geodet.transforms.resampling import resize_image
from geodet.transforms.transform import AnyMasks, Transform

__all__ = ["Compose", "HorizontalFlip", "Identity", "Resize", "VerticalFlip"]


@attrs.frozen
class Identity(Transform):
    """Leave everything as it is, bit for bit."""

    def inverse(self) -> Self:
        """Return itself."""
        return self


@attrs.frozen
class HorizontalFlip(Transform):
    """Mirror left and right; keypoints that form a left/right pair change places."""

    def inverse(self) -> Self:
        """Return itself: two flips are none."""
        return self

    def _image(self, image: Tensor) -> Tensor:
        return image.flip(-1)

    def _boxes(self, boxes: Boxes) -> Boxes:
        return boxes.flip_horizontally(self.source)

    def _rotated_boxes(self, boxes: RotatedBoxes) -> RotatedBoxes:
        return boxes.flip_horizontally(self.source)

    def _masks(self, masks: AnyMasks) -> AnyMasks:
        return masks.flip_horizontally()

    def _keypoints(self, keypoints: Keypoints) -> Keypoints:
        return keypoints.flip_horizontally(self.source)

    def _panoptic(self, panoptic: PanopticSegmentation) -> PanopticSegmentation:
        return panoptic.flip_horizontally()

    def _semantic(self, semantic: SemanticMap) -> SemanticMap:
        return semantic.flip_horizontally()


@attrs.frozen
class VerticalFlip(Transform):
    """Mirror top and bottom; keypoints that form a left/right pair change places here too.

    A mirror exchanges left and right wherever it stands: a left hand becomes a right one.
    """

    def inverse(self) -> Self:
        """Return itself: two flips are none."""
        return self

    def _image(self, image: Tensor) -> Tensor:
        return image.flip(-2)

    def _boxes(self, boxes: Boxes) -> Boxes:
        return boxes.flip_vertically(self.source)

    def _rotated_boxes(self, boxes: RotatedBoxes) -> RotatedBoxes:
        return boxes.flip_vertically(self.source)

    def _masks(self, masks: AnyMasks) -> AnyMasks:
        return masks.flip_vertically()

    def _keypoints(self, keypoints: Keypoints) -> Keypoints:
        return keypoints.flip_vertically(self.source)

    def _panoptic(self, panoptic: PanopticSegmentation) -> PanopticSegmentation:
        return panoptic.flip_vertically()

    def _semantic(self, semantic: SemanticMap) -> SemanticMap:
        return semantic.flip_vertically()


@attrs.frozen
class Resize(Transform):
    """Stretch the picture to another size; x and y coordinates are multiplied by the two ratios.

    uint8 pictures are resampled by Pillow's BILINEAR filter (which averages when it shrinks),
    floating-point ones by torch's antialiased bilinear filter; masks, panoptic maps and maps of
    classes take the nearest pixel. Resizing to the same size changes nothing. `inverse` undoes
    coordinates up to rounding; pixels that were averaged away do not come back.

    Args:
        source: size of the pictures that it takes.
        target: size of the pictures that it gives.
    """

    # Not named `target`: the base class has a property of that name.
    _target: ImageSize = attrs.field(alias="target")

    @property
    def target(self) -> ImageSize:
        """Size of the pictures that it gives."""
        return self._target

    @property
    def factors_xy(self) -> tuple[float, float]:
        """What x and y coordinates are multiplied by."""
        return self.target.width / self.source.width, self.target.height / self.source.height

    def inverse(self) -> "Resize":
        """Return the resize from the target back to the source size."""
        return Resize(self.target, self.source)

    def _image(self, image: Tensor) -> Tensor:
        return resize_image(image, self.target)

    def _boxes(self, boxes: Boxes) -> Boxes:
        return boxes.scale(*self.factors_xy)

    def _rotated_boxes(self, boxes: RotatedBoxes) -> RotatedBoxes:
        if self.source == self.target:  # the sides go through cosine and sine, which round
            return boxes
        return boxes.scale(*self.factors_xy)

    def _masks(self, masks: AnyMasks) -> AnyMasks:
        return masks.resize(self.target)

    def _keypoints(self, keypoints: Keypoints) -> Keypoints:
        return keypoints.scale(*self.factors_xy)

    def _panoptic(self, panoptic: PanopticSegmentation) -> PanopticSegmentation:
        return panoptic.resize(self.target)

    def _semantic(self, semantic: SemanticMap) -> SemanticMap:
        return semantic.resize(self.target)


def _flat(transforms: object) -> tuple[Transform, ...]:
    """Unpack nested compositions, so that how they were grouped makes no difference."""
    if not isinstance(transforms, tuple | list):
        raise DtypeError(f"transforms: expected a tuple, got {type(transforms).__name__}")
    flat: list[Transform] = []
    for transform in transforms:
        if not isinstance(transform, Transform):
            raise DtypeError(f"transforms: expected Transform, got {type(transform).__name__}")
        flat.extend(transform.transforms if isinstance(transform, Compose) else (transform,))
    return tuple(flat)


@attrs.frozen(init=False)
class Compose(Transform):
    """Several transforms, the first one first.

    Args:
        transforms: at least one; each takes the size that the one before it gives. Compositions
            among them are unpacked.
    Raises:
        InvalidValueError: there is none.
        ShapeError: two neighbours do not fit; both are named.
    """

    transforms: tuple[Transform, ...]

    def __init__(self, transforms: tuple[Transform, ...]) -> None:
        flat = _flat(transforms)
        if not flat:
            raise InvalidValueError(
                "transforms: expected at least one; use Identity(size) for none"
            )
        for position, (first, second) in enumerate(itertools.pairwise(flat)):
            if first.target != second.source:
                raise ShapeError(
                    f"transforms: {type(second).__name__} at {position + 1} takes "
                    f"{second.source}, but {type(first).__name__} before it gives {first.target}"
                )
        self.__attrs_init__(flat[0].source, flat)

    @property
    def target(self) -> ImageSize:
        """Size of the pictures that the last one gives."""
        return self.transforms[-1].target

    def inverse(self) -> "Compose":
        """Return the inverses in the opposite order."""
        return Compose(tuple(transform.inverse() for transform in reversed(self.transforms)))

    def _image(self, image: Tensor) -> Tensor:
        for transform in self.transforms:
            image = transform.apply_image(image)
        return image

    def _boxes(self, boxes: Boxes) -> Boxes:
        for transform in self.transforms:
            boxes = transform.apply_boxes(boxes)
        return boxes

    def _rotated_boxes(self, boxes: RotatedBoxes) -> RotatedBoxes:
        for transform in self.transforms:
            boxes = transform.apply_rotated_boxes(boxes)
        return boxes

    def _masks(self, masks: AnyMasks) -> AnyMasks:
        for transform in self.transforms:
            masks = transform.apply_masks(masks)
        return masks

    def _keypoints(self, keypoints: Keypoints) -> Keypoints:
        for transform in self.transforms:
            keypoints = transform.apply_keypoints(keypoints)
        return keypoints

    def _panoptic(self, panoptic: PanopticSegmentation) -> PanopticSegmentation:
        for transform in self.transforms:
            panoptic = transform.apply_panoptic(panoptic)
        return panoptic

    def _semantic(self, semantic: SemanticMap) -> SemanticMap:
        for transform in self.transforms:
            semantic = transform.apply_semantic(semantic)
        return semantic
