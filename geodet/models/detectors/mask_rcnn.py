"""Mask R-CNN.

Reference: He et al. 2017 (arXiv 1703.06870).
"""

from collections.abc import Sequence
from typing import overload

import torch
from torch import Tensor

from geodet.models.detectors.fit import check_mask_head
from geodet.models.detectors.targets import mask_targets
from geodet.models.detectors.two_stage import TwoStage
from geodet.models.features import Backbone
from geodet.models.heads import RPN, BoxHead, MaskHead, rois_from_boxes
from geodet.models.preprocess import Preprocess
from geodet.structures import Boxes, Instances, RoiMasks

__all__ = ["MaskRCNN"]


class MaskRCNN(TwoStage):
    """Detector of boxes with a mask in each.

    Training draws anchors and regions from torch's global random generator of the model's
    device: `torch.manual_seed` makes it repeatable.

    Args:
        preprocess: images to the network's input.
        backbone: input to feature maps.
        proposals: feature maps to regions.
        box_head: regions to boxes and classes.
        mask_head: boxes to masks.
    Raises:
        CompositionError: two parts do not fit each other; names both.
    """

    def __init__(
        self,
        *,
        preprocess: Preprocess,
        backbone: Backbone,
        proposals: RPN,
        box_head: BoxHead,
        mask_head: MaskHead,
    ) -> None:
        super().__init__(
            preprocess=preprocess, backbone=backbone, proposals=proposals, box_head=box_head
        )
        check_mask_head(mask_head, box_head, backbone)
        self.mask_head = mask_head

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

        Args:
            images: [c, h, w] each, RGB, 0..255, uint8 or floating-point.
            targets: per image boxes, labels and masks.
        Returns:
            Losses "rpn_objectness", "rpn_boxes", "box_classes", "box_deltas", "masks", scalars
            to be summed; or per image boxes, labels, scores and masks (RoiMasks), in pixels of
            the image as given, by descending score.
        Raises:
            DtypeError, InvalidValueError, ShapeError: an image or target is not as described;
                names its position.
        Empty: images without objects train as negatives; an image may have no detection.
        """
        return self._detect(images) if targets is None else self._losses(images, targets)

    def _losses(self, images: Sequence[Tensor], targets: Sequence[Instances]) -> dict[str, Tensor]:
        state = self.train_boxes(images, targets, masks=True)
        rows = torch.nonzero(state.sampled.labels < self.num_classes).flatten()
        foreground = state.sampled.select(rows)
        wanted = mask_targets(
            state.targets.masks,
            foreground.target_indices,
            foreground.rois,
            self.mask_head.side,
        )
        logits = self.mask_head(state.features, foreground.rois)
        return state.losses | self.mask_head.losses(logits, foreground.labels, wanted)

    def _detect(self, images: Sequence[Tensor]) -> list[Instances]:
        batch = self.preprocess(images)
        features, detections = self.detect_boxes(batch)
        logits = self.mask_head(features, rois_from_boxes([found.boxes for found in detections]))
        labels = torch.cat([found.labels for found in detections])
        masks = self.mask_head.select(logits, labels).split(
            [len(found.labels) for found in detections]
        )
        results = []
        for size, found, probabilities in zip(batch.sizes, detections, masks, strict=True):
            boxes = Boxes(found.boxes)
            results.append(
                Instances(
                    size,
                    boxes=boxes,
                    labels=found.labels,
                    scores=found.scores,
                    masks=RoiMasks(probabilities, boxes=boxes, image_size=size),
                )
            )
        return results
