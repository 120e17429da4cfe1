"""Parameter groups, learning rates and gradient clipping."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from geodet.errors import CompositionError

__all__ = ["LayeredModule", "clip_gradients", "parameter_groups", "set_learning_rate"]


@runtime_checkable
class LayeredModule(Protocol):
    """A module that says which of its parameters lie in which layer."""

    def parameter_layers(self) -> Sequence[Sequence[nn.Parameter]]:
        """Parameters of each layer, from the input on; what is above all layers is left out."""
        ...


def parameter_groups(
    model: nn.Module,
    *,
    weight_decay: float,
    norm_weight_decay: float | None = None,
    bias_weight_decay: float | None = None,
    bias_lr_factor: float = 1.0,
    layer_decay: float | None = None,
    undecayed: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Sort the trainable parameters into groups of equal decay and learning-rate factor.

    A module whose own `weight` has one dimension is a normalisation layer: convolutions and
    linear layers have two or more. So layers of any library are recognised without a list.

    Args:
        model: parameters with `requires_grad` False are left out; shared ones come once.
        weight_decay: decay of everything not named below.
        norm_weight_decay: decay of normalisation layers, their bias included; None: as the rest.
        bias_weight_decay: decay of the other parameters named `bias`; None: as the rest.
        bias_lr_factor: multiplies the learning rate of those biases.
        layer_decay: the deeper a parameter of a `LayeredModule` lies, the slower it learns: its
            rate is multiplied by layer_decay to the power of the layers from it to the top, its
            own included. None: all alike.
        undecayed: parameters of these names have no decay; last parts of their names, such as
            "pos_embed".
    Returns:
        One dict a group, with `params`, `weight_decay` and `lr_factor`, in model order.
    Raises:
        CompositionError: the model has no trainable parameter, or `layer_decay` is given and no
            part of it has layers.
    Reference: layer_decay as Bao et al. 2021 (arXiv 2106.08254), appendix.
    """
    layer_factors = {} if layer_decay is None else _layer_factors(model, layer_decay)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    seen: set[int] = set()
    for module in model.modules():
        own = dict(module.named_parameters(recurse=False))
        is_norm = "weight" in own and own["weight"].ndim == 1
        for name, parameter in own.items():
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            decay, lr_factor = weight_decay, 1.0
            if is_norm:
                decay = weight_decay if norm_weight_decay is None else norm_weight_decay
            elif name == "bias":
                decay = weight_decay if bias_weight_decay is None else bias_weight_decay
                lr_factor = bias_lr_factor
            if name in undecayed:
                decay = 0.0
            lr_factor *= layer_factors.get(id(parameter), 1.0)
            groups.setdefault((decay, lr_factor), []).append(parameter)
    if not groups:
        raise CompositionError(
            "model: expected at least one parameter with requires_grad, got none; unfreeze a part"
        )
    return [
        {"params": parameters, "weight_decay": decay, "lr_factor": lr_factor}
        for (decay, lr_factor), parameters in groups.items()
    ]


def _layer_factors(model: nn.Module, layer_decay: float) -> dict[int, float]:
    """Factor of the learning rate by identity of the parameter."""
    layered = [module for module in model.modules() if isinstance(module, LayeredModule)]
    if not layered:
        raise CompositionError(
            f"layer_decay={layer_decay}: no part of {type(model).__name__} has layers to tell "
            "apart; leave it out, or give a module `parameter_layers`"
        )
    return {
        id(parameter): layer_decay ** (len(layers) - depth)
        for layers in (module.parameter_layers() for module in layered)
        for depth, layer in enumerate(layers)
        for parameter in layer
    }


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> float:
    """Set every group to base rate x `factor` x its own `lr_factor`.

    Returns:
        The rate of a group whose `lr_factor` is 1.
    """
    learning_rate = float(optimizer.defaults["lr"]) * factor
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * float(group.get("lr_factor", 1.0))
    return learning_rate


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float | None) -> Tensor:
    """Scale all gradients together so that their common 2-norm is at most `max_norm`.

    Args:
        parameters: those without a gradient are ignored.
        max_norm: None measures without scaling.
    Returns:
        [] float tensor, the norm before scaling, left on its device (nothing waits for a GPU).
    Empty: no gradient at all gives 0.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if max_norm is not None and gradients:
        # The constant keeps the factor finite when every gradient is 0.
        factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
        torch._foreach_mul_(gradients, factor)
    return norm
