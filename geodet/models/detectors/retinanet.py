"""RetinaNet.

Reference: Lin et al. 2017 (arXiv 1708.02002).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from geodet.errors import CompositionError
from geodet.models.anchors import AnchorGenerator
from geodet.models.assignment import Matcher
from geodet.models.box_coding import BoxCoder, Coder
from geodet.models.detectors.dense import (
    DenseAssignment,
    DenseDetector,
    DenseOutput,
    assignment_of_batch,
    at_positive,
)
from geodet.models.features import Backbone
from geodet.models.heads import BoxDetections, DenseSelector, RegionHead, RetinaNetHead, RoiSampler
from geodet.models.losses import BoxLoss, EmaNormaliser, SmoothL1, dense_focal_loss
from geodet.models.preprocess import Preprocess
from geodet.structures import ImageSize, Keypoints, Masks

__all__ = ["RetinaNet"]


class RetinaNet(DenseDetector):
    """Final: detector of boxes in one stage, every anchor of a pyramid classified at once.

    Upright or rotated boxes, as the coder says.

    Args:
        preprocess: images to the network's input.
        backbone: input to feature maps.
        head: feature maps to predictions for every anchor.
        anchors: one level per name in `levels`.
        levels: maps to read, finest first.
        matcher: anchors to ground truth.
        selector: predictions to detections.
        coder: offsets <-> boxes.
        normaliser: of both losses; its mean follows the positive anchors of the batches.
        alpha: of the focal loss.
        gamma: of the focal loss.
        box_loss: of the positive anchors; None is plain L1 of the offsets.
        region_sampler: see `DenseDetector`.
        mask_head: boxes to masks.
        keypoint_head: boxes to keypoints.
    Raises:
        CompositionError: two parts do not fit each other; names both.
    """

    def __init__(
        self,
        *,
        preprocess: Preprocess,
        backbone: Backbone,
        head: RetinaNetHead,
        anchors: AnchorGenerator,
        levels: Sequence[str],
        matcher: Matcher,
        selector: DenseSelector,
        coder: Coder | None = None,
        normaliser: EmaNormaliser | None = None,
        alpha: float = 0.25,
        gamma: float = 2.0,
        box_loss: BoxLoss | None = None,
        region_sampler: RoiSampler | None = None,
        mask_head: RegionHead[Masks] | None = None,
        keypoint_head: RegionHead[Keypoints] | None = None,
    ) -> None:
        coder = BoxCoder() if coder is None else coder
        box_loss = SmoothL1() if box_loss is None else box_loss
        _check_parts(head, anchors, levels, coder)
        box_loss.check_fits(coder, owner="RetinaNet")
        super().__init__(
            preprocess=preprocess,
            backbone=backbone,
            strides=dict(zip(levels, anchors.strides, strict=True)),
            in_channels=head.in_channels,
            num_classes=head.num_classes,
            kind=coder.kind,
            normaliser=EmaNormaliser(initial=100.0) if normaliser is None else normaliser,
            region_sampler=region_sampler,
            mask_head=mask_head,
            keypoint_head=keypoint_head,
        )
        self.head = head
        self.anchors = anchors
        self.matcher = matcher
        self.selector = selector
        self.coder = coder
        self.alpha = alpha
        self.gamma = gamma
        self.box_loss = box_loss

    def predict(self, features: Mapping[str, Tensor]) -> DenseOutput:
        """Predict for every anchor of every level.

        Args:
            features: name -> [b, in_channels, h, w], the names in `levels` among them.
        Empty: b = 0 gives b = 0.
        """
        maps = [features[name] for name in self.levels]
        predictions = [self.head(level) for level in maps]
        return DenseOutput(
            anchors=self.anchors([(level.shape[-2], level.shape[-1]) for level in maps]),
            logits=[logits for logits, _ in predictions],
            deltas=[deltas for _, deltas in predictions],
        )

    @torch.no_grad()
    def assign(
        self, anchors: Sequence[Tensor], boxes: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> DenseAssignment:
        """Match every anchor of every image by IoU.

        Args:
            anchors: per level [a_l, d].
            boxes: b ground truths [g, d].
            labels: b times [g] int64.
        Empty: an image without ground truth is background everywhere.
        """
        every = torch.cat(list(anchors))
        assigned, positive, matched = [], [], []
        for truth, classes in zip(boxes, labels, strict=True):
            targets, kinds = self.matcher(self.kind.pairwise_iou(truth, every))
            rows = torch.nonzero(kinds == 1).flatten()
            wanted = torch.where(kinds == 0, self.num_classes, -1)
            wanted[rows] = classes[targets[rows]]
            assigned.append(wanted)
            positive.append(rows)
            matched.append(truth[targets[rows]])
        return assignment_of_batch(assigned, positive, matched)

    def losses(
        self, output: DenseOutput, assigned: DenseAssignment, normaliser: Tensor
    ) -> dict[str, Tensor]:
        """Class and box losses.

        Args:
            output: of `predict`.
            assigned: of `assign`.
            normaliser: scalar that the sums are divided by.
        Returns:
            "classes" (focal loss of all anchors but the ignored) and "boxes" (`box_loss` of the
            positive ones).
        Empty: without positives "boxes" is 0, with gradients of 0.
        """
        labels = assigned.labels.split([len(level) for level in output.anchors], dim=1)
        classes = [
            dense_focal_loss(level, wanted, alpha=self.alpha, gamma=self.gamma)
            for level, wanted in zip(output.logits, labels, strict=True)
        ]
        every = torch.cat(output.anchors)
        references = every[assigned.positive % len(every)]
        deltas = at_positive(output.deltas, assigned.positive)
        boxes = self.box_loss(self.coder, references, deltas, assigned.boxes)
        return {"classes": torch.stack(classes).sum() / normaliser, "boxes": boxes / normaliser}

    @torch.no_grad()
    def select(self, output: DenseOutput, sizes: Sequence[ImageSize]) -> list[BoxDetections]:
        """Final detections of each image, as `DenseSelector`; scores are sigmoids."""
        scores = [logits.float().sigmoid() for logits in output.logits]
        return self.selector(output.anchors, scores, output.deltas, sizes, coder=self.coder)


def _check_parts(
    head: RetinaNetHead, anchors: AnchorGenerator, levels: Sequence[str], coder: Coder
) -> None:
    if len(levels) != len(anchors.strides):
        raise CompositionError(
            f"RetinaNet reads {len(levels)} levels {list(levels)}, AnchorGenerator has strides "
            f"for {len(anchors.strides)}: {list(anchors.strides)}"
        )
    if head.anchors_per_location != anchors.anchors_per_location:
        raise CompositionError(
            f"RetinaNetHead predicts for {head.anchors_per_location} anchors per location, "
            f"AnchorGenerator makes {anchors.anchors_per_location}"
        )
    for name, kind in (("AnchorGenerator", anchors.kind), ("RetinaNetHead", head.kind)):
        if kind != coder.kind:
            raise CompositionError(
                f"{name} is for {kind.structure.__name__}, {type(coder).__name__} for "
                f"{coder.kind.structure.__name__}; anchors with angles, a head of kind ROTATED and "
                "RotatedBoxCoder go together"
            )
