"""Faster R-CNN.

Reference: Ren et al. 2015 (arXiv 1506.01497); with FPN Lin et al. 2017 (arXiv 1612.03144).
"""

from collections.abc import Sequence
from typing import overload

from torch import Tensor

from geodet.models.detectors.two_stage import TwoStage
from geodet.models.features import Backbone
from geodet.models.heads import RPN, BoxHead
from geodet.models.preprocess import Preprocess
from geodet.structures import Boxes, Instances

__all__ = ["FasterRCNN"]


class FasterRCNN(TwoStage):
    """Detector of boxes in two stages.

    Training draws anchors and regions from torch's global random generator of the model's
    device: `torch.manual_seed` makes it repeatable.

    Args:
        preprocess: images to the network's input.
        backbone: input to feature maps.
        proposals: feature maps to regions.
        box_head: regions to boxes and classes.
    Raises:
        CompositionError: two parts do not fit each other; names both.
    """

    def __init__(
        self, *, preprocess: Preprocess, backbone: Backbone, proposals: RPN, box_head: BoxHead
    ) -> None:
        super().__init__(
            preprocess=preprocess, backbone=backbone, proposals=proposals, box_head=box_head
        )

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
            targets: per image boxes and labels.
        Returns:
            Losses "rpn_objectness", "rpn_boxes", "box_classes", "box_deltas", scalars to be
            summed; or per image boxes, labels and scores, in pixels of the image as given, by
            descending score.
        Raises:
            DtypeError, InvalidValueError, ShapeError: an image or target is not as described;
                names its position.
        Empty: images without objects train as negatives; an image may have no detection.
        """
        if targets is not None:
            return self.train_boxes(images, targets, masks=False).losses
        batch = self.preprocess(images)
        _, detections = self.detect_boxes(batch)
        return [
            Instances(size, boxes=Boxes(found.boxes), labels=found.labels, scores=found.scores)
            for size, found in zip(batch.sizes, detections, strict=True)
        ]
