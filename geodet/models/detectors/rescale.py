"""Predictions from the size a network saw to the size a user asked about."""

from typing import overload

from geodet.errors import DtypeError
from geodet.structures import (
    Boxes,
    ImageSize,
    Instances,
    RoiMasks,
    RotatedBoxes,
    ScenePrediction,
    SemanticScores,
)

__all__ = ["rescale_instances", "rescale_prediction"]


@overload
def rescale_prediction(prediction: Instances, size: ImageSize) -> Instances: ...
@overload
def rescale_prediction(prediction: SemanticScores, size: ImageSize) -> SemanticScores: ...
@overload
def rescale_prediction(prediction: ScenePrediction, size: ImageSize) -> ScenePrediction: ...


def rescale_prediction(
    prediction: Instances | SemanticScores | ScenePrediction, size: ImageSize
) -> Instances | SemanticScores | ScenePrediction:
    """Scale what a model of any kind found to another size of the same image.

    Args:
        prediction: objects (see `rescale_instances`), scores of classes, or a scene of both. Hard
            masks of a scene take the nearest pixel.
        size: the size that the answer shall refer to.
    Returns:
        A prediction of the same kind, for `size`.
    Raises:
        DtypeError: `prediction` is of another kind, or lacks boxes.
    """
    if isinstance(prediction, Instances):
        return rescale_instances(prediction, size)
    if isinstance(prediction, SemanticScores):
        return prediction.resize(size)
    if isinstance(prediction, ScenePrediction):
        instances = _rescaled(prediction.instances, size)
        return prediction.with_parts(instances, prediction.semantic.resize(size))
    raise DtypeError(
        f"prediction: expected Instances, SemanticScores or ScenePrediction, got "
        f"{type(prediction).__name__}"
    )


def rescale_instances(instances: Instances, size: ImageSize) -> Instances:
    """Scale boxes, soft masks and keypoints to another size of the same image.

    Upright boxes are clipped to the new size; rotated ones stay as the model cut them. Rows whose
    box has no area left are dropped.

    Args:
        instances: predictions with boxes of either kind; masks, if any, as RoiMasks. Scores,
            labels and tensor extras are kept as they are.
        size: the size that coordinates shall refer to.
    Returns:
        Instances of `size`, in the same order.
    Raises:
        DtypeError: there are no boxes, or masks of another kind: resize those with
            `geodet.transforms.Resize`.
    Empty: no instances give none, of the new size.
    """
    masks = instances.masks
    if masks is not None and not isinstance(masks, RoiMasks):
        raise DtypeError(
            f"instances.masks: expected RoiMasks, got {type(masks).__name__}; "
            "resize hard masks with geodet.transforms.Resize"
        )
    return _rescaled(instances, size)


def _rescaled(instances: Instances, size: ImageSize) -> Instances:
    """Do as `rescale_instances` says, with masks of any kind."""
    old = instances.image_size
    factors = (size.width / old.width, size.height / old.height)
    boxes = instances.boxes
    if isinstance(boxes, Boxes):
        boxes = boxes.scale(*factors).clip_to(size)
    elif isinstance(boxes, RotatedBoxes):
        # The sides go through cosine and sine, which round.
        boxes = boxes if size == old else boxes.scale(*factors)
    else:
        raise DtypeError(
            f"instances.boxes: expected Boxes or RotatedBoxes, got {type(boxes).__name__}; "
            "rescale_instances takes predictions of a detector"
        )
    masks, keypoints = instances.masks, instances.keypoints
    scaled = instances.with_(
        image_size=size,
        boxes=boxes,
        masks=None if masks is None else masks.resize(size),
        keypoints=None if keypoints is None else keypoints.scale(*factors),
    )
    return scaled[boxes.nonempty()]
