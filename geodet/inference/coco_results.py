"""Predictions as rows of a COCO results file."""

from typing import Any

from geodet.data.label_map import LabelMap
from geodet.errors import InvalidValueError
from geodet.structures import Boxes, Instances

__all__ = ["to_coco_results"]


def to_coco_results(
    image_id: int | str, instances: Instances, label_map: LabelMap
) -> list[dict[str, Any]]:
    """One dictionary per predicted instance, ready for `json.dump`.

    Args:
        image_id: the image's id in the data set.
        instances: n predictions in pixels of the original image, with labels and scores; boxes,
            masks and keypoints are written when they are there.
        label_map: turns labels into the data set's class ids.
    Returns:
        n dictionaries with image_id, category_id, score, and
        bbox: left, top, width, height; of rotated boxes centre x, centre y, width, height and
            the angle in degrees, as Detectron2 writes them;
        segmentation: compressed run lengths as text;
        keypoints: x, y, v of every joint, as `Keypoints.to_coco` writes them.
    Raises:
        InvalidValueError: labels or scores are missing.
    Empty: without instances the list is empty.
    """
    if len(instances) == 0:
        return []
    if instances.labels is None or instances.scores is None:
        raise InvalidValueError(
            f"image {image_id!r}: COCO results need labels and scores, got columns"
            f" {sorted(instances.columns())}"
        )
    categories = label_map.to_dataset_ids(instances.labels).tolist()
    rows: list[dict[str, Any]] = [
        {"image_id": image_id, "category_id": category, "score": score}
        for category, score in zip(categories, instances.scores.tolist(), strict=True)
    ]
    for name, values in _regions(instances).items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return rows


def _regions(instances: Instances) -> dict[str, list[Any]]:
    """Key of a result row to the n values of the column behind it."""
    regions: dict[str, list[Any]] = {}
    if instances.boxes is not None:
        boxes = instances.boxes
        numbers = boxes.to_xywh() if isinstance(boxes, Boxes) else boxes.cxcywha
        regions["bbox"] = numbers.tolist()
    if instances.masks is not None:
        regions["segmentation"] = instances.masks.to_rle_masks().to_coco()
    if instances.keypoints is not None:
        regions["keypoints"] = instances.keypoints.to_coco()
    return regions
