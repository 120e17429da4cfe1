"""Keypoints and the skeleton they belong to. Shapes: n instances with k points each."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Self

import attrs
import torch
from torch import Tensor

from geodet import _check
from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.structures._table import Table, fail_at_first, register, rounded
from geodet.structures.image_size import ImageSize


def _names(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


def _pairs(value: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((int(a), int(b)) for a, b in value)


def _floats(value: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(item) for item in value)


@attrs.frozen(kw_only=True)
class Skeleton:
    """What the k keypoints of a class are; compares and hashes by value.

    Args:
        names: k different names, in the order of the points.
        edges: pairs of point indices that are drawn as lines.
        flip_pairs: pairs of indices that change places when the image is mirrored.
        sigmas: k positive numbers, the spread of annotators relative to the size of the object,
            as the keypoint similarity of COCO (OKS) uses them.
    Raises:
        InvalidValueError: names repeat, an index is out of range, a point is in two flip pairs,
            or a sigma is not positive.
        ShapeError: there are not as many sigmas as names.
    """

    names: tuple[str, ...] = attrs.field(converter=_names)
    edges: tuple[tuple[int, int], ...] = attrs.field(converter=_pairs, default=())
    flip_pairs: tuple[tuple[int, int], ...] = attrs.field(converter=_pairs, default=())
    sigmas: tuple[float, ...] = attrs.field(converter=_floats)

    def __attrs_post_init__(self) -> None:
        count = len(self.names)
        if len(set(self.names)) != count:
            raise InvalidValueError(f"names: expected different names, got {list(self.names)}")
        _check.check_rows("sigmas", len(self.sigmas), count, "one for each name")
        for field in ("edges", "flip_pairs"):
            for pair in getattr(self, field):
                if not all(0 <= index < count for index in pair):
                    raise InvalidValueError(
                        f"{field}: expected indices in [0, {count}), got {pair}"
                    )
        swapped = [index for pair in self.flip_pairs for index in pair]
        if len(set(swapped)) != len(swapped):
            raise InvalidValueError(
                f"flip_pairs: expected each point at most once, got {list(self.flip_pairs)}"
            )
        for name, sigma in zip(self.names, self.sigmas, strict=True):
            if not (sigma > 0 and math.isfinite(sigma)):
                raise InvalidValueError(
                    f"sigmas: expected a positive number for {name}, got {sigma}"
                )

    @classmethod
    def coco_person(cls) -> "Skeleton":
        """Return the 17 points of a person in COCO, with COCO's own edges and sigmas."""
        sides = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        names = ("nose", *(f"{side}_{part}" for part in sides for side in ("left", "right")))
        return cls(
            names=names,
            edges=[
                *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6)),
                *((5, 7), (6, 8), (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4)),
                *((3, 5), (4, 6)),
            ],
            flip_pairs=[(left, left + 1) for left in range(1, 17, 2)],
            sigmas=[0.026]
            + [
                sigma
                for sigma in (0.025, 0.035, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089)
                for _ in range(2)
            ],
        )

    def __len__(self) -> int:
        return len(self.names)

    def flip_indices(self) -> tuple[int, ...]:
        """For each point, the index of the point that takes its place in a mirrored image."""
        order = list(range(len(self.names)))
        for a, b in self.flip_pairs:
            order[a], order[b] = b, a
        return tuple(order)


@register
@attrs.frozen(eq=False, repr=False)
class Keypoints(Table):
    """Named points of instances, in continuous pixels.

    A point with v = 0 is not labelled: its coordinates mean nothing, and no method moves them.

    Args:
        xyv: [n, k, 3] floating point: x, y in pixels and v, which is 0 (not labelled),
            1 (labelled but hidden) or 2 (visible) in targets and a score in predictions.
        skeleton: describes the k points.
    Raises:
        DtypeError: a value has another type or dtype.
        ShapeError: not [n, k, 3] with the skeleton's k.
    """

    xyv: Tensor
    skeleton: Skeleton

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.skeleton, Skeleton):
            raise DtypeError(f"skeleton: expected Skeleton, got {type(self.skeleton).__name__}")
        _check.check_shape("xyv", self.xyv, "n", "k", 3)
        _check.check_floating("xyv", self.xyv)
        if self.xyv.shape[1] != len(self.skeleton):
            raise ShapeError(
                f"xyv: expected [n, {len(self.skeleton)}, 3] (the skeleton's points), "
                f"got {list(self.xyv.shape)}"
            )

    @classmethod
    def empty(
        cls,
        skeleton: Skeleton,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> "Keypoints":
        """Return the keypoints of 0 instances."""
        return cls(torch.zeros((0, len(skeleton), 3), device=device, dtype=dtype), skeleton)

    def __len__(self) -> int:
        return self.xyv.shape[0]

    def labelled(self) -> Tensor:
        """[n, k] bool, True where v > 0."""
        return self.xyv[:, :, 2] > 0

    def scale(self, x: float, y: float) -> Self:
        """Multiply x coordinates by `x` and y coordinates by `y` (both positive)."""
        return self._moved(self.xyv[:, :, 0] * x, self.xyv[:, :, 1] * y)

    def translate(self, dx: float, dy: float) -> Self:
        """Move the points by (dx, dy) pixels."""
        return self._moved(self.xyv[:, :, 0] + dx, self.xyv[:, :, 1] + dy)

    def flip_horizontally(self, size: ImageSize) -> Self:
        """Mirror left and right in an image of this size; left and right points change places."""
        moved = self._moved(size.width - self.xyv[:, :, 0], self.xyv[:, :, 1])
        return moved._with_sides_swapped()

    def flip_vertically(self, size: ImageSize) -> Self:
        """Mirror top and bottom; a mirrored body, so left and right points change places too."""
        moved = self._moved(self.xyv[:, :, 0], size.height - self.xyv[:, :, 1])
        return moved._with_sides_swapped()

    def inside(self, size: ImageSize) -> Tensor:
        """[n, k] bool, True where a point lies in [0, width] x [0, height]."""
        x, y, _ = self.xyv.unbind(2)
        return (x >= 0) & (y >= 0) & (x <= size.width) & (y <= size.height)

    def validated(self, *, where: str = "") -> Self:
        """Return the keypoints when every value is sound.

        Args:
            where: put before the message, for example a file and an image.
        Raises:
            InvalidValueError: a number is not finite, or a v is negative.
        """
        names, xyv = self.skeleton.names, self.xyv

        def report(bad: Tensor, expected: str) -> Callable[[int], str]:
            def describe(row: int) -> str:
                point = int(bad[row].nonzero()[0, 0])
                found = rounded(xyv[row, point])
                return f"keypoints row {row}, {names[point]}: expected {expected}, got {found}"

            return describe

        for bad, expected in (
            (~xyv.isfinite().all(2), "finite x, y, v"),
            (xyv[:, :, 2] < 0, "v >= 0"),
        ):
            fail_at_first(bad.any(1), report(bad, expected), where)
        return self

    def _moved(self, x: Tensor, y: Tensor) -> Self:
        labelled = self.labelled()
        old_x, old_y, v = self.xyv.unbind(2)
        xy = (torch.where(labelled, x, old_x), torch.where(labelled, y, old_y))
        return type(self)(torch.stack((*xy, v), dim=2), self.skeleton)

    def _with_sides_swapped(self) -> Self:
        return type(self)(self.xyv[:, list(self.skeleton.flip_indices())], self.skeleton)
