"""Semantic heads of DeepLab.

Reference: V3: Chen et al. 2017 (arXiv 1706.05587); V3+: Chen et al. 2018 (arXiv 1802.02611).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.features import FeatureSpec
from geodet.models.heads.semantic import SemanticHead
from geodet.models.layers import NormFactory, fill_c2_xavier, fill_normal
from geodet.models.layers.aspp import ASPP
from geodet.models.layers.conv import ConvNorm
from geodet.models.layers.separable import SeparableConv
from geodet.models.losses.pixels import HardPixelMining, PixelLoss

__all__ = ["DeepLabDecoder", "DeepLabV3Head", "DeepLabV3PlusHead", "conv_stack"]


class DeepLabV3Head(SemanticHead):
    """ASPP on one map, then a 1x1 convolution.

    Args:
        specs: the one map that it reads.
        aspp: of that map's channels.
        num_classes: classes of the semantic map.
        convs: 3x3 convolutions between the two; torchvision has one.
        norm: after those.
        loss: of the pixels; None is that of the hardest fifth.
        loss_weight: what it is multiplied with.
    Raises:
        CompositionError: there is not one map, or ASPP does not fit it.
    """

    def __init__(
        self,
        specs: Mapping[str, FeatureSpec],
        *,
        aspp: ASPP,
        num_classes: int,
        convs: int = 0,
        norm: NormFactory | None = None,
        loss: PixelLoss | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        if len(specs) != 1:
            raise CompositionError(
                f"DeepLabV3Head: expected one map, got {list(specs)}; DeepLabV3PlusHead takes more"
            )
        super().__init__(
            specs,
            stride=next(iter(specs.values())).stride,
            num_classes=num_classes,
            loss=HardPixelMining() if loss is None else loss,
            loss_weight=loss_weight,
        )
        _check_aspp(aspp, specs)
        self.aspp = aspp
        channels = aspp.project.out_channels
        self.convs = conv_stack(channels, [channels] * convs, norm)
        self.predictor = nn.Conv2d(channels, num_classes, 1)
        fill_normal(self.predictor, std=0.001)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Score every cell of the map; see `SemanticHead.forward`."""
        (name,) = self.specs
        logits: Tensor = self.predictor(self.convs(self.aspp(features[name])))
        return logits


class DeepLabDecoder(nn.Module):
    """ASPP on the coarsest map, then each finer one joined to what is made so far.

    Args:
        specs: the maps that it reads, finest first.
        aspp: of the coarsest map's channels.
        project_channels: what each finer map is reduced to, finest first.
        channels: of what is made at each finer map.
        norm: after every convolution; None gives them biases.
        separable: join by one separable 5x5 convolution (Panoptic-DeepLab) instead of two 3x3.
    Raises:
        CompositionError: numbers of maps differ, strides do not ascend, or ASPP does not fit.
    """

    def __init__(
        self,
        specs: Mapping[str, FeatureSpec],
        *,
        aspp: ASPP,
        project_channels: Sequence[int],
        channels: int,
        norm: NormFactory | None,
        separable: bool = False,
    ) -> None:
        super().__init__()
        finer = list(specs)[:-1]
        strides = [spec.stride for spec in specs.values()]
        if len(project_channels) != len(finer) or not finer:
            raise CompositionError(
                f"DeepLabDecoder: expected project_channels for the maps below the coarsest, "
                f"{finer}, got {list(project_channels)}"
            )
        if strides != sorted(strides):
            raise CompositionError(
                f"DeepLabDecoder: expected maps finest first, got strides {strides}"
            )
        _check_aspp(aspp, specs)
        self.specs = dict(specs)
        self.channels = channels
        self.stride = strides[0]
        self.aspp = aspp
        self.projects, self.fuses = nn.ModuleDict(), nn.ModuleDict()
        relu = functional.relu
        for i, (name, reduced) in enumerate(zip(finer, project_channels, strict=True)):
            project = ConvNorm(specs[name].channels, reduced, 1, norm=norm, activation=relu)
            fill_c2_xavier(project)
            self.projects[name] = project
            below = aspp.project.out_channels if i == len(finer) - 1 else channels
            self.fuses[name] = (
                SeparableConv(reduced + below, channels, 5, norm=norm, activation=relu)
                if separable
                else conv_stack(reduced + below, (channels, channels), norm)
            )

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Make one map of the finest resolution.

        Args:
            features: name -> [b, channels, H / its stride, W / its stride].
        Returns:
            [b, channels, h, w] of the finest map's size.
        Empty: b = 0 gives b = 0.
        """
        *finer, coarsest = self.specs
        made: Tensor = self.aspp(features[coarsest])
        for name in reversed(finer):
            own = self.projects[name](features[name])
            made = functional.interpolate(
                made, size=own.shape[-2:], mode="bilinear", align_corners=False
            )
            made = self.fuses[name](torch.cat((own, made), dim=1))
        return made


class DeepLabV3PlusHead(SemanticHead):
    """Decoder, 3x3 convolutions, and a 1x1 convolution at the resolution of the finest map.

    Args:
        decoder: maps to one map.
        num_classes: classes of the semantic map.
        conv_channels: of 3x3 convolutions between decoder and prediction; Panoptic-DeepLab has
            two, V3+ none.
        norm: after those.
        loss: of the pixels; None is that of the hardest fifth.
        loss_weight: what it is multiplied with.
    """

    def __init__(
        self,
        decoder: DeepLabDecoder,
        *,
        num_classes: int,
        conv_channels: Sequence[int] = (),
        norm: NormFactory | None = None,
        loss: PixelLoss | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(
            decoder.specs,
            stride=decoder.stride,
            num_classes=num_classes,
            loss=HardPixelMining() if loss is None else loss,
            loss_weight=loss_weight,
        )
        self.decoder = decoder
        self.convs = conv_stack(decoder.channels, conv_channels, norm)
        self.predictor = nn.Conv2d((decoder.channels, *conv_channels)[-1], num_classes, 1)
        fill_normal(self.predictor, std=0.001)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Score every cell of the finest map; see `SemanticHead.forward`."""
        logits: Tensor = self.predictor(self.convs(self.decoder(features)))
        return logits


def conv_stack(
    in_channels: int, out_channels: Sequence[int], norm: NormFactory | None
) -> nn.Sequential:
    """3x3 convolutions with norm and ReLU, of so many channels each."""
    stack = nn.Sequential()
    for channels in out_channels:
        conv = ConvNorm(in_channels, channels, 3, norm=norm, activation=functional.relu)
        fill_c2_xavier(conv)
        stack.append(conv)
        in_channels = channels
    return stack


def _check_aspp(aspp: ASPP, specs: Mapping[str, FeatureSpec]) -> None:
    name, spec = list(specs.items())[-1]
    if aspp.pool_conv.in_channels != spec.channels:
        raise CompositionError(
            f"ASPP expects {aspp.pool_conv.in_channels} channels, {name!r} has {spec.channels}"
        )
