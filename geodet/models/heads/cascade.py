"""Cascade of box heads: each refines the boxes of the one before, at a stricter overlap.

Letters: r regions over all images, k numbers per box, c classes without background.
Reference: Cai and Vasconcelos 2018 (arXiv 1712.00726).
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from geodet.errors import CompositionError
from geodet.models.heads.box import BoxHead
from geodet.models.heads.roi_sampling import SampledRois, rois_from_boxes
from geodet.models.heads.stages import BoxDetections, SecondStage, TrainedBoxes
from geodet.structures import ImageSize

__all__ = ["CascadeBoxHead"]


class CascadeBoxHead(SecondStage):
    """Final: box heads in a row.

    The first draws its regions; each further one takes the boxes that the one before predicts,
    cut at the border, and matches them anew by its own matcher, drawing none. In prediction class
    probabilities are averaged over all stages, boxes are those of the last; the last stage's
    thresholds decide. Further heads (masks, keypoints) train on the regions of the first stage.

    Args:
        stages: at least one, of one kind and number of classes, with one box for all classes. Each
            brings the matcher (in its `roi_sampler`), the coder and the losses of its stage.
        gradient_scale: of what each stage sends back into the feature maps; None is
            1 / number of stages.
    Raises:
        CompositionError: no stage, stages that do not fit each other, or boxes per class.
    """

    def __init__(self, stages: Sequence[BoxHead], *, gradient_scale: float | None = None) -> None:
        super().__init__()
        if not stages:
            raise CompositionError("CascadeBoxHead: expected at least one stage")
        first = stages[0]
        for number, stage in enumerate(stages):
            _check_stage(number, stage, first)
        self.stages = nn.ModuleList(stages)
        self.gradient_scale = 1.0 / len(stages) if gradient_scale is None else gradient_scale
        self.kind = first.kind
        self.num_classes = first.num_classes
        self.strides = first.strides
        self.in_channels = first.in_channels
        self.map_channels = first.map_channels
        self.map_side = first.map_side

    def maps(self, features: Mapping[str, Tensor], rois: Tensor) -> Tensor:
        """Maps of the first stage; see `SecondStage`."""
        return self._stage(0).maps(features, rois)

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
        """See `SecondStage`; losses and counts are those of `BoxHead`, with _stage0 and so on."""
        first = self._stage(0)
        sampled = first.roi_sampler(
            proposals,
            target_boxes,
            target_labels,
            kind=self.kind,
            num_classes=self.num_classes,
            generator=generator,
        )
        drawn, all_maps = sampled, []
        losses: dict[str, Tensor] = {}
        counts: dict[str, Tensor] = {}
        for number in range(len(self.stages)):
            stage = self._stage(number)
            pooled = _scale_gradient(stage.pooler(features, sampled.rois), self.gradient_scale)
            all_maps.append(stage.features.maps(pooled))
            logits, deltas = stage.predictor(stage.features.vectors(all_maps[-1]))
            found, numbers = stage.losses(logits, deltas, sampled, generator=generator)
            losses |= {f"{name}_stage{number}": value for name, value in found.items()}
            counts |= {f"{name}_stage{number}": value for name, value in numbers.items()}
            if number + 1 < len(self.stages):
                boxes = self._refine(stage, sampled.rois, deltas, sizes, keep_empty=False)
                sampled = self._match(number + 1, boxes, target_boxes, target_labels)
        return TrainedBoxes(sampled=drawn, maps=all_maps[0], losses=losses, counts=counts)

    def detect(
        self,
        features: Mapping[str, Tensor],
        proposals: Sequence[Tensor],
        sizes: Sequence[ImageSize],
    ) -> list[BoxDetections]:
        """See `SecondStage`."""
        boxes = list(proposals)
        scores: list[Tensor] = []
        for number in range(len(self.stages)):
            stage = self._stage(number)
            rois = rois_from_boxes(boxes)
            logits, deltas = stage(features, rois)
            scores.append(stage.class_loss.probabilities(logits))
            if number + 1 < len(self.stages):
                boxes = self._refine(stage, rois, deltas, sizes, keep_empty=True)
        mean = torch.stack(scores).mean(dim=0)
        return stage.select_scored(mean, deltas, boxes, sizes)

    def _stage(self, number: int) -> BoxHead:
        return cast("BoxHead", self.stages[number])

    @torch.no_grad()
    def _refine(
        self,
        stage: BoxHead,
        rois: Tensor,
        deltas: Tensor,
        sizes: Sequence[ImageSize],
        *,
        keep_empty: bool,
    ) -> list[Tensor]:
        """Boxes per image that a stage predicts, cut at the border of their image."""
        boxes = stage.coder.decode(rois[:, 1:], deltas)
        images = rois[:, 0].long()
        limits = boxes.new_tensor([[size.width, size.height] for size in sizes])
        boxes = self.kind.clip(boxes, limits[images])
        if not keep_empty:
            # Empty and non-finite boxes are nothing to train on; NaN compares as False.
            kept = (self.kind.sides(boxes) > 0).all(-1) & torch.isfinite(boxes).all(-1)
            boxes, images = boxes[kept], images[kept]
        counts = torch.bincount(images, minlength=len(sizes)).tolist()
        return list(boxes.split(counts))

    @torch.no_grad()
    def _match(
        self,
        number: int,
        boxes: Sequence[Tensor],
        target_boxes: Sequence[Tensor],
        target_labels: Sequence[Tensor],
    ) -> SampledRois:
        """All boxes of a stage with their targets, by its own matcher."""
        matcher = self._stage(number).roi_sampler.matcher
        labels, matched, indices = [], [], []
        for own, truth, truth_labels in zip(boxes, target_boxes, target_labels, strict=True):
            targets, kinds = matcher(self.kind.pairwise_iou(truth, own))
            background = torch.full_like(targets, self.num_classes)
            if len(truth) == 0:
                labels.append(background)
                matched.append(own)
                indices.append(torch.zeros_like(targets))
                continue
            positive = kinds == 1
            labels.append(torch.where(positive, truth_labels[targets], background))
            matched.append(torch.where(positive[:, None], truth[targets], own))
            indices.append(torch.where(positive, targets, 0))
        return SampledRois(
            rois=rois_from_boxes(boxes),
            labels=torch.cat(labels),
            target_boxes=torch.cat(matched),
            target_indices=torch.cat(indices),
        )


class _ScaleGradient(torch.autograd.Function):
    """Identity whose gradient is multiplied by a number."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.scale, None


def _scale_gradient(values: Tensor, scale: float) -> Tensor:
    scaled: Tensor = _ScaleGradient.apply(values, scale)
    return scaled


def _check_stage(number: int, stage: BoxHead, first: BoxHead) -> None:
    if not stage.predictor.class_agnostic:
        raise CompositionError(
            f"CascadeBoxHead: stage {number} predicts a box per class; the next stage needs one "
            "box per region: give its BoxPredictor class_agnostic=True"
        )
    for name, mine, theirs in (
        ("boxes", stage.kind.structure.__name__, first.kind.structure.__name__),
        ("num_classes", stage.num_classes, first.num_classes),
        ("levels", dict(stage.strides), dict(first.strides)),
        ("channels", stage.in_channels, first.in_channels),
    ):
        if mine != theirs:
            raise CompositionError(
                f"CascadeBoxHead: stage {number} has {name} {mine}, stage 0 has {theirs}"
            )
