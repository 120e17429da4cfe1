"""Box head: class and refined box of every region.

Letters: r regions over all images, c classes without background, d features per region.
Reference: Girshick 2015 (arXiv 1504.08083); Lin et al. 2017 (arXiv 1612.03144).
"""

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional

from geodet import ops
from geodet.errors import CompositionError
from geodet.models.box_coding import BoxCoder
from geodet.models.heads.pooler import RoiPooler
from geodet.models.heads.roi_sampling import RoiSampler, SampledRois
from geodet.models.layers import (
    ConvNorm,
    NormFactory,
    fill_c2_msra,
    fill_c2_xavier,
    fill_normal,
)
from geodet.models.losses import smooth_l1_loss
from geodet.structures import ImageSize

__all__ = ["BoxDetections", "BoxFeatures", "BoxHead", "BoxPredictor"]


class BoxFeatures(nn.Module):
    """3x3 convolutions, then fully connected layers, on a pooled region.

    Args:
        in_channels: channels of the region.
        side: cells of the region along both sides.
        conv_channels: channels of each convolution.
        fc_features: features of each fully connected layer; at least one.
        norm: after the convolutions.
    Raises:
        CompositionError: no fully connected layer.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        side: int,
        conv_channels: Sequence[int] = (),
        fc_features: Sequence[int] = (1024, 1024),
        norm: NormFactory | None = None,
    ) -> None:
        super().__init__()
        if not fc_features:
            raise CompositionError("BoxFeatures: expected at least one entry in fc_features")
        self.in_channels = in_channels
        self.side = side
        self.out_features = fc_features[-1]
        self.convs, self.fcs = nn.ModuleList(), nn.ModuleList()
        for channels in conv_channels:
            conv = ConvNorm(in_channels, channels, 3, norm=norm, activation=functional.relu_)
            fill_c2_msra(conv)
            self.convs.append(conv)
            in_channels = channels
        features = in_channels * side * side
        for out_features in fc_features:
            fc = nn.Linear(features, out_features)
            fill_c2_xavier(fc)
            self.fcs.append(fc)
            features = out_features

    def forward(self, pooled: Tensor) -> Tensor:
        """[r, in_channels, side, side] -> [r, out_features]. Empty: r = 0 gives r = 0."""
        for conv in self.convs:
            pooled = conv(pooled)
        features = pooled.flatten(1)
        for fc in self.fcs:
            features = functional.relu_(fc(features))
        return features


class BoxPredictor(nn.Module):
    """Class logits and box offsets from the features of a region.

    Args:
        in_features: d.
        num_classes: c.
        class_agnostic: one box per region instead of one per class.
    """

    def __init__(self, in_features: int, *, num_classes: int, class_agnostic: bool = False) -> None:
        super().__init__()
        self.in_features = in_features
        self.num_classes = num_classes
        self.class_agnostic = class_agnostic
        self.class_logits = nn.Linear(in_features, num_classes + 1)
        self.deltas = nn.Linear(in_features, 4 * (1 if class_agnostic else num_classes))
        fill_normal(self.class_logits, std=0.01)
        fill_normal(self.deltas, std=0.001)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Predict.

        Args:
            features: [r, d].
        Returns:
            logits [r, c + 1], background last; deltas [r, c * 4] class by class, or [r, 4].
        Empty: r = 0 gives r = 0.
        """
        return self.class_logits(features), self.deltas(features)


@attrs.frozen(eq=False)
class BoxDetections:
    """Final boxes of one image, by descending score.

    Args:
        boxes: [n, 4] xyxy inside the image, with area.
        scores: [n] probabilities.
        labels: [n] int64.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


class BoxHead(nn.Module):
    """Pooling, features, prediction, losses and selection of the second stage.

    Args:
        pooler: regions to tensors.
        features: tensors to features.
        predictor: features to classes and boxes.
        roi_sampler: which regions to train on.
        coder: offsets <-> boxes.
        score_threshold: detections must score above it.
        nms_threshold: IoU above which the worse of two detections of a class goes.
        max_detections: per image, over all classes.
        smooth_l1_beta: of the box loss.
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
        coder: BoxCoder | None = None,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.5,
        max_detections: int = 100,
        smooth_l1_beta: float = 0.0,
    ) -> None:
        super().__init__()
        if features.side != pooler.output_side:
            raise CompositionError(
                f"BoxFeatures expects regions of {features.side} x {features.side}, RoiPooler "
                f"gives {pooler.output_side} x {pooler.output_side}"
            )
        if predictor.in_features != features.out_features:
            raise CompositionError(
                f"BoxPredictor expects {predictor.in_features} features, BoxFeatures gives "
                f"{features.out_features}"
            )
        self.pooler = pooler
        self.features = features
        self.predictor = predictor
        self.roi_sampler = roi_sampler
        self.coder = BoxCoder((10.0, 10.0, 5.0, 5.0)) if coder is None else coder
        self.score_threshold = score_threshold
        self.nms_threshold = nms_threshold
        self.max_detections = max_detections
        self.smooth_l1_beta = smooth_l1_beta

    @property
    def num_classes(self) -> int:
        """Classes without background."""
        return self.predictor.num_classes

    def forward(self, features: Mapping[str, Tensor], rois: Tensor) -> tuple[Tensor, Tensor]:
        """Predict for every region.

        Args:
            features: name -> [b, channels, h, w].
            rois: [r, 5] image index and xyxy.
        Returns:
            As `BoxPredictor`.
        Empty: r = 0 gives r = 0.
        """
        logits, deltas = self.predictor(self.features(self.pooler(features, rois)))
        return logits, deltas

    def losses(
        self, logits: Tensor, deltas: Tensor, sampled: SampledRois
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Class and box losses.

        Args:
            logits: [r, c + 1].
            deltas: [r, c * 4] or [r, 4].
            sampled: the r regions they were predicted for.
        Returns:
            losses: "box_classes" (mean cross-entropy) and "box_deltas" (smooth L1 of the
                foreground, its sum divided by r: each region counts the same, whatever the
                share of foreground).
            counts: "box_foreground" and "box_background" regions, int64 scalars.
        Empty: r = 0 gives losses of 0 with gradients of 0.
        """
        total = max(len(logits), 1)
        foreground = torch.nonzero(sampled.labels < self.num_classes).flatten()
        # The mean written out: of no regions it would be NaN.
        classes = functional.cross_entropy(logits.float(), sampled.labels, reduction="sum") / total
        positives = sampled.select(foreground)
        chosen = deltas.unflatten(1, (-1, 4))[foreground]
        rows = torch.arange(len(foreground), device=deltas.device)
        columns = torch.zeros_like(rows) if self.predictor.class_agnostic else positives.labels
        wanted = self.coder.encode(positives.rois[:, 1:], positives.target_boxes)
        boxes = smooth_l1_loss(chosen[rows, columns], wanted, beta=self.smooth_l1_beta)
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

        Softmax over classes and background; boxes decoded and clipped; scores above the
        threshold kept, thinned by NMS within each class, and the best of the image returned,
        less those that clipping left without area.

        Args:
            logits: [r, c + 1].
            deltas: [r, c * 4] or [r, 4].
            proposals: per image [n, 4] xyxy that the predictions are for; r in all.
            sizes: true size of each image.
        Returns:
            Detections of each image; ties by region, then by class.
        Empty: an image without proposals has no detections.
        """
        scores = logits.float().softmax(dim=-1)[:, :-1]
        boxes = self.coder.decode(torch.cat(list(proposals)), deltas).unflatten(1, (-1, 4))
        counts = [len(rows) for rows in proposals]
        return [
            self._select_in_image(image_scores, image_boxes, size)
            for image_scores, image_boxes, size in zip(
                scores.split(counts), boxes.split(counts), sizes, strict=True
            )
        ]

    def _select_in_image(self, scores: Tensor, boxes: Tensor, size: ImageSize) -> BoxDetections:
        finite = torch.isfinite(boxes).all(-1).all(-1) & torch.isfinite(scores).all(-1)
        limit = boxes.new_tensor([size.width, size.height] * 2)
        boxes = boxes.clamp(min=0).minimum(limit)
        region, label = torch.nonzero(
            (scores > self.score_threshold) & finite[:, None], as_tuple=True
        )
        column = torch.zeros_like(label) if self.predictor.class_agnostic else label
        candidates, candidate_scores = boxes[region, column], scores[region, label]
        kept = ops.batched_nms(candidates, candidate_scores, label, self.nms_threshold)
        kept = kept[: self.max_detections]
        sides = candidates[kept, 2:] - candidates[kept, :2]
        kept = kept[(sides > 0).all(-1)]
        return BoxDetections(
            boxes=candidates[kept], scores=candidate_scores[kept], labels=label[kept]
        )
