"""PointRend for classes of pixels: coarse scores, refined point by point where undecided.

Letters: b images, c classes, p points, H x W the padded input in pixels.
Reference: Kirillov et al. 2019, "PointRend" (arXiv 1912.08193), section 4.2; numbers as in
Detectron2's project.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models.features import FeatureSpec
from geodet.models.heads.point_head import PointHead
from geodet.models.heads.point_sampling import sample_maps, uncertain_cells, uncertain_points
from geodet.models.heads.semantic import SemanticHead

__all__ = ["PointRendSemanticHead"]


class PointRendSemanticHead(SemanticHead):
    """Final: any semantic head, and a point head that sharpens its scores.

    Args:
        coarse_head: scores to start from.
        point_head: points to classes.
        specs: name -> shape of each map that the point head reads, side by side.
        train_points: of an image, in training.
        oversampling: points drawn for each that is trained on.
        importance: share of the points that are the most uncertain ones drawn.
        subdivision_steps: how often the resolution doubles, from the coarse scores'.
        subdivision_points: points of an image classified anew after each doubling.
        point_loss_weight: what the loss of the points is multiplied with.
    Raises:
        CompositionError: the parts do not fit each other, or a number is out of range.
    """

    def __init__(
        self,
        *,
        coarse_head: SemanticHead,
        point_head: PointHead,
        specs: Mapping[str, FeatureSpec],
        train_points: int = 1024,
        oversampling: float = 3.0,
        importance: float = 0.75,
        subdivision_steps: int = 2,
        subdivision_points: int = 8192,
        point_loss_weight: float = 1.0,
    ) -> None:
        _check_parts(coarse_head, point_head, specs)
        if oversampling < 1 or not 0 <= importance <= 1:
            raise CompositionError(
                f"PointRendSemanticHead: expected oversampling >= 1 and importance in [0, 1], got "
                f"oversampling={oversampling}, importance={importance}"
            )
        if coarse_head.stride % 2**subdivision_steps:
            raise CompositionError(
                f"PointRendSemanticHead: scores of stride {coarse_head.stride} cannot double "
                f"{subdivision_steps} times; they end at pixels"
            )
        super().__init__(
            {**coarse_head.specs, **specs},
            stride=coarse_head.stride >> subdivision_steps,
            num_classes=coarse_head.num_classes,
            loss=coarse_head.loss,
            loss_weight=coarse_head.loss_weight,
        )
        self.coarse_head = coarse_head
        self.point_head = point_head
        self.levels = tuple(specs)
        self.train_points = train_points
        self.oversampling = oversampling
        self.importance = importance
        self.subdivision_steps = subdivision_steps
        self.subdivision_points = subdivision_points
        self.point_loss_weight = point_loss_weight

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Score every cell; see `SemanticHead`.

        Args:
            features: name -> [b, channels, H / its stride, W / its stride].
        Returns:
            Logits [b, c, H / stride, W / stride] float32.
        Empty: b = 0 gives b = 0.
        """
        coarse: Tensor = self.coarse_head(features).float()
        logits = coarse
        for _ in range(self.subdivision_steps):
            logits = functional.interpolate(
                logits, scale_factor=2, mode="bilinear", align_corners=False
            )
            cells, points = uncertain_cells(_indecision(logits), self.subdivision_points)
            anew = self._at(features, coarse, points).float()
            places = cells[:, None].expand(-1, logits.shape[1], -1)
            logits = logits.flatten(2).scatter(2, places, anew).reshape(logits.shape)
        return logits

    def losses(
        self, features: Mapping[str, Tensor], labels: Tensor, weights: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Loss of the coarse scores, and mean cross-entropy of points; see `SemanticHead`.

        Args:
            features: as for `forward`.
            labels: [b, H, W] int64; -1 does not count.
            weights: [b, H, W], what each pixel's loss is multiplied with; None for 1.
        Returns:
            "semantic" and "semantic_points": scalars.
        Empty: without a pixel that counts both are 0, with gradients of 0.
        """
        coarse = self.coarse_head(features)
        losses = self.coarse_head.losses_of(coarse, labels, weights)
        points = uncertain_points(
            coarse.detach(),
            _indecision,
            count=self.train_points,
            oversampling=self.oversampling,
            importance=self.importance,
        )
        stride = self.coarse_head.stride
        size = (coarse.shape[2] * stride, coarse.shape[3] * stride)
        wanted = _at_pixels(labels, points, size, outside=-1)
        logits = self._at(features, coarse, points).float()
        costs = functional.cross_entropy(logits, wanted, ignore_index=-1, reduction="none")
        if weights is not None:
            costs = costs * _at_pixels(weights, points, size, outside=0)
        total = costs.sum() / (wanted >= 0).sum().clamp(min=1)
        return losses | {"semantic_points": self.point_loss_weight * total}

    def _at(self, features: Mapping[str, Tensor], coarse: Tensor, points: Tensor) -> Tensor:
        """Logits [b, c, p] of the point head at [b, p, 2] points."""
        fine = [sample_maps(features[name].float(), points) for name in self.levels]
        logits: Tensor = self.point_head(torch.cat(fine, dim=1), sample_maps(coarse, points))
        return logits


def _indecision(logits: Tensor) -> Tensor:
    """[b, ...] how near the second best class of [b, c, ...] comes to the best, at most 0."""
    best = logits.topk(2, dim=1).values
    return best[:, 1] - best[:, 0]


def _at_pixels(values: Tensor, points: Tensor, size_hw: tuple[int, int], *, outside: int) -> Tensor:
    """[b, p] of [b, H, W] values at the pixels that points of a map of `size_hw` fall into."""
    height, width = values.shape[1:]
    x = (points[..., 0] * size_hw[1]).floor().long()
    y = (points[..., 1] * size_hw[0]).floor().long()
    # The map may reach further than the labels: its cells cover whole strides.
    inside = (x < width) & (y < height)
    rows = torch.arange(len(values), device=values.device)[:, None]
    found = values[rows, y.clamp(max=height - 1), x.clamp(max=width - 1)]
    return torch.where(inside, found, torch.full_like(found, outside))


def _check_parts(coarse: SemanticHead, point: PointHead, specs: Mapping[str, FeatureSpec]) -> None:
    channels = sum(spec.channels for spec in specs.values())
    if point.in_channels != channels:
        raise CompositionError(
            f"PointRendSemanticHead: PointHead expects {point.in_channels} channels, the maps "
            f"{list(specs)} have {channels}"
        )
    if coarse.num_classes < 2 or point.num_classes != coarse.num_classes or point.class_agnostic:
        raise CompositionError(
            f"PointRendSemanticHead: {type(coarse).__name__} scores {coarse.num_classes} classes, "
            f"PointHead {1 if point.class_agnostic else point.num_classes}; expected the same "
            "number, at least 2"
        )
