"""RegNetX and RegNetY: bottlenecks of even width in a stage, widths from a line in log space.

Reference: Radosavovic et al. 2020 (arXiv 2003.13678); squeeze and excitation: Hu et al. 2017
(arXiv 1709.01507).
"""

import math
from collections.abc import Sequence
from itertools import groupby

import attrs
from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.backbones.staged import Stage, StagedBackbone, Stem
from geodet.models.layers import FrozenBatchNorm2d, NormFactory, fill_c2_msra

__all__ = [
    "ConvStem",
    "RegNet",
    "RegNetBlock",
    "RegNetBranch",
    "RegNetStageSize",
    "SqueezeExcitation",
    "regnet",
    "regnet_stage_sizes",
    "regnet_x_4gf",
    "regnet_y_4gf",
]


class ConvStem(Stem):
    """One convolution of stride 2 with norm and ReLU, and max-pooling of stride 2 if wanted.

    Args:
        in_channels: channels of the image.
        out_channels: channels out.
        kernel_size: of the convolution, odd.
        pool: 3x3 max-pooling after it.
        norm: after the convolution.
    """

    conv_norms = (("conv", "bn"),)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 3,
        pool: bool = False,
        norm: NormFactory,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = 4 if pool else 2
        self.conv = _conv(in_channels, out_channels, kernel_size, stride=2)
        self.bn = norm(out_channels)

    def forward(self, images: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, ceil(h / stride), ceil(w / stride)]."""
        features = functional.relu_(self.bn(self.conv(images)))
        if self.stride == 2:
            return features
        return functional.max_pool2d(features, kernel_size=3, stride=2, padding=1)


class SqueezeExcitation(nn.Module):
    """Scales each channel by a factor in (0, 1) computed from the means of all channels.

    Args:
        channels: in and out.
        squeezed: channels between the two layers.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        down, up = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        for layer in (down, up):
            fill_c2_msra(layer)
        self.f_ex = nn.Sequential(down, nn.ReLU(inplace=True), up, nn.Sigmoid())

    def forward(self, features: Tensor) -> Tensor:
        """[b, channels, h, w] -> the same shape."""
        factors: Tensor = self.f_ex(features.mean(dim=(2, 3), keepdim=True))
        return features * factors


class RegNetBranch(nn.Module):
    """1x1, grouped 3x3, squeeze and excitation if wanted, 1x1.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        bottleneck_channels: of the 3x3.
        stride: of the 3x3.
        groups: of the 3x3.
        squeezed: channels inside squeeze and excitation; 0 has none.
        norm: after every convolution.
    """

    conv_norms = (("a", "a_bn"), ("b", "b_bn"), ("c", "c_bn"))

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        bottleneck_channels: int,
        stride: int,
        groups: int,
        squeezed: int,
        norm: NormFactory,
    ) -> None:
        super().__init__()
        inner = bottleneck_channels
        self.a = _conv(in_channels, inner, 1)
        self.a_bn = norm(inner)
        self.b = _conv(inner, inner, 3, stride=stride, groups=groups)
        self.b_bn = norm(inner)
        self.se = SqueezeExcitation(inner, squeezed) if squeezed else None
        self.c = _conv(inner, out_channels, 1)
        self.c_bn = norm(out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, ceil(h / stride), ceil(w / stride)]."""
        features = functional.relu_(self.a_bn(self.a(features)))
        features = functional.relu_(self.b_bn(self.b(features)))
        if self.se is not None:
            features = self.se(features)
        out: Tensor = self.c_bn(self.c(features))
        return out


class RegNetBlock(nn.Module):
    """A RegNetBranch beside a shortcut, added, then ReLU.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        stride: of the block; with other channels too it makes the shortcut a 1x1 convolution.
        bottleneck_channels: see RegNetBranch.
        groups: see RegNetBranch.
        squeezed: see RegNetBranch.
        norm: after every convolution.
    """

    conv_norms = (("proj", "bn"),)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        bottleneck_channels: int,
        groups: int,
        squeezed: int,
        norm: NormFactory,
    ) -> None:
        super().__init__()
        self.proj: nn.Conv2d | None = None
        self.bn: nn.Module | None = None
        if in_channels != out_channels or stride != 1:
            self.proj = _conv(in_channels, out_channels, 1, stride=stride)
            self.bn = norm(out_channels)
        self.f = RegNetBranch(
            in_channels,
            out_channels,
            bottleneck_channels=bottleneck_channels,
            stride=stride,
            groups=groups,
            squeezed=squeezed,
            norm=norm,
        )

    def forward(self, features: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, ceil(h / stride), ceil(w / stride)]."""
        shortcut = features
        if self.proj is not None and self.bn is not None:
            shortcut = self.bn(self.proj(features))
        return functional.relu_(self.f(features).add_(shortcut))


class RegNet(StagedBackbone):
    """A RegNet of given stem and stages; `regnet` makes the usual ones."""


@attrs.frozen(kw_only=True)
class RegNetStageSize:
    """What the blocks of one stage have in common.

    Args:
        num_blocks: of the stage.
        channels: out of every block.
        bottleneck_channels: of the 3x3 convolutions.
        group_width: channels of a group of the 3x3 convolutions.
    Raises:
        CompositionError: a number below 1, or groups that do not fit the 3x3 convolutions.
    """

    num_blocks: int
    channels: int
    bottleneck_channels: int
    group_width: int

    def __attrs_post_init__(self) -> None:
        if min(attrs.astuple(self)) < 1 or self.bottleneck_channels % self.group_width:
            raise CompositionError(
                "RegNetStageSize: expected numbers of at least 1 and group_width to divide "
                f"bottleneck_channels, got {self}"
            )


def regnet(
    sizes: Sequence[RegNetStageSize],
    *,
    se_ratio: float = 0.0,
    stem_width: int = 32,
    in_channels: int = 3,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 0,
    out_features: Sequence[str] = ("s1", "s2", "s3", "s4"),
) -> RegNet:
    """The RegNet family; stages "s1" to "s4" have strides 4 to 32.

    Args:
        sizes: one per stage, as `regnet_stage_sizes` gives them.
        se_ratio: channels inside squeeze and excitation / channels into the block; 0 (RegNetX)
            has none, RegNetY 0.25.
        stem_width: channels of the stem.
        in_channels: channels of the image.
        norm: after every convolution.
        freeze_at: how many parts from the stem on are frozen.
        out_features: stages to return; none after the last is built.
    Raises:
        CompositionError: an unknown stage.
    """
    names = [f"s{i + 1}" for i in range(len(sizes))]
    if not out_features or any(name not in names for name in out_features):
        raise CompositionError(
            f"regnet: expected out_features among {names} (one per size), got {list(out_features)}"
        )
    last = max(names.index(name) for name in out_features)
    stages: dict[str, Stage] = {}
    channels = stem_width
    for name, size in zip(names[: last + 1], sizes, strict=False):
        stages[name] = _stage(size, channels, se_ratio=se_ratio, norm=norm)
        channels = size.channels
    return RegNet(
        stem=ConvStem(in_channels, stem_width, norm=norm),
        stages=stages,
        out_features=out_features,
        freeze_at=freeze_at,
    )


def regnet_x_4gf(
    *,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 0,
    out_features: Sequence[str] = ("s1", "s2", "s3", "s4"),
) -> RegNet:
    """RegNetX of 4 billion multiply-adds, as in Detectron2's `mask_rcnn_regnetx_4gf_dds_fpn`."""
    sizes = regnet_stage_sizes(
        depth=23, initial_width=96, width_slope=38.65, width_step=2.43, group_width=40
    )
    return regnet(
        sizes,
        se_ratio=0.0,
        stem_width=32,
        norm=norm,
        freeze_at=freeze_at,
        out_features=out_features,
    )


def regnet_y_4gf(
    *,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 0,
    out_features: Sequence[str] = ("s1", "s2", "s3", "s4"),
) -> RegNet:
    """RegNetY of 4 billion multiply-adds, as in Detectron2's `mask_rcnn_regnety_4gf_dds_fpn`."""
    sizes = regnet_stage_sizes(
        depth=22, initial_width=96, width_slope=31.41, width_step=2.24, group_width=64
    )
    return regnet(
        sizes,
        se_ratio=0.25,
        stem_width=32,
        norm=norm,
        freeze_at=freeze_at,
        out_features=out_features,
    )


def regnet_stage_sizes(
    *,
    depth: int,
    initial_width: int,
    width_slope: float,
    width_step: float,
    group_width: int,
    bottleneck_ratio: float = 1.0,
) -> list[RegNetStageSize]:
    """Widths and depths of the stages, from the numbers that describe a RegNet.

    Args:
        depth: blocks in all.
        initial_width: w_0 of the paper, a multiple of 8.
        width_slope: w_a, channels gained per block before quantising.
        width_step: w_m, ratio between the widths of neighbouring stages.
        group_width: channels of a group of the 3x3 convolutions.
        bottleneck_ratio: channels of the 3x3 convolutions / channels of the stage.
    Returns:
        One size per stage, narrowest first.
    Raises:
        CompositionError: numbers that give no network.
    Reference: arXiv 2003.13678, equations 2 to 4; widths are then rounded to whole groups, and
        half of a group to the even number of groups.
    """
    if depth < 1 or initial_width < 8 or initial_width % 8 or width_slope < 0 or width_step <= 1:
        raise CompositionError(
            "regnet_stage_sizes: expected depth >= 1, initial_width a positive multiple of 8, "
            f"width_slope >= 0 and width_step > 1, got depth={depth}, "
            f"initial_width={initial_width}, width_slope={width_slope}, width_step={width_step}"
        )
    if group_width < 1 or bottleneck_ratio <= 0:
        raise CompositionError(
            "regnet_stage_sizes: expected group_width >= 1 and bottleneck_ratio > 0, got "
            f"group_width={group_width}, bottleneck_ratio={bottleneck_ratio}"
        )
    widths = []
    for block in range(depth):
        line = initial_width + width_slope * block
        step = round(math.log(line / initial_width) / math.log(width_step))
        widths.append(8 * round(initial_width * width_step**step / 8))
    sizes = []
    for width, blocks in groupby(widths):
        inner = max(1, int(width * bottleneck_ratio))
        group = min(group_width, inner)
        multiple = math.lcm(group, int(bottleneck_ratio)) if bottleneck_ratio > 1 else group
        inner = max(multiple, round(inner / multiple) * multiple)
        sizes.append(
            RegNetStageSize(
                num_blocks=len(list(blocks)),
                channels=int(inner / bottleneck_ratio),
                bottleneck_channels=inner,
                group_width=group,
            )
        )
    return sizes


def _stage(size: RegNetStageSize, in_channels: int, *, se_ratio: float, norm: NormFactory) -> Stage:
    blocks = []
    for i in range(size.num_blocks):
        channels = in_channels if i == 0 else size.channels
        block = RegNetBlock(
            channels,
            size.channels,
            stride=2 if i == 0 else 1,
            bottleneck_channels=size.bottleneck_channels,
            groups=size.bottleneck_channels // size.group_width,
            squeezed=round(channels * se_ratio),  # of what enters the block, as published
            norm=norm,
        )
        blocks.append(block)
    return Stage(
        blocks,
        in_channels=in_channels,
        out_channels=size.channels,
        stride=2,
        names=[f"b{i + 1}" for i in range(size.num_blocks)],
    )


def _conv(
    in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    conv = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=kernel_size // 2,
        groups=groups,
        bias=False,
    )
    fill_c2_msra(conv)
    return conv
