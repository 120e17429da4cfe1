"""COCO's average precision for boxes, rotated boxes, masks and keypoints, from `Instances`."""

from collections.abc import Iterable, Sequence
from typing import Self, TypeVar

import attrs
import numpy as np
from numpy.typing import NDArray

from geodet.errors import EvaluationError
from geodet.evaluation.coco_curves import accumulate
from geodet.evaluation.coco_matching import CandidatePairs, Matches, box_candidates, match_greedily
from geodet.evaluation.coco_protocol import PROTOCOLS, CocoProtocol
from geodet.evaluation.coco_reader import ImageId
from geodet.evaluation.coco_records import ImageRecord, record_image
from geodet.evaluation.coco_report import CocoReport, CocoResult
from geodet.evaluation.image_ids import check_new_image
from geodet.structures import Instances

__all__ = ["CocoEvaluator"]

_IOU_TYPES = tuple(kind for kind, _ in PROTOCOLS)
_NUM_LIMITS = 3

# linspace, not arange: arange's points lie above 0.6, 0.7 by a rounding error.
_IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALL_THRESHOLDS = np.linspace(0.0, 1.0, 101)

_Scalar = TypeVar("_Scalar", bound=np.generic)


class CocoEvaluator:
    """Collects predictions and targets image by image and computes COCO's AP.

    The numbers equal pycocotools' to the last digit: ties in score stay in row order, images
    count in the order of their ids, a crowd may meet many predictions and is never counted
    against them, and objects are sorted into area ranges by `extras["area"]` of the targets
    when it is there (COCO annotations have it), else by the area of the mask or box. Detections
    have the area of their own region. Only what AP needs is kept of an image, so masks of many
    images are never in memory together.

    "rotated_boxes" reads the same column as "boxes" and compares by the exact IoU of rotated
    boxes. "keypoints" compares by object keypoint similarity with the sigmas of the skeleton;
    objects without a labelled point are not counted, there is no range of small objects, and 20
    predictions of a class count in an image.

    Args:
        num_classes: labels are 0 to num_classes - 1.
        class_names: for the tables; numbers when None.
        iou_types: of "boxes", "rotated_boxes", "masks", "keypoints".
        max_detections: three ascending limits on predictions per image and class; AP and AR by
            size use the largest.
        max_keypoint_detections: the one limit for keypoints.
    Raises:
        EvaluationError: an argument makes no sense.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        class_names: Sequence[str] | None = None,
        iou_types: Sequence[str] = ("boxes", "masks"),
        max_detections: tuple[int, int, int] = (1, 10, 100),
        max_keypoint_detections: int = 20,
    ) -> None:
        if num_classes < 1:
            raise EvaluationError(f"num_classes: expected at least 1, got {num_classes}")
        names = tuple(class_names or (str(label) for label in range(num_classes)))
        if len(names) != num_classes:
            raise EvaluationError(
                f"class_names: expected {num_classes} names (num_classes), got {len(names)}"
            )
        if not iou_types or not set(iou_types) <= set(_IOU_TYPES):
            raise EvaluationError(f"iou_types: expected some of {_IOU_TYPES}, got {iou_types!r}")
        limits = tuple(sorted(set(max_detections)))
        if limits != tuple(max_detections) or len(limits) != _NUM_LIMITS or limits[0] < 1:
            raise EvaluationError(
                f"max_detections: expected three ascending limits, got {max_detections!r}"
            )
        if max_keypoint_detections < 1:
            raise EvaluationError(
                f"max_keypoint_detections: expected at least 1, got {max_keypoint_detections}"
            )
        self.num_classes = num_classes
        self.class_names = names
        self.iou_types = tuple(kind for kind in _IOU_TYPES if kind in iou_types)
        self._protocols = {
            kind: attrs.evolve(
                protocol,
                max_detections=(
                    (max_keypoint_detections,) if kind == "keypoints" else max_detections
                ),
            )
            for kind, protocol in PROTOCOLS
            if kind in iou_types
        }
        self._records: dict[ImageId, ImageRecord] = {}

    def __len__(self) -> int:
        """Images seen so far."""
        return len(self._records)

    def update(self, image_id: ImageId, predictions: Instances, targets: Instances) -> None:
        """Add one image; the order of images does not matter.

        Args:
            image_id: unique; all of one kind, numbers or strings.
            predictions: with labels, scores and what `iou_types` needs, in pixels of the target's
                image.
            targets: with labels and the same columns; optional `is_crowd` and `extras["area"]`.
        Raises:
            EvaluationError: an id comes twice, a needed column is missing, scores are no
                probabilities, labels are out of range, or the two image sizes differ.
        Empty: images without predictions or without targets count as such.
        """
        check_new_image(image_id, self._records)
        self._records[image_id] = record_image(
            image_id,
            predictions,
            targets,
            num_classes=self.num_classes,
            iou_types=self.iou_types,
            most=max(each.max_detections[-1] for each in self._protocols.values()),
            min_iou=float(_IOU_THRESHOLDS[0]),
        )

    def merge(self, other: Self) -> None:
        """Take over the images of another evaluator, such as another rank's.

        Raises:
            EvaluationError: the two are set up differently, or share an image.
        """
        for name in ("num_classes", "class_names", "iou_types", "_protocols"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise EvaluationError(f"merge: {name.strip('_')} is {mine} here and {theirs} there")
        for image_id in other._records:
            check_new_image(image_id, self._records)
        self._records.update(other._records)

    def result(self) -> CocoReport:
        """Compute the report over all images so far; more images may follow.

        Empty: without images every number is -1.
        """
        records = [self._records[image_id] for image_id in sorted(self._records)]
        return CocoReport(
            num_images=len(records),
            results={kind: self._result(kind, records) for kind in self.iou_types},
        )

    def _result(self, kind: str, records: Sequence[ImageRecord]) -> CocoResult:
        protocol = self._protocols[kind]
        table = _Table(kind, records, self.num_classes, protocol)
        matches = match_greedily(
            table.candidates(float(_IOU_THRESHOLDS[0])),
            table.pred_groups,
            table.target_groups,
            table.target_ignored,
            table.target_crowd,
            iou_thresholds=_IOU_THRESHOLDS,
        )
        # A prediction that met nothing and lies outside the range is not held against it.
        outside = _outside(table.pred_areas, protocol)[:, None, :]
        counted = Matches(
            matched=matches.matched, ignored=matches.ignored | (~matches.matched & outside)
        )
        counts = np.stack(
            [
                np.bincount(table.target_labels[~ignored], minlength=self.num_classes)
                for ignored in table.target_ignored
            ]
        )
        curves = accumulate(
            counted,
            table.pred_labels,
            table.pred_scores,
            table.pred_ranks,
            counts,
            recall_thresholds=_RECALL_THRESHOLDS,
            max_detections=protocol.max_detections,
        )
        return CocoResult(
            class_names=self.class_names,
            iou_thresholds=_IOU_THRESHOLDS,
            recall_thresholds=_RECALL_THRESHOLDS,
            protocol=protocol,
            target_counts=counts[0],
            curves=curves,
        )


class _Table:
    """The records of all images, one after another, for one kind of region."""

    def __init__(
        self, kind: str, records: Sequence[ImageRecord], num_classes: int, protocol: CocoProtocol
    ) -> None:
        self._measured = [record.measured[kind] for record in records]
        self.pred_labels = _joined((r.pred_labels for r in records), np.int64)
        self.pred_scores = _joined((r.pred_scores for r in records), np.float64)
        self.pred_ranks = _joined((r.pred_ranks for r in records), np.int64)
        self.pred_areas = _joined((m.areas for m in self._measured), np.float64)
        self.target_labels = _joined((r.target_labels for r in records), np.int64)
        self.target_crowd = _joined((r.target_crowd for r in records), np.bool_)
        target_areas = _joined((m.target_areas for m in self._measured), np.float64)
        uncounted = _joined((m.uncounted for m in self._measured), np.bool_)
        self.target_ignored = self.target_crowd | uncounted | _outside(target_areas, protocol)
        self._pred_counts = np.array([len(r.pred_labels) for r in records], np.int64)
        self._target_counts = np.array([len(r.target_labels) for r in records], np.int64)
        images = np.arange(len(records)) * num_classes
        self.pred_groups = np.repeat(images, self._pred_counts) + self.pred_labels
        self.target_groups = np.repeat(images, self._target_counts) + self.target_labels

    def candidates(self, min_iou: float) -> CandidatePairs:
        """Pairs that may match, by row of the whole table."""
        boxes = [m for m in self._measured if m.xywh is not None]
        if boxes:
            return box_candidates(
                _rows_of_four(m.xywh for m in boxes),
                self.pred_groups,
                _rows_of_four(m.target_xywh for m in boxes),
                self.target_groups,
                self.target_crowd,
                min_iou=min_iou,
            )
        pairs = [m.pairs for m in self._measured if m.pairs is not None]
        sizes = np.array([len(part.ious) for part in pairs], np.int64)
        first_pred = np.cumsum(self._pred_counts) - self._pred_counts
        first_target = np.cumsum(self._target_counts) - self._target_counts
        predictions = _joined((part.predictions for part in pairs), np.int64)
        targets = _joined((part.targets for part in pairs), np.int64)
        return CandidatePairs(
            predictions=predictions + np.repeat(first_pred, sizes),
            targets=targets + np.repeat(first_target, sizes),
            ious=_joined((part.ious for part in pairs), np.float64),
        )


def _rows_of_four(parts: Iterable[NDArray[np.float64] | None]) -> NDArray[np.float64]:
    flat = (part.reshape(-1) for part in parts if part is not None)
    return _joined(flat, np.float64).reshape(-1, 4)


def _joined(parts: Iterable[NDArray[_Scalar]], dtype: type[_Scalar]) -> NDArray[_Scalar]:
    """All parts in one array, empty when there is none."""
    return np.concatenate([np.zeros(0, dtype), *parts])


def _outside(areas: NDArray[np.float64], protocol: CocoProtocol) -> NDArray[np.bool_]:
    """[A, n] which areas lie outside which range; both ends belong to a range."""
    ranges = np.array([limits for _, *limits in protocol.area_ranges])
    return (areas < ranges[:, :1]) | (areas > ranges[:, 1:])
