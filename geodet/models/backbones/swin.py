"""Transformers on shifted windows.

Tokens travel as [b, h, w, c].

Reference: Liu et al. 2021 (arXiv 2103.14030).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.backbones.staged import freeze
from geodet.models.features import Backbone, FeatureSpec
from geodet.models.layers import (
    DropPath,
    Mlp,
    NormFactory,
    attend,
    drop_path_rates,
    fill_transformer,
    join_windows,
    run_block,
    split_windows,
)

__all__ = ["PatchMerging", "Swin", "SwinBlock", "SwinPatches", "SwinStage", "swin"]

# What pairs of tokens from different regions get added to their logits. Finite, as the published
# weights were trained with it; exp(-100) is 0 beside any other term in float32.
_APART = -100.0


class WindowBiasAttention(nn.Module):
    """Attention within windows; every offset between two tokens has a bias of its own.

    Args:
        channels: channels of a token.
        num_heads: heads, which share the channels equally.
        window_side: tokens along a side of a window.
        qkv_bias: biases of the queries, keys and values.
    Raises:
        CompositionError: the heads do not divide the channels.
    """

    relative_position_index: Tensor

    def __init__(
        self, channels: int, *, num_heads: int, window_side: int, qkv_bias: bool = True
    ) -> None:
        super().__init__()
        if channels % num_heads:
            raise CompositionError(
                f"WindowBiasAttention: expected num_heads to divide channels={channels}, got "
                f"{num_heads}"
            )
        self.num_heads = num_heads
        offsets = 2 * window_side - 1
        self.relative_position_bias_table = nn.Parameter(torch.empty(offsets**2, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        index = _offset_index(window_side)
        self.register_buffer("relative_position_index", index, persistent=False)
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = nn.Linear(channels, channels)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """Mix the tokens of every window.

        Args:
            windows: [b * n, s, s, channels].
            mask: [n, s * s, s * s] added to the logits of the n windows of each image.
        Returns:
            [b * n, s, s, channels].
        """
        count, side, _, c = windows.shape
        tokens = side * side
        qkv = self.qkv(windows).view(count, tokens, 3, self.num_heads, c // self.num_heads)
        queries, keys, values = qkv.permute(2, 0, 3, 1, 4)  # [b * n, heads, s * s, d] each
        table = self.relative_position_bias_table[self.relative_position_index]
        bias = table.permute(2, 0, 1)[None]  # [1, heads, s * s, s * s]
        if mask is not None:
            images = count // len(mask)
            bias = (bias + mask[:, None]).repeat(images, 1, 1, 1)
        mixed = attend(queries, keys, values, bias)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(count, side, side, c))
        return out


class SwinBlock(nn.Module):
    """Attention within windows, then perceptron, each beside a shortcut and after its norm.

    Args:
        channels: channels of a token.
        num_heads: of the attention.
        norm: makes the norms of both halves.
        window_side: tokens along a side of a window.
        shift: tokens by which the windows are moved to the right and down.
        mlp_ratio: hidden channels of the perceptron per channel.
        qkv_bias: of the attention.
        drop_path: probability of leaving a half out, in training.
    Raises:
        CompositionError: the shift is not smaller than a window.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: int,
        norm: NormFactory,
        window_side: int = 7,
        shift: int = 0,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= shift < window_side:
            raise CompositionError(
                f"SwinBlock: expected shift in 0..{window_side - 1} (window_side={window_side}), "
                f"got {shift}"
            )
        self.window_side = window_side
        self.shift = shift
        self.norm1 = norm(channels)
        self.attn = WindowBiasAttention(
            channels, num_heads=num_heads, window_side=window_side, qkv_bias=qkv_bias
        )
        self.norm2 = norm(channels)
        self.mlp = Mlp(channels, int(channels * mlp_ratio))
        self.drop_path = DropPath(drop_path)
        fill_transformer(self)

    def forward(self, tokens: Tensor) -> Tensor:
        """[b, h, w, channels] -> the same shape."""
        tokens = tokens + self.drop_path(self._mix(self.norm1(tokens)))
        out: Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return out

    def _mix(self, tokens: Tensor) -> Tensor:
        h, w = tokens.shape[1:3]
        side, shift = self.window_side, self.shift
        if shift == 0:
            return join_windows(self.attn(split_windows(tokens, side), None), (h, w))
        # The grid is rolled, so it must divide into windows before and not after that.
        tokens = functional.pad(tokens, (0, 0, 0, -w % side, 0, -h % side))
        padded = (tokens.shape[1], tokens.shape[2])
        mask = _shift_mask(padded, side, shift, device=tokens.device)
        rolled = torch.roll(tokens, (-shift, -shift), dims=(1, 2))
        rolled = join_windows(self.attn(split_windows(rolled, side), mask), padded)
        return torch.roll(rolled, (shift, shift), dims=(1, 2))[:, :h, :w]


class PatchMerging(nn.Module):
    """Half the grid, twice the channels: every 2 x 2 tokens become one.

    Args:
        channels: channels in.
        norm: of the four tokens together.
    """

    def __init__(self, channels: int, *, norm: NormFactory) -> None:
        super().__init__()
        self.norm = norm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)
        fill_transformer(self)

    def forward(self, tokens: Tensor) -> Tensor:
        """[b, h, w, channels] -> [b, ceil(h / 2), ceil(w / 2), 2 * channels]."""
        h, w = tokens.shape[1:3]
        tokens = functional.pad(tokens, (0, 0, 0, w % 2, 0, h % 2))
        quarters = [tokens[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        out: Tensor = self.reduction(self.norm(torch.cat(quarters, dim=-1)))
        return out


class SwinPatches(nn.Module):
    """Images to tokens; zeros at the right and bottom make the image divide into patches.

    Args:
        in_channels: channels of the image.
        channels: channels of a token.
        patch_side: pixels of a patch, which is the stride.
        norm: of the tokens; None for none.
    """

    def __init__(
        self, in_channels: int, channels: int, *, patch_side: int = 4, norm: NormFactory | None
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.channels = channels
        self.stride = patch_side
        self.proj = nn.Conv2d(in_channels, channels, patch_side, stride=patch_side)
        self.norm = nn.Identity() if norm is None else norm(channels)

    def forward(self, images: Tensor) -> Tensor:
        """[b, in_channels, H, W] -> [b, ceil(H / stride), ceil(W / stride), channels]."""
        height, width = images.shape[-2:]
        images = functional.pad(images, (0, -width % self.stride, 0, -height % self.stride))
        tokens: Tensor = self.norm(self.proj(images).permute(0, 2, 3, 1))
        return tokens


class SwinStage(nn.Module):
    """Blocks on one grid.

    Args:
        blocks: in order; every second one is shifted.
        channels: of its tokens.
        downsample: from its last tokens to the first of the next stage; None in the last stage.
            `Swin` calls it, after it has taken the stage's own map.
        checkpointing: compute blocks again in the backward pass instead of keeping what is in
            them: less memory, more time.
    """

    def __init__(
        self,
        blocks: Sequence[SwinBlock],
        *,
        channels: int,
        downsample: PatchMerging | None,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.checkpointing = checkpointing
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, tokens: Tensor) -> Tensor:
        """[b, h, w, channels] -> the same shape."""
        for block in self.blocks:
            tokens = run_block(block, tokens, checkpointing=self.checkpointing)
        return tokens


class Swin(Backbone):
    """Patches and stages; the tokens of the stages asked for come out after a norm of their own.

    A block shifts its windows whatever the size of the grid, as Detectron2 does; the original
    classifier does not where one window covers the grid (images of less than 8 strides).

    Args:
        patch_embed: images to tokens.
        stages: in order, each of twice the stride and the channels of the one before.
        norm: of the maps that come out.
        out_features: "scale2" for the map of stride 4, and so on.
        position_side: side of the square grid that absolute positions are learnt on; other grids
            interpolate them. None does without.
        freeze_at: 0 trains everything, 1 freezes patches and positions, 2 the first stage too,
            and so on: parameters lose their gradient.
    Raises:
        CompositionError: `out_features` names no stage or an unknown one, the channels of two
            neighbours differ, or `freeze_at` is out of range.
    """

    def __init__(
        self,
        *,
        patch_embed: SwinPatches,
        stages: Sequence[SwinStage],
        norm: NormFactory,
        out_features: Sequence[str] = ("scale2", "scale3", "scale4", "scale5"),
        position_side: int | None = None,
        freeze_at: int = 0,
    ) -> None:
        super().__init__()
        specs = _specs(patch_embed, stages)
        unknown = [name for name in out_features if name not in specs]
        if unknown or not out_features:
            raise CompositionError(
                f"Swin: expected out_features among {list(specs)}, got {list(out_features)}"
            )
        if not 0 <= freeze_at <= len(stages) + 1:
            raise CompositionError(
                f"Swin: expected freeze_at in 0..{len(stages) + 1} (patches and {len(stages)} "
                f"stages), got {freeze_at}"
            )
        self.in_channels = patch_embed.in_channels
        self.size_divisor = 1  # windows, patches and mergings pad what they need
        self.patch_embed = patch_embed
        self.absolute_pos_embed: nn.Parameter | None = None
        if position_side is not None:
            shape = (1, patch_embed.channels, position_side, position_side)
            self.absolute_pos_embed = nn.Parameter(torch.empty(shape))
            nn.init.trunc_normal_(self.absolute_pos_embed, std=0.02)
        self.layers = nn.ModuleList(stages)
        self._stage_names = tuple(specs)
        self.feature_specs = {name: specs[name] for name in specs if name in out_features}
        for i, name in enumerate(specs):
            if name in self.feature_specs:
                self.add_module(f"norm{i}", norm(specs[name].channels))
        for part in (patch_embed, *stages)[:freeze_at]:
            freeze(part)
        if freeze_at and self.absolute_pos_embed is not None:
            self.absolute_pos_embed.requires_grad_(False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the maps asked for.

        Args:
            images: [b, in_channels, H, W].
        Returns:
            Name -> [b, channels, ceil(H / stride), ceil(W / stride)].
        Empty: b = 0 gives maps with b = 0.
        """
        tokens = self.patch_embed(images)
        if self.absolute_pos_embed is not None:
            size = tokens.shape[1:3]
            grid = functional.interpolate(self.absolute_pos_embed, size=size, mode="bicubic")
            tokens = tokens + grid.permute(0, 2, 3, 1)
        maps = {}
        for i, (name, stage) in enumerate(zip(self._stage_names, self.layers, strict=True)):
            tokens = stage(tokens)
            if name in self.feature_specs:
                maps[name] = self.get_submodule(f"norm{i}")(tokens).permute(0, 3, 1, 2)
            if isinstance(stage.downsample, PatchMerging):
                tokens = stage.downsample(tokens)
        return maps

    def parameter_layers(self) -> list[list[nn.Parameter]]:
        """Patches and positions, then each block; a merging lies with the block before it."""
        layers = [list(self.patch_embed.parameters())]
        if self.absolute_pos_embed is not None:
            layers[0].append(self.absolute_pos_embed)
        for stage in self.layers:
            layers += [
                list(block.parameters()) for block in stage.get_submodule("blocks").children()
            ]
            if isinstance(stage.downsample, PatchMerging):
                layers[-1] += stage.downsample.parameters()
        return layers


def swin(
    *,
    channels: int = 96,
    depths: Sequence[int] = (2, 2, 6, 2),
    num_heads: Sequence[int] = (3, 6, 12, 24),
    drop_path: float = 0.2,
    in_channels: int = 3,
    patch_side: int = 4,
    window_side: int = 7,
    mlp_ratio: float = 4.0,
    qkv_bias: bool = True,
    norm: NormFactory = nn.LayerNorm,
    patch_norm: bool = True,
    position_side: int | None = None,
    out_features: Sequence[str] = ("scale2", "scale3", "scale4", "scale5"),
    freeze_at: int = 0,
    checkpointing: bool = False,
) -> Swin:
    """The Swin family; defaults are Swin-T.

    Args:
        channels: of the first stage; each later one has twice as many.
        depths: blocks of every stage.
        num_heads: heads of every stage.
        drop_path: probability of the last block; grows evenly from 0 at the first.
        in_channels: channels of the image.
        patch_side: pixels of a patch: the stride of the first stage.
        window_side: tokens along a side of a window; odd blocks are shifted by half of it.
        mlp_ratio: hidden channels of the perceptrons per channel.
        qkv_bias: biases of the queries, keys and values.
        norm: everywhere.
        patch_norm: a norm after the patches.
        position_side: see `Swin`.
        out_features: see `Swin`; no stage after the last of them is built.
        freeze_at: see `Swin`.
        checkpointing: see `SwinStage`.
    Raises:
        CompositionError: numbers do not fit each other.
    """
    if len(depths) != len(num_heads) or not depths or min(depths) < 1:
        raise CompositionError(
            "swin: expected as many num_heads as depths, each of at least 1, got "
            f"depths={list(depths)}, num_heads={list(num_heads)}"
        )
    rates = iter(drop_path_rates(drop_path, sum(depths)))
    names = [f"scale{(patch_side * 2**i).bit_length() - 1}" for i in range(len(depths))]
    wanted = [i for i, name in enumerate(names) if name in out_features]
    count = wanted[-1] + 1 if wanted else len(names)
    stages = []
    for i, (depth, heads) in enumerate(zip(depths[:count], num_heads[:count], strict=True)):
        width = channels * 2**i
        blocks = [
            SwinBlock(
                width,
                num_heads=heads,
                norm=norm,
                window_side=window_side,
                shift=j % 2 * (window_side // 2),
                mlp_ratio=mlp_ratio,
                qkv_bias=qkv_bias,
                drop_path=next(rates),
            )
            for j in range(depth)
        ]
        downsample = PatchMerging(width, norm=norm) if i + 1 < count else None
        stages.append(
            SwinStage(blocks, channels=width, downsample=downsample, checkpointing=checkpointing)
        )
    patches = SwinPatches(
        in_channels, channels, patch_side=patch_side, norm=norm if patch_norm else None
    )
    return Swin(
        patch_embed=patches,
        stages=stages,
        norm=norm,
        out_features=out_features,
        position_side=position_side,
        freeze_at=freeze_at,
    )


def _offset_index(side: int) -> Tensor:
    """[side**2, side**2] row of the bias table for every pair of tokens of a window."""
    steps = torch.arange(side)
    rows, columns = (axis.flatten() for axis in torch.meshgrid(steps, steps, indexing="ij"))
    down = rows[:, None] - rows + side - 1
    right = columns[:, None] - columns + side - 1
    return down * (2 * side - 1) + right


def _shift_mask(
    padded_hw: tuple[int, int], side: int, shift: int, *, device: torch.device
) -> Tensor:
    """[n, s * s, s * s]: 0 between tokens that were neighbours before the grid was rolled.

    Rolling brings the first rows and columns beside the last ones; those share a window now.
    """
    regions = []
    for length in padded_hw:
        steps = torch.arange(length, device=device)
        regions.append((steps >= length - side).long() + (steps >= length - shift))
    region = 3 * regions[0][:, None] + regions[1]
    windows = split_windows(region[None, :, :, None], side).flatten(1)
    apart = windows[:, :, None] != windows[:, None]
    return torch.zeros(apart.shape, device=device).masked_fill_(apart, _APART)


def _specs(patch_embed: SwinPatches, stages: Sequence[SwinStage]) -> dict[str, FeatureSpec]:
    specs = {}
    channels, stride = patch_embed.channels, patch_embed.stride
    for i, stage in enumerate(stages):
        last = i + 1 == len(stages)
        if stage.channels != channels or (stage.downsample is None) != last:
            raise CompositionError(
                f"Swin: stage {i} has {stage.channels} channels and "
                f"{'no ' if stage.downsample is None else ''}downsample, expected {channels} "
                "channels, and a downsample in every stage but the last"
            )
        specs[f"scale{stride.bit_length() - 1}"] = FeatureSpec(channels, stride)
        channels, stride = 2 * channels, 2 * stride
    return specs
