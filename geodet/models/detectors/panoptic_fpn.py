"""Panoptic FPN: a detector with masks and a semantic head on one pyramid.

Reference: Kirillov et al. 2019 (arXiv 1901.02446).
"""

from collections.abc import Sequence
from typing import ClassVar, Literal, overload

from torch import Tensor, nn

from geodet.errors import CompositionError, DtypeError
from geodet.models.detectors.panoptic_merging import PanopticMerging
from geodet.models.detectors.rcnn import RCNN
from geodet.models.detectors.semantic_segmentor import semantic_scores
from geodet.models.detectors.semantic_targets import padded_labels
from geodet.models.features import Backbone, checked_features
from geodet.models.heads.semantic import SemanticHead, check_semantic_head
from geodet.models.preprocess import Preprocess
from geodet.structures import ScenePrediction, SceneTarget

__all__ = ["PanopticFPN"]


class PanopticFPN(nn.Module):
    """Objects and background of a scene, from one pass through the backbone.

    Args:
        detector: finds the objects; with a mask head. Preprocessing and backbone are its own.
        semantic_head: classifies the pixels.
        merging: how both become one scene, and what their classes mean in it.
    Attributes:
        counts: those of the detector.
    Raises:
        CompositionError: two parts do not fit each other; names both.
    """

    target_kind: ClassVar[Literal["scene"]] = "scene"

    def __init__(
        self, *, detector: RCNN, semantic_head: SemanticHead, merging: PanopticMerging
    ) -> None:
        super().__init__()
        check_semantic_head(semantic_head, detector.backbone)
        if detector.mask_head is None:
            raise CompositionError("PanopticFPN needs masks, RCNN has no mask_head; give it one")
        for part, given, known in (
            ("RCNN", detector.num_classes, len(merging.labels.things)),
            ("semantic head", semantic_head.num_classes, len(merging.labels.semantic)),
        ):
            if given != known:
                raise CompositionError(
                    f"{part} has num_classes={given}, SceneLabels of PanopticMerging name {known}"
                )
        self.detector = detector
        self.semantic_head = semantic_head
        self.merging = merging
        self.num_classes = detector.num_classes

    @property
    def preprocess(self) -> Preprocess:
        """The detector's: images to the network's input."""
        return self.detector.preprocess

    @property
    def backbone(self) -> Backbone:
        """The detector's: input to feature maps."""
        return self.detector.backbone

    @property
    def counts(self) -> dict[str, Tensor]:
        """How many anchors and regions the last losses were made of, by name."""
        return self.detector.counts

    @overload
    def forward(
        self, images: Sequence[Tensor], targets: Sequence[SceneTarget]
    ) -> dict[str, Tensor]: ...
    @overload
    def forward(self, images: Sequence[Tensor], targets: None = None) -> list[ScenePrediction]: ...

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[SceneTarget] | None = None
    ) -> dict[str, Tensor] | list[ScenePrediction]:
        """Losses when targets are given, scenes when not; `self.training` decides nothing.

        Args:
            images: [c, h, w] each, RGB, 0..255, uint8 or floating-point.
            targets: per image the objects with masks, and the classes of the pixels.
        Returns:
            Losses, scalars to be summed: the detector's, and "semantic"; or what was found in
            each image, in pixels of the image as given. Scale it with `rescale_prediction`
            before reading `panoptic`.
        Raises:
            DtypeError, InvalidValueError, ShapeError: an image or target is not as described;
                names its position.
        Empty: images without objects train as negatives, those without a labelled pixel with a
            semantic loss of 0.
        """
        batch = self.preprocess(images)
        features = checked_features(self.detector.backbone, batch)
        if targets is not None:
            _check_types(targets)
            labels = padded_labels(
                [target.semantic for target in targets],
                batch,
                num_classes=self.semantic_head.num_classes,
            )
            objects = [target.instances for target in targets]
            found = self.detector.learn(batch, features, objects)
            return found | self.semantic_head.losses(features, labels)
        instances = self.detector.detect(batch, features)
        scores = semantic_scores(
            self.semantic_head(features), batch, stride=self.semantic_head.stride
        )
        return [
            ScenePrediction(table, maps, self.merging)
            for table, maps in zip(instances, scores, strict=True)
        ]


def _check_types(targets: Sequence[SceneTarget]) -> None:
    for position, target in enumerate(targets):
        if not isinstance(target, SceneTarget):
            raise DtypeError(
                f"targets[{position}]: expected a SceneTarget, got {type(target).__name__}; load "
                "the data with target_maker('scene', labels=...)"
            )
