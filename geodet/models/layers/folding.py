"""Batch norms with constant statistics, multiplied into the convolutions before them."""

import copy
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from geodet.models.layers.conv import ConvNorm
from geodet.models.layers.deform import DeformConvNorm
from geodet.models.layers.norms import FrozenBatchNorm2d

__all__ = ["fold_norms"]

_Model = TypeVar("_Model", bound=nn.Module)
_FOLDABLE = (FrozenBatchNorm2d, nn.BatchNorm2d, nn.SyncBatchNorm)


def fold_norms(model: _Model) -> _Model:
    """Copy a model for inference, with its batch norms folded into their convolutions.

    The copy computes what `model.eval()` computes, up to rounding, in fewer passes over memory.
    Folded are frozen batch norms and those with running statistics, where they follow a
    convolution in ConvNorm, DeformConvNorm, RegNet, or two neighbours of an `nn.Sequential`.
    Group and layer norms stay, and so does the norm of a convolution that has several users.
    A module of your own takes part by a class attribute `conv_norms`: pairs of the names of a
    convolution and of the norm that its `forward` applies right after it.

    Args:
        model: unchanged.
    Returns:
        A copy in eval mode, without gradients. Folded convolutions have biases, so its state
        dict fits no other model: keep checkpoints of the original.
    """
    folded = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    uses = _uses(folded)
    for module in list(folded.modules()):
        for owner, name, conv, norm in list(_pairs(module)):
            if uses[id(conv)] == 1 and uses[id(conv.weight)] == 1 and _is_foldable(norm):
                _fold(conv, norm)
                # None where the owner asks for it, a module where it always calls one
                absent = None if isinstance(owner, ConvNorm | DeformConvNorm) else nn.Identity()
                setattr(owner, name, absent)
    return folded


def _pairs(module: nn.Module) -> Iterator[tuple[Any, str, nn.Conv2d, nn.Module]]:
    """Owner of the norm, name of the norm in it, convolution and norm."""
    # Exact classes: a subclass may apply its norm otherwise.
    if type(module) in (ConvNorm, DeformConvNorm):
        if isinstance(module.norm, nn.Module) and isinstance(module, nn.Conv2d):
            yield module, "norm", module, module.norm
    elif type(module).forward is nn.Sequential.forward:
        for (_, conv), (name, norm) in pairwise(module.named_children()):
            if isinstance(conv, nn.Conv2d) and (type(conv) is nn.Conv2d or _is_bare(conv)):
                yield module, name, conv, norm
    for conv_name, norm_name in getattr(module, "conv_norms", ()):
        conv, norm = getattr(module, conv_name), getattr(module, norm_name)
        if conv is not None and norm is not None:
            yield module, norm_name, conv, norm


def _is_bare(module: nn.Module) -> bool:
    """Whether it is a ConvNorm that is a convolution and nothing else."""
    return type(module) is ConvNorm and module.norm is None and module.activation is None


def _is_foldable(norm: nn.Module) -> bool:
    # Exact classes: subclasses may contain an activation.
    return type(norm) in _FOLDABLE and getattr(norm, "running_var", None) is not None


def _uses(model: nn.Module) -> Counter[int]:
    """How many places hold each module and each parameter."""
    uses: Counter[int] = Counter()
    for _, module in model.named_modules(remove_duplicate=False):
        uses[id(module)] += 1
    for module in model.modules():
        uses.update(id(parameter) for parameter in module._parameters.values())
    return uses


def _fold(conv: nn.Conv2d, norm: Any) -> None:
    weight = conv.weight.double()  # double: rounded once, at the end
    variance, mean = norm.running_var.double(), norm.running_mean.double()
    scale = (variance + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -mean if conv.bias is None else conv.bias.double() - mean
    shift = shift * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    layout = (
        torch.channels_last
        if conv.weight.is_contiguous(memory_format=torch.channels_last)
        else torch.contiguous_format
    )
    scaled = (weight * scale.view(-1, 1, 1, 1)).to(conv.weight.dtype)
    conv.weight = _constant(scaled.contiguous(memory_format=layout))
    conv.bias = _constant(shift.to(conv.weight.dtype))


def _constant(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value, requires_grad=False)
