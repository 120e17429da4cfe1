"""Backbones: images to feature maps of growing stride."""

from geodet.models.backbones.regnet import (
    ConvStem,
    RegNet,
    RegNetBlock,
    RegNetBranch,
    RegNetStageSize,
    SqueezeExcitation,
    regnet,
    regnet_stage_sizes,
    regnet_x_4gf,
    regnet_y_4gf,
)
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
from geodet.models.backbones.swin import PatchMerging, Swin, SwinBlock, SwinPatches, SwinStage, swin
from geodet.models.backbones.vit import ConvResidual, RelativeAttention, ViT, ViTBlock, vit

__all__ = [
    "BasicBlock",
    "BasicStem",
    "BottleneckBlock",
    "ConvResidual",
    "ConvStem",
    "DeepStem",
    "DeformBottleneckBlock",
    "PatchMerging",
    "RegNet",
    "RegNetBlock",
    "RegNetBranch",
    "RegNetStageSize",
    "RelativeAttention",
    "ResNet",
    "ResidualBlock",
    "SqueezeExcitation",
    "Stage",
    "StagedBackbone",
    "Stem",
    "Swin",
    "SwinBlock",
    "SwinPatches",
    "SwinStage",
    "ViT",
    "ViTBlock",
    "freeze",
    "regnet",
    "regnet_stage_sizes",
    "regnet_x_4gf",
    "regnet_y_4gf",
    "resnet",
    "resnet_stage",
    "swin",
    "vit",
]
