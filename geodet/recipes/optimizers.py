"""Recipes of optimizers and learning-rate schedules."""

import attrs
import torch
from torch import nn

from geodet.engine import (
    CosineSchedule,
    MultiStepSchedule,
    PolySchedule,
    Schedule,
    Warmup,
    parameter_groups,
)
from geodet.errors import RecipeError
from geodet.recipes.fields import fraction, number, whole, wholes

__all__ = ["AdamW", "Cosine", "MultiStep", "OptimizerRecipe", "Poly", "ScheduleRecipe", "Sgd"]


@attrs.frozen(kw_only=True)
class Sgd:
    """Stochastic gradient descent with momentum.

    Args:
        lr: base learning rate, for the whole batch.
        momentum: share of the last update kept.
        weight_decay: of all weights not named below.
        norm_weight_decay: of normalisation layers; None: as the rest.
        bias_weight_decay: of other biases; None: as the rest.
        bias_lr_factor: multiplies the rate of biases.
        nesterov: look ahead by the momentum.
    """

    lr: float = attrs.field(validator=number())
    momentum: float = attrs.field(default=0.9, validator=number(or_equal=True))
    weight_decay: float = attrs.field(default=1e-4, validator=number(or_equal=True))
    norm_weight_decay: float | None = attrs.field(
        default=0.0, validator=number(or_equal=True, optional=True)
    )
    bias_weight_decay: float | None = attrs.field(
        default=None, validator=number(or_equal=True, optional=True)
    )
    bias_lr_factor: float = attrs.field(default=1.0, validator=number())
    nesterov: bool = False

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer of a model's trainable parameters."""
        groups = parameter_groups(
            model,
            weight_decay=self.weight_decay,
            norm_weight_decay=self.norm_weight_decay,
            bias_weight_decay=self.bias_weight_decay,
            bias_lr_factor=self.bias_lr_factor,
        )
        return torch.optim.SGD(
            groups, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov, foreach=True
        )


@attrs.frozen(kw_only=True)
class AdamW:
    """Adam with decoupled weight decay.

    Args:
        lr: base learning rate.
        beta1: memory of the mean gradient.
        beta2: memory of the mean squared gradient.
        weight_decay: of all weights not named below.
        norm_weight_decay: of normalisation layers; None: as the rest.
        bias_weight_decay: of other biases; None: as the rest.
        bias_lr_factor: multiplies the rate of biases.
        layer_decay: rate of each layer of a transformer by that of the next; None: all alike.
        undecayed: last parts of the names of parameters without decay.

    Reference: Loshchilov & Hutter 2019, algorithm 2.
    """

    lr: float = attrs.field(validator=number())
    beta1: float = attrs.field(default=0.9, validator=fraction)
    beta2: float = attrs.field(default=0.999, validator=fraction)
    weight_decay: float = attrs.field(default=0.05, validator=number(or_equal=True))
    norm_weight_decay: float | None = attrs.field(
        default=0.0, validator=number(or_equal=True, optional=True)
    )
    bias_weight_decay: float | None = attrs.field(
        default=None, validator=number(or_equal=True, optional=True)
    )
    bias_lr_factor: float = attrs.field(default=1.0, validator=number())
    layer_decay: float | None = attrs.field(default=None, validator=number(optional=True))
    undecayed: tuple[str, ...] = ()

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer of a model's trainable parameters."""
        groups = parameter_groups(
            model,
            weight_decay=self.weight_decay,
            norm_weight_decay=self.norm_weight_decay,
            bias_weight_decay=self.bias_weight_decay,
            bias_lr_factor=self.bias_lr_factor,
            layer_decay=self.layer_decay,
            undecayed=self.undecayed,
        )
        return torch.optim.AdamW(groups, lr=self.lr, betas=(self.beta1, self.beta2), foreach=True)


@attrs.frozen(kw_only=True)
class MultiStep:
    """Linear warm-up, then a drop at each milestone.

    Args:
        milestones: steps at which the rate drops, ascending.
        gamma: factor of one drop.
        warmup_steps: length of the rise; 0 for none.
        warmup_start: factor at the first step.
    """

    milestones: tuple[int, ...] = attrs.field(validator=wholes())
    gamma: float = attrs.field(default=0.1, validator=number())
    warmup_steps: int = attrs.field(default=1000, validator=whole(at_least=0))
    warmup_start: float = attrs.field(default=0.001, validator=fraction)

    def __attrs_post_init__(self) -> None:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise RecipeError(f"milestones: expected ascending steps, got {self.milestones}")

    def build(self, steps: int) -> Schedule:
        """Return the schedule of a run of `steps` steps."""
        return MultiStepSchedule(
            milestones=self.milestones,
            gamma=self.gamma,
            warmup=Warmup(steps=self.warmup_steps, start=self.warmup_start),
        )


@attrs.frozen(kw_only=True)
class Cosine:
    """Linear warm-up under half a cosine that ends at `final` with the run.

    Args:
        final: factor at the end.
        warmup_steps: length of the rise; 0 for none.
        warmup_start: factor at the first step.
    """

    final: float = attrs.field(default=0.0, validator=fraction)
    warmup_steps: int = attrs.field(default=1000, validator=whole(at_least=0))
    warmup_start: float = attrs.field(default=0.001, validator=fraction)

    def build(self, steps: int) -> Schedule:
        """Return the schedule of a run of `steps` steps."""
        return CosineSchedule(
            steps=steps,
            final=self.final,
            warmup=Warmup(steps=self.warmup_steps, start=self.warmup_start),
        )


@attrs.frozen(kw_only=True)
class Poly:
    """Linear warm-up under a power of the share of steps that is left, as DeepLab trains.

    Args:
        power: 1 is a straight line.
        final: least factor once the warm-up is over.
        warmup_steps: length of the rise; 0 for none.
        warmup_start: factor at the first step.
    """

    power: float = attrs.field(default=0.9, validator=number())
    final: float = attrs.field(default=0.0, validator=fraction)
    warmup_steps: int = attrs.field(default=1000, validator=whole(at_least=0))
    warmup_start: float = attrs.field(default=0.001, validator=fraction)

    def build(self, steps: int) -> Schedule:
        """Return the schedule of a run of `steps` steps."""
        return PolySchedule(
            steps=steps,
            power=self.power,
            final=self.final,
            warmup=Warmup(steps=self.warmup_steps, start=self.warmup_start),
        )


OptimizerRecipe = Sgd | AdamW
ScheduleRecipe = MultiStep | Cosine | Poly
