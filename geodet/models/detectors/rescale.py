"""Predictions from the size a network saw to the size a user asked about."""

from geodet.errors import DtypeError
from geodet.structures import Boxes, ImageSize, Instances, RoiMasks

__all__ = ["rescale_instances"]


def rescale_instances(instances: Instances, size: ImageSize) -> Instances:
    """Scale boxes and soft masks to another size of the same image.

    Boxes are clipped to the new size; rows whose box has no area left are dropped.

    Args:
        instances: predictions with boxes; masks, if any, as RoiMasks. Scores, labels and tensor
            extras are kept as they are.
        size: the size that coordinates shall refer to.
    Returns:
        Instances of `size`, in the same order.
    Raises:
        DtypeError: there are no horizontal boxes, or a column that is no prediction of a
            detector (hard masks, keypoints): resize those with `geodet.transforms.Resize`.
    Empty: no instances give none, of the new size.
    """
    if not isinstance(instances.boxes, Boxes):
        raise DtypeError(
            f"instances.boxes: expected Boxes, got {type(instances.boxes).__name__}; "
            "rescale_instances takes predictions of a detector"
        )
    if instances.masks is not None and not isinstance(instances.masks, RoiMasks):
        raise DtypeError(
            f"instances.masks: expected RoiMasks, got {type(instances.masks).__name__}; "
            "resize hard masks with geodet.transforms.Resize"
        )
    if instances.keypoints is not None:
        raise DtypeError(
            "instances.keypoints: expected none; resize them with geodet.transforms.Resize"
        )
    old = instances.image_size
    boxes = instances.boxes.scale(size.width / old.width, size.height / old.height).clip_to(size)
    masks = None if instances.masks is None else instances.masks.resize(size)
    return instances.with_(image_size=size, boxes=boxes, masks=masks)[boxes.nonempty()]
