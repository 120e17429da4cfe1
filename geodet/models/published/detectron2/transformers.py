"""Detectron2's names inside transformers, and inside the pyramid that plain ones have."""

from collections.abc import Mapping

from torch import nn

from geodet.models.backbones import (
    ConvResidual,
    MViT,
    MViTBlock,
    PatchMerging,
    PoolingAttention,
    RelativeAttention,
    Swin,
    SwinBlock,
    SwinPatches,
    SwinStage,
    ViT,
    ViTBlock,
)
from geodet.models.backbones.swin import WindowBiasAttention
from geodet.models.layers import Mlp, PatchEmbed
from geodet.models.necks import SimpleFeaturePyramid
from geodet.models.published.names import Rule, plain_names

__all__ = ["TRANSFORMERS"]


def _simple_pyramid(pyramid: SimpleFeaturePyramid) -> dict[str, str]:
    levels = {f"levels.{number}": f"simfp_{number}" for number in pyramid.levels}
    return {**levels, "bottom_up": "net", "top": "top_block"}


TRANSFORMERS: Mapping[type[nn.Module], Rule] = {
    SimpleFeaturePyramid: _simple_pyramid,
    ConvResidual: plain_names,
    MViT: plain_names,
    MViTBlock: plain_names,
    Mlp: plain_names,
    PatchEmbed: plain_names,
    PatchMerging: plain_names,
    PoolingAttention: plain_names,
    RelativeAttention: plain_names,
    Swin: plain_names,
    SwinBlock: plain_names,
    SwinPatches: plain_names,
    SwinStage: plain_names,
    ViT: plain_names,
    ViTBlock: plain_names,
    WindowBiasAttention: plain_names,
}
