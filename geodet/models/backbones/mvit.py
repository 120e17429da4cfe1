"""Multiscale transformers: attention that pools, as MViTv2 in detection.

Tokens travel as [b, h, w, c].

Reference: Li et al. 2021 (arXiv 2112.01526).
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.features import Backbone, FeatureSpec
from geodet.models.layers import (
    DropPath,
    Mlp,
    NormFactory,
    PatchEmbed,
    attend,
    decomposed_bias,
    drop_path_rates,
    fill_transformer,
    grid_positions,
    join_windows,
    run_block,
    split_windows,
)

__all__ = ["MViT", "MViTBlock", "PoolingAttention", "mvit"]

_LAYER_NORM: NormFactory = partial(nn.LayerNorm, eps=1e-6)


class PoolingAttention(nn.Module):
    """Attention whose queries, keys and values are pooled by convolutions first.

    The queries are added to what they read ("residual pooling").

    Args:
        in_channels: channels of a token.
        channels: channels out.
        num_heads: heads, which share `channels` equally.
        norm: of the pooled queries, keys and values, head by head.
        query_stride: tokens from query to query; the output's grid is this much coarser.
        key_stride: tokens from key to key.
        window_side: queries read the keys of their window of this many tokens; None of the
            whole grid. Windows are cut after pooling.
        table_side: side of the grid of tokens that the tables of relative positions are made
            for; other grids interpolate them. None does without relative positions.
        kernel_size: odd side of the pooling.
        qkv_bias: biases of the queries, keys and values.
        residual_pooling: add the queries.
    Raises:
        CompositionError: heads do not divide channels, or strides a window.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        num_heads: int,
        norm: NormFactory = _LAYER_NORM,
        query_stride: int = 1,
        key_stride: int = 1,
        window_side: int | None = None,
        table_side: int | None = None,
        kernel_size: int = 3,
        qkv_bias: bool = True,
        residual_pooling: bool = True,
    ) -> None:
        super().__init__()
        if channels % num_heads:
            raise CompositionError(
                f"PoolingAttention: expected num_heads to divide channels={channels}, got "
                f"{num_heads}"
            )
        if window_side is not None and (window_side % query_stride or window_side % key_stride):
            raise CompositionError(
                f"PoolingAttention: expected query_stride and key_stride to divide "
                f"window_side={window_side}, got {query_stride} and {key_stride}"
            )
        self.num_heads = num_heads
        self.query_stride = query_stride
        self.key_stride = key_stride
        self.window_side = window_side
        self.residual_pooling = residual_pooling
        head = channels // num_heads
        self.qkv = nn.Linear(in_channels, 3 * channels, bias=qkv_bias)
        self.proj = nn.Linear(channels, channels)
        strides = {"q": query_stride, "k": key_stride, "v": key_stride}
        for name, stride in strides.items():
            pool = nn.Conv2d(
                head,
                head,
                kernel_size,
                stride=stride,
                padding=kernel_size // 2,
                groups=head,
                bias=False,
            )
            self.add_module(f"pool_{name}", pool)
            self.add_module(f"norm_{name}", norm(head))
        self.rel_pos_h: nn.Parameter | None = None
        self.rel_pos_w: nn.Parameter | None = None
        if table_side is not None:
            rows = 2 * (table_side // min(query_stride, key_stride)) - 1
            self.rel_pos_h = nn.Parameter(torch.zeros(rows, head))
            self.rel_pos_w = nn.Parameter(torch.zeros(rows, head))

    def forward(self, tokens: Tensor) -> Tensor:
        """[b, h, w, in_channels] -> [b, ceil(h / stride), ceil(w / stride), channels]."""
        b, h, w, _ = tokens.shape
        qkv = self.qkv(tokens).unflatten(-1, (3, self.num_heads, -1))
        parts = qkv.permute(3, 0, 4, 1, 2, 5).reshape(3, b * self.num_heads, h, w, qkv.shape[-1])
        queries, keys, values = (
            self._pool(name, part) for name, part in zip("qkv", parts, strict=True)
        )
        mixed = self._mix(queries, keys, values)
        if self.residual_pooling:
            mixed = mixed + queries
        _, h, w, d = mixed.shape
        mixed = mixed.view(b, self.num_heads, h, w, d).permute(0, 2, 3, 1, 4).flatten(3)
        out: Tensor = self.proj(mixed)
        return out

    def _pool(self, name: str, part: Tensor) -> Tensor:
        """[b * heads, h, w, d] -> the same, of the coarser grid."""
        pooled = self.get_submodule(f"pool_{name}")(part.permute(0, 3, 1, 2))
        normed: Tensor = self.get_submodule(f"norm_{name}")(pooled.permute(0, 2, 3, 1))
        return normed

    def _mix(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attention on grids [b * heads, h, w, d], of queries and of keys and values."""
        grid = (queries.shape[1], queries.shape[2])
        if self.window_side is not None:
            query_side = self.window_side // self.query_stride
            key_side = self.window_side // self.key_stride
            queries = split_windows(queries, query_side)
            keys, values = split_windows(keys, key_side), split_windows(values, key_side)
        query_hw = (queries.shape[1], queries.shape[2])
        key_hw = (keys.shape[1], keys.shape[2])
        # [b * heads * windows, 1, h * w, d]: no two of them share anything but the tables.
        queries, keys, values = (part.flatten(1, 2)[:, None] for part in (queries, keys, values))
        bias = None
        if self.rel_pos_h is not None and self.rel_pos_w is not None:
            bias = decomposed_bias(queries, self.rel_pos_h, self.rel_pos_w, query_hw, key_hw)
        mixed: Tensor = attend(queries, keys, values, bias)[:, 0].unflatten(1, query_hw)
        return mixed if self.window_side is None else join_windows(mixed, grid)


class MViTBlock(nn.Module):
    """Pooling attention, then perceptron, each beside a shortcut and after its norm.

    Args:
        in_channels: channels of a token.
        attention: whose output's channels and stride are the block's.
        channels: channels out.
        norm: makes the norms of both halves.
        mlp_ratio: hidden channels of the perceptron per channel.
        drop_path: probability of leaving a half out, in training.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        attention: PoolingAttention,
        norm: NormFactory = _LAYER_NORM,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.channels = channels
        self.stride = attention.query_stride
        self.norm1 = norm(in_channels)
        self.attn = attention
        self.proj = None if in_channels == channels else nn.Linear(in_channels, channels)
        self.norm2 = norm(channels)
        self.mlp = Mlp(channels, int(channels * mlp_ratio))
        self.drop_path = DropPath(drop_path)
        fill_transformer(self)

    def forward(self, tokens: Tensor) -> Tensor:
        """[b, h, w, in_channels] -> [b, ceil(h / stride), ceil(w / stride), channels]."""
        normed = self.norm1(tokens)
        # A shortcut that changes channels starts after the norm, any other before it.
        shortcut = tokens if self.proj is None else self.proj(normed)
        if self.stride > 1:
            kernel = self.stride + 1
            maps = shortcut.permute(0, 3, 1, 2)
            pooled = functional.max_pool2d(maps, kernel, stride=self.stride, padding=kernel // 2)
            shortcut = pooled.permute(0, 2, 3, 1)
        tokens = shortcut + self.drop_path(self.attn(normed))
        out: Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return out


class MViT(Backbone):
    """Patches and blocks; the tokens after the last block of a stage come out after a norm.

    Args:
        patch_embed: images to tokens.
        blocks: run in this order.
        stage_ends: position of the last block of every stage. The first block after an end
            halves the grid.
        norm: of the maps that come out.
        out_features: "scale2" for the map of stride 4, and so on.
        position_side: side of the square grid that absolute positions are learnt on; other grids
            interpolate them. None does without.
        class_token: keep the slot of a class token before the absolute positions.
        checkpointing: compute blocks again in the backward pass instead of keeping what is in
            them: less memory, more time.
    Raises:
        CompositionError: the channels of two neighbours differ, a stage is empty or does not end
            at the last block, or `out_features` names no stage or an unknown one.
    """

    def __init__(
        self,
        *,
        patch_embed: PatchEmbed,
        blocks: Sequence[MViTBlock],
        stage_ends: Sequence[int],
        norm: NormFactory = _LAYER_NORM,
        out_features: Sequence[str] = ("scale2", "scale3", "scale4", "scale5"),
        position_side: int | None = None,
        class_token: bool = True,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        specs = _specs(patch_embed, blocks, stage_ends)
        unknown = [name for name in out_features if name not in specs]
        if unknown or not out_features:
            raise CompositionError(
                f"MViT: expected out_features among {list(specs)}, got {list(out_features)}"
            )
        self.in_channels = patch_embed.in_channels
        self.size_divisor = 1  # pooling rounds up, windows pad
        self.checkpointing = checkpointing
        self.patch_embed = patch_embed
        self.class_token = class_token
        self.pos_embed: nn.Parameter | None = None
        if position_side is not None:
            rows = position_side**2 + int(class_token)
            self.pos_embed = nn.Parameter(torch.zeros(1, rows, patch_embed.channels))
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.blocks = nn.ModuleList(blocks)
        self.feature_specs = {name: specs[name] for name in specs if name in out_features}
        self._names_at = {
            end: name for end, name in zip(stage_ends, specs, strict=True) if name in out_features
        }
        for name, spec in self.feature_specs.items():
            self.add_module(f"{name}_norm", norm(spec.channels))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the maps asked for.

        Args:
            images: [b, in_channels, H, W].
        Returns:
            Name -> [b, channels, ceil(H / stride), ceil(W / stride)].
        Empty: b = 0 gives maps with b = 0.
        """
        tokens = self.patch_embed(images)
        if self.pos_embed is not None:
            embeddings = self.pos_embed[:, int(self.class_token) :]
            tokens = tokens + grid_positions(embeddings, tokens.shape[1:3])
        maps = {}
        for i, block in enumerate(self.blocks):
            tokens = run_block(block, tokens, checkpointing=self.checkpointing)
            if i in self._names_at:
                name = self._names_at[i]
                maps[name] = self.get_submodule(f"{name}_norm")(tokens).permute(0, 3, 1, 2)
        return maps

    def parameter_layers(self) -> list[list[nn.Parameter]]:
        """Patches and positions, then each block."""
        first = list(self.patch_embed.parameters())
        if self.pos_embed is not None:
            first.append(self.pos_embed)
        return [first, *(list(block.parameters()) for block in self.blocks)]


def mvit(
    *,
    channels: int = 96,
    depth: int = 10,
    num_heads: int = 1,
    stage_ends: Sequence[int] = (0, 2, 7, 9),
    drop_path: float = 0.2,
    in_channels: int = 3,
    image_side: int = 224,
    window_side: int = 56,
    key_stride: int = 4,
    mlp_ratio: float = 4.0,
    qkv_bias: bool = True,
    relative_positions: bool = True,
    residual_pooling: bool = True,
    position_side: int | None = None,
    class_token: bool = True,
    norm: NormFactory = _LAYER_NORM,
    out_features: Sequence[str] = ("scale2", "scale3", "scale4", "scale5"),
    checkpointing: bool = False,
) -> MViT:
    """The MViTv2 family with windows, as Detectron2 has it; defaults are MViTv2-T.

    The first block after a stage's end halves the grid and doubles the channels, heads and
    density of the keys; windows halve after it. The last block of every stage but the first
    attends to the whole grid, in all stages but the first and the last to half as many keys.

    Args:
        channels: of the first stage.
        depth: number of blocks.
        num_heads: of the first stage.
        stage_ends: position of the last block of every stage.
        drop_path: probability of the last block; grows evenly from 0 at the first.
        in_channels: channels of the image.
        image_side: size of image that the tables of relative positions are made for; a multiple
            of 4. Any other size works too.
        window_side: tokens of a window in the first stage.
        key_stride: tokens from key to key in the first stage.
        mlp_ratio: hidden channels of the perceptrons per channel.
        qkv_bias: biases of the queries, keys and values.
        relative_positions: decomposed relative positions in every block.
        residual_pooling: see `PoolingAttention`.
        position_side: see `MViT`.
        class_token: see `MViT`.
        norm: everywhere.
        out_features: see `MViT`; no block after the last of them is built.
        checkpointing: see `MViT`.
    Raises:
        CompositionError: numbers do not fit each other.
    """
    _check_ends(stage_ends, depth)
    wanted = [i for i in range(len(stage_ends)) if f"scale{i + 2}" in out_features]
    built_ends = list(stage_ends)[: wanted[-1] + 1] if wanted else stage_ends
    rates = drop_path_rates(drop_path, depth)[: built_ends[-1] + 1]
    blocks = []
    before, grid_side = channels, image_side // 4
    for i, rate in enumerate(rates):
        starts_stage = i - 1 in stage_ends
        is_global = i in stage_ends[1:]
        spread = 2 if i in stage_ends[1:-1] else 1
        attention = PoolingAttention(
            before,
            channels,
            num_heads=num_heads,
            norm=norm,
            query_stride=2 if starts_stage else 1,
            key_stride=key_stride * spread,
            window_side=None if is_global else window_side,
            table_side=grid_side if relative_positions else None,
            qkv_bias=qkv_bias,
            residual_pooling=residual_pooling,
        )
        block = MViTBlock(
            before, channels, attention=attention, norm=norm, mlp_ratio=mlp_ratio, drop_path=rate
        )
        blocks.append(block)
        before = channels
        if starts_stage:
            window_side, grid_side = window_side // 2, grid_side // 2
        if i in stage_ends:
            channels, num_heads, key_stride = 2 * channels, 2 * num_heads, max(key_stride // 2, 1)
    return MViT(
        patch_embed=PatchEmbed(
            in_channels, blocks[0].in_channels, kernel_size=7, stride=4, padding=3
        ),
        blocks=blocks,
        stage_ends=built_ends,
        norm=norm,
        out_features=out_features,
        position_side=position_side,
        class_token=class_token,
        checkpointing=checkpointing,
    )


def _check_ends(stage_ends: Sequence[int], depth: int) -> None:
    ends = list(stage_ends)
    if not ends or ends != sorted(set(ends)) or ends[0] < 0 or ends[-1] != depth - 1:
        raise CompositionError(
            f"MViT: expected stage_ends that grow and end at the last block, {depth - 1}, got "
            f"{ends}"
        )


def _specs(
    patch_embed: PatchEmbed, blocks: Sequence[MViTBlock], stage_ends: Sequence[int]
) -> dict[str, FeatureSpec]:
    _check_ends(stage_ends, len(blocks))
    specs = {}
    channels, stride = patch_embed.channels, patch_embed.stride
    for i, block in enumerate(blocks):
        if block.in_channels != channels:
            raise CompositionError(
                f"MViT: block {i} expects {block.in_channels} channels, gets {channels}"
            )
        channels, stride = block.channels, stride * block.stride
        if i in stage_ends:
            specs[f"scale{stride.bit_length() - 1}"] = FeatureSpec(channels, stride)
    return specs
