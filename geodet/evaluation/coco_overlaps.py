"""Areas and overlaps of one image's regions, for each kind of region that COCO's AP knows.

Shapes: n predictions that are kept, g targets of the image, both sorted by label.
"""

from collections.abc import Callable

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geodet import ops
from geodet.evaluation.coco_matching import CandidatePairs
from geodet.evaluation.coco_reader import ColumnReader, float64
from geodet.structures import Instances, Keypoints, RleMasks

__all__ = ["MEASURES", "Measured", "SortedImage"]

# COCO counts keypoints from the centre of the top left pixel.
_COCO_SHIFT = 0.5


@attrs.frozen(kw_only=True, eq=False)
class SortedImage:
    """Both sides of one image, and the order of rows in which they are measured.

    Attributes:
        reader: of its columns.
        predictions: as given.
        targets: as given.
        order: [n] rows of the predictions that are kept, by label, then descending score.
        target_order: [g] rows of the targets by label.
        labels: [n] in that order.
        target_labels: [g] in that order.
        target_crowd: [g] in that order.
        given_areas: [g] areas of the annotations in that order, None when there are none.
        min_iou: pairs below it can never match.
    """

    reader: ColumnReader
    predictions: Instances
    targets: Instances
    order: NDArray[np.int64]
    target_order: NDArray[np.int64]
    labels: NDArray[np.int64]
    target_labels: NDArray[np.int64]
    target_crowd: NDArray[np.bool_]
    given_areas: NDArray[np.float64] | None
    min_iou: float

    def pairs(self, overlaps: Callable[[slice, slice], NDArray[np.float64]]) -> CandidatePairs:
        """Pairs of one label whose overlap reaches `min_iou`.

        Args:
            overlaps: from rows of predictions and of targets to their matrix.
        """
        found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
        for label in np.intersect1d(self.labels, self.target_labels):
            mine = slice(*np.searchsorted(self.labels, [label, label + 1]).tolist())
            theirs = slice(*np.searchsorted(self.target_labels, [label, label + 1]).tolist())
            table = overlaps(mine, theirs)
            rows, columns = np.nonzero(table >= self.min_iou)
            found.append((rows + mine.start, columns + theirs.start, table[rows, columns]))
        if not found:
            none = np.zeros(0, np.int64)
            return CandidatePairs(predictions=none, targets=none, ious=np.zeros(0))
        rows, columns, values = (np.concatenate(part) for part in zip(*found, strict=True))
        return CandidatePairs(predictions=rows, targets=columns, ious=values)


@attrs.frozen(kw_only=True, eq=False)
class Measured:
    """What AP needs of one kind of region.

    Attributes:
        areas: [n] square pixels.
        target_areas: [g] square pixels, which choose the area range.
        uncounted: [g] targets that never count, crowds apart.
        pairs: of one label that overlap enough; None when `xywh` stands in for them.
        xywh: [n, 4] upright boxes, whose pairs are found for all images at once.
        target_xywh: [g, 4] likewise.
    """

    areas: NDArray[np.float64]
    target_areas: NDArray[np.float64]
    uncounted: NDArray[np.bool_]
    pairs: CandidatePairs | None = None
    xywh: NDArray[np.float64] | None = None
    target_xywh: NDArray[np.float64] | None = None


def _measure_boxes(image: SortedImage) -> Measured:
    """Upright boxes; their overlaps are left for later."""
    xywh = image.reader.xywh("predictions", image.predictions)[image.order]
    target_xywh = image.reader.xywh("targets", image.targets)[image.target_order]
    return Measured(
        areas=xywh[:, 2] * xywh[:, 3],
        target_areas=_chosen_areas(image, target_xywh[:, 2] * target_xywh[:, 3]),
        uncounted=np.zeros(len(target_xywh), np.bool_),
        xywh=xywh,
        target_xywh=target_xywh,
    )


def _measure_rotated_boxes(image: SortedImage) -> Measured:
    """Rotated boxes: exact IoU, and the share of the prediction that a crowd covers."""
    boxes = image.reader.rotated("predictions", image.predictions)[image.order]
    targets = image.reader.rotated("targets", image.targets)[image.target_order]

    def overlaps(mine: slice, theirs: slice) -> NDArray[np.float64]:
        table = ops.pairwise_rotated_iou(boxes[mine], targets[theirs]).numpy()
        crowd = image.target_crowd[theirs]
        if crowd.any():
            shared = ops.pairwise_rotated_intersection(boxes[mine], targets[theirs][crowd])
            areas = _sides_area(boxes[mine])[:, None]
            table[:, crowd] = np.divide(shared, areas, out=np.zeros(shared.shape), where=areas > 0)
        return table

    return Measured(
        areas=_sides_area(boxes),
        target_areas=_chosen_areas(image, _sides_area(targets)),
        uncounted=np.zeros(len(targets), np.bool_),
        pairs=image.pairs(overlaps),
    )


def _measure_masks(image: SortedImage) -> Measured:
    """Masks, as run lengths."""
    masks = image.reader.masks("predictions", image.predictions, image.order)
    targets = image.reader.masks("targets", image.targets, image.target_order)

    def overlaps(mine: slice, theirs: slice) -> NDArray[np.float64]:
        table: NDArray[np.float64] = ops.pairwise_rle_iou(
            *_runs(masks, mine),
            *_runs(targets, theirs),
            is_crowd=torch.from_numpy(image.target_crowd[theirs]),
            height=masks.image_size.height,
        ).numpy()
        return table

    return Measured(
        areas=float64(masks.area()),
        target_areas=_chosen_areas(image, float64(targets.area())),
        uncounted=np.zeros(len(image.target_order), np.bool_),
        pairs=image.pairs(overlaps),
    )


def _measure_keypoints(image: SortedImage) -> Measured:
    """Keypoints: object keypoint similarity with the sigmas of the targets' skeleton."""
    reader = image.reader
    found = reader.keypoints("predictions", image.predictions)
    truth = reader.keypoints("targets", image.targets)
    if len(found) and len(truth) and found.skeleton != truth.skeleton:
        raise reader.error(
            f"predictions: expected the keypoints {', '.join(truth.skeleton.names)} of the"
            f" targets, got {', '.join(found.skeleton.names)}, or edges, pairs or sigmas differ"
        )
    xyv, target_xyv = (
        _as_coco(found)[image.order],
        _as_coco(truth)[image.target_order],
    )
    target_areas = _chosen_areas(image, _object_areas(image))
    hulls = _target_hulls(image)
    sigmas = torch.tensor(truth.skeleton.sigmas, dtype=torch.float64)

    def overlaps(mine: slice, theirs: slice) -> NDArray[np.float64]:
        table: NDArray[np.float64] = ops.object_keypoint_similarity(
            xyv[mine],
            target_xyv[theirs],
            torch.from_numpy(target_areas[theirs]),
            hulls[theirs],
            sigmas,
        ).numpy()
        return table

    return Measured(
        areas=_extents(xyv),
        target_areas=target_areas,
        uncounted=~(target_xyv[:, :, 2] > 0).any(1).numpy(),
        pairs=image.pairs(overlaps),
    )


MEASURES: tuple[tuple[str, Callable[[SortedImage], Measured]], ...] = (
    ("boxes", _measure_boxes),
    ("rotated_boxes", _measure_rotated_boxes),
    ("masks", _measure_masks),
    ("keypoints", _measure_keypoints),
)


def _chosen_areas(image: SortedImage, measured: NDArray[np.float64]) -> NDArray[np.float64]:
    return measured if image.given_areas is None else image.given_areas


def _sides_area(cxcywha: Tensor) -> NDArray[np.float64]:
    return float64(cxcywha[:, 2] * cxcywha[:, 3])


def _runs(masks: RleMasks, rows: slice) -> tuple[Tensor, Tensor]:
    """Run lengths and offsets of a range of rows; indexing the masks costs ten times as much."""
    offsets = masks.offsets[rows.start : rows.stop + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    return masks.counts[first:last], offsets - first


def _as_coco(keypoints: Keypoints) -> Tensor:
    """[n, k, 3] float64 as a COCO file has them: counted from pixel centres, zeros where absent."""
    shift = torch.tensor([_COCO_SHIFT, _COCO_SHIFT, 0.0], dtype=torch.float64)
    xyv = keypoints.xyv.detach().double() - shift
    return torch.where(keypoints.labelled()[:, :, None], xyv, 0.0)


def _extents(xyv: Tensor) -> NDArray[np.float64]:
    """[n] areas of the boxes around all points, the official tool's area of a prediction."""
    if xyv.shape[1] == 0:
        return np.zeros(len(xyv))
    low, high = torch.aminmax(xyv[:, :, :2], dim=1)
    return float64((high - low).prod(1))


def _object_areas(image: SortedImage) -> NDArray[np.float64]:
    """[g] areas of the objects that the keypoints belong to: of masks, else of boxes."""
    targets = image.targets
    if image.given_areas is not None:
        return image.given_areas
    if targets.masks is not None:
        areas = targets.masks.to_rle_masks().area()
    elif targets.boxes is not None:
        areas = targets.boxes.area()
    elif len(targets):
        raise image.reader.error(
            f"targets: {len(targets)} instances have keypoints but no extras['area'], masks or"
            " boxes: the similarity of keypoints is relative to the size of the object"
        )
    else:
        areas = torch.zeros(0)
    return float64(areas)[image.target_order]


def _target_hulls(image: SortedImage) -> Tensor:
    """[g, 4] upright boxes, read where a target has no labelled point."""
    boxes = image.targets.boxes
    if boxes is None:
        return torch.zeros((len(image.target_order), 4), dtype=torch.float64)
    xyxy = boxes.hull().xyxy.detach().to(device="cpu", dtype=torch.float64)
    return xyxy[torch.from_numpy(image.target_order)]
