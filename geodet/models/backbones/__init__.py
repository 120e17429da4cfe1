"""Backbones: images to feature maps of growing stride."""

from geodet.models.backbones.resnet import ResNet, resnet, resnet_stage
from geodet.models.backbones.resnet_blocks import (
    BasicBlock,
    BasicStem,
    BottleneckBlock,
    DeepStem,
    DeformBottleneckBlock,
    ResidualBlock,
)
from geodet.models.backbones.staged import Stage, StagedBackbone, Stem, freeze
from geodet.models.backbones.vit import ConvResidual, RelativeAttention, ViT, ViTBlock, vit

__all__ = [
    "BasicBlock",
    "BasicStem",
    "BottleneckBlock",
    "ConvResidual",
    "DeepStem",
    "DeformBottleneckBlock",
    "RelativeAttention",
    "ResNet",
    "ResidualBlock",
    "Stage",
    "StagedBackbone",
    "Stem",
    "ViT",
    "ViTBlock",
    "freeze",
    "resnet",
    "resnet_stage",
    "vit",
]
