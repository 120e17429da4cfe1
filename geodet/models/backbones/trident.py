"""A ResNet one of whose stages sees objects of several sizes with the same weights.

Reference: Li et al. 2019, TridentNet (arXiv 1901.01892).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.backbones.resnet import resnet
from geodet.models.backbones.resnet_blocks import BottleneckBlock
from geodet.models.backbones.staged import Stage, StagedBackbone, Stem
from geodet.models.layers import ConvNorm, FrozenBatchNorm2d, NormFactory

__all__ = ["TridentBlock", "TridentResNet", "trident_resnet"]


class TridentBlock(nn.Module):
    """A bottleneck whose 3x3 convolution runs at several dilations, its weights the same in all.

    Args:
        bottleneck: whose layers it takes over.
        dilations: of the 3x3, one per branch.
        test_branch: which of them `forward` runs.
    Raises:
        CompositionError: a dilation is below 1, or there is no such branch.
    """

    def __init__(
        self, bottleneck: BottleneckBlock, *, dilations: Sequence[int], test_branch: int
    ) -> None:
        super().__init__()
        if not dilations or min(dilations) < 1 or not 0 <= test_branch < len(dilations):
            raise CompositionError(
                f"TridentBlock: expected dilations of at least 1 and test_branch among them, got "
                f"dilations={list(dilations)}, test_branch={test_branch}"
            )
        self.in_channels = bottleneck.in_channels
        self.out_channels = bottleneck.out_channels
        self.stride = bottleneck.stride
        self.dilations = tuple(dilations)
        self.test_branch = test_branch
        self.shortcut = bottleneck.shortcut
        self.conv1 = bottleneck.conv1
        self.conv2 = bottleneck.conv2
        self.conv3 = bottleneck.conv3

    def forward(self, features: Tensor) -> Tensor:
        """The test branch: [b, in_channels, h, w] to [b, out_channels, h / stride, w / stride]."""
        dilation = self.dilations[self.test_branch]
        return self._join(features, _dilated(self.conv2, self.conv1(features), dilation))

    def branches(self, features: Tensor) -> Tensor:
        """Every branch on its own maps.

        Args:
            features: [k * b, in_channels, h, w], the b maps of the first of k branches first.
        Returns:
            [k * b, out_channels, ceil(h / stride), ceil(w / stride)].
        Empty: b = 0 gives b = 0.
        """
        parts = self.conv1(features).chunk(len(self.dilations))
        inner = [
            _dilated(self.conv2, part, dilation)
            for part, dilation in zip(parts, self.dilations, strict=True)
        ]
        return self._join(features, torch.cat(inner))

    def _join(self, features: Tensor, inner: Tensor) -> Tensor:
        out: Tensor = self.conv3(inner)
        shortcut = features if self.shortcut is None else self.shortcut(features)
        return functional.relu_(out.add_(shortcut))

    def extra_repr(self) -> str:
        """Numbers shown by `print(model)`."""
        return f"dilations={self.dilations}, test_branch={self.test_branch}"


class TridentResNet(StagedBackbone):
    """Final: a ResNet with a stage of `TridentBlock`s.

    `forward` runs the test branch alone, which makes it an ordinary backbone; `branches` runs all.

    Args:
        stem: whose output the first stage reads.
        stages: name -> stage, in the order they run.
        out_features: which stages' maps are returned.
        freeze_at: as in `ResNet`.
        trident_stage: the stage whose blocks are `TridentBlock`s.
    Raises:
        CompositionError: that stage is missing or made of other blocks, or as `StagedBackbone`.
    """

    def __init__(
        self,
        *,
        stem: Stem,
        stages: Mapping[str, Stage],
        out_features: Sequence[str],
        freeze_at: int = 0,
        trident_stage: str = "res4",
    ) -> None:
        super().__init__(stem=stem, stages=stages, out_features=out_features, freeze_at=freeze_at)
        blocks = list(stages.get(trident_stage, ()))
        branched = [block for block in blocks if isinstance(block, TridentBlock)]
        if not blocks or len(branched) < len(blocks):
            raise CompositionError(
                f"TridentResNet: expected {trident_stage!r} to be a stage of TridentBlocks, got "
                f"stages {list(stages)} and blocks {sorted({type(b).__name__ for b in blocks})}"
            )
        self.trident_stage = trident_stage
        self.num_branches = len(branched[0].dilations)

    def branches(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the maps of every branch.

        Args:
            images: [b, in_channels, H, W].
        Returns:
            Name -> [k * b, channels, ceil(H / stride), ceil(W / stride)], the b images of the
            first of k branches first. Maps from before the branches part are repeated.
        Empty: b = 0 gives maps with b = 0.
        """
        features, maps = self.stem(images), {}
        parted = False
        for name in self.stage_names:
            stage = self.get_submodule(name)
            if name == self.trident_stage:
                features, parted = features.repeat(self.num_branches, 1, 1, 1), True
                for block in stage.children():
                    if isinstance(block, TridentBlock):
                        features = block.branches(features)
            else:
                features = stage(features)
            if name in self.feature_specs:
                maps[name] = features if parted else features.repeat(self.num_branches, 1, 1, 1)
        return maps


def trident_resnet(
    depth: int,
    *,
    in_channels: int = 3,
    width: int = 64,
    groups: int = 1,
    width_per_group: int = 64,
    norm: NormFactory = FrozenBatchNorm2d,
    stride_in_1x1: bool = False,
    freeze_at: int = 0,
    dilations: Sequence[int] = (1, 2, 3),
    test_branch: int = 1,
    trident_stage: str = "res4",
    out_features: Sequence[str] = ("res4",),
) -> TridentResNet:
    """`resnet` with one stage in branches; depth 50, 101 or 152.

    Args: as in `resnet`, and
        dilations: of the 3x3 convolutions, one per branch.
        test_branch: the branch that predictions come from.
        trident_stage: the stage that parts, "res2" to "res5".
    Raises:
        CompositionError: a combination that does not exist.
    """
    plain = resnet(
        depth,
        in_channels=in_channels,
        width=width,
        groups=groups,
        width_per_group=width_per_group,
        norm=norm,
        stride_in_1x1=stride_in_1x1,
        out_features=out_features,
    )
    if trident_stage not in plain.stage_names:
        raise CompositionError(
            f"trident_resnet: {trident_stage!r} is not among the stages {list(plain.stage_names)} "
            f"that out_features={list(out_features)} need"
        )
    stages: dict[str, Stage] = {}
    for name in plain.stage_names:
        stage = plain.get_submodule(name)
        if isinstance(stage, Stage):
            stages[name] = stage
    stages[trident_stage] = _in_branches(stages[trident_stage], dilations, test_branch)
    return TridentResNet(
        stem=plain.stem,
        stages=stages,
        out_features=out_features,
        freeze_at=freeze_at,
        trident_stage=trident_stage,
    )


def _in_branches(stage: Stage, dilations: Sequence[int], test_branch: int) -> Stage:
    blocks = []
    for block in stage:
        if not isinstance(block, BottleneckBlock):
            raise CompositionError(
                f"trident_resnet: branches are made of bottlenecks, got {type(block).__name__}; "
                "use depth 50 or more"
            )
        blocks.append(TridentBlock(block, dilations=dilations, test_branch=test_branch))
    return Stage(
        blocks,
        in_channels=stage.in_channels,
        out_channels=stage.out_channels,
        stride=stage.stride,
    )


def _dilated(conv: ConvNorm, features: Tensor, dilation: int) -> Tensor:
    """`conv`, a 3x3, with its taps `dilation` cells apart; the size of the map does not change."""
    features = functional.conv2d(
        features,
        conv.weight,
        conv.bias,
        stride=conv.stride,
        padding=dilation,
        dilation=dilation,
        groups=conv.groups,
    )
    if conv.norm is not None:
        features = conv.norm(features)
    return features if conv.activation is None else conv.activation(features)
