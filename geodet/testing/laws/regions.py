"""Laws of regions: boxes of any kind, and the overlaps of such.

Shapes: n and m regions. A law of a function takes the function, so that it holds yours to the
same standard; a law of a structure calls the methods of the `Region` protocol.
"""

from collections.abc import Callable
from typing import Any, Protocol, Self, TypeVar

from torch import Tensor

from geodet.structures import Boxes, ImageSize
from geodet.testing.laws._require import require, require_close
from geodet.testing.laws.structures import Comparable, assert_twice_is_identity, assert_unchanged_by

R = TypeVar("R")


class _Region(Comparable, Protocol):
    """What `assert_region_laws` uses of a region structure."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any) -> Self: ...
    def area(self) -> Tensor: ...
    def centers(self) -> Tensor: ...
    def hull(self) -> Boxes: ...
    def nonempty(self) -> Tensor: ...
    def scale(self, x: float, y: float) -> Self: ...
    def translate(self, dx: float, dy: float) -> Self: ...
    def flip_horizontally(self, size: ImageSize) -> Self: ...
    def flip_vertically(self, size: ImageSize) -> Self: ...


def assert_iou_laws(
    pairwise_iou: Callable[[R, R], Tensor], a: R, b: R, *, areas: Tensor, atol: float = 1e-6
) -> None:
    """Check that an IoU lies in [0, 1], is symmetric, and is 1 for a region with itself.

    Args:
        pairwise_iou: takes n and m regions, gives [n, m].
        a: n regions.
        b: m regions.
        areas: [n] of the regions `a`; those of area 0 must have IoU 0 with everything.
        atol: tolerance of symmetry and of the 1; the bounds 0 and 1 have none.
    """
    there, back = pairwise_iou(a, b), pairwise_iou(b, a)
    require(there.ndim == 2 and len(there) == len(areas), f"IoU has shape {list(there.shape)}")
    require(bool(there.isfinite().all()), f"IoU is not finite: {there.tolist()}")
    require(
        bool(((there >= 0) & (there <= 1)).all()), f"IoU outside [0, 1]: {there.flatten().tolist()}"
    )
    require_close("IoU of (b, a)", back, there.T, rtol=0, atol=atol)
    own = pairwise_iou(a, a).diagonal()
    require_close("IoU of regions with themselves", own, (areas > 0).to(own), rtol=0, atol=atol)
    require(bool((there[areas == 0] == 0).all()), "a region without area overlaps something")


def assert_iou_is_unchanged_by(
    pairwise_iou: Callable[[R, R], Tensor],
    step: Callable[[R], R],
    a: R,
    b: R,
    *,
    atol: float = 1e-6,
) -> None:
    """Check that moving both sides alike (translate, rotate, mirror, scale) keeps their IoU.

    Args:
        pairwise_iou: takes n and m regions, gives [n, m].
        step: moves regions; rigid, or scaling both axes equally.
        a: n regions.
        b: m regions.
        atol: tolerance; what `step` itself rounds off comes on top of what the IoU does.
    """
    before, after = pairwise_iou(a, b), pairwise_iou(step(a), step(b))
    require_close("IoU after the step", after, before, rtol=0, atol=atol)


def assert_matched_is_diagonal(
    matched: Callable[[R, R], Tensor],
    pairwise: Callable[[R, R], Tensor],
    a: R,
    b: R,
    *,
    atol: float = 1e-6,
) -> None:
    """Check that a row-by-row measure equals the diagonal of the pairwise one.

    Args:
        matched: takes n and n regions, gives [n].
        pairwise: takes n and m regions, gives [n, m].
        a: n regions.
        b: n regions.
        atol: tolerance.
    """
    require_close(
        "matched against pairwise", matched(a, b), pairwise(a, b).diagonal(), rtol=0, atol=atol
    )


def assert_area_scales(
    areas: Callable[[R], Tensor],
    step: Callable[[R], R],
    regions: R,
    *,
    factor: float = 1.0,
    rtol: float = 1e-5,
    atol: float = 1e-6,
) -> None:
    """Check that a step multiplies every area by `factor`; a rigid motion has factor 1.

    Args:
        areas: takes n regions, gives [n].
        step: moves regions.
        regions: n of them.
        factor: the area of the image of a unit square.
        rtol: relative tolerance.
        atol: absolute tolerance, square pixels.
    """
    expected = areas(regions) * factor
    require_close("area after the step", areas(step(regions)), expected, rtol=rtol, atol=atol)


def assert_clipping_laws(
    clip: Callable[[R], R],
    inside: Callable[[R], Tensor],
    same: Callable[[R, R], Tensor],
    regions: R,
) -> None:
    """Check that what is clipped lies inside, is not cut again, and was left alone if inside.

    Args:
        clip: takes n regions, gives n.
        inside: takes n regions, gives [n] bool.
        same: takes n and n regions, gives [n] bool: are they equal?
        regions: n of them, some reaching outside.
    """
    once = clip(regions)
    require(bool(inside(once).all()), f"clipped but not inside: {once}")
    require(bool(same(clip(once), once).all()), f"clipping twice differs from once: {once}")
    kept = inside(regions)
    require(bool(same(once, regions)[kept].all()), f"clipping changed what was inside: {regions}")


def assert_region_laws(regions: _Region, size: ImageSize, *, atol: float = 1e-3) -> None:
    """Check what the methods of a region structure promise each other.

    Mirrors undo themselves and keep areas; moving moves centres and keeps areas; scaling both axes
    by k multiplies areas by k * k; the hull contains the centre, is at least as large, and mirrors
    and moves with its region; and no method changes its receiver.

    Args:
        regions: n of them, finite, coordinates below about 1000 pixels in single precision.
        size: image size for the mirrors.
        atol: tolerance in pixels or square pixels; mirrors must undo themselves exactly where the
            coordinates are multiples of 1/8, as those of `geodet.testing` are.
    """
    for flip in (
        lambda r: r.flip_horizontally(size),
        lambda r: r.flip_vertically(size),
    ):
        _assert_mirror_laws(regions, flip, atol)
    moved = regions.translate(3.0, -2.0)
    expected = regions.centers() + regions.centers().new_tensor([3.0, -2.0])
    require_close("centres of moved regions", moved.centers(), expected, rtol=0, atol=atol)
    require_close("area of moved regions", moved.area(), regions.area(), rtol=1e-5, atol=atol)
    require(moved.translate(-3.0, 2.0).allclose(regions, rtol=0, atol=atol), "moved back differs")
    assert_area_scales(lambda r: r.area(), lambda r: r.scale(2.0, 2.0), regions, factor=4.0)
    require(bool((regions.nonempty() == (regions.area() > 0)).all()), "nonempty is not area > 0")
    for method in (
        lambda r: r.translate(1.0, 1.0),
        lambda r: r.scale(2.0, 0.5),
        lambda r: (r.area(), r.centers(), r.hull(), r.nonempty()),
    ):
        assert_unchanged_by(regions, method)
    hull, centers = Boxes(regions.hull().xyxy), regions.centers()
    low, high = hull.xyxy[:, :2] - atol, hull.xyxy[:, 2:] + atol
    require(bool(((centers >= low) & (centers <= high)).all()), "a centre outside its hull")
    require(bool((hull.area() >= regions.area() - atol).all()), "a hull smaller than its region")
    require(
        moved.hull().allclose(hull.translate(3.0, -2.0), rtol=0, atol=atol), "hulls do not move"
    )


def _assert_mirror_laws(regions: _Region, flip: Callable[[Any], Any], atol: float) -> None:
    assert_unchanged_by(regions, flip)
    assert_twice_is_identity(regions, flip)
    mirrored = flip(regions)
    require_close("area of mirrored regions", mirrored.area(), regions.area(), rtol=0, atol=atol)
    # Plain boxes, so that a wrong mirror of the type under test cannot vouch for itself.
    hulls = flip(Boxes(regions.hull().xyxy))
    require(Boxes(mirrored.hull().xyxy).allclose(hulls, rtol=0, atol=atol), "hulls do not mirror")
