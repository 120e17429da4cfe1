"""Detectors refuse parts that do not fit, at construction, and name both sides."""

import pytest
import torch

from geodet.errors import CompositionError
from geodet.models import RCNN, FeatureSpec, Preprocess
from geodet.models.detectors import fpn_box_head, fpn_mask_head, fpn_rpn, resnet_fpn


def _preprocess(**changes):
    options = {"channel_order": "rgb", "mean": (0.0,) * 3, "std": (1.0,) * 3, "size_divisor": 32}
    return Preprocess(**{**options, **changes})


def _backbone(channels=16):
    return resnet_fpn(depth=18, width=8, fpn_channels=channels)


def _parts(channels=16, classes=2):
    backbone = _backbone(channels)
    return {
        "preprocess": _preprocess(),
        "backbone": backbone,
        "proposals": fpn_rpn(backbone),
        "box_head": fpn_box_head(backbone, num_classes=classes, fc_features=(8,)),
        "mask_head": fpn_mask_head(backbone, num_classes=classes, conv_channels=(8,)),
    }


class _Coarser(torch.nn.Module):
    """Claims other strides than a real pyramid has."""

    in_channels, size_divisor = 3, 32
    feature_specs = {  # noqa: RUF012 - read only
        f"p{i}": FeatureSpec(channels=16, stride=2 ** (i + 1)) for i in range(2, 7)
    }


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize(
    ("name", "part", "message"),
    [
        ("preprocess", _preprocess(size_divisor=16), r"Preprocess pads.*16, FPN needs.*32"),
        ("preprocess", _preprocess(mean=(0.0,), std=(1.0,)), r"Preprocess gives 1.*FPN expects 3"),
        ("backbone", _backbone(12), r"RPN expects 16 channels at 'p2', FPN gives 12"),
        ("backbone", _Coarser(), r"RPN expects stride 4 at 'p2', _Coarser gives 8"),
        ("backbone", _backbone().bottom_up, r"RPN reads.*ResNet gives.*p2"),
        (
            "box_head",
            fpn_box_head(_backbone(12), num_classes=2, fc_features=(8,)),
            r"BoxHead expects 12 channels at 'p2', FPN gives 16",
        ),
        ("proposals", fpn_rpn(_backbone(12)), r"RPN expects 12 channels at 'p2', FPN gives 16"),
    ],
)
def test_parts_that_do_not_fit(masks, name, part, message):
    """Every pair of parts that meet is compared."""
    parts = {**_parts(), name: part}
    if not masks:
        del parts["mask_head"]
    with pytest.raises(CompositionError, match=message):
        RCNN(**parts)


def test_masks_and_boxes_must_agree_on_classes_and_maps():
    """The mask of class 5 of 3 does not exist."""
    head = fpn_mask_head(_backbone(), num_classes=3, conv_channels=(8,))
    with pytest.raises(CompositionError, match=r"MaskHead has num_classes=3, BoxHead has.*=2"):
        RCNN(**{**_parts(), "mask_head": head})
    head = fpn_mask_head(_backbone(12), num_classes=2, conv_channels=(8,))
    with pytest.raises(CompositionError, match="MaskHead expects 12 channels at 'p2'"):
        RCNN(**{**_parts(), "mask_head": head})


def test_levels_without_anchors_are_found():
    """As many sizes as levels."""
    with pytest.raises(CompositionError, match="sizes are given for 3 levels, strides for 5"):
        fpn_rpn(_backbone(), anchor_sizes=(8, 16, 32))


def test_parts_are_keyword_only():
    """Positions say nothing about parts."""
    with pytest.raises(TypeError):
        RCNN(*_parts().values())
