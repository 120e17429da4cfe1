"""What the keypoints of a class are: their names, lines, sides and spreads. Shapes: k points."""

import math
from collections.abc import Iterable, Sequence

import attrs

from geodet import _check
from geodet.errors import InvalidValueError

# Spread of the points of a class that nobody measured: the mean of COCO's own 17 values.
_USUAL_SIGMA = 0.07


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

    @classmethod
    def from_names(
        cls,
        names: Sequence[str],
        *,
        edges: Sequence[tuple[int, int]] = (),
        sigma: float = _USUAL_SIGMA,
    ) -> "Skeleton":
        """Return a skeleton whose flip pairs are told by its names: left_x with right_x.

        Args:
            names: k different names.
            edges: pairs of point indices that are drawn as lines.
            sigma: spread of every point; the mean of COCO's when nobody measured it.
        Raises:
            InvalidValueError: as the constructor.
        """
        pairs = [
            (index, names.index(name.replace("left", "right")))
            for index, name in enumerate(names)
            if "left" in name and name.replace("left", "right") in names
        ]
        return cls(names=names, edges=edges, flip_pairs=pairs, sigmas=[sigma] * len(names))

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Position of the point with this name.

        Raises:
            InvalidValueError: there is none; the message lists all names.
        """
        if name not in self.names:
            raise InvalidValueError(f"name: expected one of {', '.join(self.names)}, got {name!r}")
        return self.names.index(name)

    def flip_indices(self) -> tuple[int, ...]:
        """For each point, the index of the point that takes its place in a mirrored image."""
        order = list(range(len(self.names)))
        for a, b in self.flip_pairs:
            order[a], order[b] = b, a
        return tuple(order)
