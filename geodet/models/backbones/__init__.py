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

__all__ = [
    "BasicBlock",
    "BasicStem",
    "BottleneckBlock",
    "DeepStem",
    "DeformBottleneckBlock",
    "ResNet",
    "ResidualBlock",
    "Stage",
    "StagedBackbone",
    "Stem",
    "freeze",
    "resnet",
    "resnet_stage",
]
