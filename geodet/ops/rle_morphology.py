"""Dilation, erosion, boundaries, padding and complement of masks as run lengths.

Batches are as in `geodet.ops.rle`; every result is canonical. Nothing becomes dense: times are
for one mask of s set stretches of columns. A radius counts pixels:

```
square, radius 2     diamond, radius 2     disk, radius 3
    # # # # #              . . # . .          . . . # . . .
    # # # # #              . # # # .          . # # # # # .
    # # o # #              # # o # #          . # # # # # .
    # # # # #              . # # # .          # # # o # # #
    # # # # #              . . # . .          . # # # # # .
                                              . # # # # # .
                                              . . . # . . .
```
"""

# ruff: noqa: PLR0917 - kernels take what their schema lists, by position
import math
from typing import Literal, SupportsIndex, TypeAlias, get_args

from torch import Tensor

from geodet.errors import InvalidValueError
from geodet.ops import _backend
from geodet.ops._library import register
from geodet.ops._rle_batch import (
    MAX_PIXELS,
    FlatRle,
    as_tensors,
    check_batch,
    check_size,
    cpu_only,
    fake_batch,
)
from geodet.ops.rle_pairs import rle_difference

__all__ = [
    "Neighbourhood",
    "boundary_radius",
    "check_morphology",
    "rle_boundary",
    "rle_complement",
    "rle_dilate",
    "rle_erode",
    "rle_pad",
]

Neighbourhood: TypeAlias = Literal["square", "diamond", "disk"]


def rle_dilate(
    counts: Tensor,
    offsets: Tensor,
    size_hw: tuple[int, int],
    radius: int,
    neighbourhood: Neighbourhood = "square",
    *,
    outside: bool = False,
) -> FlatRle:
    """Every mask and the pixels near it; O(s log radius), or O(s radius) if not square.

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, on the CPU as well.
        size_hw: height and width of the masks.
        radius: pixels, 0 or more; 0 changes nothing.
        neighbourhood: which pixels (dx, dy) away are near: "square" has max(|dx|, |dy|) <= radius,
            "diamond" |dx| + |dy| <= radius, "disk" dx^2 + dy^2 <= radius^2. A square is `radius`
            dilations by 3 x 3 pixels, a diamond so many by the cross of 5.
        outside: whether pixels outside of the image count as set.
    Returns:
        counts and offsets of n masks of the same size.
    Raises:
        ShapeError, DtypeError, DeviceError, BackendError: the tensors are not as above.
        InvalidValueError: the batch is not one of masks of this size, or radius or neighbourhood
            are not as above.
    Empty: n = 0 gives a batch of none.
    """
    return _dilate_or_erode(counts, offsets, size_hw, radius, neighbourhood, outside, erode=False)


def rle_erode(
    counts: Tensor,
    offsets: Tensor,
    size_hw: tuple[int, int],
    radius: int,
    neighbourhood: Neighbourhood = "square",
    *,
    outside: bool = False,
) -> FlatRle:
    """The pixels of every mask that are near none outside of it; O(s log radius) or O(s radius).

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, on the CPU as well.
        size_hw: height and width of the masks.
        radius: pixels, 0 or more; 0 changes nothing.
        neighbourhood: which pixels are near, as for `rle_dilate`.
        outside: whether pixels outside of the image count as set; by default they do not, and
            masks shrink at the border of the image too.
    Returns:
        counts and offsets of n masks of the same size.
    Raises:
        ShapeError, DtypeError, DeviceError, BackendError: the tensors are not as above.
        InvalidValueError: the batch is not one of masks of this size, or radius or neighbourhood
            are not as above.
    Empty: n = 0 gives a batch of none.
    """
    return _dilate_or_erode(counts, offsets, size_hw, radius, neighbourhood, outside, erode=True)


def rle_boundary(counts: Tensor, offsets: Tensor, size_hw: tuple[int, int], radius: int) -> FlatRle:
    """The pixels of every mask at most `radius` (in x and in y) from a pixel outside of it.

    What boundary IoU compares: a mask minus `radius` erosions by 3 x 3 pixels, where pixels
    outside of the image are not set. IoU of two boundaries is boundary IoU.

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, on the CPU as well.
        size_hw: height and width of the masks.
        radius: pixels, 0 or more; `boundary_radius` gives the customary one.
    Returns:
        counts and offsets of n masks of the same size.
    Raises:
        ShapeError, DtypeError, DeviceError, BackendError: the tensors are not as above.
        InvalidValueError: the batch is not one of masks of this size, or the radius is negative.
    Empty: n = 0 gives a batch of none.
    Reference: Cheng et al., Boundary IoU, CVPR 2021, section 4.
    """
    inner = rle_erode(counts, offsets, size_hw, radius)
    return rle_difference(counts, offsets, *inner)


def boundary_radius(size_hw: tuple[int, int], *, ratio: float = 0.02) -> int:
    """Radius in pixels of the boundaries that boundary IoU compares in an image of this size.

    Args:
        size_hw: height and width of the image.
        ratio: share of the image's diagonal.
    Returns:
        The share of the diagonal, rounded, and at least 1.
    Reference: Cheng et al., Boundary IoU, CVPR 2021; 2 % is theirs for COCO, 0.5 % for Cityscapes.
    """
    height, width = check_size("size_hw", size_hw)
    return max(1, round(ratio * math.hypot(height, width)))


def rle_complement(counts: Tensor, offsets: Tensor) -> FlatRle:
    """The pixels that every mask does not set; O(runs).

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, on the CPU as well.
    Returns:
        counts and offsets of n masks.
    Raises:
        ShapeError, DtypeError, DeviceError, BackendError: the tensors are not as above.
        InvalidValueError: the batch is not sound; the message names the mask.
    Empty: n = 0 gives a batch of none.
    """
    check_batch(counts, offsets)
    return _complement(counts, offsets)


def rle_pad(
    counts: Tensor,
    offsets: Tensor,
    size_hw: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> FlatRle:
    """Every mask with empty pixels around it; O(s).

    Args:
        counts: [t] int32.
        offsets: [n + 1] int64, on the CPU as well.
        size_hw: height and width of the masks.
        padding: left, top, right, bottom, pixels, 0 or more each.
    Returns:
        counts and offsets of n masks of size (top + height + bottom, left + width + right).
    Raises:
        ShapeError, DtypeError, DeviceError, BackendError: the tensors are not as above.
        InvalidValueError: the batch is not one of masks of this size, a padding is negative, or
            the result has more than 2^31 - 1 pixels.
    Empty: n = 0 gives a batch of none.
    """
    check_batch(counts, offsets)
    height, width = check_size("size_hw", size_hw)
    left, top, right, bottom = (int(pixels) for pixels in padding)
    if min(left, top, right, bottom) < 0:
        raise InvalidValueError(
            f"padding: expected left, top, right, bottom of 0 or more, got {tuple(padding)}; "
            "rle_crop makes masks smaller"
        )
    check_size("size_hw with padding", (top + height + bottom, left + width + right))
    return _pad(counts, offsets, height, width, left, top, right, bottom)


def check_morphology(radius: int, neighbourhood: str) -> int:
    """Return the radius of a dilation or erosion as a plain number.

    Raises:
        InvalidValueError: it is negative, or there is no such neighbourhood.
    """
    if neighbourhood not in get_args(Neighbourhood):
        raise InvalidValueError(
            f"neighbourhood: expected one of {', '.join(get_args(Neighbourhood))}, "
            f"got {neighbourhood!r}"
        )
    if not isinstance(radius, SupportsIndex) or int(radius) < 0:
        raise InvalidValueError(f"radius: expected a whole number of 0 or more, got {radius}")
    return min(int(radius), MAX_PIXELS)  # farther than any two pixels are apart


def _dilate_or_erode(
    counts: Tensor,
    offsets: Tensor,
    size_hw: tuple[int, int],
    radius: int,
    neighbourhood: Neighbourhood,
    outside: bool,
    *,
    erode: bool,
) -> FlatRle:
    check_batch(counts, offsets)
    height, width = check_size("size_hw", size_hw)
    radius = check_morphology(radius, neighbourhood)
    if not outside:
        return _morphology(counts, offsets, height, width, radius, neighbourhood, erode)
    # What grows into a mask from outside is what its complement loses.
    others = _morphology(
        *_complement(counts, offsets), height, width, radius, neighbourhood, not erode
    )
    return _complement(*others)


def _morphology_on_cpu(
    counts: Tensor,
    offsets: Tensor,
    height: int,
    width: int,
    radius: int,
    neighbourhood: str,
    erode: bool,
) -> FlatRle:
    arrays = _backend.array(counts), _backend.array(offsets)
    return as_tensors(
        _backend.cpu.rle_morphology(
            *arrays, height, width, radius, neighbourhood, erode, _backend.threads()
        )
    )


def _morphology_fake(
    counts: Tensor,
    offsets: Tensor,
    height: int,
    width: int,
    radius: int,
    neighbourhood: str,
    erode: bool,
) -> FlatRle:
    del height, width, radius, neighbourhood, erode
    return fake_batch(counts, offsets.shape[0] - 1)


def _complement_on_cpu(counts: Tensor, offsets: Tensor) -> FlatRle:
    return as_tensors(_backend.cpu.rle_complement(_backend.array(counts), _backend.array(offsets)))


def _complement_fake(counts: Tensor, offsets: Tensor) -> FlatRle:
    return fake_batch(counts, offsets.shape[0] - 1)


def _pad_on_cpu(
    counts: Tensor,
    offsets: Tensor,
    height: int,
    width: int,
    left: int,
    top: int,
    right: int,
    bottom: int,
) -> FlatRle:
    arrays = _backend.array(counts), _backend.array(offsets)
    return as_tensors(
        _backend.cpu.rle_pad(*arrays, height, width, left, top, right, bottom, _backend.threads())
    )


def _pad_fake(
    counts: Tensor,
    offsets: Tensor,
    height: int,
    width: int,
    left: int,
    top: int,
    right: int,
    bottom: int,
) -> FlatRle:
    del height, width, left, top, right, bottom
    return fake_batch(counts, offsets.shape[0] - 1)


_morphology = register(
    "rle_morphology(Tensor counts, Tensor offsets, SymInt height, SymInt width, SymInt radius, "
    "str neighbourhood, bool erode) -> (Tensor, Tensor)",
    cpu=_morphology_on_cpu,
    cuda=cpu_only("rle_dilate, rle_erode and rle_boundary"),
    fake=_morphology_fake,
)
_complement = register(
    "rle_complement(Tensor counts, Tensor offsets) -> (Tensor, Tensor)",
    cpu=_complement_on_cpu,
    cuda=cpu_only("rle_complement"),
    fake=_complement_fake,
)
_pad = register(
    "rle_pad(Tensor counts, Tensor offsets, SymInt height, SymInt width, SymInt left, "
    "SymInt top, SymInt right, SymInt bottom) -> (Tensor, Tensor)",
    cpu=_pad_on_cpu,
    cuda=cpu_only("rle_pad"),
    fake=_pad_fake,
)
