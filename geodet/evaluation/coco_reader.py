"""Columns of one image's predictions and targets, checked on entry to an evaluation.

Shapes: n rows of one side, g targets.
"""

from typing import Protocol, TypeVar

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geodet.errors import EvaluationError
from geodet.structures import Boxes, Instances, Keypoints, RleMasks, Skeleton

__all__ = ["ColumnReader", "ImageId", "float64"]

ImageId = int | str


def float64(values: Tensor) -> NDArray[np.float64]:
    """Values of a tensor in double, on the CPU."""
    return values.detach().to(device="cpu", dtype=torch.float64).numpy()


class _HasRows(Protocol):
    def __len__(self) -> int: ...


_Column = TypeVar("_Column", bound=_HasRows)


@attrs.frozen
class ColumnReader:
    """Reads columns of one image; every complaint names the image.

    Args:
        image_id: of the image.
    """

    image_id: ImageId

    def error(self, problem: str) -> EvaluationError:
        """The complaint, with the image before it."""
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
        scores = float64(predictions.scores)
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
                " defined on axis-parallel boxes; evaluate rotated ones with the kind"
                " 'rotated_boxes', or their .hull()"
            )
        xywh = float64(boxes.to_xywh())
        self._check_finite(side, "box", xywh)
        return xywh

    def rotated(self, side: str, instances: Instances) -> Tensor:
        """Boxes [n, 5] in double; upright boxes have the angle 0."""
        boxes = instances.boxes
        if boxes is None:
            none = torch.zeros((0, 5), dtype=torch.float64)
            return self._absent(side, "boxes", instances, none)
        values = boxes.to_rotated().cxcywha.detach().to(device="cpu", dtype=torch.float64)
        self._check_finite(side, "box", values.numpy())
        return values

    def keypoints(self, side: str, instances: Instances) -> Keypoints:
        """Keypoints of one side, on the CPU."""
        keypoints = instances.keypoints
        if keypoints is None:
            empty = Keypoints.empty(Skeleton(names=(), sigmas=()))
            return self._absent(side, "keypoints", instances, empty)
        keypoints = keypoints.to("cpu")
        self._check_finite(side, "keypoints", keypoints.xyv.detach().flatten(1).numpy())
        return keypoints

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
        areas = float64(column)
        wrong = np.flatnonzero(~(np.isfinite(areas) & (areas >= 0)))
        if len(wrong):
            raise self.error(
                f"targets: row {wrong[0]} has area {areas[wrong[0]]}, expected a finite number"
                " of square pixels"
            )
        return areas

    def _check_finite(self, side: str, name: str, values: NDArray[np.floating]) -> None:
        wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(wrong):
            raise self.error(f"{side}: {name} of row {wrong[0]} is not finite: {values[wrong[0]]}")

    def _absent(self, side: str, name: str, instances: Instances, empty: _Column) -> _Column:
        """`empty` for an image without instances; a missing column otherwise."""
        if len(instances):
            raise self.error(
                f"{side}: {len(instances)} instances have no column {name!r}, which this"
                " evaluation needs; pass it, or leave its kind out of iou_types"
            )
        return empty
