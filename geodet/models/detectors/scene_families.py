"""Families of models of pixels and of whole scenes on a pyramid, every number a keyword.

Defaults are those of Detectron2's R50-FPN models. For what is no keyword here, wire the parts into
`SemanticSegmentor` or `PanopticFPN` yourself.
"""

from geodet.models.detectors.fpn_parts import caffe_preprocess, resnet_fpn
from geodet.models.detectors.panoptic_fpn import PanopticFPN
from geodet.models.detectors.panoptic_merging import PanopticMerging
from geodet.models.detectors.rcnn import RCNN
from geodet.models.detectors.semantic_segmentor import SemanticSegmentor
from geodet.models.features import Backbone
from geodet.models.heads.semantic_fpn import SemanticFPNHead
from geodet.models.layers import FrozenBatchNorm2d, NormFactory, group_norm
from geodet.models.preprocess import Preprocess
from geodet.structures import SceneLabels

__all__ = ["fpn_semantic_head", "panoptic_fpn", "semantic_fpn"]

_LEVELS = ("p2", "p3", "p4", "p5")


def fpn_semantic_head(
    backbone: Backbone,
    *,
    num_classes: int,
    channels: int = 128,
    norm: NormFactory | None = group_norm(),  # noqa: B008 (a factory without state)
    loss_weight: float = 1.0,
) -> SemanticFPNHead:
    """Semantic head on p2 to p5 of a pyramid.

    Args:
        backbone: whose levels are read.
        num_classes: classes of the semantic map.
        channels: of its convolutions.
        norm: after its convolutions.
        loss_weight: what its loss is multiplied with.
    """
    return SemanticFPNHead(
        {name: backbone.feature_specs[name] for name in _LEVELS},
        num_classes=num_classes,
        channels=channels,
        norm=norm,
        loss_weight=loss_weight,
    )


def semantic_fpn(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    depth: int = 50,
    width: int = 64,
    groups: int = 1,
    width_per_group: int = 64,
    stride_in_1x1: bool | None = None,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 2,
    fpn_channels: int = 256,
    head_channels: int = 128,
    head_norm: NormFactory | None = group_norm(),  # noqa: B008 (a factory without state)
    loss_weight: float = 1.0,
) -> SemanticSegmentor:
    """Semantic FPN: classes of pixels from a ResNet with a pyramid; arguments as in `resnet_fpn`
    and `fpn_semantic_head`. Without pretrained weights take a trainable `norm` and `freeze_at=0`.
    """
    backbone = resnet_fpn(
        depth=depth,
        width=width,
        groups=groups,
        width_per_group=width_per_group,
        stride_in_1x1=stride_in_1x1,
        norm=norm,
        freeze_at=freeze_at,
        fpn_channels=fpn_channels,
    )
    return SemanticSegmentor(
        preprocess=caffe_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        head=fpn_semantic_head(
            backbone,
            num_classes=num_classes,
            channels=head_channels,
            norm=head_norm,
            loss_weight=loss_weight,
        ),
    )


def panoptic_fpn(
    detector: RCNN,
    *,
    labels: SceneLabels,
    head_channels: int = 128,
    head_norm: NormFactory | None = group_norm(),  # noqa: B008 (a factory without state)
    semantic_weight: float = 0.5,
    score_threshold: float = 0.5,
    overlap_threshold: float = 0.5,
    min_stuff_area: int = 4096,
) -> PanopticFPN:
    """Panoptic FPN around any detector with masks on a pyramid, Mask and Cascade R-CNN alike.

    Args:
        detector: as `mask_rcnn_fpn` and its kin make it.
        labels: its classes, those of the semantic head, and those of the scene.
        head_channels: of the semantic head's convolutions.
        head_norm: after them.
        semantic_weight: what the semantic loss is multiplied with.
        score_threshold: least score of an object in the scene.
        overlap_threshold: greatest share of its mask that better objects may have.
        min_stuff_area: least area of a background class in the scene, pixels.
    """
    return PanopticFPN(
        detector=detector,
        semantic_head=fpn_semantic_head(
            detector.backbone,
            num_classes=len(labels.semantic),
            channels=head_channels,
            norm=head_norm,
            loss_weight=semantic_weight,
        ),
        merging=PanopticMerging(
            labels=labels,
            score_threshold=score_threshold,
            overlap_threshold=overlap_threshold,
            min_stuff_area=min_stuff_area,
        ),
    )
