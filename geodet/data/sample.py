"""One image with its truth, and a batch of them, as they travel from a source to a model.

Shapes: c channels, h and w the size of one image in pixels.
"""

from collections.abc import Sequence
from typing import Protocol, TypeAlias, TypeVar

import attrs
import torch
from torch import Tensor

from geodet._check import check_dtype, check_shape
from geodet.errors import DataError, InvalidValueError, ShapeError
from geodet.structures import (
    ImageSize,
    Instances,
    PanopticSegmentation,
    SceneTarget,
    SemanticMap,
)

__all__ = ["Batch", "Sample", "Target", "TargetMaker"]

Target: TypeAlias = Instances | SemanticMap | SceneTarget | PanopticSegmentation

_Movable = TypeVar(
    "_Movable", Tensor, Instances, Target, PanopticSegmentation | None, SemanticMap | None
)


@attrs.frozen(eq=False, kw_only=True)
class Sample:
    """One image and what is known about it.

    Args:
        image: uint8 [c, h, w], RGB when c is 3.
        instances: the objects, in pixels of the size they name: that of `image` for training,
            or `original_size` for evaluation, where predictions are scaled back to it.
        image_id: the id that the data set has for the image.
        source: the file the image came from, or the name of what generated it.
        original_size: size of the image as the data set states it, before any transform.
        panoptic: panoptic truth in pixels of one of the two sizes, where the data set has it.
        semantic: the class of each pixel, likewise, where the data set has it of its own.
        num_dropped: objects that a mapping left out because nothing of their box remained.
    Raises:
        DtypeError, ShapeError: `image` is not a uint8 [c, h, w] tensor, or the size of the
            instances or of another truth is neither the image's nor the original one.
    """

    image: Tensor
    instances: Instances
    image_id: int | str
    source: str
    original_size: ImageSize
    panoptic: PanopticSegmentation | None = None
    semantic: SemanticMap | None = None
    num_dropped: int = 0

    def __attrs_post_init__(self) -> None:
        check_shape("image", self.image, "c", "h", "w")
        check_dtype("image", self.image, torch.uint8)
        self._check_size("instances.image_size", self.instances.image_size)
        if self.panoptic is not None:
            self._check_size("panoptic.ids", self.panoptic.image_size)
        if self.semantic is not None:
            self._check_size("semantic.labels", self.semantic.image_size)

    @property
    def image_size(self) -> ImageSize:
        """Size of `image` as it is now, in pixels."""
        return ImageSize(height=int(self.image.shape[-2]), width=int(self.image.shape[-1]))

    def _check_size(self, name: str, size: ImageSize) -> None:
        if size not in (self.image_size, self.original_size):
            raise ShapeError(
                f"{name}: expected {self.image_size} (the size of image {self.image_id!r}, "
                f"{self.source}) or {self.original_size} (its original size), got {size}"
            )


class TargetMaker(Protocol):
    """Picks what a model trains on out of a sample; picklable, a function of the sample alone."""

    def __call__(self, sample: Sample) -> Target:
        """Return the target of one image, in pixels of the size the truth has."""
        ...


@attrs.frozen(eq=False, kw_only=True)
class Batch:
    """Images of any sizes with their truth; row `i` of every field belongs to image `i`.

    Args:
        images: uint8 tensors [c, h, w], one size each; padding is left to the model.
        instances: the objects of each image, in pixels of the size they name (see `Sample`).
        targets: what the model trains on, of each image: the objects, or what a `TargetMaker`
            made of the sample.
        image_ids: the id that the data set has for each image.
        original_sizes: sizes before any transform.
        panoptic: panoptic truth of each image, where there is one.
        semantic: the class of each pixel of each image, where it was given of its own.
        sources: the file (or generator) of each image, for messages.
        num_dropped: objects that a mapping left out of each image.
    Raises:
        InvalidValueError: the fields differ in length.
    Empty: a batch of no image has length 0.
    """

    images: list[Tensor]
    instances: list[Instances]
    targets: list[Target]
    image_ids: list[int | str]
    original_sizes: list[ImageSize]
    panoptic: list[PanopticSegmentation | None]
    semantic: list[SemanticMap | None]
    sources: list[str]
    num_dropped: list[int]

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(Batch)[1:]:
            rows = len(getattr(self, field.name))
            if rows != len(self.images):
                raise InvalidValueError(
                    f"{field.name}: expected {len(self.images)} entries (one per image), got {rows}"
                )

    @classmethod
    def from_samples(
        cls, samples: Sequence[Sample], *, target: TargetMaker | None = None
    ) -> "Batch":
        """Put samples side by side, in their order.

        Args:
            samples: one per image.
            target: picks what the model trains on; None takes the objects.
        Raises:
            DataError: the images differ in their number of channels; two are named.
        Empty: no samples give a batch of length 0.
        """
        for sample in samples:
            if sample.image.shape[0] != samples[0].image.shape[0]:
                raise DataError(
                    f"image {sample.image_id!r} ({sample.source}) has {sample.image.shape[0]} "
                    f"channels, image {samples[0].image_id!r} ({samples[0].source}) has "
                    f"{samples[0].image.shape[0]}: a batch needs equal channel counts"
                )
        return cls(
            images=[sample.image for sample in samples],
            instances=[sample.instances for sample in samples],
            targets=[sample.instances if target is None else target(sample) for sample in samples],
            image_ids=[sample.image_id for sample in samples],
            original_sizes=[sample.original_size for sample in samples],
            panoptic=[sample.panoptic for sample in samples],
            semantic=[sample.semantic for sample in samples],
            sources=[sample.source for sample in samples],
            num_dropped=[sample.num_dropped for sample in samples],
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "Batch":
        """Return the batch with images and all truth on `device`.

        Args:
            device: where to.
            non_blocking: do not wait for the copies; with batches from pinned memory they
                overlap work on the device.
        """

        def moved(value: _Movable) -> _Movable:
            return value if value is None else value.to(device, non_blocking=non_blocking)

        instances = [moved(one) for one in self.instances]
        # Targets are the instances themselves where nothing else was asked for: one copy for both.
        copies = {id(old): new for old, new in zip(self.instances, instances, strict=True)}
        return attrs.evolve(
            self,
            images=[moved(image) for image in self.images],
            instances=instances,
            targets=[copies[id(one)] if id(one) in copies else moved(one) for one in self.targets],
            panoptic=[moved(one) for one in self.panoptic],
            semantic=[moved(one) for one in self.semantic],
        )
