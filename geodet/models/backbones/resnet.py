"""Residual networks, ResNeXt included.

Reference: He et al. 2015 (arXiv 1512.03385); Xie et al. 2017 (arXiv 1611.05431).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.features import Backbone, FeatureSpec
from geodet.models.layers import ConvNorm, FrozenBatchNorm2d, NormFactory, fill_c2_msra

__all__ = ["BasicBlock", "BottleneckBlock", "ResNet", "Stem", "resnet"]

_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
_STAGES = ("res2", "res3", "res4", "res5")


class BasicBlock(nn.Module):
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
        super().__init__()
        self.shortcut = _shortcut(in_channels, out_channels, stride, norm)
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
        _fill(self)

    def forward(self, features: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, ceil(h / stride), ceil(w / stride)]."""
        out: Tensor = self.conv2(self.conv1(features))
        shortcut = features if self.shortcut is None else self.shortcut(features)
        return functional.relu_(out + shortcut)


class BottleneckBlock(nn.Module):
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
        super().__init__()
        self.shortcut = _shortcut(in_channels, out_channels, stride, norm)
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
        _fill(self)

    def forward(self, features: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, ceil(h / stride), ceil(w / stride)]."""
        out: Tensor = self.conv3(self.conv2(self.conv1(features)))
        shortcut = features if self.shortcut is None else self.shortcut(features)
        return functional.relu_(out + shortcut)


class Stem(nn.Module):
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
        self.conv1 = ConvNorm(
            in_channels, out_channels, 7, stride=2, norm=norm, activation=functional.relu_
        )
        _fill(self)

    def forward(self, images: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, ceil(h / 4), ceil(w / 4)]."""
        return functional.max_pool2d(self.conv1(images), kernel_size=3, stride=2, padding=1)


class ResNet(Backbone):
    """Stem and stages, run one after another.

    Args:
        stem: of stride 4.
        stages: name -> blocks, in the order they run.
        specs: name -> shape of what each stage gives.
        out_features: which stages' maps `forward` returns.
        freeze_at: 0 trains everything, 1 freezes the stem, 2 the first stage too, and so on:
            parameters lose their gradient, batch norms become constants.
    Raises:
        CompositionError: `out_features` names no stage or an unknown one, a stage lacks its
            spec, or `freeze_at` is out of range.
    """

    def __init__(
        self,
        *,
        stem: Stem,
        stages: Mapping[str, nn.Module],
        specs: Mapping[str, FeatureSpec],
        out_features: Sequence[str],
        freeze_at: int = 0,
    ) -> None:
        super().__init__()
        unknown = [name for name in out_features if name not in stages]
        if unknown or not out_features:
            raise CompositionError(
                f"ResNet: expected out_features among its stages {list(stages)}, "
                f"got {list(out_features)}"
            )
        if list(specs) != list(stages):
            raise CompositionError(
                f"ResNet: stages are {list(stages)}, specs describe {list(specs)}"
            )
        if not 0 <= freeze_at <= len(stages) + 1:
            raise CompositionError(
                f"ResNet: expected freeze_at in 0..{len(stages) + 1} (stem and {len(stages)} "
                f"stages), got {freeze_at}"
            )
        self.in_channels = stem.in_channels
        self.stem = stem
        self.stage_names = tuple(stages)
        for name, stage in stages.items():
            self.add_module(name, stage)
        self.feature_specs = {name: specs[name] for name in stages if name in out_features}
        self.size_divisor = 1  # every layer takes every size
        for part in (stem, *stages.values())[:freeze_at]:
            _freeze(part)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the maps of the stages asked for.

        Args:
            images: [b, in_channels, H, W].
        Returns:
            Name -> [b, channels, ceil(H / stride), ceil(W / stride)].
        Empty: b = 0 gives maps with b = 0.
        """
        features = self.stem(images)
        maps = {}
        for name in self.stage_names:
            features = self.get_submodule(name)(features)
            if name in self.feature_specs:
                maps[name] = features
        return maps


def resnet(
    depth: int,
    *,
    in_channels: int = 3,
    width: int = 64,
    groups: int = 1,
    width_per_group: int = 64,
    norm: NormFactory = FrozenBatchNorm2d,
    stride_in_1x1: bool = False,
    freeze_at: int = 0,
    res5_dilation: int = 1,
    out_features: Sequence[str] = _STAGES,
) -> ResNet:
    """The ResNet family: depths 18 and 34 of basic blocks, 50, 101 and 152 of bottlenecks.

    Args:
        depth: 18, 34, 50, 101 or 152.
        in_channels: channels of the image.
        width: channels of the stem, and of the first stage's 3x3 convolutions when groups = 1
            and width_per_group = 64; everything else scales with it.
        groups: groups of the 3x3 convolutions (ResNeXt); bottlenecks only.
        width_per_group: channels of a group in the first stage at width 64.
        norm: after every convolution.
        stride_in_1x1: where bottlenecks put their stride.
        freeze_at: how many parts from the stem on are frozen.
        res5_dilation: 2 keeps stride 16 in the last stage; bottlenecks only.
        out_features: stages to return, of "res2" to "res5"; none after the last is built.
    Raises:
        CompositionError: a combination that does not exist.
    """
    plain = groups == 1 and res5_dilation == 1 and not stride_in_1x1
    basic = depth < 50
    _check_family(depth, plain=plain, res5_dilation=res5_dilation, out_features=out_features)
    make_block: Callable[..., nn.Module] = partial(BasicBlock, norm=norm)
    if not basic:
        make_block = partial(BottleneckBlock, stride_in_1x1=stride_in_1x1, groups=groups, norm=norm)
    stages: dict[str, nn.Module] = {}
    specs: dict[str, FeatureSpec] = {}
    channels, stride = width, 4
    last = max(_STAGES.index(name) for name in out_features)
    for i, name in enumerate(_STAGES[: last + 1]):
        dilation = res5_dilation if name == "res5" else 1
        step = 1 if i == 0 or dilation > 1 else 2
        inner = width * 2**i
        out_channels = inner if basic else 4 * inner
        make = partial(make_block, dilation=dilation)
        if not basic:
            make = partial(make, bottleneck_channels=inner * groups * width_per_group // 64)
        blocks = [make(out_channels, out_channels) for _ in range(_BLOCKS[depth][i] - 1)]
        stages[name] = nn.Sequential(make(channels, out_channels, stride=step), *blocks)
        channels, stride = out_channels, stride * step
        specs[name] = FeatureSpec(channels=channels, stride=stride)
    return ResNet(
        stem=Stem(in_channels, width, norm=norm),
        stages=stages,
        specs=specs,
        out_features=out_features,
        freeze_at=freeze_at,
    )


def _check_family(
    depth: int, *, plain: bool, res5_dilation: int, out_features: Sequence[str]
) -> None:
    if depth not in _BLOCKS:
        raise CompositionError(f"resnet: expected depth in {list(_BLOCKS)}, got {depth}")
    if depth < 50 and not plain:
        raise CompositionError(
            f"resnet: depth {depth} is made of basic blocks, which have neither groups, nor "
            "res5_dilation, nor stride_in_1x1; use depth 50 or more"
        )
    if res5_dilation not in (1, 2):
        raise CompositionError(f"resnet: expected res5_dilation 1 or 2, got {res5_dilation}")
    if not out_features or any(name not in _STAGES for name in out_features):
        raise CompositionError(
            f"resnet: expected out_features among {list(_STAGES)}, got {list(out_features)}"
        )


def _shortcut(
    in_channels: int, out_channels: int, stride: int, norm: NormFactory
) -> ConvNorm | None:
    # Stride counts too: an identity would not fit the other branch's size.
    if in_channels == out_channels and stride == 1:
        return None
    return ConvNorm(in_channels, out_channels, 1, stride=stride, norm=norm)


def _fill(part: nn.Module) -> None:
    for layer in part.modules():
        if isinstance(layer, nn.Conv2d):
            fill_c2_msra(layer)


def _freeze(part: nn.Module) -> None:
    for parameter in part.parameters():
        parameter.requires_grad_(False)
    for parent in list(part.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d | nn.SyncBatchNorm):
                setattr(parent, name, FrozenBatchNorm2d.from_batch_norm(child))
