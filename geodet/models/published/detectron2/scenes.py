"""Detectron2's names inside models of pixels and of scenes."""

from collections.abc import Mapping

from torch import nn

from geodet.models.detectors import PanopticFPN, SemanticSegmentor
from geodet.models.heads import SemanticFPNHead
from geodet.models.published.names import Rule

__all__ = ["SCENES"]


def _semantic_segmentor(_: SemanticSegmentor) -> dict[str, str]:
    return {"head": "sem_seg_head"}


def _panoptic_fpn(_: PanopticFPN) -> dict[str, str]:
    return {"detector": "", "semantic_head": "sem_seg_head"}


def _semantic_fpn_head(_: SemanticFPNHead) -> dict[str, str]:
    # Inside a level both sides number convolutions and enlargements alike.
    return {"levels": ""}


SCENES: Mapping[type[nn.Module], Rule] = {
    SemanticSegmentor: _semantic_segmentor,
    PanopticFPN: _panoptic_fpn,
    SemanticFPNHead: _semantic_fpn_head,
}
