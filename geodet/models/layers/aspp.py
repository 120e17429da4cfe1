"""Atrous spatial pyramid pooling: one map seen at several scales at once.

Reference: Chen et al. 2017 (arXiv 1706.05587), section 3.3.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import ShapeError
from geodet.models.layers.conv import ConvNorm
from geodet.models.layers.initialisation import fill_c2_xavier
from geodet.models.layers.norms import NormFactory
from geodet.models.layers.separable import SeparableConv

__all__ = ["ASPP"]


class ASPP(nn.Module):
    """A 1x1 convolution, dilated 3x3 ones and the mean of the map, side by side, then a 1x1.

    Args:
        in_channels: channels in.
        out_channels: channels of every branch, and out.
        dilations: of each 3x3 convolution.
        norm: after every convolution but that of the mean; None gives them biases.
        pool_norm: after the convolution of the mean. Detectron2 has none, torchvision has one;
            batch norms there need more than one image to train.
        pool_cells: height and width of the window of the mean, in cells; None is the whole map.
            A network that was trained on crops keeps their window on larger images.
        separable: dilated convolutions by channel and by cell apart.
        dropout: share of the output that training drops.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dilations: Sequence[int],
        norm: NormFactory | None,
        pool_norm: NormFactory | None = None,
        pool_cells: tuple[int, int] | None = None,
        separable: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.pool_cells = pool_cells
        self.dropout = dropout
        relu = functional.relu
        self.convs = nn.ModuleList(
            [ConvNorm(in_channels, out_channels, 1, norm=norm, activation=relu)]
        )
        for dilation in dilations:
            make = SeparableConv if separable else ConvNorm
            self.convs.append(
                make(in_channels, out_channels, 3, dilation=dilation, norm=norm, activation=relu)
            )
        self.pool_conv = ConvNorm(in_channels, out_channels, 1, norm=pool_norm, activation=relu)
        branches = len(self.convs) + 1
        self.project = ConvNorm(
            branches * out_channels, out_channels, 1, norm=norm, activation=relu
        )
        for conv in (*self.convs, self.pool_conv, self.project):
            if isinstance(conv, ConvNorm):
                fill_c2_xavier(conv)

    def forward(self, features: Tensor) -> Tensor:
        """[b, in_channels, h, w] -> [b, out_channels, h, w].

        Raises:
            ShapeError: the map is smaller than the window of the mean.
        Empty: b = 0 gives b = 0.
        """
        branches = [conv(features) for conv in self.convs]
        size = features.shape[-2:]
        pooled = self.pool_conv(self._mean(features))
        branches.append(
            functional.interpolate(pooled, size=size, mode="bilinear", align_corners=False)
        )
        made: Tensor = self.project(torch.cat(branches, dim=1))
        if self.dropout > 0:
            made = functional.dropout(made, self.dropout, training=self.training)
        return made

    def _mean(self, features: Tensor) -> Tensor:
        if self.pool_cells is None:
            return features.mean(dim=(2, 3), keepdim=True)
        height, width = features.shape[-2:]
        if height < self.pool_cells[0] or width < self.pool_cells[1]:
            raise ShapeError(
                f"ASPP: expected maps of at least {self.pool_cells[0]} x {self.pool_cells[1]} "
                f"cells (pool_cells), got {height} x {width}; use larger images or pool_cells=None"
            )
        return functional.avg_pool2d(features, self.pool_cells, stride=1)
