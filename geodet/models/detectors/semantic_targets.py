"""Truth of pixels as models train on it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.structures import ImageList, SemanticMap

__all__ = ["check_classes", "padded_labels"]


def padded_labels(targets: Sequence[SemanticMap], batch: ImageList, *, num_classes: int) -> Tensor:
    """Check maps of classes against their images, and put them beside each other.

    Args:
        targets: one map per image.
        batch: the padded images.
        num_classes: classes must be below it.
    Returns:
        [b, H, W] int64 on the device of the images; padding is -1.
    Raises:
        ShapeError: another number of maps than images, or a map of another size.
        DtypeError: a target is no SemanticMap.
        InvalidValueError: a class is out of range. All name the position of the image.
    """
    if len(targets) != len(batch):
        raise ShapeError(f"targets: expected {len(batch)}, one per image, got {len(targets)}")
    labels = torch.full(
        (len(batch), *batch.padded_size), -1, dtype=torch.int64, device=batch.tensor.device
    )
    for position, (target, size) in enumerate(zip(targets, batch.sizes, strict=True)):
        name = f"targets[{position}]"
        if not isinstance(target, SemanticMap):
            raise DtypeError(
                f"{name}: expected a SemanticMap, got {type(target).__name__}; load the data with "
                "target_maker('semantic'), or 'scene' for a panoptic model"
            )
        if target.image_size != size:
            raise ShapeError(
                f"{name}: expected image_size {size} as images[{position}] has, got "
                f"{target.image_size}; transform image and truth together"
            )
        labels[position, : size.height, : size.width] = target.labels.to(labels.device)
    check_classes(labels, num_classes)
    return labels


def check_classes(labels: Tensor, num_classes: int) -> None:
    """Raise InvalidValueError unless all labels [b, H, W] are -1 or below `num_classes`."""
    # On a GPU this waits once per batch; without it a wrong class is a device-side assert.
    wrong = (labels < -1) | (labels >= num_classes)
    if not bool(wrong.any()):
        return
    position, row, column = torch.nonzero(wrong)[0].tolist()
    raise InvalidValueError(
        f"targets[{position}].labels: expected -1..{num_classes - 1}, got "
        f"{int(labels[position, row, column])} at row {row}, column {column}; map data set "
        "classes with SceneLabels or SemanticMap.relabelled, or build the model with more classes"
    )
