"""Random choice of a transform, kept apart from its application.

A choice looks at the size of a picture and at a random generator, never at the picture. What comes
out is an ordinary transform, which can be stored, compared, applied again and inverted.
"""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import attrs
import numpy as np

from geodet.errors import DtypeError, InvalidValueError
from geodet.structures import ImageSize
from geodet.transforms.geometric import Compose, HorizontalFlip, Identity, Resize, VerticalFlip
from geodet.transforms.photometric import Brightness, Contrast, Saturation
from geodet.transforms.transform import Transform

__all__ = [
    "FixedResize",
    "RandomBrightness",
    "RandomContrast",
    "RandomHorizontalFlip",
    "RandomSaturation",
    "RandomVerticalFlip",
    "ResizeShortestEdge",
    "Sequence_",
    "TransformChoice",
    "shortest_edge_size",
]


@runtime_checkable
class TransformChoice(Protocol):
    """Something that chooses a transform for a picture."""

    def choose(self, size: ImageSize, rng: np.random.Generator) -> Transform:
        """Choose.

        Args:
            size: size of the picture.
            rng: the only source of chance; the same state gives the same transform.
        Returns:
            A transform whose source is `size`.
        """
        ...


def shortest_edge_size(size: ImageSize, short_edge: int, max_long_edge: int | None) -> ImageSize:
    """Size at which the shorter side is `short_edge`, or less so that the longer one fits.

    Args:
        size: size of the picture in pixels.
        short_edge: wanted length of the shorter side in pixels.
        max_long_edge: most pixels of the longer side; None sets no limit.
    Returns:
        The size in the proportions of `size`, each side rounded half up, at least 1 pixel.
    Reference: the rounding is Detectron2's (ResizeShortestEdge), on which its published results
        depend.
    """
    # Kept in this order of operations: another one rounds some sizes to a neighbouring pixel.
    factor = short_edge / min(size.height, size.width)
    if size.height < size.width:
        height, width = float(short_edge), factor * size.width
    else:
        height, width = factor * size.height, float(short_edge)
    longer = max(height, width)
    if max_long_edge is not None and longer > max_long_edge:
        height, width = height * (max_long_edge / longer), width * (max_long_edge / longer)
    return ImageSize(max(1, int(height + 0.5)), max(1, int(width + 0.5)))


def _to_edges(short_edges: object) -> tuple[int, ...]:
    if isinstance(short_edges, int):
        raise DtypeError(
            f"short_edges: expected a tuple, got {short_edges}; write ({short_edges},)"
        )
    return tuple(short_edges)  # type: ignore[arg-type]


@attrs.frozen
class ResizeShortestEdge:
    """Choose one of several lengths for the shorter side, and resize in proportion.

    Args:
        short_edges: lengths in pixels, equally likely; a single one leaves nothing to chance.
        max_long_edge: most pixels of the longer side, which wins; None sets no limit.
    Raises:
        InvalidValueError: there is no length, or a number is smaller than 1.
    """

    short_edges: tuple[int, ...] = attrs.field(converter=_to_edges)
    max_long_edge: int | None = None

    def __attrs_post_init__(self) -> None:
        if not self.short_edges:
            raise InvalidValueError("short_edges: expected at least one length, got none")
        for edge in (*self.short_edges, 1 if self.max_long_edge is None else self.max_long_edge):
            if edge < 1:
                raise InvalidValueError(f"edges: expected at least 1 pixel, got {edge}")

    def choose(self, size: ImageSize, rng: np.random.Generator) -> Resize:
        """Choose a length; draws one number."""
        short_edge = self.short_edges[int(rng.integers(len(self.short_edges)))]
        return Resize(size, shortest_edge_size(size, short_edge, self.max_long_edge))


@attrs.frozen
class FixedResize:
    """Resize every picture to one size, whatever its proportions.

    Args:
        size: the size in pixels.
    """

    size: ImageSize

    def choose(self, size: ImageSize, rng: np.random.Generator) -> Resize:
        """Return the resize; draws nothing."""
        return Resize(size, self.size)


def _check_probability(instance: object, attribute: object, value: float) -> None:
    if not 0 <= value <= 1:
        raise InvalidValueError(f"probability: expected 0 to 1, got {value}")


@attrs.frozen
class RandomHorizontalFlip:
    """Mirror left and right now and then.

    Args:
        probability: of flipping, 0 to 1.
    """

    probability: float = attrs.field(default=0.5, validator=_check_probability)

    def choose(self, size: ImageSize, rng: np.random.Generator) -> Transform:
        """Choose flip or identity; draws one number."""
        return HorizontalFlip(size) if rng.random() < self.probability else Identity(size)


@attrs.frozen
class RandomVerticalFlip:
    """Mirror top and bottom now and then.

    Args:
        probability: of flipping, 0 to 1.
    """

    probability: float = attrs.field(default=0.5, validator=_check_probability)

    def choose(self, size: ImageSize, rng: np.random.Generator) -> Transform:
        """Choose flip or identity; draws one number."""
        return VerticalFlip(size) if rng.random() < self.probability else Identity(size)


@attrs.frozen
class _RandomFactor:
    """A factor between two limits, all values equally likely.

    Args:
        low: smallest factor, 0 or more.
        high: largest factor, `low` or more.
    Raises:
        InvalidValueError: the limits are negative, out of order or not finite.
    """

    low: float
    high: float

    def __attrs_post_init__(self) -> None:
        if not (0 <= self.low <= self.high and math.isfinite(self.high)):
            raise InvalidValueError(
                f"factors: expected 0 <= low <= high, got low {self.low}, high {self.high}"
            )

    def _draw(
        self,
        make: Callable[[ImageSize, float], Transform],
        size: ImageSize,
        rng: np.random.Generator,
    ) -> Transform:
        return make(size, self.low + (self.high - self.low) * float(rng.random()))


@attrs.frozen
class RandomBrightness(_RandomFactor):
    """Change the brightness by a random factor."""

    def choose(self, size: ImageSize, rng: np.random.Generator) -> Transform:
        """Choose a factor; draws one number."""
        return self._draw(Brightness, size, rng)


@attrs.frozen
class RandomContrast(_RandomFactor):
    """Change the contrast by a random factor."""

    def choose(self, size: ImageSize, rng: np.random.Generator) -> Transform:
        """Choose a factor; draws one number."""
        return self._draw(Contrast, size, rng)


@attrs.frozen
class RandomSaturation(_RandomFactor):
    """Change the saturation by a random factor."""

    def choose(self, size: ImageSize, rng: np.random.Generator) -> Transform:
        """Choose a factor; draws one number."""
        return self._draw(Saturation, size, rng)


@attrs.frozen
class Sequence_:  # noqa: N801 - `Sequence` alone would be taken for the one of collections.abc
    """Several choices, each made for the size that the one before it gives.

    Args:
        choices: made in this order, from the same generator.
    Empty: without any choice the identity is chosen.
    """

    choices: tuple[TransformChoice, ...] = attrs.field(converter=tuple)

    def choose(self, size: ImageSize, rng: np.random.Generator) -> Transform:
        """Choose one transform after another and put them together."""
        chosen: list[Transform] = []
        for choice in self.choices:
            chosen.append(choice.choose(chosen[-1].target if chosen else size, rng))
        return Compose(tuple(chosen)) if chosen else Identity(size)
