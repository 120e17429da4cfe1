"""One image's predictions and targets, checked and boiled down to what COCO's AP needs.

Shapes: n predictions that are kept, g targets of the image.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geodet import ops
from geodet.errors import EvaluationError
from geodet.evaluation.coco_matching import CandidatePairs
from geodet.structures import Boxes, Instances, RleMasks

__all__ = ["ImageId", "ImageRecord", "record_image"]

ImageId = int | str


@attrs.frozen(kw_only=True, eq=False)
class ImageRecord:
    """What is kept of one image; masks are gone, their areas and overlaps stay.

    Attributes:
        pred_labels: [n] ascending.
        pred_scores: [n] descending within a label.
        pred_ranks: [n] place within the label, from 0.
        pred_xywh: [n, 4] pixels; zeros when boxes are not evaluated.
        pred_areas: kind of IoU to [n] areas.
        target_labels: [g] ascending.
        target_crowd: [g].
        target_xywh: [g, 4].
        target_areas: kind of IoU to [g] areas that choose the area range.
        mask_pairs: pairs of one label whose masks overlap enough, None when masks are not
            evaluated.
    """

    pred_labels: NDArray[np.int64]
    pred_scores: NDArray[np.float64]
    pred_ranks: NDArray[np.int64]
    pred_xywh: NDArray[np.float64]
    pred_areas: dict[str, NDArray[np.float64]]
    target_labels: NDArray[np.int64]
    target_crowd: NDArray[np.bool_]
    target_xywh: NDArray[np.float64]
    target_areas: dict[str, NDArray[np.float64]]
    mask_pairs: CandidatePairs | None


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
        iou_types: of "boxes", "masks".
        most: predictions kept per class, the best by score; ties stay in row order.
        min_iou: mask pairs below it can never match and are dropped.
    Raises:
        EvaluationError: a column is missing or holds what cannot be evaluated.
    """
    reader = _Reader(image_id)
    reader.check_sizes(predictions, targets)
    labels = reader.labels("predictions", predictions, num_classes)
    scores = reader.scores(predictions)
    order, ranks = _best_of_each_label(labels, scores, most)
    target_labels = reader.labels("targets", targets, num_classes)
    target_order = np.argsort(target_labels, kind="stable")
    labels, target_labels = labels[order], target_labels[target_order]
    crowd = reader.crowd(targets)[target_order]
    xywh, target_xywh = np.zeros((len(labels), 4)), np.zeros((len(target_labels), 4))
    areas, target_areas, pairs = {}, {}, None
    given_areas = reader.given_areas(targets)
    if "boxes" in iou_types:
        xywh = reader.xywh("predictions", predictions)[order]
        target_xywh = reader.xywh("targets", targets)[target_order]
        areas["boxes"] = xywh[:, 2] * xywh[:, 3]
        target_areas["boxes"] = target_xywh[:, 2] * target_xywh[:, 3]
    if "masks" in iou_types:
        masks = reader.masks("predictions", predictions, order)
        target_masks = reader.masks("targets", targets, target_order)
        areas["masks"] = _float64(masks.area())
        target_areas["masks"] = _float64(target_masks.area())
        pairs = _mask_pairs(
            masks, labels, target_masks, target_labels, crowd=crowd, min_iou=min_iou
        )
    if given_areas is not None:
        target_areas = dict.fromkeys(iou_types, given_areas[target_order])
    return ImageRecord(
        pred_labels=labels,
        pred_scores=scores[order],
        pred_ranks=ranks,
        pred_xywh=xywh,
        pred_areas=areas,
        target_labels=target_labels,
        target_crowd=crowd,
        target_xywh=target_xywh,
        target_areas=target_areas,
        mask_pairs=pairs,
    )


def _best_of_each_label(
    labels: NDArray[np.int64], scores: NDArray[np.float64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows by label, then descending score, `most` of each label at most; and their ranks."""
    # lexsort is stable: ties stay in row order, as in the official tool.
    order = np.lexsort((-scores, labels))
    ranks = np.arange(len(order)) - np.searchsorted(labels[order], labels[order], side="left")
    return order[ranks < most], ranks[ranks < most]


def _float64(values: Tensor) -> NDArray[np.float64]:
    return values.detach().to(device="cpu", dtype=torch.float64).numpy()


def _mask_pairs(
    masks: RleMasks,
    labels: NDArray[np.int64],
    target_masks: RleMasks,
    target_labels: NDArray[np.int64],
    *,
    crowd: NDArray[np.bool_],
    min_iou: float,
) -> CandidatePairs:
    """Pairs of one label whose mask IoU reaches `min_iou`; both sides sorted by label."""
    found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
    for label in np.intersect1d(labels, target_labels):
        mine = np.searchsorted(labels, [label, label + 1])
        theirs = np.searchsorted(target_labels, [label, label + 1])
        table = ops.pairwise_rle_iou(
            *_runs(masks, mine),
            *_runs(target_masks, theirs),
            is_crowd=torch.from_numpy(crowd[slice(*theirs)]),
            height=masks.image_size.height,
        ).numpy()
        rows, columns = np.nonzero(table >= min_iou)
        found.append((rows + mine[0], columns + theirs[0], table[rows, columns]))
    if not found:
        none = np.zeros(0, np.int64)
        return CandidatePairs(predictions=none, targets=none, ious=np.zeros(0))
    rows, columns, values = (np.concatenate(part) for part in zip(*found, strict=True))
    return CandidatePairs(predictions=rows, targets=columns, ious=values)


def _runs(masks: RleMasks, rows: NDArray[np.intp]) -> tuple[Tensor, Tensor]:
    """Run lengths and offsets of a range of rows; indexing the masks costs ten times as much."""
    begin, end = rows.tolist()
    offsets = masks.offsets[begin : end + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    return masks.counts[first:last], offsets - first


class _HasRows(Protocol):
    def __len__(self) -> int: ...


_Column = TypeVar("_Column", bound=_HasRows)


@attrs.frozen
class _Reader:
    """Reads columns of one image; every complaint names the image."""

    image_id: ImageId

    def error(self, problem: str) -> EvaluationError:
        return EvaluationError(f"image {self.image_id!r}: {problem}")

    def check_sizes(self, predictions: Instances, targets: Instances) -> None:
        """Both sides must speak of the same pixels."""
        if predictions.image_size != targets.image_size:
            raise self.error(
                "predictions are for an image of (height, width)"
                f" {predictions.image_size.as_tuple()}, targets for"
                f" {targets.image_size.as_tuple()}; rescale the predictions to the size of the"
                " targets"
            )

    def labels(self, side: str, instances: Instances, num_classes: int) -> NDArray[np.int64]:
        """Labels [n] of one side, each in [0, num_classes)."""
        column = instances.labels
        if column is None:
            return self._absent(side, "labels", instances, np.zeros(0, np.int64))
        labels: NDArray[np.int64] = column.detach().cpu().numpy()
        wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
        if len(wrong):
            raise self.error(
                f"{side}: row {wrong[0]} has label {labels[wrong[0]]}, expected 0 to"
                f" {num_classes - 1}; labels are contiguous, LabelMap turns dataset ids into them"
            )
        return labels

    def scores(self, predictions: Instances) -> NDArray[np.float64]:
        """Scores [n], each a probability."""
        if predictions.scores is None:
            return self._absent("predictions", "scores", predictions, np.zeros(0))
        scores = _float64(predictions.scores)
        wrong = np.flatnonzero(~((scores >= 0) & (scores <= 1)))
        if len(wrong):
            raise self.error(
                f"predictions: row {wrong[0]} has score {scores[wrong[0]]}, expected a"
                " probability in [0, 1]; apply sigmoid or softmax to logits"
            )
        return scores

    def crowd(self, targets: Instances) -> NDArray[np.bool_]:
        """Crowd flags [g], all false when the column is absent."""
        if targets.is_crowd is None:
            return np.zeros(len(targets), np.bool_)
        flags: NDArray[np.bool_] = targets.is_crowd.detach().cpu().numpy()
        return flags

    def xywh(self, side: str, instances: Instances) -> NDArray[np.float64]:
        """Boxes [n, 4] as a JSON writer would put them.

        Width and height are computed in the dtype of the boxes and widened afterwards: a
        results file holds float32 widths when the model works in float32.
        """
        boxes = instances.boxes
        if boxes is None:
            return self._absent(side, "boxes", instances, np.zeros((0, 4)))
        if not isinstance(boxes, Boxes):
            raise self.error(
                f"{side}: expected boxes of type Boxes, got {type(boxes).__name__}; COCO's AP is"
                " defined on axis-parallel boxes, .hull() gives them"
            )
        xywh = _float64(boxes.to_xywh())
        wrong = np.flatnonzero(~np.isfinite(xywh).all(axis=1))
        if len(wrong):
            raise self.error(f"{side}: box of row {wrong[0]} is not finite, xywh {xywh[wrong[0]]}")
        return xywh

    def masks(self, side: str, instances: Instances, order: NDArray[np.int64]) -> RleMasks:
        """Masks of these rows as run lengths; soft masks are pasted straight into them."""
        masks = instances.masks
        if masks is None:
            empty = RleMasks.empty(instances.image_size)
            return self._absent(side, "masks", instances, empty)
        return masks[torch.from_numpy(order)].to_rle_masks()

    def given_areas(self, targets: Instances) -> NDArray[np.float64] | None:
        """Areas [g] of the annotations themselves, None when they are not there.

        They choose the area range before any measured area does: COCO's box AP, too, sorts
        objects by the area of their mask.
        """
        column = targets.extras.get("area")
        if column is None:
            return None
        if not isinstance(column, Tensor) or column.shape != (len(targets),):
            raise self.error(
                f"targets: expected extras['area'] to be a tensor [{len(targets)}], got"
                f" {list(column.shape) if isinstance(column, Tensor) else type(column).__name__}"
            )
        areas = _float64(column)
        wrong = np.flatnonzero(~(np.isfinite(areas) & (areas >= 0)))
        if len(wrong):
            raise self.error(
                f"targets: row {wrong[0]} has area {areas[wrong[0]]}, expected a finite number"
                " of square pixels"
            )
        return areas

    def _absent(self, side: str, name: str, instances: Instances, empty: _Column) -> _Column:
        """`empty` for an image without instances; a missing column otherwise."""
        if len(instances):
            raise self.error(
                f"{side}: {len(instances)} instances have no column {name!r}, which this"
                " evaluation needs; pass it, or leave its kind out of iou_types"
            )
        return empty
