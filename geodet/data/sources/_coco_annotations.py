"""The "annotations" list of a COCO file, checked entry by entry and kept in flat tensors."""

import math
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geodet.data.label_map import LabelMap
from geodet.data.problems import Problem
from geodet.data.sources._coco_images import ImageTable, MalformedError, as_integer_id
from geodet.data.sources._coco_keypoints import parse_keypoints
from geodet.data.sources._coco_segments import (
    PolygonRings,
    RunLengths,
    SegmentTable,
    check_rings,
    parse_segmentation,
)
from geodet.errors import DataError
from geodet.structures import ImageSize, Skeleton

__all__ = ["AnnotationTable", "read_annotations"]

# Boxes may reach this far out of their image and are clipped: tools round, add one, or count
# pixels from 1. Anything beyond is a wrong number, a wrong image or another box format.
_OVERHANG_PX = 1.0


@attrs.frozen(eq=False)
class AnnotationTable:
    """n annotations, sorted by image and in file order within one.

    Args:
        first: int64 [images + 1], the annotations of each image.
        boxes_xyxy: float64 [n, 4], clipped to the image.
        labels: int64 [n].
        is_crowd: bool [n].
        areas: float64 [n], square pixels of the object.
        ids: int64 [n].
        segments: None where the file has none, or none were wanted.
        keypoints_xyv: float64 [n, k, 3], continuous pixels; None where none were wanted.
    """

    first: Tensor
    boxes_xyxy: Tensor
    labels: Tensor
    is_crowd: Tensor
    areas: Tensor
    ids: Tensor
    segments: SegmentTable | None
    keypoints_xyv: Tensor | None


@attrs.frozen
class _Row:
    image: int
    annotation_id: int
    label: int
    box_xyxy: tuple[float, ...]
    is_crowd: bool
    area: float | None
    segment: PolygonRings | RunLengths | None
    keypoints: npt.NDArray[np.float64] | None


@attrs.frozen
class Context:
    """What one annotation is checked against."""

    images: ImageTable
    label_map: LabelMap
    masks: bool
    skeleton: Skeleton | None


def read_annotations(
    records: list[Any], context: Context, *, keep_crowd: bool
) -> tuple[AnnotationTable, list[Problem]]:
    """Check every annotation; return the sound ones in flat tensors, and what is wrong.

    Args:
        records: the "annotations" list; its entries are dropped as they are read.
        context: images, classes, and what to read.
        keep_crowd: False leaves crowd regions out.
    """
    rows: list[tuple[int, _Row]] = []
    problems: list[Problem] = []
    row_of_id: dict[int, int] = {}
    for position, record in enumerate(records):
        records[position] = None  # its lists are freed, or already moved on
        try:
            row = _read(record, context, position, row_of_id)
        except MalformedError as error:
            problems.append(_problem(position, record, str(error), context))
            continue
        if row is not None and (keep_crowd or not row.is_crowd):
            rows.append((position, row))
    if context.masks:
        rows = _same_kind(rows, problems, context)
    rows.sort(key=lambda item: item[1].image)  # stable: file order within an image
    problems.sort(key=lambda problem: int(problem.where.split("[")[1].split("]")[0]))
    return _table([row for _, row in rows], context), problems


def _same_kind(
    rows: list[tuple[int, _Row]], problems: list[Problem], context: Context
) -> list[tuple[int, _Row]]:
    """All annotations have a mask or none has: those without one are broken when others have."""
    if not any(row.segment is not None for _, row in rows):
        return rows
    for position, row in rows:
        if row.segment is None:
            problems.append(
                Problem(
                    _where(position, row.annotation_id, row.image, context),
                    "segmentation: expected a mask, as other annotations of the file have, got "
                    "none; masks=False (--set data.masks=false on the command line) uses the boxes "
                    "only",
                    context.images.ids[row.image],
                    row.annotation_id,
                )
            )
    return [item for item in rows if item[1].segment is not None]


def _table(rows: list[_Row], context: Context) -> AnnotationTable:
    counts = np.bincount([row.image for row in rows], minlength=len(context.images.ids))
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    segments = [row.segment for row in rows if row.segment is not None]
    table = SegmentTable.from_list(segments) if segments else None
    areas = []
    for index, row in enumerate(rows):
        area = row.area
        if area is None and table is not None:
            area = table.area(index, ImageSize(*context.images.sizes_hw[row.image]))
        if area is None:
            x1, y1, x2, y2 = row.box_xyxy
            area = (x2 - x1) * (y2 - y1)
        areas.append(area)
    boxes = np.array([row.box_xyxy for row in rows], dtype=np.float64).reshape(-1, 4)
    keypoints = None
    if context.skeleton is not None:
        stacked = np.array([row.keypoints for row in rows], dtype=np.float64)
        keypoints = torch.from_numpy(stacked.reshape(len(rows), len(context.skeleton), 3))
    return AnnotationTable(
        first=torch.from_numpy(first),
        boxes_xyxy=torch.from_numpy(boxes),
        labels=torch.tensor([row.label for row in rows], dtype=torch.int64),
        is_crowd=torch.tensor([row.is_crowd for row in rows], dtype=torch.bool),
        areas=torch.tensor(areas, dtype=torch.float64),
        ids=torch.tensor([row.annotation_id for row in rows], dtype=torch.int64),
        segments=table,
        keypoints_xyv=keypoints,
    )


def _read(record: Any, context: Context, position: int, row_of_id: dict[int, int]) -> _Row | None:
    """Check one annotation. None: its image was left out as broken, so it goes too."""
    if not isinstance(record, dict):
        raise MalformedError(f"expected an object, got {type(record).__name__}")
    annotation_id = as_integer_id("id", record)
    if not -(2**63) <= annotation_id < 2**63:
        raise MalformedError(f"id: expected an integer of 64 bits, got {annotation_id}")
    if annotation_id in row_of_id:
        raise MalformedError(
            f"id {annotation_id} already belongs to annotations[{row_of_id[annotation_id]}]; "
            f"ids must be distinct"
        )
    row_of_id[annotation_id] = position
    image_id = record.get("image_id")
    image = _image(record, context.images)
    if image is None and image_id in context.images.broken_ids:
        return None
    if image is None:
        raise MalformedError(_unknown_image(record, context.images))
    size_hw = context.images.sizes_hw[image]
    box = _box(record, size_hw)
    segment = parse_segmentation(record.get("segmentation"), size_hw) if context.masks else None
    if isinstance(segment, PolygonRings):
        check_rings(segment.rings, box, size_hw)
    keypoints = None
    if context.skeleton is not None:
        keypoints = parse_keypoints(record, context.skeleton, size_hw)
    return _Row(
        image=image,
        annotation_id=annotation_id,
        label=_label(record, context.label_map),
        box_xyxy=box,
        is_crowd=_is_crowd(record),
        area=_area(record, size_hw),
        segment=segment,
        keypoints=keypoints,
    )


def _image(record: dict[str, Any], images: ImageTable) -> int | None:
    image_id = record.get("image_id")
    if isinstance(image_id, bool) or not isinstance(image_id, int | float | str):
        found = f"got {image_id!r}" if "image_id" in record else "it is missing"
        raise MalformedError(f"image_id: expected the id of an image, {found}")
    return images.index_of.get(image_id)  # type: ignore[arg-type]  # 1.0 finds 1, as it should


def _unknown_image(record: dict[str, Any], images: ImageTable) -> str:
    image_id = record["image_id"]
    text = f"image_id: no image of the file has id {image_id!r}"
    for image in images.ids:
        if str(image) == str(image_id):
            return (
                f"{text}; the images list has it as {image!r} ({type(image).__name__}): use one "
                f"type in both"
            )
    return text


def _label(record: dict[str, Any], label_map: LabelMap) -> int:
    category_id = as_integer_id("category_id", record)
    try:
        return label_map.to_label(category_id)
    except DataError as error:
        raise MalformedError(f"category_id: {error}") from None


def _box(record: dict[str, Any], size_hw: tuple[int, int]) -> tuple[float, ...]:
    value = record.get("bbox")
    if not isinstance(value, list) or len(value) != 4:
        found = f"got {value!r:.60}" if "bbox" in record else "it is missing"
        raise MalformedError(f"bbox: expected four numbers [x, y, width, height], {found}")
    if not all(type(number) in (int, float) and math.isfinite(number) for number in value):
        raise MalformedError(f"bbox: expected four finite numbers, got {value!r:.80}")
    x, y, w, h = (float(number) for number in value)
    height, width = size_hw
    if w <= 0 or h <= 0:
        raise MalformedError(
            f"bbox: expected a positive width and height, got {value} (x, y, width, height)"
        )
    over = max(-x, -y, x + w - width, y + h - height)
    if over > _OVERHANG_PX:
        hint = ""
        inside = min(x, y) >= -_OVERHANG_PX
        if inside and x < w <= width + _OVERHANG_PX and y < h <= height + _OVERHANG_PX:
            hint = "; read as corners x1, y1, x2, y2 it would fit: COCO boxes are not corners"
        elif max(-x, -y, x + w - height, y + h - width) <= _OVERHANG_PX:
            hint = "; it would fit if width and height of the image were swapped"
        raise MalformedError(
            f"bbox: expected a box inside the image of {width} x {height} pixels, got {value} "
            f"(x, y, width, height), {over:g} px outside{hint}"
        )
    box = (max(x, 0.0), max(y, 0.0), min(x + w, float(width)), min(y + h, float(height)))
    left, top, right, bottom = np.array(box, dtype=np.float32).tolist()
    if not (right > left and bottom > top):
        raise MalformedError(
            f"bbox: expected a box with an area in single precision inside the image of {width} x "
            f"{height} pixels, got {value} (x, y, width, height)"
        )
    return box


def _is_crowd(record: dict[str, Any]) -> bool:
    value = record.get("iscrowd", 0)
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    raise MalformedError(f"iscrowd: expected 0 or 1 (or leave it out), got {value!r}")


def _area(record: dict[str, Any], size_hw: tuple[int, int]) -> float | None:
    value = record.get("area")
    if value is None:
        return None
    limit = size_hw[0] * size_hw[1]
    # An outline may run along the border of the image and count a little more than its pixels.
    if type(value) in (int, float) and 0 < value <= 1.1 * limit:
        return float(value)
    raise MalformedError(
        f"area: expected a positive number of at most {limit} (pixels of the image), or none, "
        f"got {value!r}"
    )


def _problem(position: int, record: Any, what: str, context: Context) -> Problem:
    if not isinstance(record, dict):
        return Problem(f"annotations[{position}]", what)
    annotation_id, image_id = record.get("id"), record.get("image_id")
    known = isinstance(image_id, int | float | str) and image_id in context.images.index_of
    image = context.images.index_of[image_id] if known else None  # type: ignore[index]
    return Problem(
        _where(position, annotation_id, image, context),
        what,
        image_id if isinstance(image_id, int | str) else None,
        annotation_id if isinstance(annotation_id, int) else None,
    )


def _where(position: int, annotation_id: Any, image: int | None, context: Context) -> str:
    parts = [] if annotation_id is None else [f"id {annotation_id!r}"]
    if image is not None:
        parts.append(f"image {context.images.ids[image]!r} {context.images.file_names[image]!r}")
    return f"annotations[{position}]" + (f" ({', '.join(parts)})" if parts else "")
