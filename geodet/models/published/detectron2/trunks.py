"""Detectron2's names inside backbones and necks."""

from collections.abc import Mapping

from torch import nn

from geodet.models.backbones.regnet import RegNetBlock, RegNetBranch, SqueezeExcitation
from geodet.models.backbones.resnet_blocks import ResidualBlock
from geodet.models.backbones.staged import Stage, StagedBackbone, Stem
from geodet.models.backbones.trident import TridentBlock
from geodet.models.layers import ConvNorm, DeformConvNorm, FrozenBatchNorm2d, LayerNorm2d
from geodet.models.necks import FPN
from geodet.models.published.names import Rule, plain_names

__all__ = ["TRUNKS"]


def _fpn(fpn: FPN) -> dict[str, str]:
    laterals = {f"laterals.{number}": f"fpn_lateral{number}" for number in fpn.laterals}
    outputs = {f"outputs.{number}": f"fpn_output{number}" for number in fpn.outputs}
    return {**laterals, **outputs, "top": "top_block"}


TRUNKS: Mapping[type[nn.Module], Rule] = {
    FPN: _fpn,
    StagedBackbone: plain_names,
    Stem: plain_names,
    Stage: plain_names,
    ResidualBlock: plain_names,
    TridentBlock: plain_names,
    RegNetBlock: plain_names,
    RegNetBranch: plain_names,
    SqueezeExcitation: plain_names,
    ConvNorm: plain_names,
    DeformConvNorm: plain_names,
    FrozenBatchNorm2d: plain_names,
    LayerNorm2d: plain_names,
}
