"""Laws of masks: every measure and operation is that of the pixels.

Shapes: n and m masks of one image. The laws compare with plain torch on the dense pixels that
`to_bit_masks().data` gives.
"""

from typing import Any, Protocol, Self

import torch
from torch import Tensor

from geodet.structures import Boxes, ImageSize
from geodet.testing.laws._require import require, require_close
from geodet.testing.laws.structures import Comparable, assert_twice_is_identity, assert_unchanged_by


class _Masks(Comparable, Protocol):
    """What the laws use of masks."""

    @property
    def image_size(self) -> ImageSize: ...
    def __len__(self) -> int: ...
    def to_bit_masks(self) -> Any: ...
    def to_rle_masks(self) -> Any: ...
    def area(self) -> Tensor: ...
    def boxes(self) -> Boxes: ...
    def flip_horizontally(self) -> Self: ...
    def flip_vertically(self) -> Self: ...


class _PixelMasks(_Masks, Protocol):
    """What the laws use of masks that are made of whole pixels."""

    def pairwise_iou(self, other: Self) -> Tensor: ...
    def union(self, other: Self) -> Self: ...
    def intersection(self, other: Self) -> Self: ...
    def difference(self, other: Self) -> Self: ...


def assert_mask_laws(masks: _Masks) -> None:
    """Check what holds for masks of every kind.

    Both conversions give the same pixels, bits and run lengths convert into each other without
    loss, mirrors undo themselves, and no method changes its receiver.

    Args:
        masks: n of them; outlines may carry rounding of double precision through two mirrors.
    """
    pixels = masks.to_bit_masks()
    require(
        tuple(pixels.data.shape) == (len(masks), *masks.image_size),
        f"{len(masks)} masks of {masks.image_size} became {list(pixels.data.shape)}",
    )
    runs = masks.to_rle_masks()
    require(
        torch.equal(runs.to_bit_masks().data.cpu(), pixels.data.cpu()),
        "run lengths and bits have different pixels",
    )
    require(pixels.to_rle_masks().equal(runs), "encoding the bits gives other runs")
    for flip in (lambda m: m.flip_horizontally(), lambda m: m.flip_vertically()):
        assert_unchanged_by(masks, flip)
        assert_twice_is_identity(masks, flip, atol=1e-9)
    assert_unchanged_by(masks, lambda m: (m.to_bit_masks(), m.to_rle_masks(), m.area(), m.boxes()))


def assert_pixel_mask_laws(masks: _Masks) -> None:
    """Check that masks made of pixels measure and mirror as their pixels do.

    Args:
        masks: n masks whose area is a count of pixels and whose boxes are those of the pixels.
    """
    pixels = masks.to_bit_masks().data
    require_close("area", masks.area(), pixels.flatten(1).sum(1), rtol=0, atol=0)
    require_close("boxes", masks.boxes().xyxy, _tight_boxes(pixels), rtol=0, atol=0)
    for name, flipped, axis in (
        ("flip_horizontally", masks.flip_horizontally(), 2),
        ("flip_vertically", masks.flip_vertically(), 1),
    ):
        mirrored = flipped.to_bit_masks().data
        require(torch.equal(mirrored, pixels.flip(axis)), f"{name} moves pixels elsewhere")


def assert_mask_iou_is_that_of_pixels(
    a: _PixelMasks, b: _PixelMasks, *, atol: float = 1e-12
) -> None:
    """Check pairwise IoU against counting the shared pixels of every pair.

    Args:
        a: n masks.
        b: m masks of the same image.
        atol: tolerance; counts are exact, so only the division rounds.
    """
    first = a.to_bit_masks().data.flatten(1).double()
    second = b.to_bit_masks().data.flatten(1).double()
    shared = first @ second.T
    union = first.sum(1)[:, None] + second.sum(1)[None, :] - shared
    expected = torch.where(union > 0, shared / union.clamp(min=1), 0.0)
    require_close("IoU of masks", a.pairwise_iou(b), expected, rtol=0, atol=atol)


def assert_mask_set_laws(a: _PixelMasks, b: _PixelMasks, everything: _PixelMasks) -> None:
    """Check that union, intersection and difference are those of sets of pixels.

    Against dense pixels; De Morgan's laws; and areas that add up: |a| + |b| = |a or b| + |a and b|.

    Args:
        a: n masks.
        b: n masks of the same image.
        everything: n masks with every pixel set.
    """
    first, second = a.to_bit_masks().data, b.to_bit_masks().data
    either, both, without = a.union(b), a.intersection(b), a.difference(b)
    for name, found, expected in (
        ("union", either, first | second),
        ("intersection", both, first & second),
        ("difference", without, first & ~second),
    ):
        require(torch.equal(found.to_bit_masks().data, expected), f"{name}: other pixels")
    neither = everything.difference(either)
    not_a, not_b = everything.difference(a), everything.difference(b)
    require(neither.equal(not_a.intersection(not_b)), "De Morgan: not (a or b)")
    require(everything.difference(both).equal(not_a.union(not_b)), "De Morgan: not (a and b)")
    require_close(
        "areas of a and b", either.area() + both.area(), a.area() + b.area(), rtol=0, atol=0
    )
    require(a.union(a).equal(a.intersection(a)), "a or a differs from a and a")
    require(without.union(both).equal(a.union(a)), "a without b, or a and b, is not a")


def _tight_boxes(pixels: Tensor) -> Tensor:
    """[n, 4] by looking for the pixels one mask at a time."""
    rows = []
    for mask in pixels.cpu():
        found = mask.nonzero()
        if len(found) == 0:
            rows.append([0, 0, 0, 0])
            continue
        (top, left), (bottom, right) = found.amin(0).tolist(), found.amax(0).tolist()
        rows.append([left, top, right + 1, bottom + 1])
    return torch.tensor(rows, dtype=torch.float32).view(-1, 4)
