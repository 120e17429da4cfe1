"""The usual parts of a two-stage detector on one map of stride 16: C4 and DC5.

C4 reads res4 and runs res5 on every region; DC5 reads a dilated res5. Defaults are those of
Detectron2's R50 models, so that its checkpoints fit.
"""

from collections.abc import Sequence

from geodet.errors import CompositionError
from geodet.models.anchors import AnchorGenerator
from geodet.models.assignment import Matcher
from geodet.models.backbones import ResNet, resnet, resnet_stage
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
    SecondStage,
    StageFeatures,
)
from geodet.models.layers import FrozenBatchNorm2d, NormFactory
from geodet.models.losses import BoxLoss, ClassLoss
from geodet.models.preprocess import Preprocess
from geodet.models.sampling import BalancedSampler

__all__ = [
    "c4_box_features",
    "c4_mask_head",
    "dc5_mask_head",
    "one_map_box_head",
    "one_map_pooler",
    "one_map_preprocess",
    "one_map_rpn",
    "resnet_c4",
    "resnet_dc5",
]


def resnet_c4(
    *,
    depth: int = 50,
    width: int = 64,
    norm: NormFactory = FrozenBatchNorm2d,
    stride_in_1x1: bool = True,
    freeze_at: int = 2,
) -> ResNet:
    """ResNet of bottlenecks up to res4, of stride 16; arguments as in `resnet`."""
    return resnet(
        depth,
        width=width,
        norm=norm,
        stride_in_1x1=stride_in_1x1,
        freeze_at=freeze_at,
        out_features=("res4",),
    )


def resnet_dc5(
    *,
    depth: int = 50,
    width: int = 64,
    norm: NormFactory = FrozenBatchNorm2d,
    stride_in_1x1: bool = True,
    freeze_at: int = 2,
) -> ResNet:
    """ResNet of bottlenecks with a dilated res5, of stride 16; arguments as in `resnet`."""
    return resnet(
        depth,
        width=width,
        norm=norm,
        stride_in_1x1=stride_in_1x1,
        freeze_at=freeze_at,
        res5_dilation=2,
        out_features=("res5",),
    )


def one_map_rpn(
    backbone: Backbone,
    *,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    box_loss: BoxLoss | None = None,
    samples_per_image: int = 256,
    positive_fraction: float = 0.5,
    iou_thresholds: tuple[float, float] = (0.3, 0.7),
    train_proposals: tuple[int, int] = (12000, 2000),
    test_proposals: tuple[int, int] = (6000, 1000),
    nms_threshold: float = 0.7,
) -> RPN:
    """RPN on the only map of a backbone, all anchor sizes in every cell.

    Args:
        backbone: whose map is read.
        anchor_sizes: in pixels.
        train_proposals: to train on: before NMS and after it.
        test_proposals: to predict from, likewise.
        aspect_ratios, box_loss, samples_per_image, positive_fraction, iou_thresholds,
            nms_threshold: as in `fpn_rpn`.
    Raises:
        CompositionError: the backbone has another number of maps than one.
    """
    level, stride, channels = _only_map(backbone, "one_map_rpn")
    anchors = AnchorGenerator(
        sizes=[tuple(anchor_sizes)], aspect_ratios=aspect_ratios, strides=[stride]
    )
    return RPN(
        head=RPNHead(channels, anchors_per_location=anchors.anchors_per_location),
        anchors=anchors,
        levels=(level,),
        matcher=Matcher(iou_thresholds, (0, -1, 1), allow_low_quality=True),
        sampler=BalancedSampler(samples_per_image, positive_fraction),
        train_budget=ProposalBudget(*train_proposals),
        test_budget=ProposalBudget(*test_proposals),
        box_loss=box_loss,
        nms_threshold=nms_threshold,
    )


def c4_box_features(
    *,
    depth: int = 50,
    width: int = 64,
    norm: NormFactory = FrozenBatchNorm2d,
    stride_in_1x1: bool = True,
) -> StageFeatures:
    """Stage res5 on regions of 14 x 14; arguments as in `resnet_c4`, whose last stage it is."""
    stage = resnet_stage("res5", depth=depth, width=width, norm=norm, stride_in_1x1=stride_in_1x1)
    return StageFeatures(
        stage,
        in_channels=stage.in_channels,
        out_channels=stage.out_channels,
        side=14,
        stride=stage.stride,
    )


def one_map_box_head(
    backbone: Backbone,
    features: StageFeatures | ConvFcFeatures,
    *,
    num_classes: int,
    class_agnostic: bool = False,
    class_loss: ClassLoss | None = None,
    box_loss: BoxLoss | None = None,
    samples_per_image: int = 512,
    positive_fraction: float = 0.25,
    append_targets: bool = True,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> BoxHead:
    """Box head on the only map of a backbone.

    Args:
        backbone: whose map is pooled.
        features: regions to vectors; says how large pooled regions are.
        append_targets: see `RoiSampler`.
        num_classes, class_agnostic, class_loss, box_loss, samples_per_image, positive_fraction,
            score_threshold, nms_threshold, max_detections: as in `fpn_box_head`.
    Raises:
        CompositionError: the backbone has another number of maps than one.
    """
    return BoxHead(
        pooler=one_map_pooler(backbone, features.side),
        features=features,
        predictor=BoxPredictor(
            features.out_features, num_classes=num_classes, class_agnostic=class_agnostic
        ),
        roi_sampler=RoiSampler(
            Matcher((0.5,), (0, 1)),
            BalancedSampler(samples_per_image, positive_fraction),
            append_targets=append_targets,
        ),
        class_loss=class_loss,
        box_loss=box_loss,
        score_threshold=score_threshold,
        nms_threshold=nms_threshold,
        max_detections=max_detections,
    )


def c4_mask_head(
    box_head: SecondStage, *, num_classes: int, upsampled_channels: int = 256
) -> MaskHead:
    """Mask head that shares res5 with the box head: masks of 14 x 14."""
    return MaskHead(
        pooler=None,
        in_channels=box_head.map_channels,
        in_side=box_head.map_side,
        num_classes=num_classes,
        conv_channels=(),
        upsampled_channels=upsampled_channels,
    )


def dc5_mask_head(
    backbone: Backbone,
    *,
    num_classes: int,
    conv_channels: Sequence[int] = (256, 256, 256, 256),
) -> MaskHead:
    """Mask head on the only map of a backbone, regions of 14 x 14, masks of 28 x 28."""
    _, _, channels = _only_map(backbone, "dc5_mask_head")
    return MaskHead(
        pooler=one_map_pooler(backbone, 14),
        in_channels=channels,
        num_classes=num_classes,
        conv_channels=conv_channels,
    )


def one_map_pooler(backbone: Backbone, side: int) -> RoiPooler:
    """RoIAlign on the only map of a backbone."""
    level, stride, _ = _only_map(backbone, "one_map_pooler")
    return RoiPooler({level: stride}, output_side=side)


def one_map_preprocess() -> Preprocess:
    """BGR less the means of ImageNet, padded to the largest image of the batch and no more."""
    return Preprocess(
        channel_order="bgr", mean=(103.53, 116.28, 123.675), std=(1.0, 1.0, 1.0), size_divisor=1
    )


def _only_map(backbone: Backbone, reader: str) -> tuple[str, int, int]:
    if len(backbone.feature_specs) != 1:
        raise CompositionError(
            f"{reader} reads one map, {type(backbone).__name__} gives "
            f"{list(backbone.feature_specs)}; build it with one entry in out_features"
        )
    ((level, spec),) = backbone.feature_specs.items()
    return level, spec.stride, spec.channels
