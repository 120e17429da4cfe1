"""What detectors share that propose regions first and classify them then."""

from collections.abc import Sequence

import attrs
from torch import Tensor, nn

from geodet.models.detectors.fit import check_box_head, check_preprocess, check_rpn
from geodet.models.detectors.targets import Targets, targets_from_instances
from geodet.models.features import Backbone
from geodet.models.heads import RPN, BoxDetections, BoxHead, SampledRois, rois_from_boxes
from geodet.models.preprocess import Preprocess
from geodet.structures import ImageList, Instances

__all__ = ["TrainingState", "TwoStage"]


@attrs.frozen(eq=False)
class TrainingState:
    """What the training pass of the boxes leaves for further heads.

    Args:
        features: name -> [b, channels, h, w].
        targets: ground truth of the batch.
        sampled: regions that the box head trained on.
        losses: named losses so far.
    """

    features: dict[str, Tensor]
    targets: Targets
    sampled: SampledRois
    losses: dict[str, Tensor]


class TwoStage(nn.Module):
    """Abstract: preprocessing, backbone, proposals and box head, with their checks.

    Attributes:
        num_classes: classes without background.
        counts: how many anchors and regions the last losses were made of, by name; for logging.
            A long run of steps without "rpn_positive" means that anchors do not suit the data.
    """

    def __init__(
        self, *, preprocess: Preprocess, backbone: Backbone, proposals: RPN, box_head: BoxHead
    ) -> None:
        super().__init__()
        check_preprocess(preprocess, backbone)
        check_rpn(proposals, backbone)
        check_box_head(box_head, backbone)
        self.preprocess = preprocess
        self.backbone = backbone
        self.proposals = proposals
        self.box_head = box_head
        self.num_classes = box_head.num_classes
        self.counts: dict[str, Tensor] = {}

    def train_boxes(
        self, images: Sequence[Tensor], targets: Sequence[Instances], *, masks: bool
    ) -> TrainingState:
        """Losses of proposals and box head; `masks` asks for masks in the targets."""
        batch = self.preprocess(images)
        truth = targets_from_instances(
            targets,
            batch.sizes,
            num_classes=self.num_classes,
            masks=masks,
            device=batch.tensor.device,
        )
        features = self.backbone(batch.tensor)
        output = self.proposals(features)
        losses, counts = self.proposals.losses(output, truth.boxes)
        found = self.proposals.select(output, batch.sizes, self.proposals.train_budget)
        sampled = self.box_head.roi_sampler(
            [proposals.boxes for proposals in found],
            truth.boxes,
            truth.labels,
            num_classes=self.num_classes,
        )
        logits, deltas = self.box_head(features, sampled.rois)
        box_losses, box_counts = self.box_head.losses(logits, deltas, sampled)
        self.counts = counts | box_counts
        return TrainingState(
            features=features, targets=truth, sampled=sampled, losses=losses | box_losses
        )

    def detect_boxes(self, batch: ImageList) -> tuple[dict[str, Tensor], list[BoxDetections]]:
        """Feature maps and final boxes of a preprocessed batch."""
        features = self.backbone(batch.tensor)
        output = self.proposals(features)
        found = self.proposals.select(output, batch.sizes, self.proposals.test_budget)
        boxes = [proposals.boxes for proposals in found]
        logits, deltas = self.box_head(features, rois_from_boxes(boxes))
        return features, self.box_head.select(logits, deltas, boxes, batch.sizes)
