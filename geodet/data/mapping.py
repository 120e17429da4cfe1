"""From a sample of a source to what a model is given: chance follows (seed, epoch, index) alone."""

from typing import Protocol

import attrs
import numpy as np
import torch

from geodet.data.sample import Sample
from geodet.data.sources.source import Source
from geodet.errors import InvalidValueError
from geodet.structures import Boxes, Instances
from geodet.transforms import TransformChoice

__all__ = ["EvalMapper", "Mapper", "TrainMapper", "sample_generator"]


def sample_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Return the random generator of one sample in one epoch.

    Args:
        seed: of the run.
        epoch: counted from 0.
        index: of the sample in its source.
    Raises:
        InvalidValueError: one of them is negative.
    """
    if min(seed, epoch, index) < 0:
        raise InvalidValueError(
            f"seed, epoch, index: expected numbers of at least 0, got {seed}, {epoch}, {index}"
        )
    # A seed sequence, not a sum: seed 1 in epoch 2 has nothing to do with seed 2 in epoch 1.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch, index])))


class Mapper(Protocol):
    """Makes the sample of an epoch; picklable, and a function of its arguments alone."""

    @property
    def source(self) -> Source:
        """Where the samples come from."""
        ...

    def __call__(self, epoch: int, index: int) -> Sample:
        """Read and change the sample at `index`."""
        ...


@attrs.frozen(eq=False, kw_only=True)
class TrainMapper:
    """Samples for training: a transform drawn for each, crowd regions left out.

    Boxes are clipped to the image. Objects whose box keeps no width or height of more than
    `min_side_px` are left out and counted in `Sample.num_dropped`. Extras travel along as they
    are: an "area" stays that of the original image. The `is_crowd` column goes, as no crowd does.

    Args:
        source: where the samples come from.
        choices: draws the transform for each sample.
        seed: of the run, at least 0.
        min_side_px: sides of boxes in pixels of the changed image must be longer than this.
    """

    source: Source
    choices: TransformChoice
    seed: int
    min_side_px: float = 0.0

    def __call__(self, epoch: int, index: int) -> Sample:
        """Read the sample at `index` and change it as (seed, epoch, index) says.

        Raises:
            DataError: the source cannot read it.
        Empty: an image without objects keeps its columns, with 0 rows.
        """
        sample = self.source[index]
        transform = self.choices.choose(
            sample.image_size, sample_generator(self.seed, epoch, index)
        )
        instances = sample.instances
        if instances.is_crowd is not None:
            instances = instances[~instances.is_crowd].with_(is_crowd=None)
        instances = transform.apply_instances(instances)
        kept = _visible(instances, self.min_side_px)
        panoptic, semantic = sample.panoptic, sample.semantic
        return attrs.evolve(
            sample,
            image=transform.apply_image(sample.image),
            instances=kept,
            panoptic=None if panoptic is None else transform.apply_panoptic(panoptic),
            semantic=None if semantic is None else transform.apply_semantic(semantic),
            num_dropped=sample.num_dropped + len(instances) - len(kept),
        )


@attrs.frozen(eq=False, kw_only=True)
class EvalMapper:
    """Samples for evaluation: the image is resized, the truth stays as it is, crowds included.

    The instances keep the original image size, so that predictions scaled back to that size can
    be compared with them.

    Args:
        source: where the samples come from.
        choices: gives the transform; one that leaves nothing to chance, such as a resize.
    """

    source: Source
    choices: TransformChoice

    def __call__(self, epoch: int, index: int) -> Sample:
        """Read the sample at `index`; every epoch gives the same.

        Raises:
            DataError: the source cannot read it.
        """
        del epoch
        sample = self.source[index]
        transform = self.choices.choose(sample.image_size, sample_generator(0, 0, index))
        return attrs.evolve(
            sample, image=transform.apply_image(sample.image), original_size=sample.image_size
        )


def _visible(instances: Instances, min_side_px: float) -> Instances:
    boxes = instances.boxes
    if boxes is None:
        return instances
    if not isinstance(boxes, Boxes):
        # Rotated boxes are not clipped: what lies in the image is no rotated box any more.
        size = instances.image_size
        centers = boxes.cxcywha[:, :2]
        limits = torch.tensor([size.width, size.height]).to(centers)
        return instances[((centers >= 0) & (centers < limits)).all(dim=1)]
    clipped = boxes.clip_to(instances.image_size)
    return instances.with_(boxes=clipped)[clipped.nonempty(min_side_px)]
