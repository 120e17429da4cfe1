"""PointRend's mask head: a coarse mask, refined point by point where it is undecided.

Letters: r regions, c classes, p points, s cells of the coarse mask along both sides.
Reference: Kirillov et al. 2019, "PointRend" (arXiv 1912.08193); numbers as in Detectron2's project.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.heads.mask_targets import mask_targets
from geodet.models.heads.point_head import PointHead
from geodet.models.heads.point_sampling import (
    PointPooler,
    grid_points,
    mask_values,
    region_features,
    sample_maps,
    uncertain_cells,
    uncertain_points,
)
from geodet.models.heads.region_head import RegionHead, Regions
from geodet.models.layers import ConvNorm, fill_c2_msra, fill_c2_xavier, fill_normal
from geodet.structures import Boxes, ImageSize, Masks, RoiMasks, RotatedBoxes

__all__ = ["CoarseMaskHead", "PointRendMaskHead"]


class CoarseMaskHead(nn.Module):
    """A small mask by fully connected layers, as a box head predicts classes.

    Args:
        in_channels: channels of a region.
        in_side: cells of it along both sides, an even number.
        num_masks: c, or 1.
        side: s.
        conv_channels: channels that a region is reduced to.
        fc_features: of the fully connected layers.
    Raises:
        CompositionError: `in_side` is odd.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        in_side: int,
        num_masks: int,
        side: int = 7,
        conv_channels: int = 256,
        fc_features: Sequence[int] = (1024, 1024),
    ) -> None:
        super().__init__()
        if in_side % 2:
            raise CompositionError(f"CoarseMaskHead: expected an even in_side, got {in_side}")
        self.in_channels = in_channels
        self.num_masks = num_masks
        self.side = side
        self.reduce_channels = (
            ConvNorm(in_channels, conv_channels, 1, activation=functional.relu_)
            if in_channels > conv_channels
            else None
        )
        reduced = min(in_channels, conv_channels)
        self.reduce_side = nn.Conv2d(reduced, conv_channels, 2, stride=2)
        fill_c2_msra(self.reduce_side)
        if self.reduce_channels is not None:
            fill_c2_msra(self.reduce_channels)
        features = conv_channels * (in_side // 2) ** 2
        self.fcs = nn.ModuleList()
        for out_features in fc_features:
            fc = nn.Linear(features, out_features)
            fill_c2_xavier(fc)
            self.fcs.append(fc)
            features = out_features
        self.prediction = nn.Linear(features, num_masks * side * side)
        fill_normal(self.prediction, std=0.001)

    def forward(self, maps: Tensor) -> Tensor:
        """[r, in_channels, in_side, in_side] -> logits [r, num_masks, s, s]."""
        if self.reduce_channels is not None:
            maps = self.reduce_channels(maps)
        x = functional.relu_(self.reduce_side(maps)).flatten(1)
        for fc in self.fcs:
            x = functional.relu_(fc(x))
        logits: Tensor = self.prediction(x)
        return logits.reshape(-1, self.num_masks, self.side, self.side)


class PointRendMaskHead(RegionHead[Masks]):
    """Final: coarse masks, and a point head that renders them at a higher resolution.

    Training classifies random points, most of them where the coarse mask is undecided. Prediction
    doubles the resolution again and again, each time anew at the points that are undecided.

    Args:
        pooler: regions to what the coarse head reads.
        coarse_head: regions to coarse masks, one for each class.
        point_head: points to classes; with a logit for each class, or class-agnostic.
        strides: name -> stride of the maps that the point head reads; None is those of the pooler.
        in_channels: channels of each map.
        num_classes: c.
        train_points: p in training.
        oversampling: points drawn for each that is trained on.
        importance: share of the points that are the most uncertain ones drawn.
        subdivision_steps: how often the resolution doubles, from the coarse mask's.
        subdivision_points: points classified anew after each doubling.
    Raises:
        CompositionError: the parts do not fit each other, or a number is out of range.
    """

    def __init__(
        self,
        *,
        pooler: PointPooler,
        coarse_head: CoarseMaskHead,
        point_head: PointHead,
        in_channels: int,
        num_classes: int,
        strides: Mapping[str, int] | None = None,
        train_points: int = 14 * 14,
        oversampling: float = 3.0,
        importance: float = 0.75,
        subdivision_steps: int = 5,
        subdivision_points: int = 28 * 28,
    ) -> None:
        super().__init__()
        if oversampling < 1 or not 0 <= importance <= 1:
            raise CompositionError(
                f"PointRendMaskHead: expected oversampling >= 1 and importance in [0, 1], got "
                f"oversampling={oversampling}, importance={importance}"
            )
        self._set_pooler(pooler, None, None)
        self.fine_strides = dict(pooler.strides if strides is None else strides)
        self.strides = {**pooler.strides, **self.fine_strides}
        _check_channels(coarse_head, in_channels * len(pooler.strides))
        _check_channels(point_head, in_channels * len(self.fine_strides))
        _check_masks(coarse_head, point_head, num_classes)
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.coarse_head = coarse_head
        self.point_head = point_head
        self.train_points = train_points
        self.oversampling = oversampling
        self.importance = importance
        self.subdivision_steps = subdivision_steps
        self.subdivision_points = subdivision_points

    @property
    def side(self) -> int:
        """Cells of a predicted mask along both sides."""
        return self.coarse_head.side << self.subdivision_steps

    def losses(
        self, regions: Regions, truth: Sequence[Masks | None], rows: Tensor
    ) -> dict[str, Tensor]:
        """Binary cross-entropy of each region's own class: "masks" of coarse cells, "mask_points".

        Args and Empty: see `RegionHead`.
        """
        coarse = self.coarse_head(self.read(regions))
        wanted = mask_targets(truth, rows, regions.rois, self.coarse_head.side, kind=self.kind)
        own = _of_class(coarse, regions.labels)
        points = uncertain_points(
            own.detach()[:, None],
            lambda logits: -logits[:, 0].abs(),
            count=self.train_points,
            oversampling=self.oversampling,
            importance=self.importance,
        )
        values = mask_values(truth, rows, regions.rois, points, kind=self.kind)
        return {
            "masks": _cross_entropy(own, wanted.float()),
            "mask_points": _cross_entropy(
                _of_class(self._at(regions, coarse, points), regions.labels), values
            ),
        }

    def predict(self, regions: Regions) -> Tensor:
        """Probabilities [r, side, side] of each region's own class."""
        coarse: Tensor = self.coarse_head(self.read(regions)).float()
        side, steps = self.coarse_head.side, self.subdivision_steps
        # As long as a doubled mask would be classified anew at all of its cells, start there.
        while steps > 0 and 4 * side * side <= self.subdivision_points:
            side, steps = 2 * side, steps - 1
        points = grid_points(side, device=coarse.device).expand(len(coarse), -1, 2)
        logits = self._own(regions, coarse, points).reshape(-1, side, side)
        for _ in range(steps):
            logits = functional.interpolate(
                logits[:, None], scale_factor=2, mode="bilinear", align_corners=False
            )[:, 0]
            cells, points = uncertain_cells(-logits.abs(), self.subdivision_points)
            anew = self._own(regions, coarse, points)
            logits = logits.flatten(1).scatter(1, cells, anew).reshape(logits.shape)
        return logits.sigmoid()

    def column(self, predicted: Tensor, boxes: Boxes | RotatedBoxes, size: ImageSize) -> RoiMasks:
        """Soft masks in their boxes."""
        return RoiMasks(predicted, boxes=boxes, image_size=size)

    def _at(self, regions: Regions, coarse: Tensor, points: Tensor) -> Tensor:
        """Logits of the point head at [r, p, 2] points: [r, c or 1, p]."""
        fine = region_features(
            regions.features, self.fine_strides, regions.rois, points, kind=self.kind
        )
        logits: Tensor = self.point_head(fine, sample_maps(coarse, points))
        return logits

    def _own(self, regions: Regions, coarse: Tensor, points: Tensor) -> Tensor:
        """[r, p] logits of each region's own class."""
        return _of_class(self._at(regions, coarse, points), regions.labels).float()


def _of_class(logits: Tensor, labels: Tensor) -> Tensor:
    """[r, ...] of [r, c, ...] at the labels, or of [r, 1, ...]."""
    rows = torch.arange(len(labels), device=labels.device)
    return logits[rows, torch.zeros_like(labels) if logits.shape[1] == 1 else labels]


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    if len(logits) == 0:
        return logits.sum() * 0.0  # the mean of nothing would be NaN
    return functional.binary_cross_entropy_with_logits(logits.float(), targets)


def _check_channels(head: CoarseMaskHead | PointHead, channels: int) -> None:
    if head.in_channels != channels:
        raise CompositionError(
            f"PointRendMaskHead: {type(head).__name__} expects {head.in_channels} channels, the "
            f"maps that it reads have {channels}"
        )


def _check_masks(coarse: CoarseMaskHead, point: PointHead, num_classes: int) -> None:
    if coarse.num_masks not in (1, num_classes):
        raise CompositionError(
            f"PointRendMaskHead has num_classes={num_classes}, CoarseMaskHead makes "
            f"{coarse.num_masks} masks; give it as many, or one"
        )
    if point.num_classes != coarse.num_masks:
        raise CompositionError(
            f"PointRendMaskHead: CoarseMaskHead makes {coarse.num_masks} masks, PointHead reads "
            f"{point.num_classes}"
        )
