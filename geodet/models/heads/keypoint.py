"""Keypoint head: one map of places for every point of every detected box.

Reference: He et al. 2017 (arXiv 1703.06870), section 5; layers as in Detectron2.
"""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional

from geodet.errors import CompositionError, InvalidValueError
from geodet.models.box_kinds import AnyBoxKind
from geodet.models.heads.pooler import RoiPooler
from geodet.models.heads.region_head import RegionHead, Regions
from geodet.models.layers import ConvNorm, NormFactory, fill_c2_msra
from geodet.structures import Boxes, ImageSize, Keypoints, RotatedBoxes, Skeleton

__all__ = ["KeypointHead", "keypoint_targets"]


class KeypointHead(RegionHead[Keypoints]):
    """Final: 3x3 convolutions, then maps of logits, one per point, of 4 times the resolution.

    Letters: r regions, k points, s = `side`, the cells of a map along both sides.

    Args:
        pooler: regions to tensors; None reads the maps of the box head instead.
        in_channels: channels of what it reads.
        skeleton: of the k points.
        in_side: cells of what it reads along both sides; None is the pooler's.
        conv_channels: channels of each convolution; at least one.
        norm: after the convolutions.
        points_per_image: what the loss of an image's points is divided by; None divides by the
            visible points of the batch instead, so that every point counts the same.
        loss_weight: factor of the loss.
        kind: of the boxes; None is the pooler's, or upright without one.
    Raises:
        CompositionError: no convolution, no point, a number that is not positive, or pooler,
            in_side and kind do not fit each other.
    """

    def __init__(
        self,
        *,
        pooler: RoiPooler | None,
        in_channels: int,
        skeleton: Skeleton,
        in_side: int | None = None,
        conv_channels: Sequence[int] = (512,) * 8,
        norm: NormFactory | None = None,
        points_per_image: float | None = None,
        loss_weight: float = 1.0,
        kind: AnyBoxKind | None = None,
    ) -> None:
        super().__init__()
        if not conv_channels or len(skeleton) == 0:
            raise CompositionError(
                f"KeypointHead: expected at least one convolution and one point, got "
                f"conv_channels={tuple(conv_channels)} and a skeleton of {len(skeleton)} points"
            )
        if points_per_image is not None and points_per_image <= 0:
            raise CompositionError(
                f"KeypointHead: expected points_per_image > 0 or None, got {points_per_image}"
            )
        self._set_pooler(pooler, in_side, kind)
        self.in_channels = in_channels
        self.num_classes = None
        self.skeleton = skeleton
        self.points_per_image = points_per_image
        self.loss_weight = loss_weight
        self.side = 4 * self.in_side
        self.convs = nn.Sequential()
        for channels in conv_channels:
            conv = ConvNorm(in_channels, channels, 3, norm=norm, activation=functional.relu_)
            fill_c2_msra(conv)
            self.convs.append(conv)
            in_channels = channels
        self.score_lowres = nn.ConvTranspose2d(in_channels, len(skeleton), 4, stride=2, padding=1)
        fill_c2_msra(self.score_lowres)

    def forward(self, maps: Tensor) -> Tensor:
        """Predict for every region.

        Args:
            maps: [r, in_channels, in_side, in_side].
        Returns:
            Logits [r, k, s, s].
        Empty: r = 0 gives r = 0.
        """
        coarse = self.score_lowres(self.convs(maps))
        return functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)

    def losses(
        self, regions: Regions, truth: Sequence[Keypoints | None], rows: Tensor
    ) -> dict[str, Tensor]:
        """Cross-entropy over the cells of each visible point inside its region, as "keypoints".

        Regions without such a point are not looked into.

        Args:
            regions: see `RegionHead`.
            truth: per image the ground-truth keypoints; None for an image without objects.
            rows: [r] int64 row of each region's target in its image.
        Raises:
            InvalidValueError: keypoints of another skeleton; names the image.
        Empty: no visible point gives 0 with gradients of 0.
        """
        cells, valid = self._targets(regions, truth, rows)
        chosen = torch.nonzero(valid.any(dim=1)).flatten()
        looked_into = attrs.evolve(
            regions,
            rois=regions.rois[chosen],
            labels=regions.labels[chosen],
            maps=None if regions.maps is None else regions.maps[chosen],
        )
        logits = self(self.read(looked_into))
        loss = self.loss_of(logits, cells[chosen], valid[chosen], num_images=len(truth))
        return {"keypoints": loss}

    def predict(self, regions: Regions) -> Tensor:
        """Logits [r, k, s, s] of every region."""
        logits: Tensor = self(self.read(regions))
        return logits.float()

    def column(self, predicted: Tensor, boxes: Boxes | RotatedBoxes, size: ImageSize) -> Keypoints:
        """Points at the peaks of the maps, their v the score; see `Keypoints.from_heatmaps`."""
        del size
        return Keypoints.from_heatmaps(predicted, boxes, self.skeleton)

    def mirrored(self, predicted: Tensor, *, dim: int) -> Tensor:
        """See `RegionHead`; left and right points change places."""
        return predicted.flip(dim)[:, list(self.skeleton.flip_indices())]

    def loss_of(self, logits: Tensor, cells: Tensor, valid: Tensor, *, num_images: int) -> Tensor:
        """Cross-entropy of maps against the cells of their points.

        Args:
            logits: [r, k, s, s].
            cells: [r, k] int64 row * s + column.
            valid: [r, k] bool, which points count.
            num_images: of the batch; counts where `points_per_image` is given.
        Returns:
            The sum over the valid points, over their number, or over points_per_image * images.
        Empty: no valid point gives 0 with gradients of 0.
        """
        found = valid.sum().clamp(min=1)
        total = found if self.points_per_image is None else self.points_per_image * num_images
        # Written out, since the mean of no point would be NaN; float32, as bf16 cannot add cells.
        costs = functional.cross_entropy(
            logits.float()[valid].flatten(1), cells[valid], reduction="sum"
        )
        return self.loss_weight * costs / total + logits.sum() * 0.0

    def _targets(
        self, regions: Regions, truth: Sequence[Keypoints | None], rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        for position, points in enumerate(truth):
            if points is not None and points.skeleton.names != self.skeleton.names:
                raise InvalidValueError(
                    f"targets[{position}].keypoints: KeypointHead learns {len(self.skeleton)} "
                    f"points ({', '.join(self.skeleton.names)}), got {len(points.skeleton)} "
                    f"({', '.join(points.skeleton.names)}); build the head with their skeleton"
                )
        return keypoint_targets(
            truth, rows, regions.rois, self.side, points=len(self.skeleton), kind=self.kind
        )


@torch.no_grad()
def keypoint_targets(
    truth: Sequence[Keypoints | None],
    indices: Tensor,
    rois: Tensor,
    side: int,
    *,
    points: int,
    kind: AnyBoxKind,
) -> tuple[Tensor, Tensor]:
    """The cell of a grid over its region that each ground-truth point falls into.

    Args:
        truth: keypoints of each image; None for one without objects.
        indices: [r] row of each region's target in its image.
        rois: [r, 1 + k] image index and box; images in ascending order.
        side: cells of the grid along both sides.
        points: per object.
        kind: of the boxes.
    Returns:
        [r, points] int64 cells and [r, points] bool, True where the point is labelled and in its
        region.
    Empty: r = 0 gives r = 0.
    """
    cells = torch.zeros((len(rois), points), dtype=torch.int64, device=rois.device)
    valid = torch.zeros((len(rois), points), dtype=torch.bool, device=rois.device)
    images = rois[:, 0].long()
    for i, objects in enumerate(truth):
        rows = torch.nonzero(images == i).flatten()
        if len(rows) == 0 or objects is None:
            continue
        own = objects[indices[rows]].to(dtype=rois.dtype)
        cells[rows], valid[rows] = own.heatmap_targets(kind.wrap(rois[rows, 1:]), side)
    return cells, valid
