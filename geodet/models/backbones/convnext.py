"""ConvNeXt: convolutional blocks in the proportions of transformers.

Reference: Liu et al. 2022 (arXiv 2201.03545).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geodet.errors import CompositionError
from geodet.models.backbones.staged import Stage, StagedBackbone, Stem
from geodet.models.features import check_divisible
from geodet.models.layers import DropPath, LayerNorm2d, Mlp, drop_path_rates, fill_transformer

__all__ = [
    "ConvNeXt",
    "ConvNeXtBlock",
    "ConvNeXtDownsample",
    "PatchStem",
    "convnext",
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
]

_STAGES = ("s1", "s2", "s3", "s4")


class ConvNeXtBlock(nn.Module):
    """7x7 depthwise convolution, layer norm and a two-layer perceptron beside the identity.

    Args:
        channels: in and out.
        layer_scale: initial factor of the branch, one for each channel.
        drop_path: probability of leaving the branch out while training.
    """

    def __init__(self, channels: int, *, layer_scale: float, drop_path: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = Mlp(channels, 4 * channels)
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), layer_scale))
        self.drop_path = DropPath(drop_path)
        _fill(self.depthwise)
        fill_transformer(self.mlp)

    def forward(self, features: Tensor) -> Tensor:
        """[b, channels, h, w] -> the same shape."""
        rows = self.depthwise(features).permute(0, 2, 3, 1)  # [b, h, w, c]
        branch = self.mlp(self.norm(rows)).permute(0, 3, 1, 2) * self.layer_scale
        dropped: Tensor = self.drop_path(branch)
        return features + dropped


class ConvNeXtDownsample(nn.Module):
    """Layer norm, then 2x2 convolution of stride 2.

    Args:
        in_channels: channels in.
        out_channels: channels out.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 2, stride=2)
        _fill(self.conv)

    def forward(self, features: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, h / 2, w / 2]."""
        out: Tensor = self.conv(self.norm(features))
        return out


class PatchStem(Stem):
    """4x4 convolution of stride 4, then layer norm.

    Args:
        in_channels: channels of the image.
        out_channels: channels out.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = 4
        self.conv = nn.Conv2d(in_channels, out_channels, 4, stride=4)
        self.norm = LayerNorm2d(out_channels)
        _fill(self.conv)

    def forward(self, images: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, h / 4, w / 4]."""
        features: Tensor = self.norm(self.conv(images))
        return features


class ConvNeXt(StagedBackbone):
    """Stem and stages of ConvNeXt, each map that comes out normalised over its channels.

    Args:
        stem: of stride 4.
        stages: name -> stage, in the order they run.
        out_features: which stages' maps `forward` returns.
        freeze_at: as for every StagedBackbone; the norms of the outputs always train.
    Raises:
        CompositionError: as for every StagedBackbone.
    """

    def __init__(
        self,
        *,
        stem: PatchStem,
        stages: dict[str, Stage],
        out_features: Sequence[str],
        freeze_at: int = 0,
    ) -> None:
        super().__init__(stem=stem, stages=stages, out_features=out_features, freeze_at=freeze_at)
        # Convolutions as large as their strides drop what does not fill a whole patch.
        self.size_divisor = stem.stride
        for stage in stages.values():
            self.size_divisor *= stage.stride
        self.norms = nn.ModuleDict(
            {name: LayerNorm2d(spec.channels) for name, spec in self.feature_specs.items()}
        )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the maps of the stages asked for.

        Args:
            images: [b, in_channels, H, W], H and W multiples of `size_divisor`.
        Returns:
            Name -> [b, channels, H / stride, W / stride].
        Raises:
            ShapeError: H or W is no multiple.
        Empty: b = 0 gives maps with b = 0.
        """
        check_divisible(images, self.size_divisor)
        maps = super().forward(images)
        return {name: self.norms[name](features) for name, features in maps.items()}


def convnext(
    *,
    num_blocks: Sequence[int],
    channels: Sequence[int],
    drop_path: float = 0.0,
    layer_scale: float = 1e-6,
    in_channels: int = 3,
    freeze_at: int = 0,
    out_features: Sequence[str] = _STAGES,
) -> ConvNeXt:
    """The ConvNeXt family; stages "s1" to "s4" have strides 4 to 32.

    Args:
        num_blocks: of each stage.
        channels: of each stage; the stem has those of the first.
        drop_path: probability of leaving out the last block, growing from 0 at the first.
        layer_scale: initial factor of every branch.
        in_channels: channels of the image.
        freeze_at: how many parts from the stem on are frozen.
        out_features: stages to return; none after the last is built.
    Raises:
        CompositionError: numbers that do not fit, or an unknown stage.
    """
    names = [f"s{i + 1}" for i in range(len(num_blocks))]
    if len(num_blocks) != len(channels):
        raise CompositionError(
            f"convnext: expected as many channels as num_blocks, got {list(channels)} and "
            f"{list(num_blocks)}"
        )
    if not out_features or any(name not in names for name in out_features):
        raise CompositionError(
            f"convnext: expected out_features among {names}, got {list(out_features)}"
        )
    last = max(names.index(name) for name in out_features)
    rates = iter(drop_path_rates(drop_path, sum(num_blocks)))
    stages: dict[str, Stage] = {}
    for i, name in enumerate(names[: last + 1]):
        blocks: list[nn.Module] = [
            ConvNeXtBlock(channels[i], layer_scale=layer_scale, drop_path=next(rates))
            for _ in range(num_blocks[i])
        ]
        block_names = [str(number) for number in range(num_blocks[i])]
        if i > 0:
            blocks.insert(0, ConvNeXtDownsample(channels[i - 1], channels[i]))
            block_names.insert(0, "downsample")
        stages[name] = Stage(
            blocks,
            in_channels=channels[max(i - 1, 0)],
            out_channels=channels[i],
            stride=2 if i > 0 else 1,
            names=block_names,
        )
    return ConvNeXt(
        stem=PatchStem(in_channels, channels[0]),
        stages=stages,
        out_features=out_features,
        freeze_at=freeze_at,
    )


def convnext_tiny(
    *, drop_path: float = 0.1, freeze_at: int = 0, out_features: Sequence[str] = _STAGES
) -> ConvNeXt:
    """ConvNeXt-T of the paper."""
    return convnext(
        num_blocks=(3, 3, 9, 3),
        channels=(96, 192, 384, 768),
        drop_path=drop_path,
        freeze_at=freeze_at,
        out_features=out_features,
    )


def convnext_small(
    *, drop_path: float = 0.4, freeze_at: int = 0, out_features: Sequence[str] = _STAGES
) -> ConvNeXt:
    """ConvNeXt-S of the paper."""
    return convnext(
        num_blocks=(3, 3, 27, 3),
        channels=(96, 192, 384, 768),
        drop_path=drop_path,
        freeze_at=freeze_at,
        out_features=out_features,
    )


def convnext_base(
    *, drop_path: float = 0.5, freeze_at: int = 0, out_features: Sequence[str] = _STAGES
) -> ConvNeXt:
    """ConvNeXt-B of the paper."""
    return convnext(
        num_blocks=(3, 3, 27, 3),
        channels=(128, 256, 512, 1024),
        drop_path=drop_path,
        freeze_at=freeze_at,
        out_features=out_features,
    )


def convnext_large(
    *, drop_path: float = 0.5, freeze_at: int = 0, out_features: Sequence[str] = _STAGES
) -> ConvNeXt:
    """ConvNeXt-L of the paper."""
    return convnext(
        num_blocks=(3, 3, 27, 3),
        channels=(192, 384, 768, 1536),
        drop_path=drop_path,
        freeze_at=freeze_at,
        out_features=out_features,
    )


def _fill(conv: nn.Conv2d) -> None:
    nn.init.trunc_normal_(conv.weight, std=0.02)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
