"""Ground truth as two-stage detectors train on it."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.structures import BitMasks, Boxes, ImageSize, Instances, Masks

__all__ = ["Targets", "mask_targets", "targets_from_instances"]


@attrs.frozen(eq=False)
class Targets:
    """Ground truth of a batch, one entry per image.

    Args:
        boxes: [g, 4] float32 xyxy.
        labels: [g] int64.
        masks: g masks, where they live; no entries when not asked for.
    """

    boxes: list[Tensor]
    labels: list[Tensor]
    masks: list[Masks]


def targets_from_instances(
    targets: Sequence[Instances],
    sizes: Sequence[ImageSize],
    *,
    num_classes: int,
    masks: bool,
    device: torch.device,
) -> Targets:
    """Check ground truth against its images, and bring it to the device of the model.

    Rows marked `is_crowd` are left out: a crowd is no object to learn from.

    Args:
        targets: one table per image, with boxes and labels, and masks if asked for.
        sizes: size of each image.
        num_classes: labels must be below it.
        masks: whether masks are needed.
        device: where boxes and labels go. Masks stay: run lengths and polygons are cropped
            on the CPU.
    Raises:
        ShapeError: another number of targets than images, or a target of another image size.
        DtypeError: a column is missing or of another kind.
        InvalidValueError: a label is out of range, or a box is not finite or out of order.
        All name the position of the image.
    Empty: an image without objects is fine, with or without columns.
    """
    if len(targets) != len(sizes):
        raise ShapeError(f"targets: expected {len(sizes)}, one per image, got {len(targets)}")
    boxes, labels, kept_masks = [], [], []
    for position, (table, size) in enumerate(zip(targets, sizes, strict=True)):
        name = f"targets[{position}]"
        if table.image_size != size:
            raise ShapeError(
                f"{name}: expected image_size {size} as images[{position}] has, got "
                f"{table.image_size}; transform image and instances together"
            )
        if table.is_crowd is not None:
            table = table[~table.is_crowd]  # noqa: PLW2901
        _check_columns(name, table, masks=masks)
        image_boxes, image_labels = _boxes_and_labels(table, device)
        _check_values(name, image_boxes, image_labels, num_classes)
        boxes.append(image_boxes)
        labels.append(image_labels)
        if masks:
            kept_masks.append(_no_masks(size) if table.masks is None else table.masks)
    return Targets(boxes=boxes, labels=labels, masks=kept_masks)


def mask_targets(masks: Sequence[Masks], indices: Tensor, rois: Tensor, side: int) -> Tensor:
    """Ground-truth masks inside regions.

    Args:
        masks: of each image.
        indices: [r] row of each region's mask in its image.
        rois: [r, 5] image index and xyxy; images in ascending order.
        side: cells of a target along both sides.
    Returns:
        [r, side, side] bool on the device of `rois`.
    Empty: r = 0 gives r = 0.
    """
    targets = [torch.zeros((0, side, side), dtype=torch.bool, device=rois.device)]
    images = rois[:, 0].long()
    for i, image_masks in enumerate(masks):
        rows = torch.nonzero(images == i).flatten()
        if len(rows) == 0:
            continue
        device = image_masks.device
        boxes = Boxes(rois[rows, 1:].to(device))
        crops = image_masks[indices[rows].to(device)].crop_and_resize(boxes, side)
        targets.append(crops.to(rois.device))
    return torch.cat(targets)


def _no_masks(size: ImageSize) -> Masks:
    return BitMasks(torch.zeros((0, size.height, size.width), dtype=torch.bool))


def _check_columns(name: str, table: Instances, *, masks: bool) -> None:
    if len(table) == 0:
        return
    if not isinstance(table.boxes, Boxes):
        raise DtypeError(f"{name}.boxes: expected Boxes, got {type(table.boxes).__name__}")
    if table.labels is None:
        raise DtypeError(f"{name}.labels: expected [{len(table)}] int64, got None")
    if masks and table.masks is None:
        raise DtypeError(
            f"{name}.masks: expected {len(table)} masks, got None; read the data with masks, or "
            "train a FasterRCNN"
        )


def _boxes_and_labels(table: Instances, device: torch.device) -> tuple[Tensor, Tensor]:
    if len(table) == 0 or not isinstance(table.boxes, Boxes) or table.labels is None:
        return (
            torch.zeros((0, 4), device=device),
            torch.zeros(0, dtype=torch.int64, device=device),
        )
    return table.boxes.xyxy.to(device, torch.float32), table.labels.to(device)


def _check_values(name: str, boxes: Tensor, labels: Tensor, num_classes: int) -> None:
    # On a GPU this waits once per image; without it a wrong label is a device-side assert.
    wrong_label = (labels < 0) | (labels >= num_classes)
    ordered = (boxes[:, 2:] >= boxes[:, :2]).all(-1)  # False for NaN
    wrong_box = ~(ordered & torch.isfinite(boxes).all(-1))
    if not bool((wrong_label | wrong_box).any()):
        return
    if bool(wrong_label.any()):
        row = int(torch.nonzero(wrong_label)[0])
        raise InvalidValueError(
            f"{name}.labels: expected 0..{num_classes - 1}, got {int(labels[row])} in row {row}; "
            "map dataset ids with a LabelMap, or build the model with more classes"
        )
    row = int(torch.nonzero(wrong_box)[0])
    raise InvalidValueError(
        f"{name}.boxes: expected finite x1 <= x2 and y1 <= y2, got {boxes[row].tolist()} in row "
        f"{row}; run .validated() where the data is read"
    )
