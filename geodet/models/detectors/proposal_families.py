"""Families around given proposals: what makes them alone, and what starts from them."""

from collections.abc import Sequence

from geodet.models.detectors.fpn_parts import (
    caffe_preprocess,
    fpn_box_head,
    fpn_mask_head,
    fpn_rpn,
    resnet_fpn,
)
from geodet.models.detectors.proposal_network import ProposalNetwork
from geodet.models.detectors.rcnn import RCNN
from geodet.models.heads import GivenProposals
from geodet.models.layers import FrozenBatchNorm2d, NormFactory
from geodet.models.preprocess import Preprocess

__all__ = ["fast_rcnn_fpn", "rpn_fpn"]


def rpn_fpn(
    *,
    preprocess: Preprocess | None = None,
    depth: int = 50,
    width: int = 64,
    groups: int = 1,
    width_per_group: int = 64,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 2,
    fpn_channels: int = 256,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (2000, 1000),
    test_proposals: tuple[int, int] = (1000, 1000),
) -> ProposalNetwork:
    """RPN alone on a ResNet with a pyramid; arguments as in `faster_rcnn_fpn`."""
    backbone = resnet_fpn(
        depth=depth,
        width=width,
        groups=groups,
        width_per_group=width_per_group,
        norm=norm,
        freeze_at=freeze_at,
        fpn_channels=fpn_channels,
    )
    return ProposalNetwork(
        preprocess=caffe_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        proposals=fpn_rpn(
            backbone,
            anchor_sizes=anchor_sizes,
            aspect_ratios=aspect_ratios,
            samples_per_image=rpn_samples,
            train_proposals=train_proposals,
            test_proposals=test_proposals,
        ),
    )


def fast_rcnn_fpn(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    depth: int = 50,
    width: int = 64,
    groups: int = 1,
    width_per_group: int = 64,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 2,
    fpn_channels: int = 256,
    train_proposals: int = 2000,
    test_proposals: int = 1000,
    box_samples: int = 512,
    box_features: Sequence[int] = (1024, 1024),
    mask_convs: Sequence[int] | None = None,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Fast R-CNN on a ResNet with a pyramid: it starts from proposals that come with the images.

    Args:
        train_proposals: of an image, to train on.
        test_proposals: of an image, to predict from.
        mask_convs: channels of a mask head's convolutions; None makes no mask head.
        num_classes, preprocess, depth, width, groups, width_per_group, norm, freeze_at,
            fpn_channels, box_samples, box_features, score_threshold, nms_threshold,
            max_detections: as in `faster_rcnn_fpn`.
    """
    backbone = resnet_fpn(
        depth=depth,
        width=width,
        groups=groups,
        width_per_group=width_per_group,
        norm=norm,
        freeze_at=freeze_at,
        fpn_channels=fpn_channels,
    )
    mask_head = None
    if mask_convs is not None:
        mask_head = fpn_mask_head(backbone, num_classes=num_classes, conv_channels=mask_convs)
    return RCNN(
        preprocess=caffe_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        proposals=GivenProposals(train_count=train_proposals, test_count=test_proposals),
        box_head=fpn_box_head(
            backbone,
            num_classes=num_classes,
            fc_features=box_features,
            samples_per_image=box_samples,
            score_threshold=score_threshold,
            nms_threshold=nms_threshold,
            max_detections=max_detections,
        ),
        mask_head=mask_head,
    )
