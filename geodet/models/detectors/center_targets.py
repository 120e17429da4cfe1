"""Truth of centres, made of a panoptic map: what Panoptic-DeepLab trains on.

Reference: Cheng et al. 2020 (arXiv 1911.10194), section 3.1; numbers of Detectron2's project.
"""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.models.heads.centers import CenterTruth
from geodet.structures import ImageList, PanopticSegmentation, SceneLabels

__all__ = ["CenterTargets", "SceneTruth"]


@attrs.frozen(eq=False)
class SceneTruth:
    """Everything that a batch trains on.

    Args:
        labels: [b, H, W] int64 classes of the semantic head; -1 does not count.
        pixel_weights: [b, H, W] float32, what the semantic loss of a pixel is multiplied with.
        centers: truth of the centre head.
    """

    labels: Tensor
    pixel_weights: Tensor
    centers: CenterTruth


@attrs.frozen(kw_only=True)
class CenterTargets:
    """How panoptic truth becomes heat, offsets and weights.

    An object's centre is the mean of its pixels. Heat is a Gaussian around the pixel next to it,
    the greatest of all objects. Pixels of crowds or without a segment train neither branch; those
    of background train the heat, to be 0.

    Args:
        labels: which classes are things, and what the semantic head calls all of them.
        sigma: width of the Gaussian in pixels; it ends at 3 sigma + 1.
        small_area: objects of fewer pixels count as small.
        small_weight: weight of their pixels in the semantic loss.
        offsets_of_stuff: train the offsets of background too, to be 0.
        ignore_crowd: crowds do not train the classes of pixels.
    Raises:
        InvalidValueError: a number is out of range.
    """

    labels: SceneLabels
    sigma: int = 10
    small_area: int = 4096
    small_weight: float = 3.0
    offsets_of_stuff: bool = False
    ignore_crowd: bool = False

    def __attrs_post_init__(self) -> None:
        if self.sigma < 1 or self.small_area < 0 or self.small_weight < 0:
            raise InvalidValueError(
                f"CenterTargets: expected sigma of at least 1 and small_area, small_weight of at "
                f"least 0, got {self.sigma}, {self.small_area}, {self.small_weight}"
            )

    def make(self, targets: Sequence[PanopticSegmentation], batch: ImageList) -> SceneTruth:
        """Truth of a padded batch, on its device; padding trains nothing.

        Args:
            targets: one scene per image, of its size.
            batch: the padded images.
        Raises:
            ShapeError: another number of targets than images, or a target of another size.
            DtypeError: a target is no PanopticSegmentation. All name the position.
        """
        if len(targets) != len(batch):
            raise ShapeError(f"targets: expected {len(batch)}, one per image, got {len(targets)}")
        device = batch.tensor.device
        plane = (len(batch), *batch.padded_size)
        labels = torch.full(plane, -1, dtype=torch.int64, device=device)
        planes = torch.zeros((6, *plane), device=device)
        for position, (target, size) in enumerate(zip(targets, batch.sizes, strict=True)):
            if not isinstance(target, PanopticSegmentation):
                raise DtypeError(
                    f"targets[{position}]: expected a PanopticSegmentation, got "
                    f"{type(target).__name__}; load the data with target_maker('panoptic')"
                )
            if target.image_size != size:
                raise ShapeError(
                    f"targets[{position}]: expected image_size {size} as images[{position}] has, "
                    f"got {target.image_size}; transform image and truth together"
                )
            scene = target.to(device)
            semantic = self.labels.semantic_map(scene, ignore_crowd=self.ignore_crowd)
            labels[position, : size.height, : size.width] = semantic.labels
            planes[:, position, : size.height, : size.width] = self._planes(scene)
        heat, down, right, heat_weights, offset_weights, pixel_weights = planes
        return SceneTruth(
            labels=labels,
            pixel_weights=pixel_weights,
            centers=CenterTruth(
                heat, torch.stack((down, right), dim=1), heat_weights, offset_weights
            ),
        )

    def _planes(self, scene: PanopticSegmentation) -> Tensor:
        """[6, h, w]: heat, offsets down and right, weights of heat, offsets and classes."""
        kept = scene.drop_empty()
        device, segments = scene.device, kept.segments
        # [s + 1] facts of the segments; the last is for pixels without one.
        thing = torch.tensor([self.labels.is_thing(s.label) for s in segments] + [False])
        crowd = torch.tensor([s.is_crowd for s in segments] + [True])
        rows = kept.segment_rows().flatten()
        height, width = scene.image_size
        y = torch.arange(height, device=device, dtype=torch.float64).repeat_interleave(width)
        x = torch.arange(width, device=device, dtype=torch.float64).repeat(height)
        areas, down, right = (
            torch.bincount(rows, weights=weights, minlength=len(segments) + 1)
            for weights in (torch.ones_like(y), y, x)
        )
        centers = torch.stack((down, right), dim=1) / areas.clamp(min=1)[:, None]
        thing, crowd = thing.to(device), crowd.to(device)
        small = thing & (areas < self.small_area)
        own = centers[rows] - torch.stack((y, x), dim=1)
        planes = [
            self._heat(centers[thing], height, width).flatten(),
            *(own * thing[rows, None]).unbind(1),
            ~crowd[rows],
            ~crowd[rows] & (thing[rows] | self.offsets_of_stuff),
            torch.where(small[rows], self.small_weight, 1.0),
        ]
        return torch.stack([plane.float() for plane in planes]).view(6, height, width)

    def _heat(self, centers: Tensor, height: int, width: int) -> Tensor:
        heat = torch.zeros((height, width), device=centers.device)
        reach = 3 * self.sigma + 1
        for row, column in centers.round().long().tolist():
            top, left = max(0, row - reach), max(0, column - reach)
            bottom, right = min(height, row + reach + 1), min(width, column + reach + 1)
            dy = torch.arange(top, bottom, device=heat.device) - row
            dx = torch.arange(left, right, device=heat.device) - column
            squares = dy[:, None] ** 2 + dx[None] ** 2
            bump = torch.exp(-squares / (2.0 * self.sigma**2))
            window = heat[top:bottom, left:right]
            torch.maximum(window, bump, out=window)
        return heat
