"""The usual parts of a two-stage detector on a pyramid, every number a keyword.

Defaults are those of Detectron2's R50-FPN models, so that its checkpoints fit.
"""

from collections.abc import Sequence

from geodet.models.anchors import AnchorGenerator
from geodet.models.assignment import Matcher
from geodet.models.backbones import resnet
from geodet.models.box_coding import BoxCoder, Coder
from geodet.models.box_kinds import UPRIGHT, AnyBoxKind
from geodet.models.features import Backbone
from geodet.models.heads import (
    RPN,
    BoxHead,
    BoxPredictor,
    ConvFcFeatures,
    MaskHead,
    ProposalBudget,
    RoiPooler,
    RoiSampler,
    RPNHead,
)
from geodet.models.layers import FrozenBatchNorm2d, NormFactory
from geodet.models.losses import BoxLoss, ClassLoss
from geodet.models.necks import FPN, LastLevelMaxPool
from geodet.models.preprocess import Preprocess
from geodet.models.sampling import BalancedSampler

__all__ = [
    "caffe_preprocess",
    "fpn_box_head",
    "fpn_mask_head",
    "fpn_rpn",
    "pooled_levels",
    "resnet_fpn",
]

_POOLED = ("p2", "p3", "p4", "p5")


def resnet_fpn(
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
    in_channels: int = 3,
) -> FPN:
    """ResNet with a pyramid of p2 to p6.

    Args:
        depth: 18, 34, 50, 101 or 152.
        width: channels of the stem; the stages scale with it.
        groups: of ResNeXt.
        width_per_group: of ResNeXt.
        norm: of the ResNet. A frozen one trains from pretrained weights only.
        stride_in_1x1: None is where the published Detectron2 weights of the kind have it: in
            the 1x1 of a plain bottleneck, in the 3x3 of ResNeXt.
        freeze_at: parts of the ResNet that do not train, from the stem on; 0 without
            pretrained weights.
        fpn_channels: of every level.
        fpn_norm: of the pyramid.
        in_channels: of the images.
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
    return FPN(bottom_up, channels=fpn_channels, norm=fpn_norm, top=LastLevelMaxPool())


def fpn_rpn(
    backbone: Backbone,
    *,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    angles: Sequence[float] | None = None,
    coder: Coder | None = None,
    num_convs: int = 1,
    box_loss: BoxLoss | None = None,
    samples_per_image: int = 256,
    positive_fraction: float = 0.5,
    iou_thresholds: tuple[float, float] = (0.3, 0.7),
    train_proposals: tuple[int, int] = (2000, 1000),
    test_proposals: tuple[int, int] = (1000, 1000),
    nms_threshold: float = 0.7,
) -> RPN:
    """RPN on every level of a pyramid, one anchor size per level.

    Args:
        backbone: whose levels are read, all of them.
        anchor_sizes: one per level, finest first, in pixels.
        aspect_ratios: height / width.
        angles: of rotated anchors, in degrees counter-clockwise; None makes upright ones.
        coder: offsets <-> boxes, of the anchors' kind; None is `BoxCoder` with weights of 1.
        num_convs: 3x3 convolutions of the head.
        box_loss: None is L1.
        samples_per_image: anchors that count in the losses.
        positive_fraction: largest share of positives among them.
        iou_thresholds: below the first negative, from the second on positive.
        train_proposals: to train on: per level before NMS, per image after it.
        test_proposals: to predict from, likewise.
        nms_threshold: IoU between proposals of a level.
    Raises:
        CompositionError: another number of sizes than levels.
    """
    levels = tuple(backbone.feature_specs)
    specs = list(backbone.feature_specs.values())
    anchors = AnchorGenerator(
        sizes=[(size,) for size in anchor_sizes],
        aspect_ratios=aspect_ratios,
        strides=[spec.stride for spec in specs],
        angles=angles,
    )
    return RPN(
        head=RPNHead(
            specs[0].channels,
            anchors_per_location=anchors.anchors_per_location,
            num_convs=num_convs,
            kind=anchors.kind,
        ),
        anchors=anchors,
        levels=levels,
        matcher=Matcher(iou_thresholds, (0, -1, 1), allow_low_quality=True),
        sampler=BalancedSampler(samples_per_image, positive_fraction),
        train_budget=ProposalBudget(*train_proposals),
        test_budget=ProposalBudget(*test_proposals),
        coder=coder,
        box_loss=box_loss,
        nms_threshold=nms_threshold,
    )


def fpn_box_head(
    backbone: Backbone,
    *,
    num_classes: int,
    fc_features: Sequence[int] = (1024, 1024),
    conv_channels: Sequence[int] = (),
    norm: NormFactory | None = None,
    class_agnostic: bool = False,
    coder: Coder | None = None,
    sampling_ratio: int = 0,
    class_loss: ClassLoss | None = None,
    box_loss: BoxLoss | None = None,
    samples_per_image: int = 512,
    positive_fraction: float = 0.25,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
    refine_regions: bool = False,
    canonical_size: float = 224.0,
) -> BoxHead:
    """Box head on p2 to p5, regions of 7 x 7.

    Args:
        backbone: whose levels are pooled.
        num_classes: without background.
        fc_features: of the fully connected layers.
        conv_channels: of convolutions before them.
        norm: of those convolutions.
        class_agnostic: one box per region instead of one per class.
        coder: offsets <-> boxes, and so the kind of boxes; None is `BoxCoder` with weights of
            10, 10, 5, 5.
        sampling_ratio: see `RoiPooler`.
        class_loss: None is softmax cross-entropy.
        box_loss: None is L1.
        samples_per_image: regions that count in the losses.
        positive_fraction: largest share of foreground among them.
        score_threshold: see `BoxHead`.
        nms_threshold: see `BoxHead`.
        max_detections: see `BoxHead`.
        refine_regions: see `BoxHead`.
        canonical_size: side of a region that belongs on p4.
    """
    strides, channels = pooled_levels(backbone)
    coder = BoxCoder((10.0, 10.0, 5.0, 5.0)) if coder is None else coder
    features = ConvFcFeatures(
        channels, side=7, conv_channels=conv_channels, fc_features=fc_features, norm=norm
    )
    return BoxHead(
        pooler=RoiPooler(
            strides,
            output_side=7,
            sampling_ratio=sampling_ratio,
            canonical_size=canonical_size,
            kind=coder.kind,
        ),
        features=features,
        predictor=BoxPredictor(
            features.out_features,
            num_classes=num_classes,
            class_agnostic=class_agnostic,
            kind=coder.kind,
        ),
        roi_sampler=RoiSampler(
            Matcher((0.5,), (0, 1)), BalancedSampler(samples_per_image, positive_fraction)
        ),
        coder=coder,
        class_loss=class_loss,
        box_loss=box_loss,
        score_threshold=score_threshold,
        nms_threshold=nms_threshold,
        max_detections=max_detections,
        refine_regions=refine_regions,
    )


def fpn_mask_head(
    backbone: Backbone,
    *,
    num_classes: int,
    conv_channels: Sequence[int] = (256, 256, 256, 256),
    norm: NormFactory | None = None,
    class_agnostic: bool = False,
    canonical_size: float = 224.0,
    kind: AnyBoxKind = UPRIGHT,
) -> MaskHead:
    """Mask head on those of p2 to p5 that there are, regions of 14 x 14, masks of 28 x 28."""
    strides, channels = pooled_levels(backbone)
    return MaskHead(
        pooler=RoiPooler(strides, output_side=14, canonical_size=canonical_size, kind=kind),
        in_channels=channels,
        num_classes=num_classes,
        conv_channels=conv_channels,
        norm=norm,
        class_agnostic=class_agnostic,
    )


def caffe_preprocess(*, std: Sequence[float] = (1.0, 1.0, 1.0)) -> Preprocess:
    """BGR less the means of ImageNet, as the MSRA and Caffe2 weights were trained."""
    return Preprocess(channel_order="bgr", mean=(103.53, 116.28, 123.675), std=std, size_divisor=32)


def pooled_levels(backbone: Backbone) -> tuple[dict[str, int], int]:
    """Strides of those of p2 to p5 that a backbone has, by name, and their channels."""
    specs = {name: spec for name, spec in backbone.feature_specs.items() if name in _POOLED}
    strides = {name: spec.stride for name, spec in specs.items()}
    return strides, next(iter(specs.values())).channels if specs else 0
