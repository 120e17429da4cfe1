"""COCO "segmentation" values: checked, kept in flat tensors, and given back as masks."""

import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geodet.data.sources._coco_images import MalformedError
from geodet.errors import GeodetError
from geodet.ops import rle_from_strings
from geodet.structures import ImageSize, PolygonMasks, RleMasks

__all__ = ["PolygonRings", "RunLengths", "SegmentTable", "compact_numbers", "parse_segmentation"]

FloatArray = npt.NDArray[np.float64]


@attrs.frozen
class PolygonRings:
    """Outlines of the parts of one object, each flat x, y, x, y, ... float64."""

    rings: list[FloatArray]


@attrs.frozen
class RunLengths:
    """Run lengths of one object, int64, starting with zeros, column by column."""

    runs: npt.NDArray[np.int64]


def compact_numbers(record: dict[str, Any]) -> dict[str, Any]:
    """Turn the long number lists of an annotation into arrays, as soon as it is parsed.

    Lists that hold anything but numbers stay as they are, for the checks to describe.
    """
    segmentation = record.get("segmentation")
    if isinstance(segmentation, list):
        record["segmentation"] = [
            _numbers(ring) if isinstance(ring, list) else ring for ring in segmentation
        ]
    elif isinstance(segmentation, dict) and isinstance(segmentation.get("counts"), list):
        segmentation["counts"] = _numbers(segmentation["counts"])
    if isinstance(record.get("keypoints"), list):
        record["keypoints"] = _numbers(record["keypoints"])
    return record


def _numbers(values: list[Any]) -> Any:
    try:
        array = np.array(values)
    except (ValueError, OverflowError):  # lists of unequal lengths within
        return values
    if array.ndim != 1 or (array.size and array.dtype.kind not in "if"):
        return values
    return array if array.dtype.kind == "i" else array.astype(np.float64)


def parse_segmentation(value: Any, size_hw: tuple[int, int]) -> PolygonRings | RunLengths | None:
    """Read one segmentation, its lists already compacted.

    Args:
        value: polygons, or run lengths as a list or as COCO's compressed text.
        size_hw: size of the image.
    Returns:
        None where there is no mask: null, [] or a list of empty lists.
    Raises:
        MalformedError: anything else; the text says what was found.
    """
    if value is None:
        return None
    if isinstance(value, list):
        if all(isinstance(ring, list | np.ndarray) and len(ring) == 0 for ring in value):
            return None
        return PolygonRings(_rings(value))
    if isinstance(value, dict):
        return RunLengths(_runs(value, size_hw))
    raise MalformedError(
        f"segmentation: expected a list of polygons or an RLE object, got {_shown(value)}"
    )


def _rings(value: list[Any]) -> list[FloatArray]:
    if not isinstance(value[0], list | np.ndarray):
        raise MalformedError(
            f"segmentation: expected a list of polygons [[x, y, x, y, ...], ...], got a flat list "
            f"that begins with {_shown(value[0])}; put it into another list"
        )
    rings: list[FloatArray] = []
    for part, ring in enumerate(value):
        name = f"segmentation: polygon {part}"
        if _are_pairs(ring) or _are_pairs(value):
            raise MalformedError(
                "segmentation: expected flat polygons [[x, y, x, y, ...]], got a list of [x, y] "
                "pairs; join the pairs of each polygon into one flat list"
            )
        if not isinstance(ring, np.ndarray):
            raise MalformedError(f"{name}: expected finite numbers, got {_shown(ring)}")
        if ring.size % 2:
            raise MalformedError(
                f"{name}: expected x, y pairs, got an odd count of {ring.size} numbers"
            )
        if ring.size < 6:
            raise MalformedError(
                f"{name}: expected at least three points (6 numbers), got {ring.size} numbers"
            )
        rings.append(ring.astype(np.float64, copy=False))
    return rings


def _are_pairs(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 2
        and all(isinstance(one, list | np.ndarray) and len(one) == 2 for one in value)
    )


def check_rings(
    rings: Sequence[FloatArray], box_xyxy: tuple[float, ...], size_hw: tuple[int, int]
) -> None:
    """See that polygons are finite, hold some area, meet the image and have to do with the box.

    Runs once for each annotation of a data set: plain numbers are faster here than small arrays.

    Raises:
        MalformedError: they do not.
    """
    points = (rings[0] if len(rings) == 1 else np.concatenate(rings)).reshape(-1, 2)
    left, top = points.min(0).tolist()
    right, bottom = points.max(0).tolist()
    if not math.isfinite(left + top + right + bottom):
        raise MalformedError("segmentation: polygons: expected finite numbers, got NaN or infinity")
    height, width = size_hw
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        raise MalformedError(
            f"segmentation: polygon lies outside the image of {width} x {height} "
            f"(x {left:g} to {right:g}, y {top:g} to {bottom:g})"
        )
    if all(_is_flat(ring) for ring in rings):
        raise MalformedError("segmentation: all points of the polygon lie on one line: no area")
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    x1, y1, x2, y2 = box_xyxy
    both = max(min(x2, right) - max(x1, left), 0) * max(min(y2, bottom) - max(y1, top), 0)
    union = (x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - both
    # Rough boxes are common; a tenth is below what any of them reaches around its own object.
    if both < 0.1 * union:
        raise MalformedError(
            f"bbox and segmentation disagree: the box covers x {x1:g} to {x2:g}, y {y1:g} to "
            f"{y2:g}, the polygon x {left:g} to {right:g}, y {top:g} to {bottom:g}"
        )


def _is_flat(ring: FloatArray) -> bool:
    x, y = ring[0::2] - ring[0], ring[1::2] - ring[1]
    # Shoelace with the first point at the origin: the closing edge adds nothing.
    if abs(x[:-1] @ y[1:] - y[:-1] @ x[1:]) > 0:
        return False
    # A bow-tie has no signed area either; on a line every point is parallel to the farthest.
    far = int(np.argmax(np.abs(x) + np.abs(y)))
    return not np.any(np.abs(x * y[far] - y * x[far]) > 0)


def _runs(value: dict[str, Any], size_hw: tuple[int, int]) -> npt.NDArray[np.int64]:
    _check_rle_size(value, size_hw)
    counts = value.get("counts")
    if isinstance(counts, str):
        runs = _decompressed(counts)
    elif isinstance(counts, np.ndarray) and counts.dtype.kind == "i":
        runs = counts.astype(np.int64)
    else:
        found = f"got {_shown(counts)}" if "counts" in value else "it is missing"
        raise MalformedError(f"segmentation: counts: expected a text or whole numbers, {found}")
    if runs.min(initial=0) < 0:
        raise MalformedError(f"segmentation: counts: expected no negative run, got {runs.min()}")
    height, width = size_hw
    if runs.sum() != height * width:
        raise MalformedError(
            f"segmentation: counts: expected runs that sum to {height * width} "
            f"({height} x {width} pixels), got {runs.sum()}"
        )
    if runs[1::2].sum() == 0:
        raise MalformedError("segmentation: the mask holds no pixel")
    return runs


def _check_rle_size(value: dict[str, Any], size_hw: tuple[int, int]) -> None:
    size = value.get("size")
    if size == list(size_hw):
        return
    expected = f"segmentation: size: expected {list(size_hw)} (height, width of the image)"
    if "size" not in value:
        raise MalformedError(f"{expected}, it is missing")
    swapped = "; it is written (width, height)" if size == [size_hw[1], size_hw[0]] else ""
    raise MalformedError(f"{expected}, got {_shown(size)}{swapped}")


def _decompressed(counts: str) -> npt.NDArray[np.int64]:
    if counts.startswith(("b'", 'b"')):
        raise MalformedError(
            "segmentation: counts: expected a compressed RLE text, got the Python literal of "
            "bytes; write counts.decode() into the file"
        )
    try:
        runs, _ = rle_from_strings([counts.encode("ascii")])
    except (GeodetError, ValueError) as error:
        raise MalformedError(
            f"segmentation: counts: not a compressed RLE text ({error}): {_shown(counts)}"
        ) from None
    lengths: npt.NDArray[np.int64] = runs.to(torch.int64).numpy()
    return lengths


def _shown(value: Any) -> str:
    text = repr(value.tolist() if isinstance(value, np.ndarray) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@attrs.frozen(eq=False)
class SegmentTable:
    """Masks of n annotations, polygons and run lengths side by side.

    Args:
        is_rle: bool [n].
        first_ring: int64 [n + 1], the rings of each annotation.
        first_point: int64 [rings + 1].
        points: float64 [p, 2].
        first_run: int64 [n + 1], the runs of each annotation.
        runs: int32 [t].
    """

    is_rle: Tensor
    first_ring: Tensor
    first_point: Tensor
    points: Tensor
    first_run: Tensor
    runs: Tensor

    @classmethod
    def from_list(cls, segments: Sequence[PolygonRings | RunLengths]) -> "SegmentTable":
        """Lay the segments of all annotations end to end."""
        rings = [s.rings if isinstance(s, PolygonRings) else [] for s in segments]
        runs = [s.runs if isinstance(s, RunLengths) else np.empty(0, np.int64) for s in segments]
        flat = [ring for group in rings for ring in group]
        points = np.concatenate([np.empty(0), *flat]).reshape(-1, 2)
        all_runs = np.concatenate([np.empty(0, np.int64), *runs]).astype(np.int32)
        return cls(
            is_rle=torch.tensor([isinstance(s, RunLengths) for s in segments], dtype=torch.bool),
            first_ring=_offsets([len(group) for group in rings]),
            first_point=_offsets([ring.size // 2 for ring in flat]),
            points=torch.from_numpy(points),
            first_run=_offsets([run.size for run in runs]),
            runs=torch.from_numpy(all_runs),
        )

    def masks(self, begin: int, end: int, size: ImageSize) -> PolygonMasks | RleMasks:
        """Return the masks of annotations `begin` to `end`, all of one image.

        Polygons stay polygons unless one of the annotations has run lengths; then all of them
        become run lengths, exactly the pixels that COCO's own rasteriser gives.
        """
        is_rle = self.is_rle[begin:end]
        if not is_rle.any():
            return self._polygons(begin, end, size)
        offsets = self.first_run[begin : end + 1]
        runs = self.runs[offsets[0] : offsets[-1]].clone()
        if is_rle.all():
            return RleMasks(runs, offsets - offsets[0], size)
        stored = RleMasks(runs, _offsets((offsets[1:] - offsets[:-1])[is_rle].tolist()), size)
        drawn = self._polygons(begin, end, size)[~is_rle].to_rle_masks()
        order = torch.cat([is_rle.nonzero()[:, 0], (~is_rle).nonzero()[:, 0]]).argsort()
        return RleMasks.cat([stored, drawn])[order]

    def _polygons(self, begin: int, end: int, size: ImageSize) -> PolygonMasks:
        mask_offsets = self.first_ring[begin : end + 1]
        ring_offsets = self.first_point[mask_offsets[0] : mask_offsets[-1] + 1]
        points = self.points[ring_offsets[0] : ring_offsets[-1]].clone()
        count = len(ring_offsets) - 1
        return PolygonMasks(
            points,
            ring_offsets - ring_offsets[0],
            torch.arange(count + 1),  # COCO knows no holes: each ring is a part of its own
            mask_offsets - mask_offsets[0],
            size,
        )

    def area(self, row: int, size: ImageSize) -> float:
        """Pixels of the mask of one annotation."""
        return float(self.masks(row, row + 1, size).to_rle_masks().area()[0])


def _offsets(lengths: Sequence[int]) -> Tensor:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(np.asarray(lengths, dtype=np.int64), out=offsets[1:])
    return torch.from_numpy(offsets)
