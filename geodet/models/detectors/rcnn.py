"""Detectors in two stages: Fast, Faster, Mask, Keypoint and Cascade R-CNN, one class.

Reference: Ren et al. 2015 (arXiv 1506.01497); with FPN Lin et al. 2017 (arXiv 1612.03144); with
masks He et al. 2017 (arXiv 1703.06870).
"""

from collections.abc import Sequence
from typing import Any, overload

import attrs
from torch import Tensor, nn

from geodet.models.detectors.fit import (
    check_first_stage,
    check_preprocess,
    check_region_head,
    check_second_stage,
)
from geodet.models.detectors.given import proposals_from_instances
from geodet.models.detectors.region_columns import (
    region_losses,
    region_outputs,
    regions_of,
    with_region_columns,
)
from geodet.models.detectors.targets import targets_from_instances
from geodet.models.features import Backbone, checked_features
from geodet.models.heads import FirstStage, Proposals, RegionHead, SecondStage
from geodet.models.preprocess import Preprocess
from geodet.structures import ImageList, Instances, Keypoints, Masks

__all__ = ["RCNN"]


class RCNN(nn.Module):
    """Final: proposes regions, classifies them, and looks closer at what it found.

    Training draws anchors and regions from torch's global random generator of the model's
    device: `torch.manual_seed` makes it repeatable.

    Args:
        preprocess: images to the network's input.
        backbone: input to feature maps.
        proposals: feature maps to regions.
        box_head: regions to boxes and classes.
        mask_head: boxes to masks.
        keypoint_head: boxes to keypoints.
    Attributes:
        num_classes: classes without background.
        kind: of the boxes, upright or rotated.
        counts: how many anchors and regions the last losses were made of, by name; for logging.
            A long run of steps without "rpn_positive" means that anchors do not suit the data.
    Raises:
        CompositionError: two parts do not fit each other; names both.
    """

    def __init__(
        self,
        *,
        preprocess: Preprocess,
        backbone: Backbone,
        proposals: FirstStage,
        box_head: SecondStage,
        mask_head: RegionHead[Masks] | None = None,
        keypoint_head: RegionHead[Keypoints] | None = None,
    ) -> None:
        super().__init__()
        check_preprocess(preprocess, backbone)
        check_first_stage(proposals, backbone)
        check_second_stage(box_head, proposals, backbone)
        for head in (mask_head, keypoint_head):
            if head is not None:
                check_region_head(head, box_head, backbone)
        self.preprocess = preprocess
        self.backbone = backbone
        self.proposals = proposals
        self.box_head = box_head
        self.mask_head = mask_head
        self.keypoint_head = keypoint_head
        self.num_classes = box_head.num_classes
        self.kind = box_head.kind
        self.counts: dict[str, Tensor] = {}

    @overload
    def forward(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Instances],
        *,
        proposals: Sequence[Instances] | None = None,
    ) -> dict[str, Tensor]: ...
    @overload
    def forward(
        self,
        images: Sequence[Tensor],
        targets: None = None,
        *,
        proposals: Sequence[Instances] | None = None,
    ) -> list[Instances]: ...

    def forward(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Instances] | None = None,
        *,
        proposals: Sequence[Instances] | None = None,
    ) -> dict[str, Tensor] | list[Instances]:
        """Losses when targets are given, detections when not; `self.training` decides nothing.

        Args:
            images: [c, h, w] each, RGB, 0..255, uint8 or floating-point.
            targets: per image boxes of the model's kind and labels; masks and keypoints for
                the heads that learn them.
            proposals: per image boxes to start from, for a model built with `GivenProposals`
                and for no other; see `proposals_from_instances`.
        Returns:
            Losses, scalars to be summed: those of the proposals ("rpn_objectness", "rpn_boxes"),
            of the box head ("box_classes", "box_deltas") and of each further head ("masks",
            "keypoints"). Or per image boxes, labels, scores and a column of each further head,
            in pixels of the image as given, by descending score.
        Raises:
            DtypeError, InvalidValueError, ShapeError: an image or target is not as described;
                names its position.
        Empty: images without objects train as negatives; an image may have no detection.
        """
        batch = self.preprocess(images)
        given = None
        if proposals is not None:
            given = proposals_from_instances(
                proposals, batch.sizes, kind=self.kind, device=batch.tensor.device
            )
        features = checked_features(self.backbone, batch)
        if targets is None:
            return self.detect(batch, features, given=given)
        return self.learn(batch, features, targets, given=given)

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
        """What the further heads say of boxes that are known, before it becomes a column.

        Args and Raises: as `predict_in_boxes`, which is this and then `with_region_columns`.
        Returns:
            Per image, column -> [n, ...] as the head's `predict` has it: what can be averaged
            over several views of an image.
        """
        batch = self.preprocess(images)
        return self._region_outputs(checked_features(self.backbone, batch), instances)

    def learn(
        self,
        batch: ImageList,
        features: dict[str, Tensor],
        targets: Sequence[Instances],
        *,
        given: Sequence[Proposals] | None = None,
    ) -> dict[str, Tensor]:
        """Losses of a preprocessed batch, given its feature maps; otherwise as `forward`."""
        truth = targets_from_instances(
            targets,
            batch.sizes,
            kind=self.kind,
            num_classes=self.num_classes,
            masks=self.mask_head is not None,
            keypoints=self.keypoint_head is not None,
            device=batch.tensor.device,
        )
        first = self.proposals.learn(features, batch.sizes, truth.boxes, given=given)
        second = self.box_head.learn(
            features,
            [found.boxes for found in first.proposals],
            truth.boxes,
            truth.labels,
            sizes=batch.sizes,
        )
        self.counts = first.counts | second.counts
        losses = first.losses | second.losses
        if self.mask_head is not None:
            losses |= region_losses(
                self.mask_head,
                features,
                second.sampled,
                truth.masks,
                num_classes=self.num_classes,
                maps=second.maps,
            )
        if self.keypoint_head is not None:
            losses |= region_losses(
                self.keypoint_head,
                features,
                second.sampled,
                truth.keypoints,
                num_classes=self.num_classes,
                maps=second.maps,
            )
        return losses

    def detect(
        self,
        batch: ImageList,
        features: dict[str, Tensor],
        *,
        given: Sequence[Proposals] | None = None,
    ) -> list[Instances]:
        """Detections in a preprocessed batch, given its feature maps; otherwise as `forward`."""
        found = self.proposals.propose(features, batch.sizes, given=given)
        detections = self.box_head.detect(
            features, [proposals.boxes for proposals in found], batch.sizes
        )
        instances = [
            Instances(
                size,
                boxes=self.kind.wrap(rows.boxes),
                labels=rows.labels,
                scores=rows.scores,
            )
            for size, rows in zip(batch.sizes, detections, strict=True)
        ]
        outputs = self._region_outputs(features, instances)
        return [
            with_region_columns(table, self.region_heads, each)
            for table, each in zip(instances, outputs, strict=True)
        ]

    def _region_outputs(
        self, features: dict[str, Tensor], instances: Sequence[Instances]
    ) -> list[dict[str, Tensor]]:
        heads = self.region_heads
        if not heads:
            return [{} for _ in instances]
        regions = regions_of(instances, features, self.kind)
        if any(head.pooler is None for head in heads.values()):
            regions = attrs.evolve(regions, maps=self.box_head.maps(features, regions.rois))
        return region_outputs(heads, regions, instances)
