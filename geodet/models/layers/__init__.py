"""Building blocks of networks: convolution with norm, norms, initialisations."""

from geodet.models.layers.aspp import ASPP
from geodet.models.layers.attention import attend, decomposed_bias, relative_embeddings
from geodet.models.layers.checkpointing import run_block
from geodet.models.layers.conv import ConvNorm
from geodet.models.layers.deform import DeformConvNorm
from geodet.models.layers.drop_path import DropPath, drop_path_rates
from geodet.models.layers.folding import fold_norms
from geodet.models.layers.initialisation import (
    fill_c2_msra,
    fill_c2_xavier,
    fill_normal,
    fill_transformer,
    fill_zeros,
)
from geodet.models.layers.mlp import Mlp
from geodet.models.layers.norms import FrozenBatchNorm2d, LayerNorm2d, NormFactory, group_norm
from geodet.models.layers.patch_embed import PatchEmbed, grid_positions
from geodet.models.layers.separable import SeparableConv
from geodet.models.layers.windows import join_windows, split_windows

__all__ = [
    "ASPP",
    "ConvNorm",
    "DeformConvNorm",
    "DropPath",
    "FrozenBatchNorm2d",
    "LayerNorm2d",
    "Mlp",
    "NormFactory",
    "PatchEmbed",
    "SeparableConv",
    "attend",
    "decomposed_bias",
    "drop_path_rates",
    "fill_c2_msra",
    "fill_c2_xavier",
    "fill_normal",
    "fill_transformer",
    "fill_zeros",
    "fold_norms",
    "grid_positions",
    "group_norm",
    "join_windows",
    "relative_embeddings",
    "run_block",
    "split_windows",
]
