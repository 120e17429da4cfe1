"""PointRend on a pyramid; defaults are those of Detectron2's project.

Reference: Kirillov et al. 2019, "PointRend" (arXiv 1912.08193).
"""

from collections.abc import Sequence

from geodet.errors import CompositionError
from geodet.models.box_kinds import UPRIGHT, AnyBoxKind
from geodet.models.detectors.fpn_parts import (
    caffe_preprocess,
    fpn_box_head,
    fpn_rpn,
    resnet_fpn,
)
from geodet.models.detectors.rcnn import RCNN
from geodet.models.detectors.scene_families import fpn_semantic_head
from geodet.models.detectors.semantic_segmentor import SemanticSegmentor
from geodet.models.features import Backbone
from geodet.models.heads import (
    CoarseMaskHead,
    PointHead,
    PointPooler,
    PointRendMaskHead,
    PointRendSemanticHead,
)
from geodet.models.layers import FrozenBatchNorm2d, NormFactory, group_norm
from geodet.models.preprocess import Preprocess

__all__ = ["fpn_point_rend_head", "point_rend_mask_rcnn_fpn", "point_rend_semantic_fpn"]


def fpn_point_rend_head(
    backbone: Backbone,
    *,
    num_classes: int,
    levels: Sequence[str] = ("p2",),
    coarse_side: int = 7,
    coarse_channels: int = 256,
    coarse_features: Sequence[int] = (1024, 1024),
    point_channels: Sequence[int] = (256, 256, 256),
    train_points: int = 14 * 14,
    oversampling: float = 3.0,
    importance: float = 0.75,
    subdivision_steps: int = 5,
    subdivision_points: int = 28 * 28,
    kind: AnyBoxKind = UPRIGHT,
) -> PointRendMaskHead:
    """PointRend on the finest level, regions of twice the coarse side, masks of 224 x 224.

    Args:
        backbone: whose levels are read.
        num_classes: without background.
        levels: that both parts read, side by side.
        coarse_side: cells of the coarse mask along both sides.
        coarse_channels: see `CoarseMaskHead`.
        coarse_features: of its fully connected layers.
        point_channels: of the layers of the point head.
        train_points: see `PointRendMaskHead`; so for the other numbers.
        oversampling: of points in training.
        importance: share of uncertain points.
        subdivision_steps: doublings of the coarse side.
        subdivision_points: points of each doubling.
        kind: of the boxes.
    Raises:
        CompositionError: the backbone lacks a level.
    """
    specs = backbone.feature_specs
    missing = [name for name in levels if name not in specs]
    if missing or not levels:
        raise CompositionError(
            f"fpn_point_rend_head reads {list(levels)}, {type(backbone).__name__} gives "
            f"{list(specs)}"
        )
    strides = {name: specs[name].stride for name in levels}
    channels = specs[levels[0]].channels
    return PointRendMaskHead(
        pooler=PointPooler(strides, output_side=2 * coarse_side, kind=kind),
        coarse_head=CoarseMaskHead(
            channels * len(levels),
            in_side=2 * coarse_side,
            num_masks=num_classes,
            side=coarse_side,
            conv_channels=coarse_channels,
            fc_features=coarse_features,
        ),
        point_head=PointHead(
            channels * len(levels), num_classes=num_classes, channels=point_channels
        ),
        in_channels=channels,
        num_classes=num_classes,
        train_points=train_points,
        oversampling=oversampling,
        importance=importance,
        subdivision_steps=subdivision_steps,
        subdivision_points=subdivision_points,
    )


def point_rend_mask_rcnn_fpn(
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
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (2000, 1000),
    test_proposals: tuple[int, int] = (1000, 1000),
    box_samples: int = 512,
    box_features: Sequence[int] = (1024, 1024),
    refine_regions: bool = True,
    levels: Sequence[str] = ("p2",),
    coarse_side: int = 7,
    coarse_channels: int = 256,
    coarse_features: Sequence[int] = (1024, 1024),
    point_channels: Sequence[int] = (256, 256, 256),
    train_points: int = 14 * 14,
    subdivision_steps: int = 5,
    subdivision_points: int = 28 * 28,
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Mask R-CNN with PointRend on a ResNet with a pyramid; arguments as in `faster_rcnn_fpn`,
    `BoxHead` and `fpn_point_rend_head`.
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
    return RCNN(
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
        box_head=fpn_box_head(
            backbone,
            num_classes=num_classes,
            fc_features=box_features,
            samples_per_image=box_samples,
            score_threshold=score_threshold,
            nms_threshold=nms_threshold,
            max_detections=max_detections,
            refine_regions=refine_regions,
        ),
        mask_head=fpn_point_rend_head(
            backbone,
            num_classes=num_classes,
            levels=levels,
            coarse_side=coarse_side,
            coarse_channels=coarse_channels,
            coarse_features=coarse_features,
            point_channels=point_channels,
            train_points=train_points,
            subdivision_steps=subdivision_steps,
            subdivision_points=subdivision_points,
        ),
    )


def point_rend_semantic_fpn(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    depth: int = 50,
    width: int = 64,
    groups: int = 1,
    width_per_group: int = 64,
    stride_in_1x1: bool | None = None,
    norm: NormFactory = FrozenBatchNorm2d,
    freeze_at: int = 0,
    fpn_channels: int = 256,
    head_channels: int = 128,
    head_norm: NormFactory | None = group_norm(),  # noqa: B008 (a factory without state)
    loss_weight: float = 1.0,
    levels: Sequence[str] = ("p2",),
    point_channels: Sequence[int] = (256, 256, 256),
    train_points: int = 1024,
    subdivision_steps: int = 2,
    subdivision_points: int = 8192,
) -> SemanticSegmentor:
    """Semantic FPN with PointRend: scores of every pixel; arguments as in `semantic_fpn` and
    `PointRendSemanticHead`, levels those that the point head reads.
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
        head=PointRendSemanticHead(
            coarse_head=fpn_semantic_head(
                backbone,
                num_classes=num_classes,
                channels=head_channels,
                norm=head_norm,
                loss_weight=loss_weight,
            ),
            point_head=PointHead(
                fpn_channels * len(levels), num_classes=num_classes, channels=point_channels
            ),
            specs={name: backbone.feature_specs[name] for name in levels},
            train_points=train_points,
            subdivision_steps=subdivision_steps,
            subdivision_points=subdivision_points,
        ),
    )
