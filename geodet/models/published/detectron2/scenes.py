"""Detectron2's names inside models of pixels and of scenes."""

from collections.abc import Mapping

from torch import nn

from geodet.models.detectors import PanopticDeepLab, PanopticFPN, SemanticSegmentor
from geodet.models.heads import (
    CenterHead,
    DeepLabDecoder,
    DeepLabV3PlusHead,
    SemanticFPNHead,
)
from geodet.models.layers import ASPP
from geodet.models.published.names import Rule

__all__ = ["SCENES"]


def _semantic_segmentor(_: SemanticSegmentor) -> dict[str, str]:
    return {"head": "sem_seg_head"}


def _panoptic_fpn(_: PanopticFPN) -> dict[str, str]:
    return {"detector": "", "semantic_head": "sem_seg_head"}


def _semantic_fpn_head(_: SemanticFPNHead) -> dict[str, str]:
    # Inside a level both sides number convolutions and enlargements alike.
    return {"levels": ""}


def _panoptic_deeplab(_: PanopticDeepLab) -> dict[str, str]:
    return {"semantic_head": "sem_seg_head", "center_head": "ins_embed_head"}


def _aspp(aspp: ASPP) -> dict[str, str]:
    # The mean is one more member of the list there, and its convolution the second of two.
    return {"pool_conv": f"convs.{len(aspp.convs)}.1"}


def _deeplab_decoder(decoder: DeepLabDecoder) -> dict[str, str]:
    *finer, coarsest = decoder.specs
    names = {f"projects.{name}": f"{name}.project_conv" for name in finer}
    names |= {f"fuses.{name}": f"{name}.fuse_conv" for name in finer}
    return {"aspp": f"{coarsest}.project_conv", **names}


def _deeplab_v3_plus_head(_: DeepLabV3PlusHead) -> dict[str, str]:
    return {"convs": "head"}


def _center_head(_: CenterHead) -> dict[str, str]:
    return {
        "heat_convs": "center_head",
        "heat_predictor": "center_predictor",
        "offset_convs": "offset_head",
    }


SCENES: Mapping[type[nn.Module], Rule] = {
    SemanticSegmentor: _semantic_segmentor,
    PanopticFPN: _panoptic_fpn,
    SemanticFPNHead: _semantic_fpn_head,
    PanopticDeepLab: _panoptic_deeplab,
    ASPP: _aspp,
    DeepLabDecoder: _deeplab_decoder,
    DeepLabV3PlusHead: _deeplab_v3_plus_head,
    CenterHead: _center_head,
}
