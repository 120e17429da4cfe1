"""Families of detectors in one stage: the usual parts wired together, every number a keyword."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from geodet.models.anchors import AnchorGenerator
from geodet.models.assignment import Matcher
from geodet.models.backbones import resnet
from geodet.models.box_coding import BoxCoder, Coder, RotatedBoxCoder
from geodet.models.detectors.fcos import FCOS
from geodet.models.detectors.fpn_parts import caffe_preprocess
from geodet.models.detectors.retinanet import RetinaNet
from geodet.models.features import Backbone
from geodet.models.heads import DenseSelector, FCOSHead, RegionHead, RetinaNetHead
from geodet.models.layers import FrozenBatchNorm2d, NormFactory, group_norm
from geodet.models.losses import BoxLoss, EmaNormaliser
from geodet.models.necks import FPN, LastLevelP6P7
from geodet.models.point_assignment import CentreMatcher
from geodet.models.preprocess import Preprocess
from geodet.structures import Keypoints, Masks

__all__ = ["fcos_fpn", "resnet_fpn_p3_to_p7", "retinanet_fpn", "rotated_retinanet_fpn"]

# Such as `partial(fpn_mask_head, num_classes=80)`.
MaskHeadFactory: TypeAlias = Callable[[Backbone], RegionHead[Masks]]
KeypointHeadFactory: TypeAlias = Callable[[Backbone], RegionHead[Keypoints]]


def resnet_fpn_p3_to_p7(
    *,
    depth: int = 50,
    width: int = 64,
    groups: int = 1,
    width_per_group: int = 64,
    norm: NormFactory = FrozenBatchNorm2d,
    stride_in_1x1: bool | None = None,
    freeze_at: int = 2,
    fpn_channels: int = 256,
    fpn_norm: NormFactory | None = None,
    top_source: str = "res5",
    in_channels: int = 3,
) -> FPN:
    """ResNet with a pyramid of p3 to p7, the last two by convolutions of stride 2.

    Args: as `resnet_fpn`, and
        top_source: what p6 is made from: "res5" as in RetinaNet, or "p5" as in FCOS.
    Raises:
        CompositionError: a combination that does not exist.
    """
    if stride_in_1x1 is None:
        stride_in_1x1 = depth >= 50 and groups == 1
    bottom_up = resnet(
        depth,
        in_channels=in_channels,
        width=width,
        groups=groups,
        width_per_group=width_per_group,
        norm=norm,
        stride_in_1x1=stride_in_1x1,
        freeze_at=freeze_at,
    )
    below = bottom_up.feature_specs.get(top_source)
    source_channels = fpn_channels if below is None else below.channels
    return FPN(
        bottom_up,
        in_features=("res3", "res4", "res5"),
        channels=fpn_channels,
        norm=fpn_norm,
        top=LastLevelP6P7(source_channels, fpn_channels, source=top_source),
    )


def retinanet_fpn(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    backbone: Backbone | None = None,
    depth: int = 50,
    width: int = 64,
    groups: int = 1,
    width_per_group: int = 64,
    stride_in_1x1: bool | None = None,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 2,
    fpn_channels: int = 256,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    octave_scales: Sequence[float] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3)),
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    head_convs: int = 4,
    head_norm: NormFactory | None = None,
    prior: float = 0.01,
    iou_thresholds: tuple[float, float] = (0.4, 0.5),
    alpha: float = 0.25,
    gamma: float = 2.0,
    coder: Coder | None = None,
    box_loss: BoxLoss | None = None,
    normaliser: EmaNormaliser | None = None,
    score_threshold: float = 0.05,
    candidates_per_level: int = 1000,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
    mask_head: MaskHeadFactory | None = None,
    keypoint_head: KeypointHeadFactory | None = None,
) -> RetinaNet:
    """RetinaNet on a ResNet with a pyramid of p3 to p7.

    Defaults are those of Detectron2's R50-FPN model. Without pretrained weights take a trainable
    `norm` and `freeze_at=0`.

    Args: of the backbone as in `resnet_fpn_p3_to_p7`, and
        num_classes: without background.
        preprocess: None is `caffe_preprocess()`.
        backbone: in place of the ResNet; all of its levels are read.
        anchor_sizes: one per level, finest first, in pixels.
        octave_scales: every size is multiplied by each.
        aspect_ratios: height / width.
        head_convs: 3x3 convolutions of each tower.
        head_norm: after each of them.
        prior: probability that every class starts with.
        iou_thresholds: below the first negative, from the second on positive.
        alpha: of the focal loss.
        gamma: of the focal loss.
        coder: offsets <-> boxes; None is `BoxCoder` with weights of 1.
        box_loss: of the positive anchors; None is plain L1 of the offsets.
        normaliser: of the losses; None starts at 100 positive anchors per batch.
        score_threshold: see `DenseSelector`, as the three that follow.
        mask_head: makes a head from the backbone, such as `partial(fpn_mask_head, num_classes=2)`.
        keypoint_head: likewise.
    """
    if backbone is None:
        backbone = resnet_fpn_p3_to_p7(
            depth=depth,
            width=width,
            groups=groups,
            width_per_group=width_per_group,
            stride_in_1x1=stride_in_1x1,
            norm=norm,
            freeze_at=freeze_at,
            fpn_channels=fpn_channels,
        )
    specs = backbone.feature_specs
    return _retinanet(
        backbone,
        num_classes=num_classes,
        preprocess=preprocess,
        anchors=AnchorGenerator(
            sizes=[[size * scale for scale in octave_scales] for size in anchor_sizes],
            aspect_ratios=aspect_ratios,
            strides=[spec.stride for spec in specs.values()],
        ),
        head_convs=head_convs,
        head_norm=head_norm,
        prior=prior,
        iou_thresholds=iou_thresholds,
        alpha=alpha,
        gamma=gamma,
        coder=BoxCoder() if coder is None else coder,
        box_loss=box_loss,
        normaliser=normaliser,
        selector=DenseSelector(
            score_threshold, candidates_per_level, nms_threshold, max_detections
        ),
        mask_head=mask_head,
        keypoint_head=keypoint_head,
    )


def rotated_retinanet_fpn(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    backbone: Backbone | None = None,
    depth: int = 50,
    width: int = 64,
    groups: int = 1,
    width_per_group: int = 64,
    stride_in_1x1: bool | None = None,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 2,
    fpn_channels: int = 256,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    octave_scales: Sequence[float] = (1.0,),
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    angles: Sequence[float] = (-90.0, -60.0, -30.0, 0.0, 30.0, 60.0),
    head_convs: int = 4,
    head_norm: NormFactory | None = None,
    prior: float = 0.01,
    iou_thresholds: tuple[float, float] = (0.4, 0.5),
    alpha: float = 0.25,
    gamma: float = 2.0,
    coder: Coder | None = None,
    box_loss: BoxLoss | None = None,
    normaliser: EmaNormaliser | None = None,
    score_threshold: float = 0.05,
    candidates_per_level: int = 1000,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
    mask_head: MaskHeadFactory | None = None,
    keypoint_head: KeypointHeadFactory | None = None,
) -> RetinaNet:
    """RetinaNet for rotated boxes: rotated anchors, offsets, overlaps and suppression.

    Args: as in `retinanet_fpn`, and
        angles: of the anchors, in degrees counter-clockwise.
        coder: None is `RotatedBoxCoder` with weights of 1.
        box_loss: None is plain L1 of the offsets; `IouLoss("giou")` compares regions instead,
            and leaves open which end of a box is its top.
        mask_head: its pooler takes rotated boxes: `partial(fpn_mask_head, kind=ROTATED, ...)`.
    """
    if backbone is None:
        backbone = resnet_fpn_p3_to_p7(
            depth=depth,
            width=width,
            groups=groups,
            width_per_group=width_per_group,
            stride_in_1x1=stride_in_1x1,
            norm=norm,
            freeze_at=freeze_at,
            fpn_channels=fpn_channels,
        )
    specs = backbone.feature_specs
    return _retinanet(
        backbone,
        num_classes=num_classes,
        preprocess=preprocess,
        anchors=AnchorGenerator(
            sizes=[[size * scale for scale in octave_scales] for size in anchor_sizes],
            aspect_ratios=aspect_ratios,
            strides=[spec.stride for spec in specs.values()],
            angles=angles,
        ),
        head_convs=head_convs,
        head_norm=head_norm,
        prior=prior,
        iou_thresholds=iou_thresholds,
        alpha=alpha,
        gamma=gamma,
        coder=RotatedBoxCoder() if coder is None else coder,
        box_loss=box_loss,
        normaliser=normaliser,
        selector=DenseSelector(
            score_threshold, candidates_per_level, nms_threshold, max_detections
        ),
        mask_head=mask_head,
        keypoint_head=keypoint_head,
    )


def _retinanet(
    backbone: Backbone,
    *,
    num_classes: int,
    preprocess: Preprocess | None,
    anchors: AnchorGenerator,
    head_convs: int,
    head_norm: NormFactory | None,
    prior: float,
    iou_thresholds: tuple[float, float],
    alpha: float,
    gamma: float,
    coder: Coder,
    box_loss: BoxLoss | None,
    normaliser: EmaNormaliser | None,
    selector: DenseSelector,
    mask_head: MaskHeadFactory | None,
    keypoint_head: KeypointHeadFactory | None,
) -> RetinaNet:
    specs = backbone.feature_specs
    return RetinaNet(
        preprocess=caffe_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        head=RetinaNetHead(
            next(iter(specs.values())).channels,
            num_classes=num_classes,
            anchors_per_location=anchors.anchors_per_location,
            num_convs=head_convs,
            norm=head_norm,
            prior=prior,
            kind=coder.kind,
        ),
        anchors=anchors,
        levels=tuple(specs),
        matcher=Matcher(iou_thresholds, (0, -1, 1), allow_low_quality=True),
        selector=selector,
        coder=coder,
        normaliser=normaliser,
        alpha=alpha,
        gamma=gamma,
        box_loss=box_loss,
        mask_head=None if mask_head is None else mask_head(backbone),
        keypoint_head=None if keypoint_head is None else keypoint_head(backbone),
    )


def fcos_fpn(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    backbone: Backbone | None = None,
    depth: int = 50,
    width: int = 64,
    groups: int = 1,
    width_per_group: int = 64,
    stride_in_1x1: bool | None = None,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 2,
    fpn_channels: int = 256,
    head_convs: int = 4,
    head_norm: NormFactory | None = None,
    prior: float = 0.01,
    centre_radius: float = 1.5,
    scale_range: tuple[float, float] = (4.0, 8.0),
    alpha: float = 0.25,
    gamma: float = 2.0,
    box_loss: BoxLoss | None = None,
    normaliser: EmaNormaliser | None = None,
    score_threshold: float = 0.2,
    candidates_per_level: int = 1000,
    nms_threshold: float = 0.6,
    max_detections: int = 100,
    mask_head: MaskHeadFactory | None = None,
    keypoint_head: KeypointHeadFactory | None = None,
) -> FCOS:
    """FCOS on a ResNet with a pyramid of p3 to p7, p6 made from p5.

    Defaults are those of Detectron2's R50-FPN model. Without pretrained weights take a trainable
    `norm` and `freeze_at=0`.

    Args: of the backbone as in `resnet_fpn_p3_to_p7`, of the rest as in `retinanet_fpn`, and
        head_norm: of the towers; None is group normalisation, 8 channels to a group (32 groups of
            256 channels).
        centre_radius: see `CentreMatcher`.
        scale_range: see `CentreMatcher`.
        box_loss: of the positive cells; None is 1 - GIoU.
        normaliser: of the losses; None starts at 300 positive cells per batch.
    """
    if backbone is None:
        backbone = resnet_fpn_p3_to_p7(
            depth=depth,
            width=width,
            groups=groups,
            width_per_group=width_per_group,
            stride_in_1x1=stride_in_1x1,
            norm=norm,
            freeze_at=freeze_at,
            fpn_channels=fpn_channels,
            top_source="p5",
        )
    specs = backbone.feature_specs
    channels = next(iter(specs.values())).channels
    return FCOS(
        preprocess=caffe_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        head=FCOSHead(
            channels,
            num_classes=num_classes,
            num_convs=head_convs,
            norm=_groups_of_8(channels) if head_norm is None else head_norm,
            prior=prior,
        ),
        strides={name: spec.stride for name, spec in specs.items()},
        matcher=CentreMatcher(centre_radius, scale_range),
        selector=DenseSelector(
            score_threshold, candidates_per_level, nms_threshold, max_detections
        ),
        normaliser=normaliser,
        alpha=alpha,
        gamma=gamma,
        box_loss=box_loss,
        mask_head=None if mask_head is None else mask_head(backbone),
        keypoint_head=None if keypoint_head is None else keypoint_head(backbone),
    )


def _groups_of_8(channels: int) -> NormFactory:
    # Never groups of one channel: the coarsest map of a small image has a single cell.
    return group_norm(max(channels // 8, 1))
