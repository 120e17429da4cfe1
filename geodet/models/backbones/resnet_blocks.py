"""Blocks and stems of residual networks."""

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.nn import functional

from geodet.models.backbones.staged import Stem
from geodet.models.layers import ConvNorm, DeformConvNorm, NormFactory, fill_c2_msra, fill_zeros

__all__ = [
    "BasicBlock",
    "BasicStem",
    "BottleneckBlock",
    "DeepStem",
    "DeformBottleneckBlock",
    "ResidualBlock",
]


class ResidualBlock(nn.Module, ABC):
    """Abstract: a branch beside a shortcut, added, then ReLU.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        stride: of the whole block; with other channels too it makes the shortcut a 1x1
            convolution.
        norm: after every convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, norm: NormFactory
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride
        # Stride counts too: an identity would not fit the other branch's size.
        self.shortcut: ConvNorm | None = None
        if in_channels != out_channels or stride != 1:
            self.shortcut = ConvNorm(in_channels, out_channels, 1, stride=stride, norm=norm)
            fill_c2_msra(self.shortcut)

    @abstractmethod
    def branch(self, features: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, ceil(h / stride), ceil(w / stride)]."""

    @property
    @abstractmethod
    def last_norm(self) -> nn.Module | None:
        """The norm at the end of the branch."""

    def forward(self, features: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, ceil(h / stride), ceil(w / stride)]."""
        out = self.branch(features)
        shortcut = features if self.shortcut is None else self.shortcut(features)
        # In place: nothing of the branch keeps its last map, and fresh pages cost more than sums.
        return functional.relu_(out.add_(shortcut))


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions beside a shortcut.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        stride: of the first convolution and of the shortcut.
        dilation: of both convolutions.
        norm: after every convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        norm: NormFactory,
    ) -> None:
        super().__init__(in_channels, out_channels, stride=stride, norm=norm)
        self.conv1 = ConvNorm(
            in_channels,
            out_channels,
            3,
            stride=stride,
            dilation=dilation,
            norm=norm,
            activation=functional.relu_,
        )
        self.conv2 = ConvNorm(out_channels, out_channels, 3, dilation=dilation, norm=norm)
        for layer in (self.conv1, self.conv2):
            fill_c2_msra(layer)

    @property
    def last_norm(self) -> nn.Module | None:
        """That of `conv2`."""
        return self.conv2.norm

    def branch(self, features: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, ceil(h / stride), ceil(w / stride)]."""
        out: Tensor = self.conv2(self.conv1(features))
        return out


class BottleneckBlock(ResidualBlock):
    """1x1, 3x3 (grouped), 1x1 convolutions beside a shortcut.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        bottleneck_channels: channels of the 3x3 convolution.
        stride: of the whole block.
        stride_in_1x1: stride in the first 1x1 (the original weights of MSRA and Caffe2) or in
            the 3x3 (torchvision, ResNeXt).
        dilation: of the 3x3.
        groups: of the 3x3.
        norm: after every convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        bottleneck_channels: int,
        stride: int = 1,
        stride_in_1x1: bool = False,
        dilation: int = 1,
        groups: int = 1,
        norm: NormFactory,
    ) -> None:
        super().__init__(in_channels, out_channels, stride=stride, norm=norm)
        self.conv1 = ConvNorm(
            in_channels,
            bottleneck_channels,
            1,
            stride=stride if stride_in_1x1 else 1,
            norm=norm,
            activation=functional.relu_,
        )
        self.conv2 = ConvNorm(
            bottleneck_channels,
            bottleneck_channels,
            3,
            stride=1 if stride_in_1x1 else stride,
            dilation=dilation,
            groups=groups,
            norm=norm,
            activation=functional.relu_,
        )
        self.conv3 = ConvNorm(bottleneck_channels, out_channels, 1, norm=norm)
        for layer in (self.conv1, self.conv2, self.conv3):
            fill_c2_msra(layer)

    @property
    def last_norm(self) -> nn.Module | None:
        """That of `conv3`."""
        return self.conv3.norm

    def branch(self, features: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, ceil(h / stride), ceil(w / stride)]."""
        out: Tensor = self.conv3(self.conv2(self.conv1(features)))
        return out


class DeformBottleneckBlock(ResidualBlock):
    """A bottleneck whose 3x3 convolution is deformable.

    The offsets start at 0, where version 1 is an ordinary convolution and version 2 half of it.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        bottleneck_channels: channels of the 3x3 convolution.
        stride: of the whole block.
        stride_in_1x1: stride in the first 1x1 or in the 3x3.
        dilation: of the 3x3 and of the convolution that predicts its offsets.
        groups: of the 3x3.
        offset_groups: groups of channels with offsets of their own.
        modulated: version 2, with a factor for every sample.
        norm: after every convolution but the one of the offsets, which has a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        bottleneck_channels: int,
        stride: int = 1,
        stride_in_1x1: bool = False,
        dilation: int = 1,
        groups: int = 1,
        offset_groups: int = 1,
        modulated: bool = False,
        norm: NormFactory,
    ) -> None:
        super().__init__(in_channels, out_channels, stride=stride, norm=norm)
        inner_stride = 1 if stride_in_1x1 else stride
        self.conv1 = ConvNorm(
            in_channels,
            bottleneck_channels,
            1,
            stride=stride if stride_in_1x1 else 1,
            norm=norm,
            activation=functional.relu_,
        )
        conv2 = DeformConvNorm(
            bottleneck_channels,
            bottleneck_channels,
            stride=inner_stride,
            dilation=dilation,
            groups=groups,
            offset_groups=offset_groups,
            modulated=modulated,
            norm=norm,
        )
        self.conv2_offset = ConvNorm(
            bottleneck_channels,
            conv2.offset_channels,
            3,
            stride=inner_stride,
            dilation=dilation,
        )
        self.conv2 = conv2
        self.conv3 = ConvNorm(bottleneck_channels, out_channels, 1, norm=norm)
        for layer in (self.conv1, self.conv2, self.conv3):
            fill_c2_msra(layer)
        fill_zeros(self.conv2_offset)

    @property
    def last_norm(self) -> nn.Module | None:
        """That of `conv3`."""
        return self.conv3.norm

    def branch(self, features: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, ceil(h / stride), ceil(w / stride)]."""
        inner = self.conv1(features)
        moved = functional.relu_(self.conv2(inner, self.conv2_offset(inner)))
        out: Tensor = self.conv3(moved)
        return out


class BasicStem(Stem):
    """7x7 convolution of stride 2, then 3x3 max-pooling of stride 2: stride 4 in all.

    Args:
        in_channels: channels of the image.
        out_channels: channels out.
        norm: after the convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, *, norm: NormFactory) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = 4
        self.conv1 = ConvNorm(
            in_channels, out_channels, 7, stride=2, norm=norm, activation=functional.relu_
        )
        fill_c2_msra(self.conv1)

    def forward(self, images: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, ceil(h / 4), ceil(w / 4)]."""
        return functional.max_pool2d(self.conv1(images), kernel_size=3, stride=2, padding=1)


class DeepStem(Stem):
    """Three 3x3 convolutions, the first of stride 2, then max-pooling of stride 2.

    The first two have half of the channels out.

    Args:
        in_channels: channels of the image.
        out_channels: channels out, even.
        norm: after every convolution.
    Reference: as in DeepLab (arXiv 1706.05587) on ResNets of "103" layers.
    """

    def __init__(self, in_channels: int, out_channels: int, *, norm: NormFactory) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = 4
        half, act = out_channels // 2, functional.relu_
        self.conv1 = ConvNorm(in_channels, half, 3, stride=2, norm=norm, activation=act)
        self.conv2 = ConvNorm(half, half, 3, norm=norm, activation=act)
        self.conv3 = ConvNorm(half, out_channels, 3, norm=norm, activation=act)
        for layer in (self.conv1, self.conv2, self.conv3):
            fill_c2_msra(layer)

    def forward(self, images: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, ceil(h / 4), ceil(w / 4)]."""
        features = self.conv3(self.conv2(self.conv1(images)))
        return functional.max_pool2d(features, kernel_size=3, stride=2, padding=1)
