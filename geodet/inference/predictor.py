"""A trained detector as a function from pictures to instances."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from geodet import _check
from geodet.data.decode import read_image
from geodet.errors import DtypeError, InvalidValueError
from geodet.models.detectors import rescale_instances
from geodet.structures import ImageSize, Instances
from geodet.transforms import ResizeShortestEdge

__all__ = ["Predictor"]

Picture = Tensor | str | Path


class Predictor:
    """Resizes pictures as in training, runs the detector, and maps results back.

    Every module of the model is in evaluation mode during a call and as before after it; no
    gradients are recorded.

    Args:
        model: a detector: images in, one `Instances` per image out. It is moved to `device`.
        class_names: name of each label, for whoever draws or prints the results.
        short_edge: the shorter side is resized to this, pixels.
        max_long_edge: the longer side is at most this, pixels; None for no limit.
        batch_size: pictures that go through the model together.
        device: where the model runs; results come back to the CPU.
    Raises:
        InvalidValueError: a size is not positive.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        class_names: Sequence[str],
        short_edge: int,
        max_long_edge: int | None,
        batch_size: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        if batch_size < 1:
            raise InvalidValueError(f"batch_size: expected at least 1, got {batch_size}")
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.class_names = tuple(class_names)
        self.batch_size = batch_size
        self._choice = ResizeShortestEdge((short_edge,), max_long_edge)

    def __call__(self, pictures: Sequence[Picture]) -> list[Instances]:
        """Detect what is in the pictures.

        Args:
            pictures: uint8 [3, h, w] RGB tensors of any sizes, or paths.
        Returns:
            One `Instances` per picture, on the CPU, in pixels of the picture as given.
        Raises:
            DtypeError, ShapeError: a tensor is not uint8 [3, h, w].
            ImageDecodeError: a file cannot be read as an image.
        Empty: no pictures give an empty list.
        """
        if isinstance(pictures, Tensor | str | Path):
            raise DtypeError(
                f"pictures: expected a list, got one {type(pictures).__name__}; write"
                " predictor([picture])[0]"
            )
        return list(self.stream(pictures))

    def stream(self, pictures: Iterable[Picture]) -> Iterator[Instances]:
        """Like a call, but lazy: one batch of pictures is in memory at a time."""
        source = enumerate(pictures)
        while batch := list(itertools.islice(source, self.batch_size)):
            yield from self._predict([self._picture(index, item) for index, item in batch])

    def _picture(self, index: int, picture: Picture) -> Tensor:
        name = f"pictures[{index}]"
        if isinstance(picture, str | Path):
            return read_image(Path(picture))
        image = _check.check_shape(name, picture, 3, "h", "w")
        return _check.check_dtype(name, image, torch.uint8)

    def _predict(self, images: list[Tensor]) -> list[Instances]:
        sizes = [ImageSize(*image.shape[1:]) for image in images]
        inputs = [self._resized(image, size) for image, size in zip(images, sizes, strict=True)]
        with torch.inference_mode(), _evaluating(self.model):
            found: list[Instances] = self.model(inputs)
        return [
            rescale_instances(instances.to("cpu"), size)
            for instances, size in zip(found, sizes, strict=True)
        ]

    def _resized(self, image: Tensor, size: ImageSize) -> Tensor:
        # One edge length leaves nothing to chance; the generator only completes the signature.
        transform = self._choice.choose(size, np.random.default_rng(0))
        return transform.apply_image(image.cpu()).to(self.device)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module in evaluation mode, and each back into its own mode afterwards."""
    # Per module: train() on the whole model would wake up layers that were frozen on purpose.
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
