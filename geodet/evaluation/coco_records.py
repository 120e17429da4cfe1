"""One image's predictions and targets, checked and boiled down to what COCO's AP needs.

Shapes: n predictions that are kept, g targets of the image.
"""

from collections.abc import Mapping, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from geodet.evaluation.coco_overlaps import MEASURES, Measured, SortedImage
from geodet.evaluation.coco_reader import ColumnReader, ImageId
from geodet.structures import Instances

__all__ = ["ImageRecord", "record_image"]


@attrs.frozen(kw_only=True, eq=False)
class ImageRecord:
    """What is kept of one image; masks are gone, their areas and overlaps stay.

    Attributes:
        pred_labels: [n] ascending.
        pred_scores: [n] descending within a label.
        pred_ranks: [n] place within the label, from 0.
        target_labels: [g] ascending.
        target_crowd: [g].
        measured: by kind of region.
    """

    pred_labels: NDArray[np.int64]
    pred_scores: NDArray[np.float64]
    pred_ranks: NDArray[np.int64]
    target_labels: NDArray[np.int64]
    target_crowd: NDArray[np.bool_]
    measured: Mapping[str, Measured]


def record_image(
    image_id: ImageId,
    predictions: Instances,
    targets: Instances,
    *,
    num_classes: int,
    iou_types: Sequence[str],
    most: int,
    min_iou: float,
) -> ImageRecord:
    """Check one image and keep its best predictions of each class.

    Args:
        image_id: named in every error.
        predictions: labels, scores and the columns that `iou_types` asks for.
        targets: labels, the same columns; `is_crowd` and `extras["area"]` are used when there.
        num_classes: labels are below it.
        iou_types: kinds of regions.
        most: predictions kept per class, the best by score; ties stay in row order.
        min_iou: pairs below it can never match and are dropped.
    Raises:
        EvaluationError: a column is missing or holds what cannot be evaluated.
    """
    reader = ColumnReader(image_id)
    reader.check_sizes(predictions, targets)
    labels = reader.labels("predictions", predictions, num_classes)
    scores = reader.scores(predictions)
    order, ranks = _best_of_each_label(labels, scores, most)
    target_labels = reader.labels("targets", targets, num_classes)
    target_order = np.argsort(target_labels, kind="stable")
    given_areas = reader.given_areas(targets)
    image = SortedImage(
        reader=reader,
        predictions=predictions,
        targets=targets,
        order=order,
        target_order=target_order,
        labels=labels[order],
        target_labels=target_labels[target_order],
        target_crowd=reader.crowd(targets)[target_order],
        given_areas=None if given_areas is None else given_areas[target_order],
        min_iou=min_iou,
    )
    return ImageRecord(
        pred_labels=image.labels,
        pred_scores=scores[order],
        pred_ranks=ranks,
        target_labels=image.target_labels,
        target_crowd=image.target_crowd,
        measured={kind: measure(image) for kind, measure in MEASURES if kind in iou_types},
    )


def _best_of_each_label(
    labels: NDArray[np.int64], scores: NDArray[np.float64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows by label, then descending score, `most` of each label at most; and their ranks."""
    # lexsort is stable: ties stay in row order, as in the official tool.
    order = np.lexsort((-scores, labels))
    ranks = np.arange(len(order)) - np.searchsorted(labels[order], labels[order], side="left")
    return order[ranks < most], ranks[ranks < most]
