"""Families of DeepLab, every number a keyword.

Defaults are those of Detectron2's DeepLab and Panoptic-DeepLab projects, with plain batch norms:
for several processes give `norm=nn.SyncBatchNorm`.
"""

from collections.abc import Sequence

from torch import nn

from geodet.models.backbones import ResNet, resnet
from geodet.models.detectors.center_targets import CenterTargets
from geodet.models.detectors.panoptic_deeplab import PanopticDeepLab
from geodet.models.detectors.semantic_segmentor import SemanticSegmentor
from geodet.models.features import Backbone, FeatureSpec
from geodet.models.heads.centers import CenterHead
from geodet.models.heads.deeplab import DeepLabDecoder, DeepLabV3Head, DeepLabV3PlusHead
from geodet.models.layers import NormFactory
from geodet.models.layers.aspp import ASPP
from geodet.models.losses.pixels import HardPixelMining
from geodet.models.preprocess import Preprocess
from geodet.structures import SceneLabels

__all__ = [
    "deeplab_decoder",
    "deeplab_preprocess",
    "deeplab_resnet",
    "deeplab_v3",
    "deeplab_v3_plus",
    "panoptic_deeplab",
]


def deeplab_preprocess() -> Preprocess:
    """RGB, mean and spread of ImageNet, no padding but to the largest image of the batch."""
    return Preprocess(
        channel_order="rgb",
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        size_divisor=1,
    )


def deeplab_resnet(
    *,
    depth: int = 101,
    width: int = 64,
    norm: NormFactory = nn.BatchNorm2d,
    multi_grid: Sequence[int] = (1, 2, 4),
    freeze_at: int = 0,
    out_features: Sequence[str] = ("res2", "res5"),
) -> ResNet:
    """ResNet with a stem of three convolutions and a dilated last stage: stride 16 in all.

    Args:
        depth: 50 and 101 are called R52 and R103 for the stem.
        width: as in `resnet`; the stem has twice as many channels.
        norm: after every convolution.
        multi_grid: a factor of the last stage's dilation, 2, for each of its blocks.
        freeze_at: how many parts from the stem on are frozen.
        out_features: stages to return.
    """
    return resnet(
        depth,
        width=width,
        norm=norm,
        stride_in_1x1=False,
        freeze_at=freeze_at,
        deep_stem=True,
        res5_dilation=2,
        res5_multi_grid=multi_grid,
        out_features=out_features,
    )


def deeplab_decoder(
    specs: dict[str, FeatureSpec],
    *,
    project_channels: Sequence[int],
    channels: int = 256,
    aspp_channels: int = 256,
    dilations: Sequence[int] = (6, 12, 18),
    dropout: float = 0.1,
    pool_cells: tuple[int, int] | None = None,
    norm: NormFactory | None = nn.BatchNorm2d,
    separable: bool = False,
) -> DeepLabDecoder:
    """Decoder with ASPP on its coarsest map; arguments as in `DeepLabDecoder` and `ASPP`."""
    return DeepLabDecoder(
        specs,
        aspp=ASPP(
            list(specs.values())[-1].channels,
            aspp_channels,
            dilations=dilations,
            norm=norm,
            pool_cells=pool_cells,
            separable=separable,
            dropout=dropout,
        ),
        project_channels=project_channels,
        channels=channels,
        norm=norm,
        separable=separable,
    )


def deeplab_v3(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    depth: int = 101,
    width: int = 64,
    norm: NormFactory = nn.BatchNorm2d,
    multi_grid: Sequence[int] = (1, 2, 4),
    freeze_at: int = 0,
    aspp_channels: int = 256,
    dilations: Sequence[int] = (6, 12, 18),
    dropout: float = 0.1,
    pool_cells: tuple[int, int] | None = None,
    hard_fraction: float = 0.2,
    loss_weight: float = 1.0,
) -> SemanticSegmentor:
    """DeepLabV3: classes of pixels at stride 16; arguments as in `deeplab_resnet`, `ASPP` and
    `DeepLabV3Head`; hard_fraction is the share of pixels that train.
    """
    backbone = deeplab_resnet(
        depth=depth,
        width=width,
        norm=norm,
        multi_grid=multi_grid,
        freeze_at=freeze_at,
        out_features=("res5",),
    )
    aspp = ASPP(
        backbone.feature_specs["res5"].channels,
        aspp_channels,
        dilations=dilations,
        norm=norm,
        pool_cells=pool_cells,
        dropout=dropout,
    )
    head = DeepLabV3Head(
        _maps(backbone, ("res5",)),
        aspp=aspp,
        num_classes=num_classes,
        loss=HardPixelMining(hard_fraction),
        loss_weight=loss_weight,
    )
    return SemanticSegmentor(
        preprocess=deeplab_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        head=head,
    )


def deeplab_v3_plus(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    depth: int = 101,
    width: int = 64,
    norm: NormFactory = nn.BatchNorm2d,
    multi_grid: Sequence[int] = (1, 2, 4),
    freeze_at: int = 0,
    project_channels: int = 48,
    decoder_channels: int = 256,
    aspp_channels: int = 256,
    dilations: Sequence[int] = (6, 12, 18),
    dropout: float = 0.1,
    pool_cells: tuple[int, int] | None = None,
    separable: bool = False,
    hard_fraction: float = 0.2,
    loss_weight: float = 1.0,
) -> SemanticSegmentor:
    """DeepLabV3+: classes of pixels at stride 4; arguments as in `deeplab_v3` and
    `DeepLabDecoder`.
    """
    backbone = deeplab_resnet(
        depth=depth, width=width, norm=norm, multi_grid=multi_grid, freeze_at=freeze_at
    )
    decoder = deeplab_decoder(
        _maps(backbone, ("res2", "res5")),
        project_channels=(project_channels,),
        channels=decoder_channels,
        aspp_channels=aspp_channels,
        dilations=dilations,
        dropout=dropout,
        pool_cells=pool_cells,
        norm=norm,
        separable=separable,
    )
    return SemanticSegmentor(
        preprocess=deeplab_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        head=DeepLabV3PlusHead(
            decoder,
            num_classes=num_classes,
            loss=HardPixelMining(hard_fraction),
            loss_weight=loss_weight,
        ),
    )


def panoptic_deeplab(
    *,
    labels: SceneLabels,
    preprocess: Preprocess | None = None,
    depth: int = 50,
    width: int = 64,
    norm: NormFactory = nn.BatchNorm2d,
    multi_grid: Sequence[int] = (1, 2, 4),
    freeze_at: int = 0,
    project_channels: Sequence[int] = (32, 64),
    aspp_channels: int = 256,
    dilations: Sequence[int] = (6, 12, 18),
    dropout: float = 0.1,
    pool_cells: tuple[int, int] | None = None,
    separable: bool = True,
    semantic_channels: tuple[int, int] = (256, 256),
    center_channels: tuple[int, int] = (128, 32),
    hard_fraction: float = 0.2,
    loss_weights: tuple[float, float, float] = (1.0, 200.0, 0.01),
    targets: CenterTargets | None = None,
    threshold: float = 0.1,
    suppression_side: int = 7,
    max_centers: int = 200,
    min_stuff_area: int = 2048,
) -> PanopticDeepLab:
    """Panoptic-DeepLab on res2, res3 and res5.

    Args:
        labels: things class by class in the semantic map, as `SceneLabels.all_semantic` has them.
        semantic_channels: of the semantic decoder, and of the last convolution after it.
        center_channels: likewise of the decoder of centres.
        loss_weights: of classes, heat and offsets.
        targets: None is `CenterTargets(labels=labels)`.
        preprocess, depth, width, norm, multi_grid, freeze_at, project_channels, aspp_channels,
            dilations, dropout, pool_cells, separable, hard_fraction: as in `deeplab_v3_plus`.
        threshold, suppression_side, max_centers, min_stuff_area: as in `PanopticDeepLab`.
    """
    names = ("res2", "res3", "res5")
    backbone = deeplab_resnet(
        depth=depth,
        width=width,
        norm=norm,
        multi_grid=multi_grid,
        freeze_at=freeze_at,
        out_features=names,
    )
    decoders = [
        deeplab_decoder(
            _maps(backbone, names),
            project_channels=project_channels,
            channels=channels,
            aspp_channels=aspp_channels,
            dilations=dilations,
            dropout=dropout,
            pool_cells=pool_cells,
            norm=norm,
            separable=separable,
        )
        for channels in (semantic_channels[0], center_channels[0])
    ]
    return PanopticDeepLab(
        preprocess=deeplab_preprocess() if preprocess is None else preprocess,
        backbone=backbone,
        semantic_head=DeepLabV3PlusHead(
            decoders[0],
            num_classes=len(labels.semantic),
            conv_channels=semantic_channels,
            norm=norm,
            loss=HardPixelMining(hard_fraction),
            loss_weight=loss_weights[0],
        ),
        center_head=CenterHead(
            decoders[1],
            conv_channels=center_channels,
            norm=norm,
            heat_weight=loss_weights[1],
            offset_weight=loss_weights[2],
        ),
        targets=CenterTargets(labels=labels) if targets is None else targets,
        threshold=threshold,
        suppression_side=suppression_side,
        max_centers=max_centers,
        min_stuff_area=min_stuff_area,
    )


def _maps(backbone: Backbone, names: Sequence[str]) -> dict[str, FeatureSpec]:
    return {name: backbone.feature_specs[name] for name in names}
