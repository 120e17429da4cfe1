"""A detector of things of no class: the first stage of two alone.

Reference: Ren et al. 2015 (arXiv 1506.01497), section 3.
"""

from collections.abc import Sequence
from typing import overload

from torch import Tensor, nn

from geodet.models.detectors.fit import check_first_stage, check_preprocess
from geodet.models.detectors.given import instances_from_proposals
from geodet.models.detectors.targets import targets_from_instances
from geodet.models.features import Backbone, checked_features
from geodet.models.heads import RPN
from geodet.models.preprocess import Preprocess
from geodet.structures import Instances

__all__ = ["ProposalNetwork"]


class ProposalNetwork(nn.Module):
    """Final: boxes that may hold an object, of any class.

    Training draws anchors from torch's global random generator of the model's device.

    Args:
        preprocess: images to the network's input.
        backbone: input to feature maps.
        proposals: feature maps to proposals.
    Attributes:
        kind: of the boxes, upright or rotated.
        counts: how many anchors the last losses were made of, by name; for logging.
    Raises:
        CompositionError: two parts do not fit each other; names both.
    """

    def __init__(self, *, preprocess: Preprocess, backbone: Backbone, proposals: RPN) -> None:
        super().__init__()
        check_preprocess(preprocess, backbone)
        check_first_stage(proposals, backbone)
        self.preprocess = preprocess
        self.backbone = backbone
        self.proposals = proposals
        self.kind = proposals.kind
        self.counts: dict[str, Tensor] = {}

    @overload
    def forward(
        self, images: Sequence[Tensor], targets: Sequence[Instances]
    ) -> dict[str, Tensor]: ...
    @overload
    def forward(self, images: Sequence[Tensor], targets: None = None) -> list[Instances]: ...

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[Instances] | None = None
    ) -> dict[str, Tensor] | list[Instances]:
        """Losses when targets are given, proposals when not; `self.training` decides nothing.

        Args:
            images: [c, h, w] each, RGB, 0..255, uint8 or floating-point.
            targets: per image boxes of the model's kind; labels are not looked at.
        Returns:
            Losses "rpn_objectness" and "rpn_boxes", scalars to be summed; or per image boxes,
            scores and the extra "objectness_logits", of which scores are the sigmoid, in pixels
            of the image as given, by descending score.
        Raises:
            DtypeError, InvalidValueError, ShapeError: an image or target is not as described;
                names its position.
        Empty: images without objects train as negatives; an image may have no proposal.
        """
        batch = self.preprocess(images)
        if targets is None:
            found = self.proposals.propose(checked_features(self.backbone, batch), batch.sizes)
            return instances_from_proposals(found, batch.sizes, self.kind)
        truth = targets_from_instances(
            targets, batch.sizes, kind=self.kind, num_classes=None, device=batch.tensor.device
        )
        output = self.proposals(checked_features(self.backbone, batch))
        losses, self.counts = self.proposals.losses(output, truth.boxes)
        return losses
