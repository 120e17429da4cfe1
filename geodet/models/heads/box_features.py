"""From pooled regions to vectors, by way of maps that other heads may share.

Letters: r regions, d features per region.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.layers import ConvNorm, NormFactory, fill_c2_msra, fill_c2_xavier

__all__ = ["BoxFeatures", "ConvFcFeatures", "StageFeatures"]


class BoxFeatures(nn.Module, ABC):
    """Abstract: pooled regions to maps, maps to vectors.

    Attributes:
        in_channels: channels of a pooled region.
        side: cells of it along both sides.
        map_channels: channels of `maps`.
        map_side: cells of `maps` along both sides.
        out_features: d.
    """

    in_channels: int
    side: int
    map_channels: int
    map_side: int
    out_features: int

    @abstractmethod
    def maps(self, pooled: Tensor) -> Tensor:
        """[r, in_channels, side, side] -> [r, map_channels, map_side, map_side]."""

    @abstractmethod
    def vectors(self, maps: Tensor) -> Tensor:
        """Result of `maps` -> [r, out_features]."""

    def forward(self, pooled: Tensor) -> Tensor:
        """[r, in_channels, side, side] -> [r, out_features]. Empty: r = 0 gives r = 0."""
        return self.vectors(self.maps(pooled))


class ConvFcFeatures(BoxFeatures):
    """Final: 3x3 convolutions, then fully connected layers.

    Args:
        in_channels: channels of the region.
        side: cells of the region along both sides.
        conv_channels: channels of each convolution.
        fc_features: features of each fully connected layer; at least one.
        norm: after the convolutions.
    Raises:
        CompositionError: no fully connected layer.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        side: int,
        conv_channels: Sequence[int] = (),
        fc_features: Sequence[int] = (1024, 1024),
        norm: NormFactory | None = None,
    ) -> None:
        super().__init__()
        if not fc_features:
            raise CompositionError("ConvFcFeatures: expected at least one entry in fc_features")
        self.in_channels = in_channels
        self.side = self.map_side = side
        self.map_channels = conv_channels[-1] if conv_channels else in_channels
        self.out_features = fc_features[-1]
        self.convs, self.fcs = nn.ModuleList(), nn.ModuleList()
        for channels in conv_channels:
            conv = ConvNorm(in_channels, channels, 3, norm=norm, activation=functional.relu_)
            fill_c2_msra(conv)
            self.convs.append(conv)
            in_channels = channels
        features = in_channels * side * side
        for out_features in fc_features:
            fc = nn.Linear(features, out_features)
            fill_c2_xavier(fc)
            self.fcs.append(fc)
            features = out_features

    def maps(self, pooled: Tensor) -> Tensor:
        """See `BoxFeatures`."""
        for conv in self.convs:
            pooled = conv(pooled)
        return pooled

    def vectors(self, maps: Tensor) -> Tensor:
        """See `BoxFeatures`."""
        features = maps.flatten(1)
        for fc in self.fcs:
            features = functional.relu_(fc(features))
        return features


class StageFeatures(BoxFeatures):
    """Final: a stage of a backbone, then the mean over its cells (C4 heads).

    Args:
        stage: [r, in_channels, side, side] -> [r, out_channels, side / stride, side / stride].
        in_channels: channels of the region.
        out_channels: channels that the stage gives.
        side: cells of the region along both sides.
        stride: of the stage.
    Reference: He et al. 2015 (arXiv 1512.03385), appendix A.
    """

    def __init__(
        self,
        stage: nn.Module,
        *,
        in_channels: int,
        out_channels: int,
        side: int = 14,
        stride: int = 2,
    ) -> None:
        super().__init__()
        self.stage = stage
        self.in_channels = in_channels
        self.side = side
        self.map_channels = self.out_features = out_channels
        self.map_side = -(-side // stride)

    def maps(self, pooled: Tensor) -> Tensor:
        """See `BoxFeatures`."""
        maps: Tensor = self.stage(pooled)
        return maps

    def vectors(self, maps: Tensor) -> Tensor:
        """See `BoxFeatures`."""
        return maps.mean(dim=(2, 3))
