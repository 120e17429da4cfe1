"""IoU and accuracy of classes of pixels, straight from `SemanticMap`."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from geodet.errors import EvaluationError
from geodet.evaluation.coco_reader import ImageId
from geodet.evaluation.image_ids import check_new_image
from geodet.evaluation.semantic_report import SemanticReport
from geodet.structures import SemanticMap, SemanticScores

__all__ = ["SemanticEvaluator"]


class SemanticEvaluator:
    """Collects maps image by image and counts which class was taken for which.

    Pixels without a true class do not count at all; pixels that a prediction gives no class are
    wrong. All numbers come from whole counts over all images, so sharing images among processes
    changes nothing.

    Args:
        num_classes: classes are 0 to num_classes - 1.
        class_names: for the tables; numbers when None.
    Raises:
        EvaluationError: an argument makes no sense.
    """

    def __init__(self, *, num_classes: int, class_names: Sequence[str] | None = None) -> None:
        if num_classes < 1:
            raise EvaluationError(f"num_classes: expected at least 1, got {num_classes}")
        names = tuple(class_names or (str(label) for label in range(num_classes)))
        if len(names) != num_classes:
            raise EvaluationError(
                f"class_names: expected {num_classes} names (num_classes), got {len(names)}"
            )
        self.num_classes = num_classes
        self.class_names = names
        self._confusion = torch.zeros((num_classes, num_classes + 1), dtype=torch.int64)
        self._seen: set[ImageId] = set()

    def __len__(self) -> int:
        """Images seen so far."""
        return len(self._seen)

    def update(
        self,
        image_id: ImageId,
        prediction: SemanticMap | SemanticScores,
        target: SemanticMap,
    ) -> None:
        """Add one image; the order of images does not matter.

        Args:
            image_id: unique; all of one kind, numbers or strings.
            prediction: the map found, or scores, which are resized to the target's image.
            target: the true map.
        Raises:
            EvaluationError: an id comes twice, the sizes differ, or a class is out of range.
        Empty: a target without labelled pixels changes no count.
        """
        check_new_image(image_id, self._seen)
        if isinstance(prediction, SemanticScores):
            prediction = prediction.resize(target.image_size).to_semantic_map()
        if prediction.image_size != target.image_size:
            raise EvaluationError(
                f"image {image_id!r}: expected a prediction of {target.image_size} as the truth "
                f"has, got {prediction.image_size}; predict at the size of the truth"
            )
        found = self._checked(image_id, "prediction", prediction)
        true = self._checked(image_id, "target", target)
        counted = true >= 0
        width = self.num_classes + 1
        # -1, no class, becomes the last column.
        cells = true[counted] * width + found.to(true.device)[counted].remainder(width)
        counts = torch.bincount(cells, minlength=self.num_classes * width)
        self._confusion += counts.reshape(self.num_classes, width).cpu()
        self._seen.add(image_id)

    def merge(self, other: Self) -> None:
        """Take over the images of another evaluator, such as another rank's.

        Raises:
            EvaluationError: the two are set up differently, or share an image.
        """
        for name in ("num_classes", "class_names"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise EvaluationError(f"merge: {name} is {mine} here and {theirs} there")
        for image_id in other._seen:
            check_new_image(image_id, self._seen)
        self._seen |= other._seen
        self._confusion += other._confusion

    def result(self) -> SemanticReport:
        """Compute the report over all images so far; more images may follow.

        Empty: without images every number is -1.
        """
        return SemanticReport(
            num_images=len(self._seen),
            class_names=self.class_names,
            confusion=np.array(self._confusion.numpy()),
        )

    def _checked(self, image_id: ImageId, name: str, semantic: SemanticMap) -> Tensor:
        try:
            semantic.validated(num_classes=self.num_classes)
        except ValueError as error:
            raise EvaluationError(f"image {image_id!r}: {name}: {error}") from error
        return semantic.labels
