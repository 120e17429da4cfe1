"""Which regions the second stage trains on, and what each should say."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from geodet.models.assignment import Matcher
from geodet.models.box_kinds import AnyBoxKind
from geodet.models.sampling import BalancedSampler

# Letters: k numbers per box, 4 upright, 5 rotated.
__all__ = ["RoiSampler", "SampledRois", "rois_from_boxes"]


def rois_from_boxes(boxes: Sequence[Tensor]) -> Tensor:
    """Boxes per image to one table of regions.

    Args:
        boxes: per image [n, k]; at least one image.
    Returns:
        [r, 1 + k] image index, box; images in order.
    Empty: images without boxes add no rows.
    """
    index = torch.cat([box.new_full((len(box), 1), float(i)) for i, box in enumerate(boxes)])
    return torch.cat([index, torch.cat(list(boxes))], dim=1)


@attrs.frozen(eq=False)
class SampledRois:
    """Regions to train on, with their targets.

    Args:
        rois: [r, 1 + k] image index and box.
        labels: [r] int64 class, or the number of classes for background.
        target_boxes: [r, k], the matched ground truth; of background the region itself.
        target_indices: [r] int64 row of the matched ground truth in its image; of background 0.
    """

    rois: Tensor
    labels: Tensor
    target_boxes: Tensor
    target_indices: Tensor

    def select(self, rows: Tensor) -> "SampledRois":
        """The regions at `rows`, int64 [m]."""
        return SampledRois(
            rois=self.rois[rows],
            labels=self.labels[rows],
            target_boxes=self.target_boxes[rows],
            target_indices=self.target_indices[rows],
        )


@attrs.frozen
class RoiSampler:
    """Matches proposals to ground truth and draws a balanced subset.

    Args:
        matcher: proposals to ground truth.
        sampler: how many of each kind per image.
        append_targets: ground-truth boxes join the proposals, so that there are positives from
            the first step on.
    """

    matcher: Matcher
    sampler: BalancedSampler
    append_targets: bool = True

    @torch.no_grad()
    def __call__(
        self,
        proposals: Sequence[Tensor],
        target_boxes: Sequence[Tensor],
        target_labels: Sequence[Tensor],
        *,
        kind: AnyBoxKind,
        num_classes: int,
        generator: torch.Generator | None = None,
    ) -> SampledRois:
        """Draw the regions of a batch; positives come first within each image.

        Args:
            proposals: per image [n, k].
            target_boxes: per image [g, k].
            target_labels: per image [g] int64 in 0..num_classes-1.
            kind: of the boxes.
            num_classes: also the label of background.
            generator: source of randomness; None is torch's global one.
        Returns:
            The regions of all images, images in order.
        Empty: an image without ground truth gives background only; one without proposals and
            ground truth gives no region.
        """
        boxes, labels, matched, indices = [], [], [], []
        for image_proposals, truth, truth_labels in zip(
            proposals, target_boxes, target_labels, strict=True
        ):
            candidates = (
                torch.cat([image_proposals, truth]) if self.append_targets else image_proposals
            )
            targets, kinds = self.matcher(kind.pairwise_iou(truth, candidates))
            positive, negative = self.sampler(kinds, generator=generator)
            boxes.append(candidates[torch.cat([positive, negative])])
            matched.append(torch.cat([truth[targets[positive]], candidates[negative]]))
            indices.append(torch.cat([targets[positive], torch.zeros_like(negative)]))
            background = torch.full_like(negative, num_classes)
            labels.append(torch.cat([truth_labels[targets[positive]], background]))
        return SampledRois(
            rois=rois_from_boxes(boxes),
            labels=torch.cat(labels),
            target_boxes=torch.cat(matched),
            target_indices=torch.cat(indices),
        )
