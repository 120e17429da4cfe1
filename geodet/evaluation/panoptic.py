"""Panoptic quality of scenes, straight from `PanopticSegmentation`."""

from collections.abc import Collection, Sequence
from typing import Self

import numpy as np

from geodet.errors import EvaluationError
from geodet.evaluation.coco_reader import ImageId
from geodet.evaluation.image_ids import check_new_image
from geodet.evaluation.panoptic_matching import PanopticRecord, record_scene
from geodet.evaluation.panoptic_report import PanopticReport
from geodet.structures import PanopticSegmentation

__all__ = ["PanopticEvaluator"]


class PanopticEvaluator:
    """Collects scenes image by image and computes their panoptic quality.

    The numbers are panopticapi's: pixels without true segment and crowds are handled as
    `record_scene` says, and areas are counted in the maps.

    Args:
        num_classes: scene classes are 0 to num_classes - 1.
        things: those of countable objects; the others are stuff.
        class_names: for the tables; numbers when None.
    Raises:
        EvaluationError: an argument makes no sense.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        things: Collection[int],
        class_names: Sequence[str] | None = None,
    ) -> None:
        if num_classes < 1:
            raise EvaluationError(f"num_classes: expected at least 1, got {num_classes}")
        names = tuple(class_names or (str(label) for label in range(num_classes)))
        if len(names) != num_classes:
            raise EvaluationError(
                f"class_names: expected {num_classes} names (num_classes), got {len(names)}"
            )
        if any(not 0 <= label < num_classes for label in things):
            raise EvaluationError(
                f"things: expected classes in [0, {num_classes}), got {sorted(things)}"
            )
        self.num_classes = num_classes
        self.things = frozenset(things)
        self.class_names = names
        self._records: dict[ImageId, PanopticRecord] = {}

    def __len__(self) -> int:
        """Images seen so far."""
        return len(self._records)

    def update(
        self, image_id: ImageId, prediction: PanopticSegmentation, target: PanopticSegmentation
    ) -> None:
        """Add one image; the order of images does not matter.

        Args:
            image_id: unique; all of one kind, numbers or strings.
            prediction: the scene found, in pixels of the target's image.
            target: the true scene.
        Raises:
            EvaluationError: an id comes twice, the sizes differ, or a scene is not sound: a
                class is out of range, an id is used twice, or a pixel has an unknown id.
        Empty: scenes without segments count as such.
        """
        check_new_image(image_id, self._records)
        if prediction.image_size != target.image_size:
            raise EvaluationError(
                f"image {image_id!r}: expected a prediction of {target.image_size} as the truth "
                f"has, got {prediction.image_size}; predict at the size of the truth"
            )
        for name, scene in (("prediction", prediction), ("target", target)):
            try:
                scene.validated(num_classes=self.num_classes)
            except ValueError as error:
                raise EvaluationError(f"image {image_id!r}: {name}: {error}") from error
        self._records[image_id] = record_scene(prediction, target)

    def merge(self, other: Self) -> None:
        """Take over the images of another evaluator, such as another rank's.

        Raises:
            EvaluationError: the two are set up differently, or share an image.
        """
        for name in ("num_classes", "things", "class_names"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise EvaluationError(f"merge: {name} is {mine} here and {theirs} there")
        for image_id in other._records:
            check_new_image(image_id, self._records)
        self._records.update(other._records)

    def result(self) -> PanopticReport:
        """Compute the report over all images so far; more images may follow.

        Empty: without images every quality is -1.
        """
        # In the order of their ids, so that sums round alike however images were shared out.
        records = [self._records[image_id] for image_id in sorted(self._records)]
        ious = np.zeros(self.num_classes, dtype=np.float64)
        counts = np.zeros((3, self.num_classes), dtype=np.int64)
        for record in records:
            np.add.at(ious, record.matched_labels, record.ious)
            found = (record.matched_labels, record.false_labels, record.missed_labels)
            counts += [np.bincount(labels, minlength=self.num_classes) for labels in found]
        return PanopticReport(
            num_images=len(records),
            class_names=self.class_names,
            is_thing=np.isin(np.arange(self.num_classes), list(self.things)),
            ious=ious,
            true_positives=counts[0],
            false_positives=counts[1],
            false_negatives=counts[2],
        )
