"""Deformable convolution with its norm in one module."""

import torch
from torch import Tensor, nn

from geodet.errors import CompositionError
from geodet.models.layers.norms import NormFactory
from geodet.ops import deform_conv2d

__all__ = ["DeformConvNorm"]


class DeformConvNorm(nn.Conv2d):
    """Deformable 3x3 convolution of version 1 or 2, then its norm.

    Like ConvNorm a Conv2d, without bias, so that its tensors are `NAME.weight` and `NAME.norm.*`.
    The offsets come from another convolution, as an argument. `fold_norms` gives it a bias and
    takes its norm.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        stride: step of the output grid in cells of the input.
        dilation: step of the kernel's taps.
        groups: of the weight, as in Conv2d.
        offset_groups: groups of input channels that have offsets of their own.
        modulated: version 2: every sample has a factor as well.
        norm: makes the norm from the channels out.
    Attributes:
        offset_channels: channels of `offsets`: 18 or, modulated, 27 for each offset group.
    Raises:
        CompositionError: `offset_groups` does not divide the channels in.
    Reference: Dai et al. 2017 (arXiv 1703.06211); Zhu et al. 2018 (arXiv 1811.11168).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        offset_groups: int = 1,
        modulated: bool = False,
        norm: NormFactory,
    ) -> None:
        if offset_groups < 1 or in_channels % offset_groups:
            raise CompositionError(
                f"DeformConvNorm: expected offset_groups to divide its {in_channels} channels, "
                f"got {offset_groups}"
            )
        super().__init__(
            in_channels,
            out_channels,
            3,
            stride=stride,
            padding=dilation,
            dilation=dilation,
            groups=groups,
            bias=False,
        )
        self.modulated = modulated
        self.offset_groups = offset_groups
        self.offset_channels = (27 if modulated else 18) * offset_groups
        self.norm: nn.Module | None = norm(out_channels)

    def forward(self, features: Tensor, offsets: Tensor) -> Tensor:  # type: ignore[override]
        """Convolve at moved points, then normalise.

        Args:
            features: [b, in_channels, h, w].
            offsets: [b, offset_channels, oh, ow]: for each offset group and tap y, then x, in
                cells; then, modulated, for each group and tap the factor before its sigmoid.
        Returns:
            [b, out_channels, oh, ow] with oh = ceil(h / stride), ow = ceil(w / stride).
        Raises:
            ShapeError: `offsets` do not fit.
        Empty: b = 0 gives b = 0.
        """
        moves, factors = offsets, None
        if self.modulated:
            points = 9 * self.offset_groups
            moves, factors = offsets.split([2 * points, points], dim=1)
            factors = factors.sigmoid()
        # A position in half precision would be cells away.
        dtype = torch.promote_types(self.weight.dtype, torch.float32)
        out = deform_conv2d(
            features.to(dtype),
            moves.to(dtype),
            self.weight.to(dtype),
            None if self.bias is None else self.bias.to(dtype),
            modulation=None if factors is None else factors.to(dtype),
            stride=(self.stride[0], self.stride[1]),
            padding=(self.dilation[0], self.dilation[1]),
            dilation=(self.dilation[0], self.dilation[1]),
        )
        out = out.to(features.dtype)
        return out if self.norm is None else self.norm(out)
