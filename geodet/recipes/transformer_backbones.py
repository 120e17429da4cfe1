"""Recipes of transformers under a pyramid."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Literal

import attrs
from torch import nn

from geodet.models.backbones import mvit, swin, vit
from geodet.models.features import Backbone
from geodet.models.layers import LayerNorm2d
from geodet.models.necks import (
    FPN,
    LastLevelMaxPool,
    LastLevelP6P7,
    SimpleFeaturePyramid,
)
from geodet.models.published import load_detectron2
from geodet.recipes.fields import fraction, whole, wholes
from geodet.weights import load_weights, read_tensors

__all__ = ["MvitFpnRecipe", "SwinFpnRecipe", "VitDetRecipe"]

_SCALES = ("scale2", "scale3", "scale4", "scale5")


@attrs.frozen(kw_only=True)
class _TransformerRecipe(ABC):
    """Abstract: what all of them have.

    Args:
        drop_path: probability of leaving out the last block in training; earlier ones less.
        pyramid_channels: channels of every pyramid level, which have layer norms.
        checkpointing: compute blocks again in the backward pass: less memory, more time.
        weights: file of the transformer alone to start training from: safetensors of ours, which
            must fit, or ImageNet weights as Detectron2, MAE, Swin and MViTv2 publish them, which
            fill what they have.
    """

    drop_path: float = attrs.field(default=0.1, validator=fraction)
    pyramid_channels: int = attrs.field(default=256, validator=whole())
    checkpointing: bool = False
    weights: Path | None = None

    @abstractmethod
    def build(self) -> Backbone:
        """Return p2 to p6 with fresh weights."""

    @abstractmethod
    def build_p3_to_p7(self, *, top_source: Literal["res5", "p5"]) -> Backbone:
        """Return p3 to p7 with fresh weights; p6 is made from `top_source`."""

    def load_initial_weights(self, backbone: nn.Module) -> None:
        """Load `weights` into the transformer, to start training from.

        Raises:
            CheckpointError: the file does not fit.
        """
        if self.weights is None:
            return
        trunk = backbone.get_submodule("bottom_up")
        if self.weights.suffix == ".safetensors":
            load_weights(trunk, read_tensors(self.weights), source=str(self.weights))
        else:
            load_detectron2(trunk, self.weights)


@attrs.frozen(kw_only=True)
class VitDetRecipe(_TransformerRecipe):
    """A plain vision transformer under a simple pyramid; ViT-B of ViTDet.

    Args:
        channels: channels of a token.
        depth: number of blocks.
        num_heads: heads of every block.
        global_blocks: positions of the blocks that attend to the whole grid.
        window_side: tokens of the windows of the others.
        image_side: size of image that relative positions are learnt for; others work too.
    """

    channels: int = attrs.field(default=768, validator=whole())
    depth: int = attrs.field(default=12, validator=whole())
    num_heads: int = attrs.field(default=12, validator=whole())
    global_blocks: tuple[int, ...] = attrs.field(
        default=(2, 5, 8, 11), validator=wholes(at_least=0)
    )
    window_side: int = attrs.field(default=14, validator=whole())
    image_side: int = attrs.field(default=1024, validator=whole())

    def build(self) -> SimpleFeaturePyramid:
        """Return p2 to p6 with fresh weights."""
        return SimpleFeaturePyramid(
            self._trunk(), channels=self.pyramid_channels, top=LastLevelMaxPool()
        )

    def build_p3_to_p7(self, *, top_source: Literal["res5", "p5"]) -> SimpleFeaturePyramid:
        """Return p3 to p7 with fresh weights; p6 is made from p5, as there is no map below."""
        del top_source
        return SimpleFeaturePyramid(
            self._trunk(),
            channels=self.pyramid_channels,
            scales=(2.0, 1.0, 0.5),
            top=LastLevelP6P7(self.pyramid_channels, self.pyramid_channels, source="p5"),
        )

    def _trunk(self) -> Backbone:
        return vit(
            channels=self.channels,
            depth=self.depth,
            num_heads=self.num_heads,
            global_blocks=self.global_blocks,
            drop_path=self.drop_path,
            image_side=self.image_side,
            window_side=self.window_side,
            checkpointing=self.checkpointing,
        )


@attrs.frozen(kw_only=True)
class _StagedTransformerRecipe(_TransformerRecipe):
    """Abstract: a transformer in stages under a feature pyramid."""

    def build(self) -> FPN:
        """Return p2 to p6 with fresh weights."""
        return FPN(
            self._trunk(),
            in_features=_SCALES,
            channels=self.pyramid_channels,
            norm=LayerNorm2d,
            top=LastLevelMaxPool(),
        )

    def build_p3_to_p7(self, *, top_source: Literal["res5", "p5"]) -> FPN:
        """Return p3 to p7 with fresh weights; p6 is made from the last stage or from p5."""
        trunk = self._trunk()
        source = "scale5" if top_source == "res5" else top_source
        below = trunk.feature_specs.get(source)
        channels = self.pyramid_channels if below is None else below.channels
        return FPN(
            trunk,
            in_features=_SCALES[1:],
            channels=self.pyramid_channels,
            norm=LayerNorm2d,
            top=LastLevelP6P7(channels, self.pyramid_channels, source=source),
        )

    @abstractmethod
    def _trunk(self) -> Backbone:
        """The transformer."""


@attrs.frozen(kw_only=True)
class SwinFpnRecipe(_StagedTransformerRecipe):
    """Swin under a feature pyramid; Swin-T.

    Args:
        channels: of the first stage; each later one has twice as many.
        depths: blocks of every stage.
        num_heads: heads of every stage.
        window_side: tokens of a window.
        freeze_at: leading parts that do not train (patches are 1).
    """

    channels: int = attrs.field(default=96, validator=whole())
    depths: tuple[int, ...] = attrs.field(default=(2, 2, 6, 2), validator=wholes())
    num_heads: tuple[int, ...] = attrs.field(default=(3, 6, 12, 24), validator=wholes())
    window_side: int = attrs.field(default=7, validator=whole())
    freeze_at: int = attrs.field(default=0, validator=whole(at_least=0))

    def _trunk(self) -> Backbone:
        return swin(
            channels=self.channels,
            depths=self.depths,
            num_heads=self.num_heads,
            drop_path=self.drop_path,
            window_side=self.window_side,
            freeze_at=self.freeze_at,
            checkpointing=self.checkpointing,
        )


@attrs.frozen(kw_only=True)
class MvitFpnRecipe(_StagedTransformerRecipe):
    """MViTv2 under a feature pyramid; MViTv2-T.

    Args:
        channels: of the first stage; each later one has twice as many.
        depth: number of blocks.
        num_heads: heads of the first stage; each later one has twice as many.
        stage_ends: position of the last block of every stage.
        window_side: tokens of a window in the first stage.
        image_side: size of image that relative positions are learnt for; others work too.
    """

    channels: int = attrs.field(default=96, validator=whole())
    depth: int = attrs.field(default=10, validator=whole())
    num_heads: int = attrs.field(default=1, validator=whole())
    stage_ends: tuple[int, ...] = attrs.field(default=(0, 2, 7, 9), validator=wholes(at_least=0))
    window_side: int = attrs.field(default=56, validator=whole())
    image_side: int = attrs.field(default=224, validator=whole())

    def _trunk(self) -> Backbone:
        return mvit(
            channels=self.channels,
            depth=self.depth,
            num_heads=self.num_heads,
            stage_ends=self.stage_ends,
            drop_path=self.drop_path,
            window_side=self.window_side,
            image_side=self.image_side,
            checkpointing=self.checkpointing,
        )
