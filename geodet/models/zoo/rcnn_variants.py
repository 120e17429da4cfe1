"""Mask R-CNN with other norms, deformable convolutions, longer schedules and larger trunks."""

from torch import nn

from geodet.models.backbones import regnet_x_4gf, regnet_y_4gf, resnet
from geodet.models.detectors import (
    RCNN,
    PanopticFPN,
    fpn_mask_head,
    fpn_rpn,
    panoptic_fpn,
    pyramid_mask_rcnn,
)
from geodet.models.detectors.cascade_families import fpn_cascade_head
from geodet.models.features import Backbone
from geodet.models.layers import NormFactory, group_norm
from geodet.models.necks import FPN, LastLevelMaxPool
from geodet.models.preprocess import Preprocess
from geodet.models.zoo.pixels import msra_pixels, resnext_pixels
from geodet.structures import SceneLabels

__all__ = [
    "cascade_mask_rcnn_x152_fpn_gn_dcn",
    "mask_rcnn_r50_fpn_dcn",
    "mask_rcnn_r50_fpn_gn",
    "mask_rcnn_r50_fpn_gn_scratch",
    "mask_rcnn_r50_fpn_lsj",
    "mask_rcnn_r50_fpn_syncbn",
    "mask_rcnn_r50_fpn_syncbn_scratch",
    "mask_rcnn_r101_fpn_lsj",
    "mask_rcnn_regnetx_4gf_fpn_lsj",
    "mask_rcnn_regnety_4gf_fpn_lsj",
    "panoptic_fpn_r101_dcn_cascade_gn",
]

_DEFORMED = ("res3", "res4", "res5")


def mask_rcnn_r50_fpn_dcn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-50 with deformable convolutions in res3 to res5."""
    trunk = resnet(50, stride_in_1x1=True, freeze_at=2, deform_stages=_DEFORMED)
    return pyramid_mask_rcnn(
        _pyramid(trunk),
        num_classes=num_classes,
        preprocess=msra_pixels(),
        rpn_convs=1,
        box_convs=(),
        box_features=(1024, 1024),
        head_norm=None,
    )


def mask_rcnn_r50_fpn_gn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-50, group norms everywhere, convolutions in the box head."""
    trunk = resnet(50, norm=group_norm(32), stride_in_1x1=False, freeze_at=2)
    return pyramid_mask_rcnn(
        _pyramid(trunk, norm=group_norm(32)),
        num_classes=num_classes,
        preprocess=msra_pixels(),
        rpn_convs=1,
        head_norm=group_norm(32),
    )


def mask_rcnn_r50_fpn_gn_scratch(*, num_classes: int = 80) -> RCNN:
    """As `mask_rcnn_r50_fpn_gn`, trained from random weights: nothing frozen, other pixels."""
    trunk = resnet(50, norm=group_norm(32), stride_in_1x1=False, freeze_at=0)
    return pyramid_mask_rcnn(
        _pyramid(trunk, norm=group_norm(32)),
        num_classes=num_classes,
        preprocess=resnext_pixels(),
        rpn_convs=1,
        head_norm=group_norm(32),
    )


def mask_rcnn_r50_fpn_syncbn(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-50, batch norms over all processes, convolutions in the box head."""
    trunk = resnet(50, norm=nn.SyncBatchNorm, stride_in_1x1=False, freeze_at=2)
    return pyramid_mask_rcnn(
        _pyramid(trunk, norm=nn.SyncBatchNorm),
        num_classes=num_classes,
        preprocess=msra_pixels(),
        rpn_convs=1,
        head_norm=nn.SyncBatchNorm,
    )


def mask_rcnn_r50_fpn_syncbn_scratch(*, num_classes: int = 80) -> RCNN:
    """As `mask_rcnn_r50_fpn_syncbn`, trained from random weights: nothing frozen, other pixels."""
    trunk = resnet(50, norm=nn.SyncBatchNorm, stride_in_1x1=False, freeze_at=0)
    return pyramid_mask_rcnn(
        _pyramid(trunk, norm=nn.SyncBatchNorm),
        num_classes=num_classes,
        preprocess=resnext_pixels(),
        rpn_convs=1,
        head_norm=nn.SyncBatchNorm,
    )


def mask_rcnn_r50_fpn_lsj(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-50, trained from random weights with large jitter of the scale."""
    trunk = resnet(50, norm=nn.SyncBatchNorm, stride_in_1x1=True)
    return _jittered(trunk, num_classes=num_classes)


def mask_rcnn_r101_fpn_lsj(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, ResNet-101, trained from random weights with large jitter of the scale."""
    trunk = resnet(101, norm=nn.SyncBatchNorm, stride_in_1x1=True)
    return _jittered(trunk, num_classes=num_classes)


def mask_rcnn_regnetx_4gf_fpn_lsj(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, RegNetX of 4 GF, trained from random weights with large jitter of the scale."""
    trunk = regnet_x_4gf(norm=nn.SyncBatchNorm)
    return _jittered(trunk, num_classes=num_classes, preprocess=resnext_pixels())


def mask_rcnn_regnety_4gf_fpn_lsj(*, num_classes: int = 80) -> RCNN:
    """Mask R-CNN, RegNetY of 4 GF, trained from random weights with large jitter of the scale."""
    trunk = regnet_y_4gf(norm=nn.SyncBatchNorm)
    return _jittered(trunk, num_classes=num_classes, preprocess=resnext_pixels())


def cascade_mask_rcnn_x152_fpn_gn_dcn(*, num_classes: int = 80) -> RCNN:
    """Cascade Mask R-CNN, ResNeXt-152 with deformable convolutions, group norms in the heads."""
    trunk = resnet(
        152,
        groups=32,
        width_per_group=8,
        stride_in_1x1=False,
        freeze_at=2,
        deform_stages=_DEFORMED,
    )
    backbone = _pyramid(trunk)
    return RCNN(
        preprocess=msra_pixels(),
        backbone=backbone,
        proposals=fpn_rpn(backbone, train_proposals=(2000, 2000)),
        box_head=fpn_cascade_head(
            backbone,
            num_classes=num_classes,
            conv_channels=(256,) * 4,
            fc_features=(1024,),
            norm=group_norm(32),
        ),
        mask_head=fpn_mask_head(
            backbone, num_classes=num_classes, conv_channels=(256,) * 8, norm=group_norm(32)
        ),
    )


def panoptic_fpn_r101_dcn_cascade_gn(*, num_things: int = 80, num_stuff: int = 53) -> PanopticFPN:
    """Panoptic FPN around Cascade Mask R-CNN, deformable ResNet-101, group norms."""
    trunk = resnet(
        101, norm=group_norm(32), stride_in_1x1=False, freeze_at=2, deform_stages=_DEFORMED
    )
    backbone = _pyramid(trunk, norm=group_norm(32))
    detector = RCNN(
        preprocess=msra_pixels(),
        backbone=backbone,
        proposals=fpn_rpn(backbone, train_proposals=(2000, 2000)),
        box_head=fpn_cascade_head(backbone, num_classes=num_things, fc_features=(1024, 1024)),
        mask_head=fpn_mask_head(backbone, num_classes=num_things, norm=group_norm(32)),
    )
    labels = SceneLabels.with_things_as_one(num_things=num_things, num_stuff=num_stuff)
    return panoptic_fpn(detector, labels=labels)


def _pyramid(trunk: Backbone, *, norm: NormFactory | None = None) -> FPN:
    """Levels p2 to p6 of 256 channels on all four maps of a trunk."""
    return FPN(
        trunk,
        in_features=tuple(trunk.feature_specs),
        channels=256,
        norm=norm,
        top=LastLevelMaxPool(),
    )


def _jittered(trunk: Backbone, *, num_classes: int, preprocess: Preprocess | None = None) -> RCNN:
    """Trainable norms everywhere, two convolutions before the proposals, four for the boxes."""
    return pyramid_mask_rcnn(
        _pyramid(trunk, norm=nn.SyncBatchNorm),
        num_classes=num_classes,
        preprocess=msra_pixels() if preprocess is None else preprocess,
        rpn_convs=2,
        head_norm=nn.SyncBatchNorm,
    )
