"""torchvision's names inside detectors, and its order of rows."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import torch
from torch import Tensor, nn

from geodet.models.detectors import RCNN, RetinaNet
from geodet.models.heads import (
    RPN,
    BoxHead,
    BoxPredictor,
    ConvFcFeatures,
    KeypointHead,
    MaskHead,
    RetinaNetHead,
    RPNHead,
)
from geodet.models.layers import ConvNorm, FrozenBatchNorm2d
from geodet.models.necks import FPN, LastLevelP6P7
from geodet.models.published.names import Rule, plain_names
from geodet.models.published.torchvision_trunks import TORCHVISION_TRUNKS

__all__ = ["TORCHVISION", "rows_of_torchvision"]

Rearrange: TypeAlias = Callable[[Tensor], Tensor]


def _rcnn(_: RCNN) -> dict[str, str]:
    # Our heads hold two modules of torchvision's each, which lie side by side there.
    heads = dict.fromkeys(("box_head", "mask_head", "keypoint_head"), "roi_heads")
    return {"proposals": "rpn", **heads}


def _fpn(fpn: FPN) -> dict[str, str]:
    names = {"bottom_up": "body", "top": "fpn.extra_blocks"}
    for ours, theirs in (("laterals", "inner_blocks"), ("outputs", "layer_blocks")):
        for i, number in enumerate(fpn.laterals):
            names |= _conv_norm(f"{ours}.{number}", f"fpn.{theirs}.{i}")
    return names


def _conv_norm(ours: str, theirs: str) -> dict[str, str]:
    """Convolution, norm and activation are members of a sequence there."""
    return {ours: f"{theirs}.0", f"{ours}.norm": f"{theirs}.1"}


def _rpn_head(head: RPNHead) -> dict[str, str]:
    names = {"objectness": "cls_logits", "deltas": "bbox_pred"}
    for i in range(len(head.convs)):
        names |= _conv_norm(f"convs.{i}", f"conv.{i}")
    return names


def _box_head(_: BoxHead) -> dict[str, str]:
    return {"features": "box_head", "predictor": "box_predictor"}


def _conv_fc_features(features: ConvFcFeatures) -> dict[str, str]:
    if len(features.convs) == 0:
        return {f"fcs.{i}": f"fc{6 + i}" for i in range(len(features.fcs))}
    names: dict[str, str] = {}
    for i in range(len(features.convs)):
        names |= _conv_norm(f"convs.{i}", str(i))
    # After the convolutions comes one that flattens, and after each layer a ReLU.
    first = len(features.convs) + 1
    return names | {f"fcs.{i}": str(first + 2 * i) for i in range(len(features.fcs))}


def _box_predictor(_: BoxPredictor) -> dict[str, str]:
    return {"class_logits": "cls_score", "deltas": "bbox_pred"}


def _mask_head(head: MaskHead) -> dict[str, str]:
    names = {
        "deconv": "mask_predictor.conv5_mask",
        "predictor": "mask_predictor.mask_fcn_logits",
    }
    for i in range(len(head.convs)):
        names |= _conv_norm(f"convs.{i}", f"mask_head.{i}")
    return names


def _keypoint_head(head: KeypointHead) -> dict[str, str]:
    convs = {f"convs.{i}": f"keypoint_head.{2 * i}" for i in range(len(head.convs))}
    return {**convs, "score_lowres": "keypoint_predictor.kps_score_lowres"}


def _retinanet_head(head: RetinaNetHead) -> dict[str, str]:
    names = {
        "class_logits": "classification_head.cls_logits",
        "deltas": "regression_head.bbox_reg",
    }
    towers = (
        ("class_tower", head.class_tower, "classification_head"),
        ("box_tower", head.box_tower, "regression_head"),
    )
    for ours, tower, theirs in towers:
        convs = [i for i, layer in enumerate(tower) if isinstance(layer, nn.Conv2d)]
        names |= {f"{ours}.{i}": f"{theirs}.conv.{j}.0" for j, i in enumerate(convs)}
    return names


TORCHVISION: Mapping[type[nn.Module], Rule] = MappingProxyType(
    {
        **TORCHVISION_TRUNKS,
        ConvNorm: plain_names,
        FrozenBatchNorm2d: plain_names,
        FPN: _fpn,
        LastLevelP6P7: plain_names,
        RCNN: _rcnn,
        RetinaNet: plain_names,
        RPN: plain_names,
        RPNHead: _rpn_head,
        BoxHead: _box_head,
        ConvFcFeatures: _conv_fc_features,
        BoxPredictor: _box_predictor,
        MaskHead: _mask_head,
        KeypointHead: _keypoint_head,
        RetinaNetHead: _retinanet_head,
    }
)


def rows_of_torchvision(model: nn.Module) -> dict[str, Rearrange]:
    """What to do with tensors whose rows lie otherwise in torchvision's files.

    Background is its first class, and has boxes and masks of its own. Anchors of a cell run
    through the sizes of each ratio, ours through the ratios of each size.

    Returns:
        Our name -> function from its tensor to ours, of those that differ.
    """
    found: dict[str, Rearrange] = {}
    for name, part in model.named_modules():
        if isinstance(part, BoxPredictor):
            layers = {"class_logits": _background_last, "deltas": _without(part.kind.columns)}
            if part.class_agnostic:
                del layers["deltas"]
        elif isinstance(part, MaskHead) and not part.class_agnostic:
            layers = {"predictor": _without(1)}
        elif isinstance(part, RetinaNet):
            sizes = part.anchors.sizes_per_location
            layers = {
                "head.class_logits": _sizes_first(sizes, part.anchors.anchors_per_location),
                "head.deltas": _sizes_first(sizes, part.anchors.anchors_per_location),
            }
        else:
            continue
        for layer, change in layers.items():
            for leaf in ("weight", "bias"):
                found[".".join(word for word in (name, layer, leaf) if word)] = change
    return found


def _background_last(rows: Tensor) -> Tensor:
    return torch.cat([rows[1:], rows[:1]])


def _without(count: int) -> Rearrange:
    return lambda rows: rows[count:]


def _sizes_first(sizes: int, anchors: int) -> Rearrange:
    def change(rows: Tensor) -> Tensor:
        if len(rows) % anchors:
            return rows  # of another model; the table of differences will say so
        by_ratio = rows.reshape(anchors // sizes, sizes, -1, *rows.shape[1:])
        return by_ratio.transpose(0, 1).flatten(0, 2)

    return change
