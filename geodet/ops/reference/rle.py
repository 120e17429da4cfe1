"""Specification of `geodet.ops.rle`, `rle_algebra` and `rle_text` on dense NumPy masks."""

import itertools

import numpy as np
import numpy.typing as npt

__all__ = [
    "rle_area_reference",
    "rle_box_reference",
    "rle_crop_reference",
    "rle_decode_reference",
    "rle_difference_reference",
    "rle_encode_reference",
    "rle_flip_reference",
    "rle_from_string_reference",
    "rle_intersection_reference",
    "rle_iou_reference",
    "rle_resize_reference",
    "rle_to_string_reference",
    "rle_union_reference",
]

Mask = npt.NDArray[np.bool_]


def rle_encode_reference(mask: Mask) -> list[int]:
    """Canonical run lengths of one [h, w] mask, column by column, zeros first."""
    pixels = mask.T.flatten().tolist()
    runs = [(value, len(list(group))) for value, group in itertools.groupby(pixels)]
    if not runs or runs[0][0]:
        runs.insert(0, (False, 0))
    return [length for _, length in runs]


def rle_decode_reference(runs: list[int], size_hw: tuple[int, int]) -> Mask:
    """One [h, w] mask from its run lengths."""
    height, width = size_hw
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return pixels.reshape(width, height).T


def rle_area_reference(mask: Mask) -> int:
    """Number of set pixels."""
    return int(mask.sum())


def rle_box_reference(mask: Mask) -> tuple[int, int, int, int]:
    """Half-open x1, y1, x2, y2 of the set pixels; zeros when there are none."""
    ys, xs = np.nonzero(mask)
    if len(xs) == 0:
        return 0, 0, 0, 0
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def rle_iou_reference(a: Mask, b: Mask, is_crowd: bool = False) -> float:
    """Intersection over union, or over the area of `a` when b is a crowd; 0 without overlap."""
    common = int((a & b).sum())
    whole = int(a.sum()) if is_crowd else int((a | b).sum())
    return common / whole if common > 0 else 0.0


def rle_union_reference(masks: Mask) -> Mask:
    """Pixels that any of [k, h, w] masks sets."""
    return np.asarray(masks.any(axis=0))


def rle_intersection_reference(masks: Mask) -> Mask:
    """Pixels that all of [k, h, w] masks set."""
    return np.asarray(masks.all(axis=0))


def rle_difference_reference(a: Mask, b: Mask) -> Mask:
    """Pixels that a sets and b does not."""
    return a & ~b


def rle_crop_reference(mask: Mask, box_xyxy: tuple[int, int, int, int]) -> Mask:
    """The part of a mask inside a box."""
    x1, y1, x2, y2 = box_xyxy
    return mask[y1:y2, x1:x2]


def rle_flip_reference(mask: Mask, *, horizontal: bool) -> Mask:
    """A mask mirrored."""
    return mask[:, ::-1] if horizontal else mask[::-1]


def rle_resize_reference(mask: Mask, new_hw: tuple[int, int]) -> Mask:
    """A mask sampled at pixel centres: index floor((i + 0.5) * old / new)."""

    def sources(old: int, new: int) -> list[int]:
        return [(2 * i + 1) * old // (2 * new) for i in range(new)]

    rows, columns = (sources(old, new) for old, new in zip(mask.shape, new_hw, strict=True))
    return mask[np.ix_(rows, columns)]


def rle_to_string_reference(runs: list[int]) -> bytes:
    """COCO's text: signed numbers in groups of five bits, lowest first."""
    text = bytearray()
    for k, length in enumerate(runs):
        number = length - runs[k - 2] if k > 2 else length
        while True:
            number, group = number >> 5, number & 31
            last = number == (-1 if group & 16 else 0)
            text.append(48 + group + (0 if last else 32))
            if last:
                break
    return bytes(text)


def rle_from_string_reference(text: bytes) -> list[int]:
    """Run lengths from COCO's text."""
    runs: list[int] = []
    groups: list[int] = []
    for code in text:
        groups.append((code - 48) & 31)
        if (code - 48) & 32:
            continue
        number = sum(group << (5 * k) for k, group in enumerate(groups))
        if groups[-1] & 16:
            number -= 1 << (5 * len(groups))
        runs.append(number + runs[-2] if len(runs) > 2 else number)
        groups = []
    return runs
