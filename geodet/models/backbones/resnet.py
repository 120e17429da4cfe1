"""Residual networks, ResNeXt included.

Reference: He et al. 2015 (arXiv 1512.03385); Xie et al. 2017 (arXiv 1611.05431).
"""

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from geodet.errors import CompositionError
from geodet.models.backbones.resnet_blocks import (
    BasicBlock,
    BasicStem,
    BottleneckBlock,
    DeepStem,
    DeformBottleneckBlock,
    ResidualBlock,
)
from geodet.models.backbones.staged import Stage, StagedBackbone
from geodet.models.layers import FrozenBatchNorm2d, NormFactory

__all__ = ["ResNet", "resnet", "resnet_stage"]

_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
_STAGES = ("res2", "res3", "res4", "res5")


class ResNet(StagedBackbone):
    """A ResNet of given stem and stages; `resnet` makes the usual ones."""


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
    deep_stem: bool = False,
    stem_channels: int | None = None,
    res4_dilation: int = 1,
    res5_dilation: int = 1,
    res5_multi_grid: Sequence[int] | None = None,
    deform_stages: Sequence[str] = (),
    deform_modulated: bool = False,
    deform_groups: int = 1,
    zero_last_norm: bool = False,
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
        stride_in_1x1: where bottlenecks put their stride: in the first 1x1 (MSRA, Caffe2) or in
            the 3x3 (torchvision, ResNeXt).
        freeze_at: how many parts from the stem on are frozen.
        deep_stem: three 3x3 convolutions (DeepLab) instead of one 7x7.
        stem_channels: channels of the stem, if not `width`, or twice it with `deep_stem`.
        res4_dilation: 2 keeps stride 8 in the last two stages; needs res5_dilation=4.
        res5_dilation: 2 or 4 keeps the stride of the stage before.
        res5_multi_grid: a factor of that dilation for each block of the last stage (DeepLab).
        deform_stages: those whose 3x3 convolutions are deformable; bottlenecks only.
        deform_modulated: deformable version 2.
        deform_groups: groups of channels with offsets of their own.
        zero_last_norm: each block starts as its shortcut (arXiv 1706.02677); trainable norms only.
        out_features: stages to return, of "res2" to "res5"; none after the last is built.
    Raises:
        CompositionError: a combination that does not exist.
    """
    _check_stages(out_features, deform_stages, res4_dilation, res5_dilation)
    dilations = {"res4": res4_dilation, "res5": res5_dilation}
    channels = stem_channels or (2 * width if deep_stem else width)
    stem = (DeepStem if deep_stem else BasicStem)(in_channels, channels, norm=norm)
    last = max(_STAGES.index(name) for name in out_features)
    stages = {}
    for name in _STAGES[: last + 1]:
        stages[name] = resnet_stage(
            name,
            depth=depth,
            in_channels=channels,
            width=width,
            groups=groups,
            width_per_group=width_per_group,
            norm=norm,
            stride_in_1x1=stride_in_1x1,
            dilation=dilations.get(name, 1),
            multi_grid=res5_multi_grid if name == "res5" else None,
            deform=name in deform_stages,
            deform_modulated=deform_modulated,
            deform_groups=deform_groups,
            zero_last_norm=zero_last_norm,
        )
        channels = stages[name].out_channels
    return ResNet(stem=stem, stages=stages, out_features=out_features, freeze_at=freeze_at)


def resnet_stage(
    name: str,
    *,
    depth: int = 50,
    in_channels: int | None = None,
    width: int = 64,
    groups: int = 1,
    width_per_group: int = 64,
    norm: NormFactory = FrozenBatchNorm2d,
    stride_in_1x1: bool = False,
    dilation: int = 1,
    multi_grid: Sequence[int] | None = None,
    deform: bool = False,
    deform_modulated: bool = False,
    deform_groups: int = 1,
    zero_last_norm: bool = False,
) -> Stage:
    """One stage of `resnet`; "res5" is what a C4 head runs on every region.

    Args:
        name: "res2", "res3", "res4" or "res5".
        in_channels: channels in; None is what the stage before gives.
        dilation: more than 1 makes the stage keep the stride of the one before.
        multi_grid: a factor of that dilation for each block.
        deform: its 3x3 convolutions are deformable.
        depth, width, groups, width_per_group, norm, stride_in_1x1, deform_modulated,
            deform_groups, zero_last_norm: as for `resnet`.
    Returns:
        A stage of stride 1 ("res2", or dilated) or 2.
    Raises:
        CompositionError: a combination that does not exist.
    """
    if name not in _STAGES:
        raise CompositionError(f"resnet: expected a stage of {list(_STAGES)}, got {name!r}")
    plain = groups == 1 and not stride_in_1x1 and not deform
    index, num_blocks = _STAGES.index(name), _num_blocks(name, depth, plain=plain)
    grid = [1] * num_blocks if multi_grid is None else list(multi_grid)
    if len(grid) != num_blocks or min(*grid, dilation) < 1:
        raise CompositionError(
            f"resnet: expected a dilation of at least 1 and multi_grid with a factor for each of "
            f"the {num_blocks} blocks of {name}, got dilation={dilation}, multi_grid={grid}"
        )
    inner = width * 2**index
    expansion = 1 if depth < 50 else 4
    make: Callable[..., ResidualBlock] = partial(BasicBlock, norm=norm)
    if depth >= 50:
        make = partial(
            DeformBottleneckBlock if deform else BottleneckBlock,
            bottleneck_channels=inner * groups * width_per_group // 64,
            stride_in_1x1=stride_in_1x1,
            groups=groups,
            norm=norm,
        )
    if deform:
        make = partial(make, offset_groups=deform_groups, modulated=deform_modulated)
    stride = 1 if index == 0 or dilation > 1 else 2
    if in_channels is None:
        in_channels = width if index == 0 else inner // 2 * expansion
    out_channels = inner * expansion
    blocks = [make(in_channels, out_channels, stride=stride, dilation=dilation * grid[0])]
    blocks += [make(out_channels, out_channels, dilation=dilation * step) for step in grid[1:]]
    if zero_last_norm:
        for block in blocks:
            _fill_zeros(block)
    return Stage(blocks, in_channels=in_channels, out_channels=out_channels, stride=stride)


def _check_stages(
    out_features: Sequence[str],
    deform_stages: Sequence[str],
    res4_dilation: int,
    res5_dilation: int,
) -> None:
    for label, names in (("out_features", out_features), ("deform_stages", deform_stages)):
        if any(name not in _STAGES for name in names):
            raise CompositionError(
                f"resnet: expected {label} among {list(_STAGES)}, got {list(names)}"
            )
    if not out_features:
        raise CompositionError(f"resnet: expected out_features among {list(_STAGES)}, got none")
    # A dilated stage keeps the stride before it; after res4 at 2, res5 lacks two halvings.
    if (res4_dilation, res5_dilation) not in ((1, 1), (1, 2), (1, 4), (2, 4)):
        raise CompositionError(
            "resnet: expected (res4_dilation, res5_dilation) to be (1, 1), (1, 2), (1, 4) or "
            f"(2, 4), got ({res4_dilation}, {res5_dilation})"
        )


def _num_blocks(name: str, depth: int, *, plain: bool) -> int:
    if depth not in _BLOCKS:
        raise CompositionError(f"resnet: expected depth in {list(_BLOCKS)}, got {depth}")
    if depth < 50 and not plain:
        raise CompositionError(
            f"resnet: depth {depth} is made of basic blocks, which have neither groups, nor "
            "deformable convolutions, nor stride_in_1x1; use depth 50 or more"
        )
    return _BLOCKS[depth][_STAGES.index(name)]


def _fill_zeros(block: ResidualBlock) -> None:
    weight = getattr(block.last_norm, "weight", None)
    if not isinstance(weight, nn.Parameter):
        raise CompositionError(
            f"resnet: zero_last_norm needs a norm with a trainable weight, got "
            f"{type(block.last_norm).__name__}, under which the branches would stay 0"
        )
    nn.init.zeros_(weight)
