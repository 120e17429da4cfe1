"""Building blocks of networks: convolution with norm, norms, initialisations."""

from geodet.models.layers.conv import ConvNorm
from geodet.models.layers.deform import DeformConvNorm
from geodet.models.layers.initialisation import (
    fill_c2_msra,
    fill_c2_xavier,
    fill_normal,
    fill_zeros,
)
from geodet.models.layers.norms import FrozenBatchNorm2d, LayerNorm2d, NormFactory, group_norm

__all__ = [
    "ConvNorm",
    "DeformConvNorm",
    "FrozenBatchNorm2d",
    "LayerNorm2d",
    "NormFactory",
    "fill_c2_msra",
    "fill_c2_xavier",
    "fill_normal",
    "fill_zeros",
    "group_norm",
]
