"""A class for every pixel, by any backbone and semantic head."""

from collections.abc import Sequence
from typing import ClassVar, Literal, overload

from torch import Tensor, nn

from geodet.models.detectors.fit import check_preprocess
from geodet.models.detectors.semantic_targets import padded_labels
from geodet.models.features import Backbone
from geodet.models.heads.semantic import SemanticHead, check_semantic_head
from geodet.models.preprocess import Preprocess
from geodet.structures import ImageList, SemanticMap, SemanticScores

__all__ = ["SemanticSegmentor", "semantic_scores"]


class SemanticSegmentor(nn.Module):
    """Backbone and semantic head: semantic FPN, DeepLab and the like.

    Args:
        preprocess: images to the network's input.
        backbone: input to feature maps.
        head: feature maps to scores of classes.
    Raises:
        CompositionError: two parts do not fit each other; names both.
    """

    target_kind: ClassVar[Literal["semantic"]] = "semantic"

    def __init__(self, *, preprocess: Preprocess, backbone: Backbone, head: SemanticHead) -> None:
        super().__init__()
        check_preprocess(preprocess, backbone)
        check_semantic_head(head, backbone)
        self.preprocess = preprocess
        self.backbone = backbone
        self.head = head
        self.num_classes = head.num_classes

    @overload
    def forward(
        self, images: Sequence[Tensor], targets: Sequence[SemanticMap]
    ) -> dict[str, Tensor]: ...
    @overload
    def forward(self, images: Sequence[Tensor], targets: None = None) -> list[SemanticScores]: ...

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[SemanticMap] | None = None
    ) -> dict[str, Tensor] | list[SemanticScores]:
        """Losses when targets are given, scores when not; `self.training` decides nothing.

        Args:
            images: [c, h, w] each, RGB, 0..255, uint8 or floating-point.
            targets: the classes of the pixels of each image.
        Returns:
            Losses, scalars to be summed ("semantic", and those of the head's own); or the scores
            of each image, for its own size: `resize` and `to_semantic_map` make the map.
        Raises:
            DtypeError, InvalidValueError, ShapeError: an image or target is not as described;
                names its position.
        Empty: images without a labelled pixel train with a loss of 0.
        """
        batch = self.preprocess(images)
        features = self.backbone(batch.tensor)
        if targets is not None:
            return self.head.losses(
                features, padded_labels(targets, batch, num_classes=self.num_classes)
            )
        return semantic_scores(self.head(features), batch, stride=self.head.stride)


def semantic_scores(logits: Tensor, batch: ImageList, *, stride: int) -> list[SemanticScores]:
    """Split logits [b, c, h, w] of a batch into the scores of its images."""
    return [
        SemanticScores(one, stride=stride, input_size=size, image_size=size)
        for one, size in zip(logits, batch.sizes, strict=True)
    ]
