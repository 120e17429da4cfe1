"""Regions of several feature maps to tensors of one size."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from geodet.errors import CompositionError
from geodet.models.box_kinds import UPRIGHT, AnyBoxKind

__all__ = ["RegionPooler", "RoiPooler", "assign_levels"]


def assign_levels(
    areas: Tensor,
    *,
    lowest: int,
    highest: int,
    canonical_size: float = 224.0,
    canonical_level: int = 4,
) -> Tensor:
    """Pyramid level that suits each box: one level up for every doubling of its size.

    Args:
        areas: [n] of the boxes, in square pixels.
        lowest: log2 of the finest stride.
        highest: log2 of the coarsest stride.
        canonical_size: square root of the area that belongs on `canonical_level`.
        canonical_level: log2 of a stride.
    Returns:
        [n] int64 in lowest..highest; boxes without area go to `lowest`.
    Empty: n = 0 gives [0].
    Reference: Lin et al. 2017 (arXiv 1612.03144), equation 1; 1e-8 as in Detectron2.
    """
    levels = torch.floor(canonical_level + torch.log2(areas.sqrt() / canonical_size + 1e-8))
    return levels.clamp(lowest, highest).to(torch.int64)


class RegionPooler(nn.Module, ABC):
    """Abstract: content of regions as maps of one size.

    Attributes:
        strides: name -> stride of the maps that it reads.
        output_side: cells of a result along both sides.
        kind: of the boxes.
    """

    strides: Mapping[str, int]
    output_side: int
    kind: AnyBoxKind

    @abstractmethod
    def forward(self, features: Mapping[str, Tensor], rois: Tensor) -> Tensor:
        """Pool every region.

        Args:
            features: name -> [b, c, h, w], the names in `strides` among them.
            rois: [r, 1 + k] image index and box in input pixels.
        Returns:
            [r, channels, output_side, output_side].
        Empty: r = 0 gives r = 0.
        """


class RoiPooler(RegionPooler):
    """Final: RoIAlign on the level that suits each region's size.

    Args:
        strides: name of each map to read -> its stride, finest first; powers of 2 that double.
        output_side: cells of the result along both sides.
        sampling_ratio: samples per cell and axis; 0 is as many as the cell has pixels.
        canonical_size: see `assign_levels`.
        canonical_level: see `assign_levels`.
        kind: of the regions.
        aligned: pixel centres lie at half numbers. False, for upright regions, takes them to
            lie at whole ones, as torchvision's detectors were trained.
    Raises:
        CompositionError: the strides are no pyramid, or the kind cannot pool so.
    Reference: He et al. 2017 (arXiv 1703.06870), section 3, with half-pixel alignment.
    """

    def __init__(
        self,
        strides: Mapping[str, int],
        *,
        output_side: int,
        sampling_ratio: int = 0,
        canonical_size: float = 224.0,
        canonical_level: int = 4,
        kind: AnyBoxKind = UPRIGHT,
        aligned: bool = True,
    ) -> None:
        super().__init__()
        values = list(strides.values())
        if not values or values != [values[0] * 2**i for i in range(len(values))]:
            raise CompositionError(
                f"RoiPooler: expected strides that double from map to map, got {dict(strides)}"
            )
        if values[0] & (values[0] - 1):
            raise CompositionError(
                f"RoiPooler: expected strides that are powers of 2, got {dict(strides)}"
            )
        if not aligned and kind != UPRIGHT:
            raise CompositionError(
                f"RoiPooler: regions of {kind.structure.__name__} are always pooled aligned"
            )
        self.strides = dict(strides)
        self.output_side = output_side
        self.sampling_ratio = sampling_ratio
        self.canonical_size = canonical_size
        self.canonical_level = canonical_level
        self.kind = kind
        self.aligned = aligned

    def forward(self, features: Mapping[str, Tensor], rois: Tensor) -> Tensor:
        """Pool every region.

        Args:
            features: name -> [b, c, h, w], the names in `strides` among them.
            rois: [r, 1 + columns of `kind`] image index, then the box in input pixels.
        Returns:
            [r, c, output_side, output_side] float32.
        Empty: r = 0 gives r = 0, still part of the graph of every map.
        """
        lowest = min(self.strides.values()).bit_length() - 1
        highest = max(self.strides.values()).bit_length() - 1
        levels = assign_levels(
            self.kind.area(rois[:, 1:]),
            lowest=lowest,
            highest=highest,
            canonical_size=self.canonical_size,
            canonical_level=self.canonical_level,
        )
        pooled, rows = [], []
        for name, stride in self.strides.items():
            chosen = torch.nonzero(levels == stride.bit_length() - 1).flatten()
            rows.append(chosen)
            pooled.append(
                self.kind.roi_align(
                    features[name].float(),
                    rois[chosen],
                    self.output_side,
                    spatial_scale=1.0 / stride,
                    sampling_ratio=self.sampling_ratio,
                    aligned=self.aligned,
                )
            )
        # The inverse permutation puts each region back where it came from.
        return torch.cat(pooled)[torch.argsort(torch.cat(rows))]

    def extra_repr(self) -> str:
        """Numbers shown by `print(model)`."""
        levels = ", ".join(f"{name}: 1/{stride}" for name, stride in self.strides.items())
        boxes = self.kind.structure.__name__
        samples = self.sampling_ratio or "adaptive"
        return f"{boxes}, {levels}, side={self.output_side}, sampling={samples}, " + (
            f"canonical={self.canonical_size:g} at 2**{self.canonical_level}"
            + ("" if self.aligned else ", not aligned")
        )
