"""Predictions from the size a network saw to the size a user asked about."""

from geodet.errors import DtypeError
from geodet.structures import Boxes, ImageSize, Instances, RoiMasks, RotatedBoxes

__all__ = ["rescale_instances"]


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
    if masks is not None and not isinstance(masks, RoiMasks):
        raise DtypeError(
            f"instances.masks: expected RoiMasks, got {type(masks).__name__}; "
            "resize hard masks with geodet.transforms.Resize"
        )
    scaled = instances.with_(
        image_size=size,
        boxes=boxes,
        masks=None if masks is None else masks.resize(size),
        keypoints=None if keypoints is None else keypoints.scale(*factors),
    )
    return scaled[boxes.nonempty()]
