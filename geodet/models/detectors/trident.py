"""TridentNet: two-stage detection trained on several branches of one backbone.

Reference: Li et al. 2019 (arXiv 1901.01892).
"""

from collections.abc import Sequence
from typing import Any, overload

import attrs
from torch import Tensor, nn

from geodet.errors import CompositionError, DtypeError
from geodet.models.backbones import TridentResNet
from geodet.models.box_kinds import AnyBoxKind
from geodet.models.detectors.rcnn import RCNN
from geodet.models.features import Backbone, check_feature_maps
from geodet.models.heads import RegionHead
from geodet.models.preprocess import Preprocess
from geodet.structures import ImageList, Instances

__all__ = ["BranchMerger", "TridentNet"]


@attrs.frozen
class BranchMerger:
    """Joins what the branches found in an image, thinned by class.

    Args:
        nms_threshold: IoU above which the worse of two detections of a class goes.
        max_detections: per image, over all classes.
    """

    nms_threshold: float = 0.5
    max_detections: int = 100

    def __call__(self, found: Sequence[Instances], kind: AnyBoxKind) -> Instances:
        """Join the detections of one image.

        Args:
            found: one table per branch, with boxes, labels and scores.
            kind: of the boxes.
        Returns:
            One table, by descending score; further columns stay with their rows.
        Raises:
            DtypeError: a column is missing, or boxes are of another kind.
        Empty: no detections give none.
        """
        every = Instances.cat(list(found))
        boxes = kind.unwrap(every.boxes, name="found.boxes")
        if every.scores is None or every.labels is None:
            raise DtypeError("found: expected scores and labels beside the boxes, got none")
        kept = kind.batched_nms(boxes, every.scores, every.labels, self.nms_threshold)
        return every[kept[: self.max_detections]]


class TridentNet(nn.Module):
    """Final: trains a two-stage detector on all branches of its backbone.

    A batch counts once per branch, with the same targets: every branch learns objects of all
    sizes. Predictions come from the backbone's test branch alone, which costs what the plain
    backbone costs; or from all branches, joined.

    Args:
        detector: with a `TridentResNet`; what it learns in training is `detector` as a whole.
        merger: predict from all branches and join them so; None predicts from the test branch.
    Raises:
        CompositionError: the detector has another backbone.
    """

    def __init__(self, detector: RCNN, *, merger: BranchMerger | None = None) -> None:
        super().__init__()
        _in_branches(detector.backbone)
        self.detector = detector
        self.merger = merger

    @property
    def preprocess(self) -> Preprocess:
        """That of the detector."""
        return self.detector.preprocess

    @property
    def backbone(self) -> Backbone:
        """That of the detector."""
        return self.detector.backbone

    @property
    def num_classes(self) -> int:
        """Classes without background."""
        return self.detector.num_classes

    @property
    def kind(self) -> AnyBoxKind:
        """Of the boxes."""
        return self.detector.kind

    @property
    def counts(self) -> dict[str, Tensor]:
        """Those of the detector, over all branches."""
        return self.detector.counts

    @property
    def region_heads(self) -> dict[str, RegionHead[Any]]:
        """Further heads, by the column of `Instances` that they fill."""
        return self.detector.region_heads

    @overload
    def forward(
        self, images: Sequence[Tensor], targets: Sequence[Instances]
    ) -> dict[str, Tensor]: ...
    @overload
    def forward(self, images: Sequence[Tensor], targets: None = None) -> list[Instances]: ...

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[Instances] | None = None
    ) -> dict[str, Tensor] | list[Instances]:
        """Losses over all branches when targets are given, detections when not; as `RCNN`.

        Args:
            images: as in `RCNN`.
            targets: as in `RCNN`.
        Returns:
            As `RCNN`; losses are means over the branches.
        """
        if targets is not None:
            batch, features, num_branches = self._branches(images)
            return self.detector.learn(batch, features, list(targets) * num_branches)
        if self.merger is None:
            found: list[Instances] = self.detector(images)
            return found
        batch, features, _ = self._branches(images)
        found, count = self.detector.detect(batch, features), len(images)
        return [self.merger(found[i::count], self.kind) for i in range(count)]

    def predict_in_boxes(
        self, images: Sequence[Tensor], instances: Sequence[Instances]
    ) -> list[Instances]:
        """Columns of the further heads in known boxes, on the test branch; as `RCNN`."""
        return self.detector.predict_in_boxes(images, instances)

    def region_outputs(
        self, images: Sequence[Tensor], instances: Sequence[Instances]
    ) -> list[dict[str, Tensor]]:
        """What the further heads say of known boxes, on the test branch; as `RCNN`."""
        return self.detector.region_outputs(images, instances)

    def _branches(self, images: Sequence[Tensor]) -> tuple[ImageList, dict[str, Tensor], int]:
        """The batch once per branch, the maps of all branches, and how many there are."""
        batch = self.preprocess(images)
        backbone = _in_branches(self.detector.backbone)
        features = backbone.branches(batch.tensor)
        check_feature_maps(features, backbone.feature_specs, batch.tensor.shape[-2:])
        repeated = ImageList.cat([batch] * backbone.num_branches)
        return repeated, features, backbone.num_branches


def _in_branches(backbone: Backbone) -> TridentResNet:
    if not isinstance(backbone, TridentResNet):
        raise CompositionError(
            f"TridentNet needs a detector with a TridentResNet, got one with "
            f"{type(backbone).__name__}; make it with trident_resnet"
        )
    return backbone
