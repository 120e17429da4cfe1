"""Masks, boxes, keypoints and labels of `Instances` on their image."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from geodet.errors import InvalidValueError, ShapeError
from geodet.structures import Instances, RotatedBoxes
from geodet.visualize.canvas import Canvas, check_picture
from geodet.visualize.colors import Rgb, distinct_color

__all__ = ["draw_instances"]


def draw_instances(
    image: Tensor,
    instances: Instances,
    *,
    class_names: Sequence[str] | None = None,
    score_threshold: float = 0.0,
    color_by: Literal["class", "instance"] = "class",
    opacity: float = 0.45,
) -> Tensor:
    """Draw every instance on a copy of the image.

    Masks are tinted and outlined, boxes (rotated ones too) outlined, keypoints dotted and joined
    by their skeleton, and each instance is named with its score. The best score lies on top.

    Args:
        image: uint8 [3, h, w], RGB.
        instances: n instances of this image; whatever columns are there are drawn.
        class_names: names by label; numbers when None.
        score_threshold: instances that score less are left out; without scores all are drawn.
        color_by: one colour a class, or one an instance (by row), which tells touching objects
            of one class apart.
        opacity: of the mask's tint, 0 for the outline alone.
    Returns:
        uint8 [3, h, w], RGB, on the CPU.
    Raises:
        ShapeError: the image is not [3, h, w] of the instances' size.
        DtypeError: the image is not uint8.
        InvalidValueError: a label has no name.
    Empty: without instances the picture comes back unchanged.
    """
    check_picture("image", image)
    if tuple(image.shape[1:]) != instances.image_size.as_tuple():
        raise ShapeError(
            f"image: expected (height, width) {instances.image_size.as_tuple()} as the instances"
            f" have, got {tuple(image.shape[1:])}"
        )
    canvas = Canvas(image)
    rows = _drawing_order(instances, score_threshold)
    if not rows:
        return canvas.to_tensor()
    labels = [0] * len(instances) if instances.labels is None else instances.labels.tolist()
    texts = {row: _text(instances, row, labels[row], class_names) for row in rows}
    colors = {row: distinct_color(labels[row] if color_by == "class" else row) for row in rows}
    for row in rows:
        if instances.masks is not None:
            # One at a time: a stack of dense masks of a large image fills the memory.
            mask = instances.masks[row].to_bit_masks().data[0]
            canvas.mask(mask.cpu().numpy(), colors[row], opacity=opacity)
    for row in rows:
        _draw_region(canvas, instances, row, colors[row])
        _draw_keypoints(canvas, instances, row, colors[row])
    for row in rows:
        if texts[row]:
            canvas.label(texts[row], _label_corner(instances, row), colors[row])
    return canvas.to_tensor()


def _drawing_order(instances: Instances, score_threshold: float) -> list[int]:
    """Rows to draw, the best score last; row order without scores."""
    if instances.scores is None:
        return list(range(len(instances)))
    scores = instances.scores.detach().cpu()
    order: list[int] = torch.argsort(scores, stable=True).tolist()
    return [row for row in order if scores[row] >= score_threshold]


def _text(instances: Instances, row: int, label: int, class_names: Sequence[str] | None) -> str:
    """Class and score, as far as they are known."""
    parts = []
    if instances.labels is not None:
        if class_names is not None and not 0 <= label < len(class_names):
            raise InvalidValueError(
                f"labels: row {row} has label {label}, but class_names has"
                f" {len(class_names)} entries"
            )
        parts.append(str(label) if class_names is None else class_names[label])
    if instances.scores is not None:
        parts.append(f"{float(instances.scores[row]):.2f}")
    return " ".join(parts)


def _draw_region(canvas: Canvas, instances: Instances, row: int, color: Rgb) -> None:
    boxes = instances.boxes
    if isinstance(boxes, RotatedBoxes):
        canvas.polygon([(x, y) for x, y in boxes[row].corners()[0].tolist()], color)
    elif boxes is not None:
        canvas.box(boxes.xyxy[row].tolist(), color)


def _draw_keypoints(canvas: Canvas, instances: Instances, row: int, color: Rgb) -> None:
    """Joints that are marked (v > 0), and the bones between two such joints."""
    if instances.keypoints is None:
        return
    joints = instances.keypoints.xyv[row].tolist()
    for start, end in instances.keypoints.skeleton.edges:
        if joints[start][2] > 0 and joints[end][2] > 0:
            canvas.line(tuple(joints[start][:2]), tuple(joints[end][:2]), color)
    for x, y, visibility in joints:
        if visibility > 0:
            canvas.dot((x, y), color)


def _label_corner(instances: Instances, row: int) -> tuple[float, float]:
    """Upper left corner of what was drawn for this row."""
    if instances.boxes is not None:
        x, y = instances.boxes[row].hull().xyxy[0, :2].tolist()
    elif instances.masks is not None:
        x, y = instances.masks[row].boxes().xyxy[0, :2].tolist()
    elif instances.keypoints is not None:
        points = instances.keypoints.xyv[row]
        visible = points[points[:, 2] > 0] if bool((points[:, 2] > 0).any()) else points
        x, y = visible[:, :2].amin(0).tolist()
    else:
        x, y = 0.0, 0.0
    return x, y
