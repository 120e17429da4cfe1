"""Normalisation layers; modules take them as a callable from channel count to layer."""

import math
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["FrozenBatchNorm2d", "LayerNorm2d", "NormFactory", "group_norm"]

# Classes fit as they are: `nn.BatchNorm2d`, `FrozenBatchNorm2d`, `nn.SyncBatchNorm`,
# `LayerNorm2d`.
NormFactory: TypeAlias = Callable[[int], nn.Module]


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation whose statistics and scale are constants.

    Small detection batches give poor statistics, so those of the pretrained network stay. All
    four tensors are buffers: optimisers never see them.

    Args:
        channels: channels of the input.
        eps: added to the variance.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels = channels
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    @classmethod
    def from_batch_norm(cls, norm: nn.BatchNorm2d | nn.SyncBatchNorm) -> "FrozenBatchNorm2d":
        """Freeze a batch norm: same output as `norm.eval()`, gradients to the input only."""
        frozen = cls(norm.num_features, eps=norm.eps)
        for name in ("weight", "bias", "running_mean", "running_var"):
            value = getattr(norm, name)
            if value is not None:
                frozen.register_buffer(name, value.detach().clone())
        return frozen

    def forward(self, features: Tensor) -> Tensor:
        """Scale and shift each channel.

        Args:
            features: [b, channels, h, w].
        Returns:
            The same shape and dtype.
        Empty: b = 0 gives b = 0.
        """
        scale, shift = self.scale_and_shift()
        # One fused pass that keeps no copy of `features` for the backward pass.
        return torch.addcmul(
            shift.to(features.dtype).view(1, -1, 1, 1),
            features,
            scale.to(features.dtype).view(1, -1, 1, 1),
        )

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """What every channel is multiplied by, and what is added then; [channels] each."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def extra_repr(self) -> str:
        """Numbers shown by `print(model)`."""
        return f"{self.channels}, eps={self.eps}"


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of every cell of a map.

    Args:
        channels: channels of the input.
        eps: added to the variance.
    Reference: Ba et al. 2016 (arXiv 1607.06450).
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.channels = channels
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Give every cell mean 0 and variance 1 over its channels, then scale and shift them.

        Args:
            features: [b, channels, h, w]; channels_last ones are read as they lie.
        Returns:
            [b, channels, h, w], channels_last.
        Empty: b = 0 gives b = 0.
        """
        rows = features.permute(0, 2, 3, 1)  # [b, h, w, c]
        rows = functional.layer_norm(rows, (self.channels,), self.weight, self.bias, self.eps)
        return rows.permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        """Numbers shown by `print(model)`."""
        return f"{self.channels}, eps={self.eps}"


def _group_norm(channels: int, *, groups: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(groups, channels), channels)


def group_norm(groups: int = 32) -> NormFactory:
    """Norm factory for group normalisation.

    Args:
        groups: groups wished for; a layer whose channels it does not divide gets their greatest
            common divisor, so that narrow networks work.
    Returns:
        A picklable callable from channel count to layer.
    Reference: Wu & He 2018.
    """
    return partial(_group_norm, groups=groups)
