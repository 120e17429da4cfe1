"""Detectron2's names inside two-stage detectors and their heads."""

from collections.abc import Mapping

from torch import nn

from geodet.models.detectors import RCNN, ProposalNetwork, TridentNet
from geodet.models.heads import (
    RPN,
    BoxHead,
    BoxPredictor,
    ConvFcFeatures,
    MaskHead,
    RPNHead,
    StageFeatures,
)
from geodet.models.published.names import Rule

__all__ = ["TWO_STAGE"]


def _detector(_: RCNN) -> dict[str, str]:
    return {
        "proposals": "proposal_generator",
        "box_head": "roi_heads",  # it holds what is called box_head and box_predictor there
        "mask_head": "roi_heads.mask_head",
        "keypoint_head": "roi_heads.keypoint_head",
    }


def _proposal_network(_: ProposalNetwork) -> dict[str, str]:
    return {"proposals": "proposal_generator"}


def _trident_net(_: TridentNet) -> dict[str, str]:
    return {"detector": ""}  # there the detector is TridentNet itself


def _rpn(_: RPN) -> dict[str, str]:
    return {"head": "rpn_head"}


def _rpn_head(head: RPNHead) -> dict[str, str]:
    several = {f"convs.{i}": f"conv.conv{i}" for i in range(len(head.convs))}
    return {
        **({"convs.0": "conv"} if len(head.convs) == 1 else several),
        "objectness": "objectness_logits",
        "deltas": "anchor_deltas",
    }


def _box_head(head: BoxHead) -> dict[str, str]:
    if isinstance(head.features, StageFeatures):
        return {"features.stage": "res5", "predictor": "box_predictor"}
    return {"features": "box_head", "predictor": "box_predictor"}


def _conv_fc_features(features: ConvFcFeatures) -> dict[str, str]:
    convs = {f"convs.{i}": f"conv{i + 1}" for i in range(len(features.convs))}
    return convs | {f"fcs.{i}": f"fc{i + 1}" for i in range(len(features.fcs))}


def _box_predictor(_: BoxPredictor) -> dict[str, str]:
    return {"class_logits": "cls_score", "deltas": "bbox_pred"}


def _mask_head(head: MaskHead) -> dict[str, str]:
    return {f"convs.{i}": f"mask_fcn{i + 1}" for i in range(len(head.convs))}


TWO_STAGE: Mapping[type[nn.Module], Rule] = {
    RCNN: _detector,
    ProposalNetwork: _proposal_network,
    TridentNet: _trident_net,
    RPN: _rpn,
    RPNHead: _rpn_head,
    BoxHead: _box_head,
    ConvFcFeatures: _conv_fc_features,
    BoxPredictor: _box_predictor,
    MaskHead: _mask_head,
}
