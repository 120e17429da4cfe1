"""Box head: class and refined box of every region.

Letters: r regions over all images, c classes without background, d features per region, k numbers
per box.
Reference: Girshick 2015 (arXiv 1504.08083); Lin et al. 2017 (arXiv 1612.03144).
"""

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn

from geodet.errors import CompositionError
from geodet.models.box_coding import BoxCoder, Coder
from geodet.models.box_kinds import UPRIGHT, AnyBoxKind
from geodet.models.heads.box_features import BoxFeatures
from geodet.models.heads.pooler import RoiPooler
from geodet.models.heads.roi_sampling import RoiSampler, SampledRois, rois_from_boxes
from geodet.models.heads.stages import BoxDetections, SecondStage, TrainedBoxes
from geodet.models.layers import fill_normal
from geodet.models.losses import BoxLoss, ClassLoss, SmoothL1, SoftmaxClasses
from geodet.structures import ImageSize

__all__ = ["BoxHead", "BoxPredictor"]


class BoxPredictor(nn.Module):
    """Class logits and box offsets from the features of a region.

    Args:
        in_features: d.
        num_classes: c.
        class_agnostic: one box per region instead of one per class.
        kind: of the boxes.
    """

    def __init__(
        self,
        in_features: int,
        *,
        num_classes: int,
        class_agnostic: bool = False,
        kind: AnyBoxKind = UPRIGHT,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.in_features = in_features
        self.num_classes = num_classes
        self.class_agnostic = class_agnostic
        self.class_logits = nn.Linear(in_features, num_classes + 1)
        boxes_per_region = 1 if class_agnostic else num_classes
        self.deltas = nn.Linear(in_features, kind.columns * boxes_per_region)
        fill_normal(self.class_logits, std=0.01)
        fill_normal(self.deltas, std=0.001)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Predict.

        Args:
            features: [r, d].
        Returns:
            logits [r, c + 1], background last; deltas [r, c * k] class by class, or [r, k].
        Empty: r = 0 gives r = 0.
        """
        return self.class_logits(features), self.deltas(features)


class BoxHead(SecondStage):
    """Final: pooling, features, prediction, losses and selection of the second stage.

    Args:
        pooler: regions to tensors.
        features: tensors to features.
        predictor: features to classes and boxes.
        roi_sampler: which regions to train on.
        coder: offsets <-> boxes; None is `BoxCoder` with weights of 10, 10, 5, 5.
        score_threshold: detections must score above it.
        nms_threshold: IoU above which the worse of two detections of a class goes.
        max_detections: per image, over all classes.
        class_loss: of all regions, and what makes logits probabilities; None is
            `SoftmaxClasses`.
        box_loss: of the foreground; None is `SmoothL1`.
        refine_regions: further heads train in the boxes that this one predicts for the class of
            each region, not in the regions that it was given.
    Raises:
        CompositionError: pooler, features and predictor do not fit each other.
    """

    def __init__(
        self,
        *,
        pooler: RoiPooler,
        features: BoxFeatures,
        predictor: BoxPredictor,
        roi_sampler: RoiSampler,
        coder: Coder | None = None,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.5,
        max_detections: int = 100,
        class_loss: ClassLoss | None = None,
        box_loss: BoxLoss | None = None,
        refine_regions: bool = False,
    ) -> None:
        super().__init__()
        if features.side != pooler.output_side:
            raise CompositionError(
                f"{type(features).__name__} expects regions of {features.side} x {features.side}, "
                f"RoiPooler gives {pooler.output_side} x {pooler.output_side}"
            )
        if predictor.in_features != features.out_features:
            raise CompositionError(
                f"BoxPredictor expects {predictor.in_features} features, "
                f"{type(features).__name__} gives {features.out_features}"
            )
        coder = BoxCoder((10.0, 10.0, 5.0, 5.0)) if coder is None else coder
        box_loss = SmoothL1() if box_loss is None else box_loss
        _check_kinds(pooler, predictor, coder)
        box_loss.check_fits(coder, owner="BoxHead")
        self.kind = coder.kind
        self.num_classes = predictor.num_classes
        self.strides = pooler.strides
        self.in_channels = features.in_channels
        self.map_channels = features.map_channels
        self.map_side = features.map_side
        self.pooler = pooler
        self.features = features
        self.predictor = predictor
        self.roi_sampler = roi_sampler
        self.coder = coder
        self.score_threshold = score_threshold
        self.nms_threshold = nms_threshold
        self.max_detections = max_detections
        self.class_loss = SoftmaxClasses() if class_loss is None else class_loss
        self.class_loss.check_fits(predictor.num_classes)
        self.box_loss = box_loss
        self.refine_regions = refine_regions

    def forward(self, features: Mapping[str, Tensor], rois: Tensor) -> tuple[Tensor, Tensor]:
        """Predict for every region.

        Args:
            features: name -> [b, channels, h, w].
            rois: [r, 1 + k] image index and box.
        Returns:
            As `BoxPredictor`.
        Empty: r = 0 gives r = 0.
        """
        return self._predict(self.maps(features, rois))

    def maps(self, features: Mapping[str, Tensor], rois: Tensor) -> Tensor:
        """See `SecondStage`."""
        return self.features.maps(self.pooler(features, rois))

    def learn(
        self,
        features: Mapping[str, Tensor],
        proposals: Sequence[Tensor],
        target_boxes: Sequence[Tensor],
        target_labels: Sequence[Tensor],
        *,
        sizes: Sequence[ImageSize],
        generator: torch.Generator | None = None,
    ) -> TrainedBoxes:
        """See `SecondStage`; losses and counts are those of `losses`."""
        del sizes
        sampled = self.roi_sampler(
            proposals,
            target_boxes,
            target_labels,
            kind=self.kind,
            num_classes=self.num_classes,
            generator=generator,
        )
        maps = self.maps(features, sampled.rois)
        logits, deltas = self._predict(maps)
        losses, counts = self.losses(logits, deltas, sampled, generator=generator)
        if self.refine_regions:
            sampled = self._refined(deltas.detach(), sampled)
        return TrainedBoxes(sampled=sampled, maps=maps, losses=losses, counts=counts)

    def detect(
        self,
        features: Mapping[str, Tensor],
        proposals: Sequence[Tensor],
        sizes: Sequence[ImageSize],
    ) -> list[BoxDetections]:
        """See `SecondStage`."""
        logits, deltas = self(features, rois_from_boxes(proposals))
        return self.select(logits, deltas, proposals, sizes)

    def losses(
        self,
        logits: Tensor,
        deltas: Tensor,
        sampled: SampledRois,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Class and box losses.

        Args:
            logits: [r, c + 1].
            deltas: [r, c * k] or [r, k].
            sampled: the r regions they were predicted for.
            generator: for a class loss that draws; None is torch's global one.
        Returns:
            losses: "box_classes" (of `class_loss`) and "box_deltas" (of the
                foreground, its sum divided by r: each region counts the same, whatever the
                share of foreground).
            counts: "box_foreground" and "box_background" regions, int64 scalars.
        Empty: r = 0 gives losses of 0 with gradients of 0.
        """
        total = max(len(logits), 1)
        foreground = torch.nonzero(sampled.labels < self.num_classes).flatten()
        classes = self.class_loss(logits, sampled.labels, generator=generator)
        positives = sampled.select(foreground)
        chosen = deltas.unflatten(1, (-1, self.kind.columns))[foreground]
        rows = torch.arange(len(foreground), device=deltas.device)
        columns = torch.zeros_like(rows) if self.predictor.class_agnostic else positives.labels
        boxes = self.box_loss(
            self.coder, positives.rois[:, 1:], chosen[rows, columns], positives.target_boxes
        )
        counts = {
            "box_foreground": torch.tensor(foreground.numel()),
            "box_background": torch.tensor(len(logits) - foreground.numel()),
        }
        return {"box_classes": classes, "box_deltas": boxes / total}, counts

    @torch.no_grad()
    def select(
        self,
        logits: Tensor,
        deltas: Tensor,
        proposals: Sequence[Tensor],
        sizes: Sequence[ImageSize],
    ) -> list[BoxDetections]:
        """Final detections of each image.

        Logits become probabilities; boxes decoded and clipped; scores above the
        threshold kept, thinned by NMS within each class, and the best of the image returned,
        less those that clipping left without area.

        Args:
            logits: [r, c + 1].
            deltas: [r, c * k] or [r, k].
            proposals: per image [n, k] that the predictions are for; r in all.
            sizes: true size of each image.
        Returns:
            Detections of each image; ties by region, then by class.
        Empty: an image without proposals has no detections.
        """
        scores = self.class_loss.probabilities(logits)
        return self.select_scored(scores, deltas, proposals, sizes)

    @torch.no_grad()
    def select_scored(
        self,
        scores: Tensor,
        deltas: Tensor,
        proposals: Sequence[Tensor],
        sizes: Sequence[ImageSize],
    ) -> list[BoxDetections]:
        """As `select`, from probabilities [r, c], which a cascade averages over its stages."""
        boxes = self.coder.decode(torch.cat(list(proposals)), deltas)
        boxes = boxes.unflatten(1, (-1, self.kind.columns))
        counts = [len(rows) for rows in proposals]
        return [
            self._select_in_image(image_scores, image_boxes, size)
            for image_scores, image_boxes, size in zip(
                scores.split(counts), boxes.split(counts), sizes, strict=True
            )
        ]

    def _select_in_image(self, scores: Tensor, boxes: Tensor, size: ImageSize) -> BoxDetections:
        finite = torch.isfinite(boxes).all(-1).all(-1) & torch.isfinite(scores).all(-1)
        boxes = self.kind.clip(boxes, boxes.new_tensor([size.width, size.height]))
        region, label = torch.nonzero(
            (scores > self.score_threshold) & finite[:, None], as_tuple=True
        )
        column = torch.zeros_like(label) if self.predictor.class_agnostic else label
        candidates, candidate_scores = boxes[region, column], scores[region, label]
        kept = self.kind.batched_nms(candidates, candidate_scores, label, self.nms_threshold)
        kept = kept[: self.max_detections]
        kept = kept[(self.kind.sides(candidates[kept]) > 0).all(-1)]
        return BoxDetections(
            boxes=candidates[kept], scores=candidate_scores[kept], labels=label[kept]
        )

    def _refined(self, deltas: Tensor, sampled: SampledRois) -> SampledRois:
        """The regions with the boxes predicted for their classes; background may be of any."""
        boxes = self.coder.decode(sampled.rois[:, 1:], deltas)
        boxes = boxes.unflatten(1, (-1, self.kind.columns))
        column = sampled.labels.clamp(max=boxes.shape[1] - 1)
        rows = torch.arange(len(boxes), device=boxes.device)
        return attrs.evolve(
            sampled, rois=torch.cat((sampled.rois[:, :1], boxes[rows, column]), dim=1)
        )

    def _predict(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        logits, deltas = self.predictor(self.features.vectors(maps))
        return logits, deltas


def _check_kinds(pooler: RoiPooler, predictor: BoxPredictor, coder: Coder) -> None:
    makers = {"RoiPooler": pooler.kind, "BoxPredictor": predictor.kind}
    for name, kind in makers.items():
        if kind != coder.kind:
            raise CompositionError(
                f"{name} is made for {kind.structure.__name__}, {type(coder).__name__} for "
                f"{coder.kind.structure.__name__}; give both the same kind"
            )
