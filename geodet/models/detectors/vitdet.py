"""Detectors on plain vision transformers.

Reference: Li et al. 2022 (arXiv 2203.16527).
"""

from collections.abc import Collection, Sequence

from geodet.models.backbones import vit
from geodet.models.detectors.pyramid_families import (
    imagenet_preprocess,
    pyramid_cascade_mask_rcnn,
    pyramid_mask_rcnn,
)
from geodet.models.detectors.rcnn import RCNN
from geodet.models.layers import LayerNorm2d, NormFactory
from geodet.models.losses import ClassLoss
from geodet.models.necks import LastLevelMaxPool, SimpleFeaturePyramid
from geodet.models.preprocess import Preprocess

__all__ = ["vitdet_cascade_mask_rcnn", "vitdet_mask_rcnn", "vitdet_preprocess", "vitdet_pyramid"]


def vitdet_pyramid(
    *,
    channels: int = 768,
    depth: int = 12,
    num_heads: int = 12,
    global_blocks: Collection[int] = (2, 5, 8, 11),
    drop_path: float = 0.1,
    image_side: int = 1024,
    window_side: int = 14,
    checkpointing: bool = False,
    in_channels: int = 3,
    pyramid_channels: int = 256,
    pyramid_norm: NormFactory | None = LayerNorm2d,
) -> SimpleFeaturePyramid:
    """Plain transformer with patches of 16 and a simple pyramid of p2 to p6; ViT-B by default.

    Args:
        channels: see `vit`.
        depth: see `vit`.
        num_heads: see `vit`.
        global_blocks: see `vit`.
        drop_path: see `vit`.
        image_side: see `vit`; images of other sizes work too.
        window_side: see `vit`.
        checkpointing: see `vit`.
        in_channels: of the images.
        pyramid_channels: of every level.
        pyramid_norm: of the pyramid.
    """
    net = vit(
        channels=channels,
        depth=depth,
        num_heads=num_heads,
        global_blocks=global_blocks,
        drop_path=drop_path,
        in_channels=in_channels,
        image_side=image_side,
        window_side=window_side,
        checkpointing=checkpointing,
    )
    return SimpleFeaturePyramid(
        net, channels=pyramid_channels, norm=pyramid_norm, top=LastLevelMaxPool()
    )


def vitdet_preprocess(side: int = 1024) -> Preprocess:
    """ImageNet's statistics; the longer side resized to `side`, then padded to a square of it."""
    return imagenet_preprocess(square_side=side, short_edge=side, max_long_edge=side)


def vitdet_mask_rcnn(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    channels: int = 768,
    depth: int = 12,
    num_heads: int = 12,
    global_blocks: Collection[int] = (2, 5, 8, 11),
    drop_path: float = 0.1,
    image_side: int = 1024,
    window_side: int = 14,
    checkpointing: bool = False,
    pyramid_channels: int = 256,
    norm: NormFactory | None = LayerNorm2d,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (2000, 1000),
    test_proposals: tuple[int, int] = (1000, 1000),
    box_convs: Sequence[int] = (256, 256, 256, 256),
    box_features: Sequence[int] = (1024,),
    box_samples: int = 512,
    class_loss: ClassLoss | None = None,
    mask_convs: Sequence[int] = (256, 256, 256, 256),
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Mask R-CNN on `vitdet_pyramid`; the other arguments as in `pyramid_mask_rcnn`, and norm
    that of the pyramid and the heads. Without `preprocess` every batch is padded to a square of
    `image_side`; one without square_side takes any size of image.
    """
    backbone = vitdet_pyramid(
        channels=channels,
        depth=depth,
        num_heads=num_heads,
        global_blocks=global_blocks,
        drop_path=drop_path,
        image_side=image_side,
        window_side=window_side,
        checkpointing=checkpointing,
        pyramid_channels=pyramid_channels,
        pyramid_norm=norm,
    )
    return pyramid_mask_rcnn(
        backbone,
        num_classes=num_classes,
        preprocess=vitdet_preprocess(image_side) if preprocess is None else preprocess,
        anchor_sizes=anchor_sizes,
        rpn_samples=rpn_samples,
        train_proposals=train_proposals,
        test_proposals=test_proposals,
        box_convs=box_convs,
        box_features=box_features,
        box_samples=box_samples,
        class_loss=class_loss,
        mask_convs=mask_convs,
        head_norm=norm,
        score_threshold=score_threshold,
        nms_threshold=nms_threshold,
        max_detections=max_detections,
    )


def vitdet_cascade_mask_rcnn(
    *,
    num_classes: int,
    preprocess: Preprocess | None = None,
    channels: int = 768,
    depth: int = 12,
    num_heads: int = 12,
    global_blocks: Collection[int] = (2, 5, 8, 11),
    drop_path: float = 0.1,
    image_side: int = 1024,
    window_side: int = 14,
    checkpointing: bool = False,
    pyramid_channels: int = 256,
    norm: NormFactory | None = LayerNorm2d,
    anchor_sizes: Sequence[float] = (32, 64, 128, 256, 512),
    rpn_samples: int = 256,
    train_proposals: tuple[int, int] = (2000, 1000),
    test_proposals: tuple[int, int] = (1000, 1000),
    ious: Sequence[float] = (0.5, 0.6, 0.7),
    box_convs: Sequence[int] = (256, 256, 256, 256),
    box_features: Sequence[int] = (1024,),
    box_samples: int = 512,
    class_loss: ClassLoss | None = None,
    mask_convs: Sequence[int] = (256, 256, 256, 256),
    score_threshold: float = 0.05,
    nms_threshold: float = 0.5,
    max_detections: int = 100,
) -> RCNN:
    """Cascade Mask R-CNN on `vitdet_pyramid`; the other arguments as in
    `pyramid_cascade_mask_rcnn`, and norm that of the pyramid and the heads. Images as in
    `vitdet_mask_rcnn`.
    """
    backbone = vitdet_pyramid(
        channels=channels,
        depth=depth,
        num_heads=num_heads,
        global_blocks=global_blocks,
        drop_path=drop_path,
        image_side=image_side,
        window_side=window_side,
        checkpointing=checkpointing,
        pyramid_channels=pyramid_channels,
        pyramid_norm=norm,
    )
    return pyramid_cascade_mask_rcnn(
        backbone,
        num_classes=num_classes,
        preprocess=vitdet_preprocess(image_side) if preprocess is None else preprocess,
        anchor_sizes=anchor_sizes,
        rpn_samples=rpn_samples,
        train_proposals=train_proposals,
        test_proposals=test_proposals,
        ious=ious,
        box_convs=box_convs,
        box_features=box_features,
        box_samples=box_samples,
        class_loss=class_loss,
        mask_convs=mask_convs,
        head_norm=norm,
        score_threshold=score_threshold,
        nms_threshold=nms_threshold,
        max_detections=max_detections,
    )
