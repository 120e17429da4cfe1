"""Laws of transforms: changes of a picture and its truth that can be inverted."""

from typing import Any, Protocol

from torch import Tensor

from geodet.structures import ImageSize, Instances
from geodet.testing.laws._require import require
from geodet.testing.laws.structures import assert_unchanged_by


class _Transform(Protocol):
    """What the laws use of a transform."""

    @property
    def source(self) -> ImageSize: ...
    @property
    def target(self) -> ImageSize: ...
    def inverse(self) -> "_Transform": ...
    def apply_instances(self, instances: Instances) -> Instances: ...


def assert_transform_keeps_rows(transform: _Transform, instances: Instances, rows: Any) -> None:
    """Check that a transform keeps columns aligned and hands on what is not geometry.

    It drops no row, gives tables of the target's size, commutes with selecting rows, leaves
    labels, scores and plain extras alone, and does not change its argument.

    Args:
        transform: any change of pictures of `instances.image_size`.
        instances: n of them.
        rows: an index for n rows.
    """
    assert_unchanged_by(instances, transform.apply_instances)
    changed = transform.apply_instances(instances)
    require(changed.image_size == transform.target, f"gives tables of {changed.image_size}")
    require(len(changed) == len(instances), f"{len(instances)} rows became {len(changed)}")
    require(
        changed.columns().keys() == instances.columns().keys(),
        f"columns {list(instances.columns())} became {list(changed.columns())}",
    )
    for name, column in instances.columns().items():
        if isinstance(column, Tensor):
            after = changed.columns()[name]
            require(isinstance(after, Tensor) and bool((after == column).all()), f"{name} changed")
    apart = transform.apply_instances(instances[rows])
    require(
        apart.allclose(changed[rows], rtol=1e-5, atol=1e-5), f"rows {rows} differ from their own"
    )


def assert_inverse_takes_back(
    transform: _Transform, instances: Instances, *, rtol: float = 1e-5, atol: float = 1e-4
) -> None:
    """Check that the inverse takes boxes, points and outlines back to where they were.

    Args:
        transform: any change of pictures of `instances.image_size`.
        instances: columns whose coordinates the transform does not round away: no bits or run
            lengths where it resamples, no rotated boxes where it scales the axes unequally.
        rtol: relative tolerance.
        atol: tolerance in pixels; a mirror takes multiples of 1/8 pixel back exactly.
    """
    inverse = transform.inverse()
    require(
        (inverse.source, inverse.target) == (transform.target, transform.source),
        f"the inverse goes from {inverse.source} to {inverse.target}",
    )
    back = inverse.apply_instances(transform.apply_instances(instances))
    require(
        back.allclose(instances, rtol=rtol, atol=atol),
        f"the inverse gives {back} for {instances}",
    )
