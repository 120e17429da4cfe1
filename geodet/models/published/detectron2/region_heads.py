"""Detectron2's names inside cascades, keypoint heads and PointRend."""

from collections.abc import Mapping

from torch import nn

from geodet.models.heads import CascadeBoxHead, KeypointHead
from geodet.models.published.names import Rule

__all__ = ["REGION_HEADS"]


def _cascade(head: CascadeBoxHead) -> dict[str, str]:
    names = {}
    for stage in range(len(head.stages)):
        names[f"stages.{stage}.features"] = f"box_head.{stage}"
        names[f"stages.{stage}.predictor"] = f"box_predictor.{stage}"
    return names


def _keypoint_head(head: KeypointHead) -> dict[str, str]:
    return {f"convs.{i}": f"conv_fcn{i + 1}" for i in range(len(head.convs))}


REGION_HEADS: Mapping[type[nn.Module], Rule] = {
    CascadeBoxHead: _cascade,
    KeypointHead: _keypoint_head,
}
