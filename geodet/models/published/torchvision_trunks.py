"""torchvision's names inside backbones.

Its classifiers hold the same networks as ours, in other levels: a ResNet's stem is spread over the
top, RegNet and ConvNeXt count the members of sequences.
"""

from collections.abc import Mapping

from torch import nn

from geodet.models.backbones import (
    ConvNeXt,
    ConvNeXtBlock,
    ConvNeXtDownsample,
    RegNet,
    RegNetBlock,
    RegNetBranch,
    ResidualBlock,
    ResNet,
    SqueezeExcitation,
    Swin,
    SwinBlock,
    ViT,
    ViTBlock,
)
from geodet.models.published.names import Rule

__all__ = ["TORCHVISION_TRUNKS"]


def _resnet(_: ResNet) -> dict[str, str]:
    stages = {f"res{i}": f"layer{i - 1}" for i in (2, 3, 4, 5)}
    return {"stem": "", "stem.conv1.norm": "bn1", **stages}


def _residual_block(_: ResidualBlock) -> dict[str, str]:
    norms = {f"conv{i}.norm": f"bn{i}" for i in (1, 2, 3)}
    return {**norms, "shortcut": "downsample.0", "shortcut.norm": "downsample.1"}


def _regnet(trunk: RegNet) -> dict[str, str]:
    names = {"stem.conv": "stem.0", "stem.bn": "stem.1"}
    for i, stage in enumerate(trunk.stage_names, start=1):
        for j, (block, _) in enumerate(trunk.get_submodule(stage).named_children()):
            names[f"{stage}.{block}"] = f"trunk_output.block{i}.block{i}-{j}"
    return names


def _regnet_block(_: RegNetBlock) -> dict[str, str]:
    return {"proj": "proj.0", "bn": "proj.1"}


def _regnet_branch(_: RegNetBranch) -> dict[str, str]:
    names: dict[str, str] = {}
    for letter in "abc":
        names |= {letter: f"{letter}.0", f"{letter}_bn": f"{letter}.1"}
    return names


def _squeeze_excitation(_: SqueezeExcitation) -> dict[str, str]:
    return {"f_ex.0": "fc1", "f_ex.2": "fc2"}


def _convnext(trunk: ConvNeXt) -> dict[str, str]:
    names = {"stem.conv": "features.0.0", "stem.norm": "features.0.1"}
    for i, stage in enumerate(trunk.stage_names):
        names[stage] = f"features.{2 * i + 1}"
        names[f"{stage}.downsample"] = f"features.{2 * i}"
    return names


def _convnext_block(_: ConvNeXtBlock) -> dict[str, str]:
    return {
        "depthwise": "block.0",
        "norm": "block.2",
        "mlp.fc1": "block.3",
        "mlp.fc2": "block.5",
    }


def _convnext_downsample(_: ConvNeXtDownsample) -> dict[str, str]:
    return {"norm": "0", "conv": "1"}


def _swin(trunk: Swin) -> dict[str, str]:
    names = {"patch_embed.proj": "features.0.0", "patch_embed.norm": "features.0.2"}
    for i in range(len(trunk.layers)):
        names[f"layers.{i}.blocks"] = f"features.{2 * i + 1}"
        names[f"layers.{i}.downsample"] = f"features.{2 * i + 2}"
    return names


def _swin_block(_: SwinBlock) -> dict[str, str]:
    return {"mlp.fc1": "mlp.0", "mlp.fc2": "mlp.3"}


def _vit(trunk: ViT) -> dict[str, str]:
    blocks = {f"blocks.{i}": f"encoder.layers.encoder_layer_{i}" for i in range(len(trunk.blocks))}
    return {
        "patch_embed.proj": "conv_proj",
        "pos_embed": "encoder.pos_embedding",
        **blocks,
    }


def _vit_block(_: ViTBlock) -> dict[str, str]:
    return {
        "norm1": "ln_1",
        "attn.qkv.weight": "self_attention.in_proj_weight",
        "attn.qkv.bias": "self_attention.in_proj_bias",
        "attn.proj": "self_attention.out_proj",
        "norm2": "ln_2",
        "mlp.fc1": "mlp.0",
        "mlp.fc2": "mlp.3",
    }


TORCHVISION_TRUNKS: Mapping[type[nn.Module], Rule] = {
    ResNet: _resnet,
    ResidualBlock: _residual_block,
    RegNet: _regnet,
    RegNetBlock: _regnet_block,
    RegNetBranch: _regnet_branch,
    SqueezeExcitation: _squeeze_excitation,
    ConvNeXt: _convnext,
    ConvNeXtBlock: _convnext_block,
    ConvNeXtDownsample: _convnext_downsample,
    Swin: _swin,
    SwinBlock: _swin_block,
    ViT: _vit,
    ViTBlock: _vit_block,
}
