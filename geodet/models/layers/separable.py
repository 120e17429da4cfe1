"""Convolution of each channel by itself, then of all channels in each cell."""

from collections.abc import Callable

from torch import Tensor, nn

from geodet.models.layers.conv import ConvNorm
from geodet.models.layers.initialisation import fill_c2_msra
from geodet.models.layers.norms import NormFactory

__all__ = ["SeparableConv"]


class SeparableConv(nn.Module):
    """Depthwise k x k and pointwise 1 x 1 convolution, norm and activation after each.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel_size: odd side of the depthwise kernel.
        dilation: step of its taps.
        norm: after both convolutions; None gives them biases.
        activation: after both.
    Reference: Chollet 2017 (arXiv 1610.02357).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        dilation: int = 1,
        norm: NormFactory | None = None,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.depthwise = ConvNorm(
            in_channels,
            in_channels,
            kernel_size,
            dilation=dilation,
            groups=in_channels,
            norm=norm,
            activation=activation,
        )
        self.pointwise = ConvNorm(in_channels, out_channels, 1, norm=norm, activation=activation)
        for conv in (self.depthwise, self.pointwise):
            fill_c2_msra(conv)

    def forward(self, features: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, h, w]. Empty: b = 0 gives b = 0."""
        made: Tensor = self.pointwise(self.depthwise(features))
        return made
