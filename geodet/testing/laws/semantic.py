"""Laws of maps of classes, and of the scores that such a map is made from.

Shapes: c classes, h x w pixels.
"""

from typing import Any, Protocol, Self

import torch
from torch import Tensor

from geodet.structures import ImageSize
from geodet.testing.laws._require import require, require_close
from geodet.testing.laws.structures import (
    Comparable,
    assert_structure_laws,
    assert_twice_is_identity,
    assert_unchanged_by,
)


class _Map(Comparable, Protocol):
    """What the laws use of a map of classes."""

    labels: Tensor

    @property
    def image_size(self) -> ImageSize: ...
    def classes(self) -> Tensor: ...
    def crop(self, xyxy: tuple[int, int, int, int]) -> Self: ...
    def pad(self, left: int, top: int, right: int, bottom: int) -> Self: ...
    def flip_horizontally(self) -> Self: ...
    def flip_vertically(self) -> Self: ...
    def resize(self, size: ImageSize) -> Self: ...
    def to_panoptic(self) -> Any: ...
    def to(self, device: Any = None, *, dtype: torch.dtype | None = None) -> Self: ...


class _Scores(Comparable, Protocol):
    """What the laws use of scores of classes."""

    image_size: ImageSize

    def dense(self) -> Tensor: ...
    def resize(self, size: ImageSize) -> Self: ...
    def flip_horizontally(self) -> Self: ...
    def to_semantic_map(self) -> Any: ...
    def to(self, device: Any = None, *, dtype: torch.dtype | None = None) -> Self: ...


def assert_semantic_map_laws(semantic: _Map) -> None:
    """Check that a map of classes moves pixels whole and agrees with its panoptic form.

    Mirrors undo themselves, a crop of padding and a resize to the same size change nothing,
    mirrors and resizing go through the panoptic form, and its segments are the classes.
    """
    assert_structure_laws(semantic)
    assert_twice_is_identity(semantic, lambda s: s.flip_horizontally())
    assert_twice_is_identity(semantic, lambda s: s.flip_vertically())
    assert_unchanged_by(semantic, lambda s: s.to_panoptic())
    height, width = semantic.image_size
    require(semantic.resize(semantic.image_size).equal(semantic), "resize to its own size")
    padded = semantic.pad(2, 1, 0, 3)
    require(padded.image_size == ImageSize(height + 4, width + 2), f"padded: {padded.image_size}")
    require(padded.crop((2, 1, 2 + width, 1 + height)).equal(semantic), "a crop of padding differs")
    panoptic = semantic.to_panoptic()
    require(
        [segment.label for segment in panoptic.segments] == semantic.classes().tolist(),
        f"segments {panoptic.segments} are not the classes {semantic.classes().tolist()}",
    )
    twice = ImageSize(2 * height, 2 * width)
    for name, own, other in (
        ("the panoptic form", semantic, panoptic),
        ("its mirror", semantic.flip_horizontally(), panoptic.flip_horizontally()),
        ("twice the size", semantic.resize(twice), panoptic.resize(twice)),
    ):
        same = torch.equal(own.labels, other.to_semantic(unlabelled=-1))
        require(same, f"{name} has other classes")


def assert_semantic_score_laws(scores: _Scores, *, atol: float = 1e-3) -> None:
    """Check that scores answer for any size, and that the map is that of the highest score.

    Args:
        scores: of c classes.
        atol: tolerance of resampled scores, in their own unit.
    """
    assert_structure_laws(scores)
    dense = scores.dense()
    require(
        tuple(dense.shape[1:]) == scores.image_size.as_tuple(),
        f"dense scores of {list(dense.shape)} for an image of {scores.image_size}",
    )
    require(
        torch.equal(scores.to_semantic_map().labels, dense.argmax(0)),
        "the map is not that of the highest dense score",
    )
    larger = ImageSize(scores.image_size.height + 3, scores.image_size.width * 2)
    require(scores.resize(larger).image_size == larger, "resize notes another size")
    back = scores.resize(larger).resize(scores.image_size)
    require(back.equal(scores), "resizing there and back loses something")
    require_close(
        "mirrored scores", scores.flip_horizontally().dense(), dense.flip(2), rtol=0, atol=atol
    )
