"""Final detections from the scores and boxes of every anchor."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from geodet.errors import CompositionError
from geodet.models.box_coding import Coder
from geodet.models.box_kinds import AnyBoxKind
from geodet.models.heads.stages import BoxDetections
from geodet.structures import ImageSize

__all__ = ["DenseSelector"]


@attrs.frozen
class DenseSelector:
    """Keeps the best pairs of anchor and class of each level, and thins them by class.

    Args:
        score_threshold: detections must score above it.
        candidates_per_level: pairs of each level and image that are decoded.
        nms_threshold: IoU above which the worse of two detections of a class goes.
        max_detections: per image, over all classes.
        clip_first: clip boxes to the image before they are compared (torchvision), not after.
    Raises:
        CompositionError: a number is out of range.
    """

    score_threshold: float = 0.05
    candidates_per_level: int = 1000
    nms_threshold: float = 0.5
    max_detections: int = 100
    clip_first: bool = False

    def __attrs_post_init__(self) -> None:
        if self.candidates_per_level < 1 or self.max_detections < 1:
            raise CompositionError(
                f"DenseSelector: expected candidates_per_level and max_detections of at least 1, "
                f"got {self.candidates_per_level} and {self.max_detections}"
            )

    @torch.no_grad()
    def __call__(
        self,
        anchors: Sequence[Tensor],
        scores: Sequence[Tensor],
        deltas: Sequence[Tensor],
        sizes: Sequence[ImageSize],
        *,
        coder: Coder,
    ) -> list[BoxDetections]:
        """Detections of each image.

        Without `clip_first` the overlap of two boxes counts what lies outside the image too.
        Boxes that clipping leaves without area are dropped last.

        Args:
            anchors: per level [a_l, d].
            scores: per level [b, a_l, c] probabilities.
            deltas: per level [b, a_l, d].
            sizes: b true image sizes.
            coder: deltas -> boxes.
        Returns:
            b detections, by descending score; ties by level, then anchor, then class.
        Empty: an image may have no detection.
        """
        found = []
        for i, size in enumerate(sizes):
            levels = [
                self._best_of_level(level_anchors, level_scores[i], level_deltas[i], coder)
                for level_anchors, level_scores, level_deltas in zip(
                    anchors, scores, deltas, strict=True
                )
            ]
            boxes, best, labels = (torch.cat(part) for part in zip(*levels, strict=True))
            found.append(self._thin(boxes, best, labels, size=size, kind=coder.kind))
        return found

    def _best_of_level(
        self, anchors: Tensor, scores: Tensor, deltas: Tensor, coder: Coder
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes [n, d], scores [n] and labels [n] of one image and level, best first."""
        anchor, label = torch.nonzero(scores > self.score_threshold, as_tuple=True)
        best = scores[anchor, label].float()
        if len(best) > self.candidates_per_level:
            # Only those that can be among the best are sorted; a stable sort, so that ties break
            # by index on every device.
            bound = best.topk(self.candidates_per_level).values[-1]
            rows = torch.nonzero(best >= bound).flatten()
            anchor, label, best = anchor[rows], label[rows], best[rows]
        order = best.argsort(descending=True, stable=True)[: self.candidates_per_level]
        anchor, label, best = anchor[order], label[order], best[order]
        boxes = coder.decode(anchors[anchor], deltas[anchor])
        finite = torch.isfinite(boxes).all(-1)
        return boxes[finite], best[finite], label[finite]

    def _thin(
        self, boxes: Tensor, scores: Tensor, labels: Tensor, *, size: ImageSize, kind: AnyBoxKind
    ) -> BoxDetections:
        limit = boxes.new_tensor([size.width, size.height])
        compared = kind.clip(boxes, limit) if self.clip_first else boxes
        kept = kind.batched_nms(compared, scores, labels, self.nms_threshold)
        kept = kept[: self.max_detections]
        cut = kind.clip(boxes[kept], limit)
        solid = (kind.sides(cut) > 0).all(-1)
        return BoxDetections(
            boxes=cut[solid], scores=scores[kept][solid], labels=labels[kept][solid]
        )
