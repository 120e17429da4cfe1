"""COCO keypoints: the skeleton that the categories declare, and the points of one annotation."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from geodet.data.sources._coco_images import MalformedError
from geodet.errors import DataError, GeodetError
from geodet.structures import Skeleton

__all__ = ["parse_keypoints", "read_skeleton"]

_OVERHANG_PX = 1.0


def read_skeleton(categories: list[Any], path: Path) -> Skeleton:
    """Return the one skeleton that the categories with keypoints share.

    COCO's person gets COCO's sigmas; any other skeleton what `Skeleton.from_names` gives it.

    Raises:
        DataError: no category has keypoints, two have different ones, or the skeleton is broken.
    """
    found: Skeleton | None = None
    owner = ""
    for row, record in enumerate(categories):
        names = record.get("keypoints") if isinstance(record, dict) else None
        if not isinstance(names, list) or not names:
            continue
        where = f"{path}: categories[{row}] ({record.get('name')!r})"
        skeleton = _skeleton(names, record.get("skeleton", []), where)
        if found is not None and skeleton != found:
            raise DataError(
                f"{where} has {len(skeleton)} keypoints ({', '.join(skeleton.names)}), {owner} "
                f"has {len(found)} ({', '.join(found.names)}): one data set has one skeleton; "
                f"split the file, or pass keypoints=False"
            )
        found, owner = skeleton, repr(record.get("name"))
    if found is None:
        raise DataError(
            f'{path}: keypoints=True, but no category has a "keypoints" list of names; add it, '
            f"or pass skeleton="
        )
    return found


def _skeleton(names: list[Any], edges: Any, where: str) -> Skeleton:
    if not all(isinstance(name, str) for name in names):
        raise DataError(f"{where}: keypoints: expected names, got {names!r:.80}")
    person = Skeleton.coco_person()
    if tuple(names) == person.names:
        return person
    try:
        # The file counts from 1.
        return Skeleton.from_names(names, edges=[(int(a) - 1, int(b) - 1) for a, b in edges])
    except (GeodetError, TypeError, ValueError) as error:
        raise DataError(
            f"{where}: skeleton: expected pairs of keypoint numbers from 1 to {len(names)}, "
            f"got {edges!r:.120} ({error})"
        ) from None


def parse_keypoints(
    record: dict[str, Any], skeleton: Skeleton, size_hw: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Return the points of one annotation, [k, 3], in continuous pixels.

    Labelled points gain 0.5: COCO names pixels, geodet positions. Points that are not labelled
    become zeros. An annotation without "keypoints", or with an empty list, has none labelled.

    Raises:
        MalformedError: the list is malformed, or a labelled point lies outside the image.
    """
    value = record.get("keypoints")
    count = len(skeleton)
    if value is None or len(value) == 0:
        value = np.zeros(3 * count)
    if not isinstance(value, np.ndarray):
        raise MalformedError(f"keypoints: expected numbers, got {value!r:.80}")
    if value.size != 3 * count:
        raise MalformedError(
            f"keypoints: expected {3 * count} numbers (x, y, v of {count} points), got {value.size}"
        )
    xyv = value.astype(np.float64).reshape(count, 3)
    if not np.isfinite(xyv).all():
        raise MalformedError("keypoints: expected finite numbers, got NaN or infinity")
    if not np.isin(xyv[:, 2], (0, 1, 2)).all():
        odd = xyv[~np.isin(xyv[:, 2], (0, 1, 2)), 2][0]
        raise MalformedError(f"keypoints: expected a visibility of 0, 1 or 2, got {odd:g}")
    labelled = xyv[:, 2] > 0
    xyv[labelled, :2] += 0.5
    xyv[~labelled] = 0
    stated = record.get("num_keypoints")
    if stated is not None and stated != labelled.sum():
        raise MalformedError(f"num_keypoints: expected {labelled.sum()} labelled, got {stated!r}")
    height, width = size_hw
    over = np.maximum(-xyv[:, :2], xyv[:, :2] - (width, height)).max(axis=1)
    if (over > _OVERHANG_PX).any():
        point = int(over.argmax())
        raise MalformedError(
            f"keypoints: expected {skeleton.names[point]!r} inside the image of {width} x {height} "
            f"pixels, got ({xyv[point, 0] - 0.5:g}, {xyv[point, 1] - 0.5:g})"
        )
    return xyv
