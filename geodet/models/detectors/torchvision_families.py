"""Families of torchvision's detectors, from the same parts as all others.

What differs from Detectron2's: strides in the 3x3 convolutions, RGB of ImageNet's statistics,
anchors whose sides are rounded, pooling with 2 x 2 samples and without the half-pixel shift,
smooth L1 losses of beta 1 / 9, proposals of at least a thousandth of a pixel.
"""

from collections.abc import Sequence
from functools import partial

from geodet.models.anchors import AnchorGenerator
from geodet.models.assignment import Matcher
from geodet.models.detectors.dense_families import resnet_fpn_p3_to_p7
from geodet.models.detectors.fpn_parts import resnet_fpn
from geodet.models.detectors.pyramid_families import imagenet_preprocess
from geodet.models.detectors.rcnn import RCNN
from geodet.models.detectors.retinanet import RetinaNet
from geodet.models.detectors.unaligned_heads import unaligned_heads
from geodet.models.heads import (
    RPN,
    DenseSelector,
    ProposalBudget,
    RetinaNetHead,
    RPNHead,
)
from geodet.models.layers import FrozenBatchNorm2d, NormFactory
from geodet.models.losses import SmoothL1
from geodet.models.necks import FPN
from geodet.models.preprocess import Preprocess
from geodet.models.sampling import BalancedSampler
from geodet.structures import Skeleton

__all__ = ["torchvision_preprocess", "torchvision_rcnn_fpn", "torchvision_retinanet_fpn"]

_BETA = 1.0 / 9.0


def torchvision_preprocess() -> Preprocess:
    """RGB of ImageNet's statistics, resized to 800 pixels, padded to a multiple of 32."""
    return imagenet_preprocess(short_edge=800, max_long_edge=1333)


def torchvision_rcnn_fpn(
    *,
    num_classes: int,
    depth: int = 50,
    width: int = 64,
    norm: NormFactory = partial(FrozenBatchNorm2d, eps=0.0),  # noqa: B008 (it has no state)
    freeze_at: int = 2,
    fpn_channels: int = 256,
    fpn_norm: NormFactory | None = None,
    rpn_convs: int = 1,
    box_convs: Sequence[int] = (),
    box_features: Sequence[int] = (1024, 1024),
    head_norm: NormFactory | None = None,
    mask_convs: Sequence[int] = (),
    skeleton: Skeleton | None = None,
    keypoint_convs: Sequence[int] = (512,) * 8,
) -> RCNN:
    """Faster, Mask and Keypoint R-CNN as torchvision builds them.

    Args:
        num_classes: without background.
        depth: of the ResNet.
        width: channels of its stem.
        norm: of the ResNet. Statistics of the first published weights go with an eps of 0.
        freeze_at: parts of the ResNet that do not train, from the stem on.
        fpn_channels: of every level.
        fpn_norm: of the pyramid.
        rpn_convs: 3x3 convolutions before the proposals.
        box_convs: channels of the convolutions of the box head.
        box_features: of its fully connected layers.
        head_norm: of the convolutions of box and mask head.
        mask_convs: channels of the mask head's convolutions; none leave the head out.
        skeleton: of the keypoints; None leaves their head out.
        keypoint_convs: channels of that head's convolutions.
    """
    backbone = resnet_fpn(
        depth=depth,
        width=width,
        norm=norm,
        stride_in_1x1=False,
        freeze_at=freeze_at,
        fpn_channels=fpn_channels,
        fpn_norm=fpn_norm,
    )
    heads = unaligned_heads(
        fpn_channels,
        num_classes=num_classes,
        box_loss_beta=_BETA,
        box_convs=box_convs,
        box_features=box_features,
        norm=head_norm,
        mask_convs=mask_convs,
        skeleton=skeleton,
        keypoint_convs=keypoint_convs,
    )
    return RCNN(
        preprocess=torchvision_preprocess(),
        backbone=backbone,
        proposals=_proposals(backbone, num_convs=rpn_convs),
        box_head=heads.box_head,
        mask_head=heads.mask_head,
        keypoint_head=heads.keypoint_head,
    )


def torchvision_retinanet_fpn(
    *,
    num_classes: int,
    depth: int = 50,
    width: int = 64,
    norm: NormFactory = partial(FrozenBatchNorm2d, eps=0.0),  # noqa: B008 (it has no state)
    freeze_at: int = 2,
    fpn_channels: int = 256,
) -> RetinaNet:
    """RetinaNet as torchvision builds it: P6 from P5, and 300 detections, clipped first.

    Args: as in `torchvision_rcnn_fpn`.
    """
    backbone = resnet_fpn_p3_to_p7(
        depth=depth,
        width=width,
        norm=norm,
        stride_in_1x1=False,
        freeze_at=freeze_at,
        fpn_channels=fpn_channels,
        top_source="p5",
    )
    scales = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    anchors = AnchorGenerator(
        sizes=[[int(size * scale) for scale in scales] for size in (32, 64, 128, 256, 512)],
        aspect_ratios=(0.5, 1.0, 2.0),
        strides=[spec.stride for spec in backbone.feature_specs.values()],
        rounded=True,
    )
    return RetinaNet(
        preprocess=torchvision_preprocess(),
        backbone=backbone,
        head=RetinaNetHead(
            fpn_channels,
            num_classes=num_classes,
            anchors_per_location=anchors.anchors_per_location,
        ),
        anchors=anchors,
        levels=tuple(backbone.feature_specs),
        matcher=Matcher((0.4, 0.5), (0, -1, 1), allow_low_quality=True),
        selector=DenseSelector(
            score_threshold=0.05,
            candidates_per_level=1000,
            nms_threshold=0.5,
            max_detections=300,
            clip_first=True,
        ),
    )


def _proposals(backbone: FPN, *, num_convs: int) -> RPN:
    specs = backbone.feature_specs
    anchors = AnchorGenerator(
        sizes=[(size,) for size in (32, 64, 128, 256, 512)],
        aspect_ratios=(0.5, 1.0, 2.0),
        strides=[spec.stride for spec in specs.values()],
        rounded=True,
    )
    return RPN(
        head=RPNHead(
            next(iter(specs.values())).channels,
            anchors_per_location=anchors.anchors_per_location,
            num_convs=num_convs,
        ),
        anchors=anchors,
        levels=tuple(specs),
        matcher=Matcher((0.3, 0.7), (0, -1, 1), allow_low_quality=True),
        sampler=BalancedSampler(256, 0.5),
        train_budget=ProposalBudget(2000, 2000),
        test_budget=ProposalBudget(1000, 1000),
        nms_threshold=0.7,
        min_size=1e-3,
        box_loss=SmoothL1(_BETA),
    )
