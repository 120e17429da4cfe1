"""Learning-rate schedules as pure functions of the step, so that resuming needs no state."""

import math
from typing import Protocol

import attrs

from geodet.errors import InvalidValueError

__all__ = [
    "ConstantSchedule",
    "CosineSchedule",
    "MultiStepSchedule",
    "PolySchedule",
    "Schedule",
    "Warmup",
]


class Schedule(Protocol):
    """What the training loop asks of a schedule."""

    def factor(self, step: int) -> float:
        """Return what the base learning rate is multiplied with.

        Args:
            step: number of updates already made; 0 is the first update.
        """
        ...


@attrs.frozen(kw_only=True)
class Warmup:
    """Linear rise from `start` to 1 over the first `steps` updates; `steps` 0 means none."""

    steps: int = 0
    start: float = 0.001

    def __attrs_post_init__(self) -> None:
        if self.steps < 0:
            raise InvalidValueError(f"warm-up steps: expected 0 or more, got {self.steps}")
        if not 0.0 <= self.start <= 1.0:
            raise InvalidValueError(f"warm-up start: expected a factor in 0..1, got {self.start}")

    def factor(self, step: int) -> float:
        """Return the warm-up factor of this update, 1 once the warm-up is over."""
        if step >= self.steps:
            return 1.0
        return self.start + (1.0 - self.start) * step / self.steps


@attrs.frozen(kw_only=True)
class ConstantSchedule:
    """Warm-up, then the base learning rate for ever."""

    warmup: Warmup = Warmup()

    def factor(self, step: int) -> float:
        """Return what the base learning rate is multiplied with at this update."""
        return self.warmup.factor(step)


@attrs.frozen(kw_only=True)
class MultiStepSchedule:
    """Warm-up, then a drop by `gamma` at each milestone.

    Args:
        milestones: numbers of updates after which the rate drops, ascending.
        gamma: factor of one drop.
        warmup: rise at the start.
    """

    milestones: tuple[int, ...]
    gamma: float = 0.1
    warmup: Warmup = Warmup()

    def __attrs_post_init__(self) -> None:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise InvalidValueError(
                f"milestones: expected strictly ascending steps, got {self.milestones}"
            )

    def factor(self, step: int) -> float:
        """Return what the base learning rate is multiplied with at this update."""
        drops = sum(step >= milestone for milestone in self.milestones)
        return self.warmup.factor(step) * float(self.gamma**drops)


@attrs.frozen(kw_only=True)
class PolySchedule:
    """A power of the share of updates that is left, times the warm-up, never below `final`.

    Args:
        steps: updates of the run.
        power: 1 is a straight line; DeepLab takes 0.9.
        final: least factor once the warm-up is over.
        warmup: rise at the start.
    Reference: Chen et al. 2017 (arXiv 1706.05587), section 4.1.
    """

    steps: int
    power: float = 0.9
    final: float = 0.0
    warmup: Warmup = Warmup()

    def __attrs_post_init__(self) -> None:
        if self.steps < 1 or not self.power > 0:
            raise InvalidValueError(
                f"poly steps, power: expected 1 or more and above 0, got {self.steps}, {self.power}"
            )

    def factor(self, step: int) -> float:
        """Return what the base learning rate is multiplied with at this update."""
        left = 1.0 - min(step, self.steps) / self.steps
        warm = self.warmup.factor(step)
        factor = warm * float(left**self.power)
        return max(factor, self.final) if warm == 1.0 else factor


@attrs.frozen(kw_only=True)
class CosineSchedule:
    """Half a cosine from 1 to `final` over `steps` updates, multiplied by the warm-up.

    Reference: Loshchilov & Hutter 2017 (SGDR), equation 5 without restarts.
    """

    steps: int
    final: float = 0.0
    warmup: Warmup = Warmup()

    def __attrs_post_init__(self) -> None:
        if self.steps < 1:
            raise InvalidValueError(f"cosine steps: expected 1 or more, got {self.steps}")

    def factor(self, step: int) -> float:
        """Return what the base learning rate is multiplied with at this update."""
        progress = min(step, self.steps) / self.steps
        cosine = self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * progress))
        return self.warmup.factor(step) * cosine
