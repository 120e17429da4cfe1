"""Detectron2's names inside cascades, keypoint heads and PointRend."""

from collections.abc import Mapping

from torch import nn

from geodet.models.heads import (
    CascadeBoxHead,
    CoarseMaskHead,
    KeypointHead,
    PointHead,
    PointRendSemanticHead,
)
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


def _coarse_masks(head: CoarseMaskHead) -> dict[str, str]:
    return {
        "reduce_channels": "reduce_channel_dim_conv",
        "reduce_side": "reduce_spatial_dim_conv",
        **{f"fcs.{i}": f"fc{i + 1}" for i in range(len(head.fcs))},
    }


def _point_head(head: PointHead) -> dict[str, str]:
    return {f"fcs.{i}": f"fc{i + 1}" for i in range(len(head.fcs))}


def _semantic_point_rend(_: PointRendSemanticHead) -> dict[str, str]:
    return {"coarse_head": "coarse_sem_seg_head"}


REGION_HEADS: Mapping[type[nn.Module], Rule] = {
    CascadeBoxHead: _cascade,
    KeypointHead: _keypoint_head,
    CoarseMaskHead: _coarse_masks,
    PointHead: _point_head,
    PointRendSemanticHead: _semantic_point_rend,
}
