"""Classes of pixels, scenes, and whatever a model predicts, on their image."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from geodet.errors import InvalidValueError, ShapeError
from geodet.structures import (
    ImageSize,
    Instances,
    PanopticSegmentation,
    ScenePrediction,
    SemanticMap,
    SemanticScores,
)
from geodet.visualize.canvas import Canvas, check_picture
from geodet.visualize.colors import distinct_color
from geodet.visualize.drawing import draw_instances

__all__ = ["draw_panoptic", "draw_prediction", "draw_semantic"]

# Names on smaller patches would hide them.
_LEAST_NAMED_SHARE = 0.005


def draw_semantic(
    image: Tensor,
    semantic: SemanticMap,
    *,
    class_names: Sequence[str] | None = None,
    opacity: float = 0.45,
) -> Tensor:
    """Tint every pixel with the colour of its class, and name the classes.

    Args:
        image: uint8 [3, h, w], RGB.
        semantic: of this image; pixels of class -1 stay as they are.
        class_names: names by class; numbers when None.
        opacity: of the tint.
    Returns:
        uint8 [3, h, w], RGB, on the CPU.
    Raises:
        ShapeError, DtypeError: the image is not uint8 [3, h, w] of the map's size.
        InvalidValueError: a class has no name.
    """
    return draw_panoptic(image, semantic.to_panoptic(), class_names=class_names, opacity=opacity)


def draw_panoptic(
    image: Tensor,
    panoptic: PanopticSegmentation,
    *,
    class_names: Sequence[str] | None = None,
    opacity: float = 0.45,
) -> Tensor:
    """Tint and outline every segment, and name it where it is widest.

    Background has the colour of its class, things have colours of their own.

    Args:
        image: uint8 [3, h, w], RGB.
        panoptic: of this image; pixels without a segment stay as they are.
        class_names: names by class of the scene; numbers when None.
        opacity: of the tint.
    Returns:
        uint8 [3, h, w], RGB, on the CPU.
    Raises:
        ShapeError, DtypeError: the image is not uint8 [3, h, w] of the scene's size.
        InvalidValueError: a class has no name.
    Empty: without segments the picture comes back unchanged.
    """
    _check_size(image, panoptic.image_size)
    canvas = Canvas(image)
    ids = panoptic.ids.cpu().numpy()
    named = []
    for segment in panoptic.segments:
        mask = ids == segment.id
        if not mask.any():
            continue
        # Things count on behind all classes, so that their colours are no background's.
        color = distinct_color(997 + segment.id if segment.is_thing else segment.label)
        canvas.mask(mask, color, opacity=opacity)
        if mask.mean() >= _LEAST_NAMED_SHARE:
            named.append((_name(segment.label, class_names), _middle(mask), color))
    for text, corner, color in named:
        canvas.label(text, corner, color)
    return canvas.to_tensor()


def draw_prediction(
    image: Tensor,
    prediction: Instances | SemanticScores | ScenePrediction,
    *,
    class_names: Sequence[str] | None = None,
    stuff_names: Sequence[str] = (),
    score_threshold: float = 0.0,
) -> Tensor:
    """Draw what any model predicts: instances, classes of pixels, or the merged scene.

    Args:
        image: uint8 [3, h, w], RGB.
        prediction: of this image.
        class_names: names of the objects' classes; numbers when None.
        stuff_names: names of the background classes, which follow those of the objects.
        score_threshold: weaker instances are left out; a scene has thresholds of its own.
    Returns:
        uint8 [3, h, w], RGB, on the CPU.
    Raises:
        ShapeError, DtypeError: the image is not uint8 [3, h, w] of the prediction's size.
        InvalidValueError: a class has no name.
    """
    scene_names = None if class_names is None else (*class_names, *stuff_names)
    if isinstance(prediction, ScenePrediction):
        return draw_panoptic(image, prediction.panoptic, class_names=scene_names)
    if isinstance(prediction, SemanticScores):
        return draw_semantic(image, prediction.to_semantic_map(), class_names=scene_names)
    return draw_instances(
        image, prediction, class_names=class_names, score_threshold=score_threshold
    )


def _check_size(image: Tensor, size: ImageSize) -> None:
    check_picture("image", image)
    if tuple(image.shape[1:]) != size.as_tuple():
        raise ShapeError(
            f"image: expected (height, width) {size.as_tuple()} as the segments have, got"
            f" {tuple(image.shape[1:])}"
        )


def _name(label: int, class_names: Sequence[str] | None) -> str:
    if class_names is None:
        return str(label)
    if not 0 <= label < len(class_names):
        raise InvalidValueError(
            f"class {label}: has no name, class_names has {len(class_names)} entries"
        )
    return class_names[label]


def _middle(mask: np.ndarray) -> tuple[float, float]:
    """A point (x, y) of the mask, in the middle of its longest row."""
    row = int(mask.sum(1).argmax())
    columns = torch.from_numpy(np.flatnonzero(mask[row]))
    return float(columns[len(columns) // 2]), float(row)
