"""Heads of torchvision and of Detectron1: regions pooled before pixels had centres at halves."""

from collections.abc import Sequence
from functools import partial

import attrs

from geodet.models.assignment import Matcher
from geodet.models.heads import (
    BoxHead,
    BoxPredictor,
    ConvFcFeatures,
    KeypointHead,
    MaskHead,
    RoiPooler,
    RoiSampler,
)
from geodet.models.layers import NormFactory
from geodet.models.losses import SmoothL1
from geodet.models.sampling import BalancedSampler
from geodet.structures import Skeleton

__all__ = ["UnalignedHeads", "unaligned_heads"]


@attrs.frozen(eq=False)
class UnalignedHeads:
    """The heads of one detector; those that it does not have are None."""

    box_head: BoxHead
    mask_head: MaskHead | None
    keypoint_head: KeypointHead | None


def unaligned_heads(
    channels: int,
    *,
    num_classes: int,
    box_loss_beta: float,
    box_convs: Sequence[int] = (),
    box_features: Sequence[int] = (1024, 1024),
    norm: NormFactory | None = None,
    mask_convs: Sequence[int] = (),
    skeleton: Skeleton | None = None,
    keypoint_convs: Sequence[int] = (512,) * 8,
) -> UnalignedHeads:
    """Heads on p2 to p5 that pool with 2 x 2 samples, pixel centres at whole numbers.

    Args:
        channels: of the pyramid.
        num_classes: without background.
        box_loss_beta: of `SmoothL1`.
        box_convs: channels of the convolutions of the box head.
        box_features: of its fully connected layers.
        norm: of the convolutions of box and mask head.
        mask_convs: channels of the mask head's convolutions; none leave the head out.
        skeleton: of the keypoints; None leaves their head out.
        keypoint_convs: channels of that head's convolutions.
    """
    pool = partial(
        RoiPooler, {f"p{i}": 2**i for i in (2, 3, 4, 5)}, sampling_ratio=2, aligned=False
    )
    features = ConvFcFeatures(
        channels, side=7, conv_channels=box_convs, fc_features=box_features, norm=norm
    )
    box_head = BoxHead(
        pooler=pool(output_side=7),
        features=features,
        predictor=BoxPredictor(features.out_features, num_classes=num_classes),
        roi_sampler=RoiSampler(Matcher((0.5,), (0, 1)), BalancedSampler(512, 0.25)),
        box_loss=SmoothL1(box_loss_beta),
    )
    mask_head = keypoint_head = None
    if mask_convs:
        mask_head = MaskHead(
            pooler=pool(output_side=14),
            in_channels=channels,
            num_classes=num_classes,
            conv_channels=mask_convs,
            norm=norm,
        )
    if skeleton is not None:
        keypoint_head = KeypointHead(
            pooler=pool(output_side=14),
            in_channels=channels,
            skeleton=skeleton,
            conv_channels=keypoint_convs,
        )
    return UnalignedHeads(box_head, mask_head, keypoint_head)
