"""Recipes of what comes before the heads: the network's input, and its feature pyramid."""

from pathlib import Path
from typing import Literal

import attrs
from torch import nn

from geodet.errors import RecipeError
from geodet.models.detectors import resnet_fpn, resnet_fpn_p3_to_p7
from geodet.models.layers import FrozenBatchNorm2d, NormFactory, group_norm
from geodet.models.necks import FPN
from geodet.models.preprocess import Preprocess
from geodet.recipes.facts import DataFacts
from geodet.recipes.fields import whole
from geodet.weights import load_weights, read_tensors

__all__ = ["PreprocessRecipe", "ResNetFpnRecipe"]


@attrs.frozen(kw_only=True)
class PreprocessRecipe:
    """How images become the network's input. The default is RGB with the statistics of ImageNet.

    Args:
        channel_order: what the network takes; images are stored as RGB.
        mean: per channel in that order, in units of 0..255.
        std: likewise.
        square_side: every batch is padded to a square of this side, as ViTDet is trained; images
            must be resized to fit. None pads as far as a batch needs.
    """

    channel_order: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, ...] = (123.675, 116.28, 103.53)
    std: tuple[float, ...] = (58.395, 57.12, 57.375)
    square_side: int | None = attrs.field(default=None, validator=whole(optional=True))

    def build(self, facts: DataFacts, *, size_divisor: int = 32) -> Preprocess:
        """Return the module, which resizes for prediction as the data say."""
        return Preprocess(
            channel_order=self.channel_order,
            mean=self.mean,
            std=self.std,
            size_divisor=size_divisor,
            square_side=self.square_side,
            short_edge=facts.short_edge,
            max_long_edge=facts.max_long_edge,
        )


@attrs.frozen(kw_only=True)
class ResNetFpnRecipe:
    """A residual network under a feature pyramid.

    The pyramid has p2 to p6 for two-stage detectors and models of pixels, p3 to p7 for one-stage
    detectors.

    Args:
        depth: number of layers.
        width: channels of the stem; the stages scale with it.
        groups: of ResNeXt.
        width_per_group: of ResNeXt.
        fpn_channels: channels of every pyramid level.
        norm: of the ResNet. "frozen" learns nothing, so it needs `weights`.
        freeze_at: leading parts of the ResNet that do not train (stem is 1); needs `weights`.
        weights: safetensors file of the ResNet alone to start training from.
    """

    depth: Literal[18, 34, 50, 101, 152] = 50
    width: int = attrs.field(default=64, validator=whole())
    groups: int = attrs.field(default=1, validator=whole())
    width_per_group: int = attrs.field(default=64, validator=whole())
    fpn_channels: int = attrs.field(default=256, validator=whole())
    norm: Literal["batch", "group", "frozen"] = "group"
    freeze_at: int = attrs.field(default=0, validator=whole(at_least=0))
    weights: Path | None = None

    def build(self) -> FPN:
        """Return p2 to p6 with fresh weights."""
        return resnet_fpn(
            depth=self.depth,
            width=self.width,
            groups=self.groups,
            width_per_group=self.width_per_group,
            norm=self._norm(),
            freeze_at=self.freeze_at,
            fpn_channels=self.fpn_channels,
        )

    def build_p3_to_p7(self, *, top_source: Literal["res5", "p5"]) -> FPN:
        """Return p3 to p7 with fresh weights; p6 is made from `top_source`."""
        return resnet_fpn_p3_to_p7(
            depth=self.depth,
            width=self.width,
            groups=self.groups,
            width_per_group=self.width_per_group,
            norm=self._norm(),
            freeze_at=self.freeze_at,
            fpn_channels=self.fpn_channels,
            top_source=top_source,
        )

    def _norm(self) -> NormFactory:
        norms: dict[str, NormFactory] = {
            "batch": nn.BatchNorm2d,
            "group": group_norm(),
            "frozen": FrozenBatchNorm2d,
        }
        return norms[self.norm]

    def load_initial_weights(self, backbone: nn.Module) -> None:
        """Load `weights` into the ResNet, to start training from.

        Raises:
            RecipeError: there are none, although parts of the network will not train.
            CheckpointError: the file does not fit.
        """
        if self.weights is not None:
            trunk = backbone.get_submodule("bottom_up")
            load_weights(trunk, read_tensors(self.weights), source=str(self.weights))
        elif self.norm == "frozen" or self.freeze_at > 0:
            raise RecipeError(
                f"model.backbone.weights: needed, because norm={self.norm!r} and "
                f"freeze_at={self.freeze_at} keep parts of the network as they start; name a "
                "file, or set norm to 'group' and freeze_at to 0"
            )
