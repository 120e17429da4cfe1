"""Pyramids on transformers in stages."""

from collections.abc import Sequence

from geodet.models.backbones import mvit, swin
from geodet.models.layers import LayerNorm2d, NormFactory
from geodet.models.necks import FPN, LastLevelMaxPool

__all__ = ["mvit_fpn", "swin_fpn"]

_SCALES = ("scale2", "scale3", "scale4", "scale5")


def swin_fpn(
    *,
    channels: int = 96,
    depths: Sequence[int] = (2, 2, 6, 2),
    num_heads: Sequence[int] = (3, 6, 12, 24),
    drop_path: float = 0.2,
    window_side: int = 7,
    freeze_at: int = 0,
    checkpointing: bool = False,
    in_channels: int = 3,
    fpn_channels: int = 256,
    fpn_norm: NormFactory | None = LayerNorm2d,
) -> FPN:
    """Swin with a pyramid of p2 to p6; Swin-T by default.

    Args:
        channels: see `swin`.
        depths: see `swin`.
        num_heads: see `swin`.
        drop_path: see `swin`.
        window_side: see `swin`.
        freeze_at: see `swin`.
        checkpointing: see `swin`.
        in_channels: of the images.
        fpn_channels: of every level.
        fpn_norm: of the pyramid.
    """
    bottom_up = swin(
        channels=channels,
        depths=depths,
        num_heads=num_heads,
        drop_path=drop_path,
        window_side=window_side,
        freeze_at=freeze_at,
        checkpointing=checkpointing,
        in_channels=in_channels,
        out_features=_SCALES,
    )
    return FPN(
        bottom_up,
        in_features=_SCALES,
        channels=fpn_channels,
        norm=fpn_norm,
        top=LastLevelMaxPool(),
    )


def mvit_fpn(
    *,
    channels: int = 96,
    depth: int = 10,
    num_heads: int = 1,
    stage_ends: Sequence[int] = (0, 2, 7, 9),
    drop_path: float = 0.2,
    window_side: int = 56,
    image_side: int = 224,
    checkpointing: bool = False,
    in_channels: int = 3,
    fpn_channels: int = 256,
    fpn_norm: NormFactory | None = LayerNorm2d,
) -> FPN:
    """MViTv2 with a pyramid of p2 to p6; MViTv2-T by default.

    Args:
        channels: see `mvit`.
        depth: see `mvit`.
        num_heads: see `mvit`.
        stage_ends: see `mvit`.
        drop_path: see `mvit`.
        window_side: see `mvit`.
        image_side: see `mvit`; images of other sizes work too.
        checkpointing: see `mvit`.
        in_channels: of the images.
        fpn_channels: of every level.
        fpn_norm: of the pyramid.
    """
    bottom_up = mvit(
        channels=channels,
        depth=depth,
        num_heads=num_heads,
        stage_ends=stage_ends,
        drop_path=drop_path,
        window_side=window_side,
        image_side=image_side,
        checkpointing=checkpointing,
        in_channels=in_channels,
        out_features=_SCALES,
    )
    return FPN(
        bottom_up,
        in_features=_SCALES,
        channels=fpn_channels,
        norm=fpn_norm,
        top=LastLevelMaxPool(),
    )
