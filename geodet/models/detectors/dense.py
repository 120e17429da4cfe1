"""What detectors share that predict at every cell of a pyramid at once.

Letters: b images, a anchors of an image over all levels, p positive ones of the batch, c classes,
d columns of a box.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, overload

import attrs
import torch
from torch import Tensor, nn

from geodet.models.assignment import Matcher
from geodet.models.box_kinds import AnyBoxKind
from geodet.models.detectors.fit import (
    check_dense_head,
    check_dense_region_head,
    check_preprocess,
)
from geodet.models.detectors.region_columns import (
    fill_columns,
    region_losses,
    region_outputs,
    regions_of,
    with_region_columns,
)
from geodet.models.detectors.targets import Targets, targets_from_instances
from geodet.models.features import Backbone, checked_features
from geodet.models.heads import BoxDetections, RegionHead, RoiSampler
from geodet.models.losses import EmaNormaliser
from geodet.models.preprocess import Preprocess
from geodet.models.sampling import BalancedSampler
from geodet.structures import ImageList, ImageSize, Instances, Keypoints, Masks

__all__ = [
    "DenseAssignment",
    "DenseDetector",
    "DenseOutput",
    "assignment_of_batch",
    "at_positive",
]


@attrs.frozen(eq=False)
class DenseOutput:
    """Raw predictions for a batch.

    Args:
        anchors: per level [a_l, d].
        logits: per level [b, a_l, c].
        deltas: per level [b, a_l, d].
        centerness: per level [b, a_l] logits; no entries where nothing predicts them.
    """

    anchors: list[Tensor]
    logits: list[Tensor]
    deltas: list[Tensor]
    centerness: list[Tensor] = attrs.field(factory=list)


@attrs.frozen(eq=False)
class DenseAssignment:
    """What every anchor should say.

    Args:
        labels: [b, a] int64: a class, c for background, -1 for anchors that do not count.
        positive: [p] int64 index of the positive anchors in the flattened labels, ascending.
        boxes: [p, d] ground truth of each of them.
    """

    labels: Tensor
    positive: Tensor
    boxes: Tensor


class DenseDetector(nn.Module, ABC):
    """Abstract: preprocessing, backbone and a head on every level.

    Further heads look into boxes as in detectors of two stages. They train on the ground truth
    and on the detections of the moment that match it, and predict in the final detections.

    Args:
        preprocess: images to the network's input.
        backbone: input to feature maps.
        strides: name of each map the head reads -> its stride, finest first.
        in_channels: channels that the head expects.
        num_classes: c.
        kind: of the boxes.
        normaliser: of the losses.
        region_sampler: what further heads train on; None is up to 128 boxes per image with an
            IoU of 0.5, ground truth among them.
        mask_head: boxes to masks.
        keypoint_head: boxes to keypoints.
    Attributes:
        counts: how many anchors of each kind the last losses were made of, for logging.
    Raises:
        CompositionError: two parts do not fit each other; names both.
    Reference: Fu et al. 2019 (arXiv 1901.03353) for the further heads.
    """

    def __init__(
        self,
        *,
        preprocess: Preprocess,
        backbone: Backbone,
        strides: Mapping[str, int],
        in_channels: int,
        num_classes: int,
        kind: AnyBoxKind,
        normaliser: EmaNormaliser,
        region_sampler: RoiSampler | None,
        mask_head: RegionHead[Masks] | None,
        keypoint_head: RegionHead[Keypoints] | None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_preprocess(preprocess, backbone)
        check_dense_head(name, strides, in_channels, backbone)
        for head in (mask_head, keypoint_head):
            if head is not None:
                check_dense_region_head(name, head, kind, num_classes, backbone)
        if region_sampler is None:
            region_sampler = RoiSampler(Matcher((0.5,), (0, 1)), BalancedSampler(128, 1.0))
        self.preprocess = preprocess
        self.backbone = backbone
        self.levels = tuple(strides)
        self.num_classes = num_classes
        self.kind = kind
        self.normaliser = normaliser
        self.region_sampler = region_sampler
        self.mask_head = mask_head
        self.keypoint_head = keypoint_head
        self.counts: dict[str, Tensor] = {}

    @abstractmethod
    def predict(self, features: Mapping[str, Tensor]) -> DenseOutput:
        """Raw predictions from name -> [b, in_channels, h, w]."""

    @abstractmethod
    def assign(
        self, anchors: Sequence[Tensor], boxes: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> DenseAssignment:
        """What every anchor should say, given b ground truths [g, d] and [g]."""

    @abstractmethod
    def losses(
        self, output: DenseOutput, assigned: DenseAssignment, normaliser: Tensor
    ) -> dict[str, Tensor]:
        """Named sums of losses, each divided by the scalar `normaliser`."""

    @abstractmethod
    def select(self, output: DenseOutput, sizes: Sequence[ImageSize]) -> list[BoxDetections]:
        """Final boxes of each image."""

    @overload
    def forward(
        self, images: Sequence[Tensor], targets: Sequence[Instances]
    ) -> dict[str, Tensor]: ...
    @overload
    def forward(self, images: Sequence[Tensor], targets: None = None) -> list[Instances]: ...

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[Instances] | None = None
    ) -> dict[str, Tensor] | list[Instances]:
        """Losses when targets are given, detections when not; `self.training` decides nothing.

        A training pass moves the normaliser by the number of positive anchors in the batch. Under
        `torch.no_grad()` losses are only looked at, and the normaliser stays where it is.

        Args:
            images: [c, h, w] each, RGB, 0..255, uint8 or floating-point.
            targets: per image boxes of the model's kind and labels; masks and keypoints for the
                heads that learn them.
        Returns:
            Losses, scalars to be summed: "classes", "boxes", "centerness" of FCOS, and those of
            each further head. Or per image boxes, labels, scores and a column of each further
            head, in pixels of the image as given, by descending score.
        Raises:
            DtypeError, InvalidValueError, ShapeError: an image or target is not as described;
                names its position.
        Empty: images without objects train as negatives; an image may have no detection.
        """
        batch = self.preprocess(images)
        return self._detect(batch) if targets is None else self._losses(batch, targets)

    def predict_in_boxes(
        self, images: Sequence[Tensor], instances: Sequence[Instances]
    ) -> list[Instances]:
        """Masks and keypoints of boxes that are known: merged, tracked or corrected ones.

        Args:
            images: as in `forward`.
            instances: per image boxes of the model's kind and labels, in pixels of the image.
        Returns:
            The same rows, on the model's device, with a column of each further head.
        Raises:
            DtypeError: boxes of another kind, or no labels; names the image.
        Empty: images without rows keep none.
        """
        outputs = self.region_outputs(images, instances)
        device = self.preprocess.mean.device
        return [
            with_region_columns(table.to(device), self.region_heads, each)
            for table, each in zip(instances, outputs, strict=True)
        ]

    @property
    def region_heads(self) -> dict[str, RegionHead[Any]]:
        """Further heads, by the column of `Instances` that they fill."""
        heads = {"masks": self.mask_head, "keypoints": self.keypoint_head}
        return {name: head for name, head in heads.items() if head is not None}

    def region_outputs(
        self, images: Sequence[Tensor], instances: Sequence[Instances]
    ) -> list[dict[str, Tensor]]:
        """What the further heads say of boxes that are known; see `RCNN.region_outputs`."""
        features = checked_features(self.backbone, self.preprocess(images))
        return region_outputs(
            self.region_heads, regions_of(instances, features, self.kind), instances
        )

    def _losses(self, batch: ImageList, targets: Sequence[Instances]) -> dict[str, Tensor]:
        truth = targets_from_instances(
            targets,
            batch.sizes,
            kind=self.kind,
            num_classes=self.num_classes,
            masks=self.mask_head is not None,
            keypoints=self.keypoint_head is not None,
            device=batch.tensor.device,
        )
        features = checked_features(self.backbone, batch)
        output = self.predict(features)
        assigned = self.assign(output.anchors, truth.boxes, truth.labels)
        positives = len(assigned.positive)
        normaliser = (
            self.normaliser.update(positives) if torch.is_grad_enabled() else self.normaliser()
        )
        self.counts = {
            "dense_positive": torch.tensor(positives),
            "dense_negative": (assigned.labels == self.num_classes).sum(),
        }
        losses = self.losses(output, assigned, normaliser)
        return losses | self._region_losses(features, output, batch.sizes, truth)

    def _region_losses(
        self,
        features: Mapping[str, Tensor],
        output: DenseOutput,
        sizes: Sequence[ImageSize],
        truth: Targets,
    ) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        if self.mask_head is None and self.keypoint_head is None:
            return losses
        detections = self.select(output, sizes)
        sampled = self.region_sampler(
            [found.boxes for found in detections],
            truth.boxes,
            truth.labels,
            kind=self.kind,
            num_classes=self.num_classes,
        )
        classes = self.num_classes
        if self.mask_head is not None:
            losses |= region_losses(
                self.mask_head, features, sampled, truth.masks, num_classes=classes
            )
        if self.keypoint_head is not None:
            losses |= region_losses(
                self.keypoint_head, features, sampled, truth.keypoints, num_classes=classes
            )
        return losses

    def _detect(self, batch: ImageList) -> list[Instances]:
        features = checked_features(self.backbone, batch)
        detections = self.select(self.predict(features), batch.sizes)
        instances = [
            Instances(
                size, boxes=self.kind.wrap(rows.boxes), labels=rows.labels, scores=rows.scores
            )
            for size, rows in zip(batch.sizes, detections, strict=True)
        ]
        if not self.region_heads:
            return instances
        regions = regions_of(instances, features, self.kind)
        return fill_columns(instances, regions, self.region_heads)


def assignment_of_batch(
    labels: Sequence[Tensor], positive: Sequence[Tensor], boxes: Sequence[Tensor]
) -> DenseAssignment:
    """Join the assignments of images.

    Args:
        labels: b times [a] int64.
        positive: b times [p_i] int64 index of the positive anchors.
        boxes: b times [p_i, d].
    """
    offsets = [i * len(image) for i, image in enumerate(labels)]
    shifted = [rows + offset for rows, offset in zip(positive, offsets, strict=True)]
    return DenseAssignment(
        labels=torch.stack(list(labels)), positive=torch.cat(shifted), boxes=torch.cat(list(boxes))
    )


def at_positive(per_level: Sequence[Tensor], positive: Tensor) -> Tensor:
    """Rows [p, ...] of predictions [b, a_l, ...] of every level, at the positive anchors."""
    return torch.cat(list(per_level), dim=1).flatten(0, 1)[positive]
