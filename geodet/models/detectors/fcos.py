"""FCOS: a box per point, without anchors of several shapes.

Reference: Tian et al. 2019 (arXiv 1904.01355) and 2020 (arXiv 2006.09214).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from geodet.models.anchors import AnchorGenerator
from geodet.models.detectors.dense import (
    DenseAssignment,
    DenseDetector,
    DenseOutput,
    assignment_of_batch,
    at_positive,
)
from geodet.models.distance_coding import DistanceCoder
from geodet.models.features import Backbone
from geodet.models.heads import BoxDetections, DenseSelector, FCOSHead, RegionHead, RoiSampler
from geodet.models.losses import BoxLoss, EmaNormaliser, IouLoss, dense_focal_loss
from geodet.models.point_assignment import CentreMatcher
from geodet.models.preprocess import Preprocess
from geodet.structures import ImageSize, Keypoints, Masks

__all__ = ["FCOS", "centerness_of"]


class FCOS(DenseDetector):
    """Final: detector of boxes in one stage, where every cell says how far its object reaches.

    Args:
        preprocess: images to the network's input.
        backbone: input to feature maps.
        head: feature maps to predictions for every cell.
        strides: name of each map to read -> its stride, finest first.
        matcher: cells to ground truth.
        selector: predictions to detections.
        coder: distances <-> boxes.
        normaliser: of all losses; its mean follows the positive cells of the batches.
        alpha: of the focal loss.
        gamma: of the focal loss.
        box_loss: of the positive cells; None is 1 - GIoU.
        offset: where in a cell its point is, as a fraction of the stride.
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
        head: FCOSHead,
        strides: Mapping[str, int],
        matcher: CentreMatcher,
        selector: DenseSelector,
        coder: DistanceCoder | None = None,
        normaliser: EmaNormaliser | None = None,
        alpha: float = 0.25,
        gamma: float = 2.0,
        box_loss: BoxLoss | None = None,
        offset: float = 0.5,
        region_sampler: RoiSampler | None = None,
        mask_head: RegionHead[Masks] | None = None,
        keypoint_head: RegionHead[Keypoints] | None = None,
    ) -> None:
        coder = DistanceCoder() if coder is None else coder
        box_loss = IouLoss("giou") if box_loss is None else box_loss
        box_loss.check_fits(coder, owner="FCOS")
        super().__init__(
            preprocess=preprocess,
            backbone=backbone,
            strides=strides,
            in_channels=head.in_channels,
            num_classes=head.num_classes,
            kind=coder.kind,
            normaliser=EmaNormaliser(initial=300.0) if normaliser is None else normaliser,
            region_sampler=region_sampler,
            mask_head=mask_head,
            keypoint_head=keypoint_head,
        )
        self.head = head
        # A cell stands for its point: a square of the stride's side around it.
        self.cells = AnchorGenerator(
            sizes=[(stride,) for stride in strides.values()],
            aspect_ratios=(1.0,),
            strides=list(strides.values()),
            offset=offset,
        )
        self.matcher = matcher
        self.selector = selector
        self.coder = coder
        self.alpha = alpha
        self.gamma = gamma
        self.box_loss = box_loss

    def predict(self, features: Mapping[str, Tensor]) -> DenseOutput:
        """Predict for every cell of every level.

        Args:
            features: name -> [b, in_channels, h, w], the names in `levels` among them.
        Empty: b = 0 gives b = 0.
        """
        maps = [features[name] for name in self.levels]
        predictions = [self.head(level) for level in maps]
        return DenseOutput(
            anchors=self.cells([(level.shape[-2], level.shape[-1]) for level in maps]),
            logits=[logits for logits, _, _ in predictions],
            deltas=[distances for _, distances, _ in predictions],
            centerness=[centerness for _, _, centerness in predictions],
        )

    @torch.no_grad()
    def assign(
        self, anchors: Sequence[Tensor], boxes: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> DenseAssignment:
        """Match every cell of every image by place and size; none is ignored.

        Args:
            anchors: per level [a_l, 4], finest first.
            boxes: b ground truths [g, 4].
            labels: b times [g] int64.
        Empty: an image without ground truth is background everywhere.
        """
        assigned, positive, matched = [], [], []
        for truth, classes in zip(boxes, labels, strict=True):
            targets, hit = self.matcher(anchors, truth)
            rows = torch.nonzero(hit).flatten()
            wanted = torch.full_like(targets, self.num_classes)
            wanted[rows] = classes[targets[rows]]
            assigned.append(wanted)
            positive.append(rows)
            matched.append(truth[targets[rows]])
        return assignment_of_batch(assigned, positive, matched)

    def losses(
        self, output: DenseOutput, assigned: DenseAssignment, normaliser: Tensor
    ) -> dict[str, Tensor]:
        """Class, box and centerness losses.

        Args:
            output: of `predict`.
            assigned: of `assign`.
            normaliser: scalar that the sums are divided by.
        Returns:
            "classes" (focal loss of all cells), "boxes" (`box_loss` of the positive ones) and
            "centerness" (their binary cross-entropy).
        Empty: without positives the last two are 0, with gradients of 0.
        """
        labels = assigned.labels.split([len(level) for level in output.anchors], dim=1)
        classes = [
            dense_focal_loss(level, wanted, alpha=self.alpha, gamma=self.gamma)
            for level, wanted in zip(output.logits, labels, strict=True)
        ]
        every = torch.cat(output.anchors)
        cells = every[assigned.positive % len(every)]
        distances = at_positive(output.deltas, assigned.positive)
        boxes = self.box_loss(self.coder, cells, distances, assigned.boxes)
        centerness = functional.binary_cross_entropy_with_logits(
            at_positive(output.centerness, assigned.positive).float(),
            centerness_of(self.coder.encode(cells, assigned.boxes)),
            reduction="sum",
        )
        return {
            "classes": torch.stack(classes).sum() / normaliser,
            "boxes": boxes / normaliser,
            "centerness": centerness / normaliser,
        }

    @torch.no_grad()
    def select(self, output: DenseOutput, sizes: Sequence[ImageSize]) -> list[BoxDetections]:
        """Final detections of each image, as `DenseSelector`; scores are the geometric means of
        the probabilities of class and centerness.
        """
        scores = [
            (logits.float().sigmoid() * centerness.float().sigmoid()[..., None]).sqrt()
            for logits, centerness in zip(output.logits, output.centerness, strict=True)
        ]
        return self.selector(output.anchors, scores, output.deltas, sizes, coder=self.coder)


def centerness_of(distances: Tensor) -> Tensor:
    """How central a point is in its box: 1 in the middle, 0 on a side.

    Args:
        distances: [n, 4] left, top, right, bottom; positive.
    Returns:
        [n] geometric mean of near over far side, horizontally and vertically.
    Empty: n = 0 gives [0].
    Reference: Tian et al. 2019 (arXiv 1904.01355), equation 3.
    """
    before, after = distances[:, :2], distances[:, 2:]
    return (torch.minimum(before, after) / torch.maximum(before, after)).prod(dim=-1).sqrt()
