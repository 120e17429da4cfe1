"""Detectron2's names inside detectors of one stage."""

from collections.abc import Mapping

from torch import nn

from geodet.models.heads import FCOSHead, RetinaNetHead
from geodet.models.published.names import Rule

__all__ = ["DENSE"]

# Both sides number the members of the towers alike: convolution, norm if any, ReLU.
_TOWERS = {"class_tower": "cls_subnet", "box_tower": "bbox_subnet", "class_logits": "cls_score"}


def _retinanet_head(_: RetinaNetHead) -> dict[str, str]:
    return {**_TOWERS, "deltas": "bbox_pred"}


def _fcos_head(_: FCOSHead) -> dict[str, str]:
    return {**_TOWERS, "distances": "bbox_pred", "centerness": "ctrness"}


DENSE: Mapping[type[nn.Module], Rule] = {
    RetinaNetHead: _retinanet_head,
    FCOSHead: _fcos_head,
}
