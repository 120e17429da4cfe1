"""Blobs of Caffe2 and Detectron1 under Detectron2's names.

Caffe2 separates words and levels alike by underscores, keeps batch norms as a scale and a bias,
and puts the class "background" first.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from geodet.errors import CheckpointError

__all__ = ["from_caffe2"]

# Patterns for names whose underscores are dots already, followed in this order, each at most
# once per name.
_RENAMED = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^pred\.(?=[bw]$)", "linear."),
        (r"\.b$", ".bias"),
        (r"\.w$", ".weight"),
        (r"[bg]n\.(s|gamma)$", "norm.weight"),
        (r"[bg]n\.(bias|beta)$", "norm.bias"),
        (r"bn\.(rm|running\.mean)$", "norm.running_mean"),
        (r"bn\.(riv|running\.var)$", "norm.running_var"),
        (r"^(res\.)?conv1\.", "stem.conv1."),
        (r"\.branch1\.", ".shortcut."),
        (r"\.branch2a\.", ".conv1."),
        (r"\.branch2b\.", ".conv2."),
        (r"\.branch2c\.", ".conv3."),
        # One head serves all levels; its blobs are named after the finest.
        (r"^conv\.rpn(\.fpn2)?\.", "proposal_generator.rpn_head.conv."),
        (r"^rpn\.bbox\.pred(\.fpn2)?\.", "proposal_generator.rpn_head.anchor_deltas."),
        (r"^rpn\.cls\.logits(\.fpn2)?\.", "proposal_generator.rpn_head.objectness_logits."),
        (r"^bbox\.pred\.", "bbox_pred."),
        (r"^cls\.score\.", "cls_score."),
        (r"^fc6\.", "box_head.fc1."),
        (r"^fc7\.", "box_head.fc2."),
        (r"^head\.conv", "box_head.conv"),
        (r"^fpn\.inner\.res(\d)(\.\d+)?\.sum(\.lateral)?\.", r"fpn_lateral\1."),
        (r"^fpn\.res(\d)(\.\d+)?\.sum\.", r"fpn_output\1."),
        (r"^\.\[?mask\]?\.fcn", "mask_head.mask_fcn"),
        (r"^mask\.fcn\.logits\.", "mask_head.predictor."),
        (r"^conv5\.mask\.", "mask_head.deconv."),
        (r"^conv\.fcn", "roi_heads.keypoint_head.conv_fcn"),
        (r"^kps\.score\.lowres\.", "roi_heads.keypoint_head.score_lowres."),
    )
)


def from_caffe2(blobs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename blobs, and put background where Detectron2 has it.

    Args:
        blobs: by their names in Caffe2, without those of an optimiser.
    Returns:
        By Detectron2's names, which may lack what stands before them in a model. The rows of
        background are gone from box offsets and masks, and last in class scores.
    Raises:
        CheckpointError: two blobs get one name.
    Empty: no blobs give none.
    """
    renamed: dict[str, Tensor] = {}
    origins: dict[str, str] = {}
    for blob, value in blobs.items():
        name = blob.replace("_", ".")
        for pattern, replacement in _RENAMED:
            name = pattern.sub(replacement, name, count=1)
        if name in origins:
            raise CheckpointError(f"blobs {origins[name]!r} and {blob!r} both mean {name!r}")
        origins[name] = blob
        renamed[name] = _without_background(name, value)
    return renamed


def _without_background(name: str, value: Tensor) -> Tensor:
    layer = name.rpartition(".")[0]
    if layer == "bbox_pred":
        return value[4:]
    if layer == "mask_head.predictor":
        return value[1:]
    if layer == "cls_score":
        return torch.cat([value[1:], value[:1]])
    return value
