"""Plain vision transformers with windowed and global blocks, as in ViTDet.

Tokens travel as [b, h, w, c].

Reference: Dosovitskiy et al. 2020 (arXiv 2010.11929); Li et al. 2022 (arXiv 2203.16527).
"""

from collections.abc import Collection, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError, ShapeError
from geodet.models.features import Backbone, FeatureSpec
from geodet.models.layers import (
    DropPath,
    LayerNorm2d,
    Mlp,
    NormFactory,
    PatchEmbed,
    attend,
    decomposed_bias,
    drop_path_rates,
    fill_c2_msra,
    fill_transformer,
    grid_positions,
    join_windows,
    run_block,
    split_windows,
)

__all__ = ["ConvResidual", "RelativeAttention", "ViT", "ViTBlock", "vit"]

_LAYER_NORM: NormFactory = partial(nn.LayerNorm, eps=1e-6)


class RelativeAttention(nn.Module):
    """Attention of every token of a grid to every other, with decomposed relative positions.

    Args:
        channels: channels of a token.
        num_heads: heads, which share the channels equally.
        table_hw: height and width of the grid that the tables of relative positions are made
            for; grids of other sizes interpolate them. None does without relative positions.
        qkv_bias: biases of the queries, keys and values.
    Raises:
        CompositionError: the heads do not divide the channels.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: int,
        table_hw: tuple[int, int] | None,
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        if channels % num_heads:
            raise CompositionError(
                f"RelativeAttention: expected num_heads to divide channels={channels}, got "
                f"{num_heads}"
            )
        self.num_heads = num_heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = nn.Linear(channels, channels)
        self.rel_pos_h: nn.Parameter | None = None
        self.rel_pos_w: nn.Parameter | None = None
        if table_hw is not None:
            # Zeros: a pretrained network without them stays what it was.
            tables = [torch.zeros(2 * side - 1, channels // num_heads) for side in table_hw]
            self.rel_pos_h, self.rel_pos_w = map(nn.Parameter, tables)

    def forward(self, tokens: Tensor) -> Tensor:
        """[b, h, w, channels] -> the same shape."""
        b, h, w, c = tokens.shape
        qkv = self.qkv(tokens).view(b, h * w, 3, self.num_heads, c // self.num_heads)
        queries, keys, values = qkv.permute(2, 0, 3, 1, 4)  # [b, heads, h * w, d] each
        bias = None
        if self.rel_pos_h is not None and self.rel_pos_w is not None:
            bias = decomposed_bias(queries, self.rel_pos_h, self.rel_pos_w, (h, w), (h, w))
        mixed = attend(queries, keys, values, bias)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(b, h, w, c))
        return out


class ConvResidual(nn.Module):
    """1x1, 3x3, 1x1 convolutions beside a shortcut; they carry information between windows.

    It starts as the identity: the scale of its last norm is 0.

    Args:
        channels: channels in and out; half of them between.
    Reference: Li et al. 2022 (arXiv 2203.16527), section 3.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.norm1 = LayerNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.norm2 = LayerNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, channels, 1, bias=False)
        self.norm3 = LayerNorm2d(channels)
        for layer in (self.conv1, self.conv2, self.conv3):
            fill_c2_msra(layer)
        nn.init.zeros_(self.norm3.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """[b, h, w, channels] -> the same shape."""
        maps = tokens.permute(0, 3, 1, 2)
        inner = functional.gelu(self.norm1(self.conv1(maps)))
        inner = functional.gelu(self.norm2(self.conv2(inner)))
        out: Tensor = maps + self.norm3(self.conv3(inner))
        return out.permute(0, 2, 3, 1)


class ViTBlock(nn.Module):
    """Attention, then perceptron, each beside a shortcut and after its norm.

    Args:
        channels: channels of a token.
        attention: [b, h, w, channels] to the same shape.
        norm: makes the norms of both halves.
        mlp_ratio: hidden channels of the perceptron per channel.
        window_side: tokens attend within windows of this side; None within the whole grid.
            Windows reach over the right and bottom edge, where they see zeros.
        drop_path: probability of leaving a half out, in training.
        residual: applied last; such as `ConvResidual`.
    """

    def __init__(
        self,
        channels: int,
        *,
        attention: nn.Module,
        norm: NormFactory,
        mlp_ratio: float = 4.0,
        window_side: int | None = None,
        drop_path: float = 0.0,
        residual: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.window_side = window_side
        self.norm1 = norm(channels)
        self.attn = attention
        self.norm2 = norm(channels)
        self.mlp = Mlp(channels, int(channels * mlp_ratio))
        self.drop_path = DropPath(drop_path)
        self.residual = residual

    def forward(self, tokens: Tensor) -> Tensor:
        """[b, h, w, channels] -> the same shape."""
        tokens = tokens + self.drop_path(self._mix(self.norm1(tokens)))
        tokens = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return tokens if self.residual is None else self.residual(tokens)

    def _mix(self, tokens: Tensor) -> Tensor:
        if self.window_side is None:
            mixed: Tensor = self.attn(tokens)
            return mixed
        windows = self.attn(split_windows(tokens, self.window_side))
        return join_windows(windows, (tokens.shape[1], tokens.shape[2]))


class ViT(Backbone):
    """Patches, positions and blocks; one map, of the stride of a patch.

    Args:
        patch_embed: images to tokens.
        blocks: run in this order.
        position_side: side of the square grid that the absolute positions are learnt on; other
            grids interpolate them. None does without.
        class_token: keep the slot of a class token before the absolute positions, as published
            weights have it. It is not used.
        checkpointing: compute blocks again in the backward pass instead of keeping what is in
            them: less memory, more time.
        out_feature: name of the map.
    Raises:
        CompositionError: there is no block, or one has other channels than the patches.
    """

    def __init__(
        self,
        *,
        patch_embed: PatchEmbed,
        blocks: Sequence[ViTBlock],
        position_side: int | None = 14,
        class_token: bool = True,
        checkpointing: bool = False,
        out_feature: str = "last_feat",
    ) -> None:
        super().__init__()
        channels = patch_embed.channels
        if not blocks or any(block.channels != channels for block in blocks):
            raise CompositionError(
                f"ViT: PatchEmbed gives {channels} channels, expected blocks of as many, got "
                f"blocks of {[block.channels for block in blocks]}"
            )
        self.in_channels = patch_embed.in_channels
        self.patch_embed = patch_embed
        self.class_token = class_token
        self.pos_embed: nn.Parameter | None = None
        if position_side is not None:
            rows = position_side**2 + int(class_token)
            self.pos_embed = nn.Parameter(torch.zeros(1, rows, channels))
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.blocks = nn.ModuleList(blocks)
        self.checkpointing = checkpointing
        self.out_feature = out_feature
        self.feature_specs = {out_feature: FeatureSpec(channels, patch_embed.stride)}
        self.size_divisor = patch_embed.stride

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the map after the last block.

        Args:
            images: [b, in_channels, H, W], H and W multiples of the patch.
        Returns:
            `out_feature` -> [b, channels, H / patch, W / patch].
        Raises:
            ShapeError: H or W is no multiple.
        Empty: b = 0 gives b = 0.
        """
        height, width = images.shape[-2:]
        if height % self.size_divisor or width % self.size_divisor:
            raise ShapeError(
                f"images: expected height and width to be multiples of {self.size_divisor} (a "
                f"patch of ViT), got {height} x {width}; give Preprocess "
                f"size_divisor={self.size_divisor}"
            )
        tokens = self.patch_embed(images)
        if self.pos_embed is not None:
            embeddings = self.pos_embed[:, int(self.class_token) :]
            tokens = tokens + grid_positions(embeddings, tokens.shape[1:3])
        for block in self.blocks:
            tokens = run_block(block, tokens, checkpointing=self.checkpointing)
        return {self.out_feature: tokens.permute(0, 3, 1, 2)}

    def parameter_layers(self) -> list[list[nn.Parameter]]:
        """Patches and positions, then each block without its `residual`, which is always new."""
        first = list(self.patch_embed.parameters())
        if self.pos_embed is not None:
            first.append(self.pos_embed)
        blocks = [
            [each for name, each in block.named_parameters() if not name.startswith("residual.")]
            for block in self.blocks
        ]
        return [first, *blocks]


def vit(
    *,
    channels: int = 768,
    depth: int = 12,
    num_heads: int = 12,
    global_blocks: Collection[int] = (2, 5, 8, 11),
    conv_blocks: Collection[int] = (),
    drop_path: float = 0.1,
    in_channels: int = 3,
    patch_side: int = 16,
    image_side: int = 1024,
    window_side: int = 14,
    mlp_ratio: float = 4.0,
    qkv_bias: bool = True,
    relative_positions: bool = True,
    position_side: int | None = 14,
    class_token: bool = True,
    norm: NormFactory = _LAYER_NORM,
    checkpointing: bool = False,
) -> ViT:
    """The ViT family; defaults are ViT-B as ViTDet has it.

    Args:
        channels: channels of a token.
        depth: number of blocks.
        num_heads: heads of every block.
        global_blocks: positions of the blocks that attend to the whole grid; the others attend
            within windows.
        conv_blocks: positions of the blocks that end in a `ConvResidual`.
        drop_path: probability of the last block; grows evenly from 0 at the first.
        in_channels: channels of the image.
        patch_side: pixels of a patch, which is the stride.
        image_side: size of image that the global tables of relative positions are made for. Any
            other multiple of the patch works too.
        window_side: tokens of a window.
        mlp_ratio: hidden channels of the perceptrons per channel.
        qkv_bias: biases of the queries, keys and values.
        relative_positions: decomposed relative positions in every block.
        position_side: see `ViT`.
        class_token: see `ViT`.
        norm: of the tokens.
        checkpointing: see `ViT`.
    Raises:
        CompositionError: a position names no block, or numbers do not divide.
    """
    _check_blocks("global_blocks", global_blocks, depth)
    _check_blocks("conv_blocks", conv_blocks, depth)
    if image_side % patch_side:
        raise CompositionError(
            f"vit: expected image_side to be a multiple of patch_side={patch_side}, got "
            f"{image_side}"
        )
    blocks = []
    for i, rate in enumerate(drop_path_rates(drop_path, depth)):
        side = image_side // patch_side if i in global_blocks else window_side
        attention = RelativeAttention(
            channels,
            num_heads=num_heads,
            table_hw=(side, side) if relative_positions else None,
            qkv_bias=qkv_bias,
        )
        block = ViTBlock(
            channels,
            attention=attention,
            norm=norm,
            mlp_ratio=mlp_ratio,
            window_side=None if i in global_blocks else window_side,
            drop_path=rate,
            residual=ConvResidual(channels) if i in conv_blocks else None,
        )
        fill_transformer(block)
        blocks.append(block)
    return ViT(
        patch_embed=PatchEmbed(in_channels, channels, kernel_size=patch_side, stride=patch_side),
        blocks=blocks,
        position_side=position_side,
        class_token=class_token,
        checkpointing=checkpointing,
    )


def _check_blocks(name: str, positions: Collection[int], depth: int) -> None:
    wrong = [position for position in positions if not 0 <= position < depth]
    if wrong:
        raise CompositionError(f"vit: expected {name} in 0..{depth - 1}, got {wrong}")
