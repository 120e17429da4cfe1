"""Ground truth as detectors train on it. Letters: g objects of an image, k numbers per box."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.models.box_kinds import AnyBoxKind
from geodet.structures import ImageSize, Instances, Keypoints, Masks

__all__ = ["Targets", "targets_from_instances"]


@attrs.frozen(eq=False)
class Targets:
    """Ground truth of a batch, one entry per image.

    Args:
        boxes: [g, k] float32.
        labels: [g] int64.
        masks: g masks, where they live; None when not asked for, or without objects.
        keypoints: of g objects, likewise, on the device of the model.
    """

    boxes: list[Tensor]
    labels: list[Tensor]
    masks: list[Masks | None]
    keypoints: list[Keypoints | None]


def targets_from_instances(
    targets: Sequence[Instances],
    sizes: Sequence[ImageSize],
    *,
    kind: AnyBoxKind,
    num_classes: int | None,
    device: torch.device,
    masks: bool = False,
    keypoints: bool = False,
) -> Targets:
    """Check ground truth against its images, and bring it to the device of the model.

    Rows marked `is_crowd` are left out: a crowd is no object to learn from.

    Args:
        targets: one table per image, with boxes and labels, and what else is asked for.
        sizes: size of each image.
        kind: of boxes that the model takes.
        num_classes: labels must be below it; None asks for no labels, and gives zeros.
        device: where columns go. Masks stay: run lengths and polygons are cropped on the CPU.
        masks: whether masks are needed.
        keypoints: whether keypoints are needed.
    Raises:
        ShapeError: another number of targets than images, or a target of another image size.
        DtypeError: a column is missing or of another kind.
        InvalidValueError: a label is out of range, or a box is not finite or of negative size.
        All name the position of the image.
    Empty: an image without objects is fine, with or without columns.
    """
    if len(targets) != len(sizes):
        raise ShapeError(f"targets: expected {len(sizes)}, one per image, got {len(targets)}")
    found = Targets(boxes=[], labels=[], masks=[], keypoints=[])
    for position, (table, size) in enumerate(zip(targets, sizes, strict=True)):
        name = f"targets[{position}]"
        if table.image_size != size:
            raise ShapeError(
                f"{name}: expected image_size {size} as images[{position}] has, got "
                f"{table.image_size}; transform image and instances together"
            )
        if table.is_crowd is not None:
            table = table[~table.is_crowd]  # noqa: PLW2901
        boxes, labels = _boxes_and_labels(
            name, table, kind, device, labelled=num_classes is not None
        )
        _check_values(name, boxes, labels, kind=kind, num_classes=num_classes)
        found.boxes.append(boxes)
        found.labels.append(labels)
        wanted = {"masks": masks, "keypoints": keypoints}
        _check_columns(name, table, [column for column in wanted if wanted[column]])
        found.masks.append(table.masks if masks and len(table) else None)
        points = table.keypoints if keypoints and len(table) else None
        found.keypoints.append(None if points is None else points.to(device))
    return found


def _check_columns(name: str, table: Instances, wanted: Sequence[str]) -> None:
    for column in wanted:
        if len(table) > 0 and getattr(table, column) is None:
            raise DtypeError(
                f"{name}.{column}: expected {len(table)} {column}, got None; read the data with "
                f"{column}, or build the model without a head for them"
            )


def _boxes_and_labels(
    name: str, table: Instances, kind: AnyBoxKind, device: torch.device, *, labelled: bool
) -> tuple[Tensor, Tensor]:
    if len(table) == 0:
        return kind.empty(device=device), torch.zeros(0, dtype=torch.int64, device=device)
    if table.boxes is None:
        raise DtypeError(f"{name}.boxes: expected {len(table)} boxes, got None")
    boxes = kind.unwrap(table.boxes, name=f"{name}.boxes")
    if not labelled:
        none = torch.zeros(len(table), dtype=torch.int64, device=device)
        return boxes.to(device, torch.float32), none
    if table.labels is None:
        raise DtypeError(f"{name}.labels: expected [{len(table)}] int64, got None")
    return boxes.to(device, torch.float32), table.labels.to(device)


def _check_values(
    name: str, boxes: Tensor, labels: Tensor, *, kind: AnyBoxKind, num_classes: int | None
) -> None:
    # On a GPU this waits once per image; without it a wrong label is a device-side assert.
    limit = 1 if num_classes is None else num_classes
    wrong_label = (labels < 0) | (labels >= limit)
    wrong_box = ~(kind.in_order(boxes) & torch.isfinite(boxes).all(-1))
    if not bool((wrong_label | wrong_box).any()):
        return
    if bool(wrong_label.any()):
        row = int(torch.nonzero(wrong_label)[0])
        raise InvalidValueError(
            f"{name}.labels: expected 0..{limit - 1}, got {int(labels[row])} in row {row}; "
            "map dataset ids with a LabelMap, or build the model with more classes"
        )
    row = int(torch.nonzero(wrong_box)[0])
    raise InvalidValueError(
        f"{name}.boxes: expected {kind.sound}, got {boxes[row].tolist()} in row {row}; "
        "run .validated() where the data is read"
    )
