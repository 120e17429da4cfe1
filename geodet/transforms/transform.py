"""What every transform can do: one deterministic change of a picture and of all its truth.

Shapes: c channels, h and w the source size, H and W the target size, n rows.
"""

from abc import ABC, abstractmethod
from typing import TypeVar

import attrs
from torch import Tensor

from geodet._check import check_shape
from geodet.errors import DtypeError, ShapeError
from geodet.structures import (
    Boxes,
    ImageSize,
    Instances,
    Keypoints,
    Masks,
    PanopticSegmentation,
    RotatedBoxes,
    SemanticMap,
)

__all__ = ["AnyMasks", "Transform"]

AnyMasks = TypeVar("AnyMasks", bound=Masks)


@attrs.frozen
class Transform(ABC):
    """A fixed change from pictures of one size to pictures of another; chance plays no part in it.

    Transforms hold no tensors and compare by value.

    Args:
        source: size of the pictures that it takes.
    """

    source: ImageSize

    @property
    def target(self) -> ImageSize:
        """Size of the pictures that it gives."""
        return self.source

    @abstractmethod
    def inverse(self) -> "Transform":
        """Return the transform that takes coordinates back."""

    def apply_image(self, image: Tensor) -> Tensor:
        """Change a picture.

        Args:
            image: [c, h, w], uint8 or floating point.
        Returns:
            [c, H, W] of the same dtype; may be `image` itself when nothing changes.
        Raises:
            DtypeError: not a tensor.
            ShapeError: the size is not `source`.
        """
        return self._image(check_shape("image", image, "c", *self.source))

    def apply_boxes(self, boxes: Boxes) -> Boxes:
        """Change n boxes given in pixels of the source. Nothing is clipped."""
        return self._boxes(boxes)

    def apply_rotated_boxes(self, boxes: RotatedBoxes) -> RotatedBoxes:
        """Change n rotated boxes given in pixels of the source. Nothing is clipped."""
        return self._rotated_boxes(boxes)

    def apply_masks(self, masks: AnyMasks) -> AnyMasks:
        """Change n masks of any kind; the kind stays.

        Raises:
            ShapeError: the masks' image size is not `source`.
        """
        self._check_size("masks.image_size", masks.image_size)
        return self._masks(masks)

    def apply_keypoints(self, keypoints: Keypoints) -> Keypoints:
        """Change keypoints [n, k, 3]; a mirrored picture exchanges left and right points."""
        return self._keypoints(keypoints)

    def apply_panoptic(self, panoptic: PanopticSegmentation) -> PanopticSegmentation:
        """Change a panoptic map.

        Raises:
            ShapeError: its size is not `source`.
        """
        height, width = panoptic.ids.shape
        self._check_size("panoptic.ids", ImageSize(height, width))
        return self._panoptic(panoptic)

    def apply_semantic(self, semantic: SemanticMap) -> SemanticMap:
        """Change a map of classes.

        Raises:
            ShapeError: its size is not `source`.
        """
        self._check_size("semantic.labels", semantic.image_size)
        return self._semantic(semantic)

    def apply_instances(self, instances: Instances) -> Instances:
        """Change every column of `instances` that lies in the picture.

        Labels, scores, is_crowd and extras that are plain tensors are handed on as they are;
        extras that are structures are changed as the columns of their type are. No row is dropped.

        Raises:
            ShapeError: `instances.image_size` is not `source`.
            DtypeError: an extra is a structure that no transform knows.
        Empty: no row gives no row, in the target's size.
        """
        self._check_size("instances.image_size", instances.image_size)
        columns = {
            name: column if isinstance(column, Tensor) else self._structure(name, column)
            for name, column in instances.columns().items()
        }
        extras = {name: columns.pop(name) for name in instances.extras}
        return instances.with_(image_size=self.target, extras=extras, **columns)

    def _structure(self, name: str, value: object) -> object:
        """Apply to a structure of any known type."""
        if isinstance(value, Boxes):
            return self.apply_boxes(value)
        if isinstance(value, RotatedBoxes):
            return self.apply_rotated_boxes(value)
        if isinstance(value, Keypoints):
            return self.apply_keypoints(value)
        if isinstance(value, Instances):
            return self.apply_instances(value)
        if isinstance(value, Masks):
            return self.apply_masks(value)
        raise DtypeError(
            f"{name}: expected boxes, masks, keypoints or a plain tensor, "
            f"got {type(value).__name__}, which no transform knows how to change"
        )

    def _check_size(self, name: str, size: ImageSize) -> None:
        if size != self.source:
            raise ShapeError(
                f"{name}: expected {self.source.height} x {self.source.width} (height x width, "
                f"the source of {type(self).__name__}), got {size.height} x {size.width}"
            )

    # What a kind of transform overrides. Sizes are checked before; unchanged is the default.

    def _image(self, image: Tensor) -> Tensor:
        return image

    def _boxes(self, boxes: Boxes) -> Boxes:
        return boxes

    def _rotated_boxes(self, boxes: RotatedBoxes) -> RotatedBoxes:
        return boxes

    def _masks(self, masks: AnyMasks) -> AnyMasks:
        return masks

    def _keypoints(self, keypoints: Keypoints) -> Keypoints:
        return keypoints

    def _panoptic(self, panoptic: PanopticSegmentation) -> PanopticSegmentation:
        return panoptic

    def _semantic(self, semantic: SemanticMap) -> SemanticMap:
        return semantic
