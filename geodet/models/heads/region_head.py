"""What a head does that predicts in every region, beside its box: masks, keypoints."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import attrs
from torch import Tensor, nn

from geodet.errors import CompositionError, ShapeError
from geodet.models.box_kinds import UPRIGHT, AnyBoxKind
from geodet.models.heads.pooler import RegionPooler
from geodet.structures import Boxes, ImageSize, Keypoints, Masks, RotatedBoxes

__all__ = ["RegionHead", "Regions"]

ColumnT = TypeVar("ColumnT", Masks, Keypoints)


@attrs.frozen(eq=False)
class Regions:
    """Regions of a batch, and where their content is read.

    Letters: r regions over all images, k numbers per box.

    Args:
        features: name -> [b, c, h, w], all maps of the backbone.
        rois: [r, 1 + k] image index and box; images in ascending order.
        labels: [r] int64 class.
        maps: [r, c, s, s], what the box head made of these regions before it turned them into
            vectors; None unless a head without pooler asks for them.
    """

    features: Mapping[str, Tensor]
    rois: Tensor
    labels: Tensor
    maps: Tensor | None = None


class RegionHead(nn.Module, ABC, Generic[ColumnT]):
    """Abstract: predicts one column of Instances from regions.

    Attributes:
        kind: of the boxes.
        pooler: regions to tensors; None reads the maps of the box head instead.
        strides: name -> stride of the feature maps that it reads; empty without pooler.
        in_channels: channels of what it reads.
        in_side: cells of a region, along both sides, in what it reads.
        num_classes: classes that it tells apart; None takes any label.
    """

    kind: AnyBoxKind
    pooler: RegionPooler | None
    strides: Mapping[str, int]
    in_channels: int
    in_side: int
    num_classes: int | None

    def _set_pooler(
        self, pooler: RegionPooler | None, in_side: int | None, kind: AnyBoxKind | None
    ) -> None:
        """Set pooler, strides, in_side and kind; all are the pooler's where it is given.

        Raises:
            CompositionError: no pooler and no in_side, or they contradict each other.
        """
        name = type(self).__name__
        if pooler is None:
            if in_side is None:
                raise CompositionError(f"{name}: expected in_side, or a pooler that has it")
            self.pooler, self.in_side, self.strides = None, in_side, {}
            self.kind = UPRIGHT if kind is None else kind
            return
        if in_side not in (None, pooler.output_side):
            raise CompositionError(
                f"{name} reads regions of {in_side} x {in_side}, {type(pooler).__name__} gives "
                f"{pooler.output_side} x {pooler.output_side}"
            )
        if kind not in (None, pooler.kind):
            raise CompositionError(
                f"{name} is made for other boxes than {type(pooler).__name__}, which pools "
                f"{pooler.kind.structure.__name__}; leave out kind"
            )
        self.pooler, self.in_side, self.kind = pooler, pooler.output_side, pooler.kind
        self.strides = pooler.strides

    def read(self, regions: Regions) -> Tensor:
        """[r, in_channels, in_side, in_side]: content of every region."""
        if self.pooler is not None:
            pooled: Tensor = self.pooler(regions.features, regions.rois)
            return pooled
        if regions.maps is None:
            raise ShapeError(
                f"{type(self).__name__} has no pooler: expected Regions with the maps of a box "
                "head, got none; a detector without box head needs a head with a pooler"
            )
        return regions.maps

    @abstractmethod
    def losses(
        self, regions: Regions, truth: Sequence[ColumnT | None], rows: Tensor
    ) -> dict[str, Tensor]:
        """Named losses of foreground regions.

        Args:
            regions: r of them; labels are those of their targets.
            truth: per image the ground-truth column; None for an image without objects.
            rows: [r] int64 row of each region's target in the column of its image.
        Returns:
            Scalars in float32.
        Empty: r = 0 gives 0 with gradients of 0 for every parameter, so that distributed
            training, which waits for all of them, goes on.
        """

    @abstractmethod
    def predict(self, regions: Regions) -> Tensor:
        """Final numbers of every region: [r, ...]. Empty: r = 0 gives r = 0."""

    @abstractmethod
    def column(self, predicted: Tensor, boxes: Boxes | RotatedBoxes, size: ImageSize) -> ColumnT:
        """Rows of `predict` for the n boxes of one image, as the column that users see."""

    def mirrored(self, predicted: Tensor, *, dim: int) -> Tensor:
        """What `predict` would say of the mirrored image, from what it says of the image.

        A head that tells left from right exchanges them here.

        Args:
            predicted: [r, ..., s, s].
            dim: -1 mirrors left and right, -2 top and bottom.
        """
        return predicted.flip(dim)
