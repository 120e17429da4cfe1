"""Shapes of masks: pieces, outlines, boundaries, turns, overlaps. 20 masks at 800 x 1333.

"runs" starts from run lengths on our side, "pixels" from the dense masks that the peers take too.
OpenCV is a peer where it is installed; nothing of geodet needs it.
"""

from collections.abc import Callable, Iterator

import numpy as np
import shapely
import torch
from box_cases import IMAGE_HW
from polygon_cases import blobs, flat_polygons, same_arrays, same_rles
from pycocotools import mask as coco_mask
from scipy import ndimage
from timing import OURS, Comparison
from torch import Tensor

from geodet import ops

try:
    import cv2
except ImportError:
    cv2 = None

COUNT = 20
SQUARE = np.ones((3, 3), dtype=bool)


def runs() -> tuple[Tensor, Tensor]:
    """The masks that all comparisons use."""
    return ops.polygons_to_rle(*flat_polygons(blobs(COUNT, IMAGE_HW, 6)), IMAGE_HW)


def cases() -> Iterator[tuple[str, Callable[[], Comparison]]]:
    """Name and builder of every comparison."""
    for source in ("runs", "pixels"):
        yield f"mask pieces, {source}", lambda source=source: _pieces(source)
        yield f"mask outlines, {source}", lambda source=source: _outlines(source)
        yield f"mask boundary, {source}", lambda source=source: _boundary(source)
        yield f"mask dilation by 5, {source}", lambda source=source: _dilation(source)
    yield "mask quarter turn, runs", _turn
    yield "mask IoU 20x20, pixels", _overlap


def _bytes(masks: Tensor) -> np.ndarray:
    return masks.numpy().view(np.uint8)


def _with_opencv(ways: dict[str, Callable[[], object]], opencv: Callable[[], object]):
    if cv2 is not None:
        cv2.setNumThreads(torch.get_num_threads())
        ways["OpenCV"] = opencv
    return ways


def _pieces(source: str) -> Comparison:
    batch = runs()
    masks = ops.rle_decode(*batch, IMAGE_HW)
    images = _bytes(masks)

    def ours() -> np.ndarray:
        if source == "pixels":
            return ops.bit_mask_components(masks)[1].numpy()
        origins = ops.rle_connected_components(*batch, IMAGE_HW)[2]
        return torch.bincount(origins, minlength=COUNT).numpy()

    ways = {OURS: ours, "SciPy label": lambda: [ndimage.label(mask)[1] for mask in images]}
    return Comparison(
        name=f"mask pieces, {source}",
        ways=_with_opencv(
            ways,
            lambda: [cv2.connectedComponents(mask, connectivity=4)[0] - 1 for mask in images],
        ),
        agree=same_arrays,
    )


def _outlines(source: str) -> Comparison:
    batch = runs()
    masks = ops.rle_decode(*batch, IMAGE_HW)
    images = _bytes(masks)

    def ours() -> tuple[Tensor, ...]:
        own = ops.rle_encode(masks) if source == "pixels" else batch
        return ops.rle_contours(*own, IMAGE_HW)

    def theirs() -> list[shapely.Geometry]:
        shapes = []
        for mask in images:
            steps = np.diff(mask.T, axis=1, prepend=0, append=0).astype(np.int8)
            x, top = np.nonzero(steps == 1)
            bottom = np.nonzero(steps == -1)[1]
            shapes.append(shapely.union_all(shapely.box(x, top, x + 1, bottom)))
        return shapes

    def agree(contours: object, shapes: object) -> bool:
        points, rings, parts, masks_of = contours
        areas = ops.ring_areas(points, rings).cumsum(0)
        ends = torch.cat([areas.new_zeros(1), areas])[parts[masks_of]]
        return np.array_equal(ends.diff().numpy(), shapely.area(shapes))

    ways = {OURS: ours, "shapely union": theirs}
    return Comparison(
        name=f"mask outlines, {source}",
        ways=_with_opencv(
            ways,
            lambda: [
                cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE) for mask in images
            ],
        ),
        agree=agree,
        other_answer=frozenset({"OpenCV"}),  # through the centres of pixels
    )


def _boundary(source: str) -> Comparison:
    batch = runs()
    masks = ops.rle_decode(*batch, IMAGE_HW)
    images = _bytes(masks)
    radius = ops.boundary_radius(IMAGE_HW)
    height, width = IMAGE_HW

    def ours() -> object:
        if source == "pixels":
            return ops.bit_mask_boundaries(masks, radius)
        return ops.rle_boundary(*batch, IMAGE_HW, radius)

    def scipy() -> np.ndarray:
        eroded = [ndimage.binary_erosion(mask, SQUARE, iterations=radius) for mask in images]
        return masks.numpy() & ~np.stack(eroded)

    def opencv() -> np.ndarray:
        boundaries = []
        for mask in images:
            padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
            eroded = cv2.erode(padded, SQUARE.astype(np.uint8), iterations=radius)
            boundaries.append(mask - eroded[1 : height + 1, 1 : width + 1])
        return np.stack(boundaries).view(bool)

    return Comparison(
        name=f"mask boundary, {source}",
        ways=_with_opencv({OURS: ours, "SciPy erosion": scipy}, opencv),
        agree=_same_masks,
    )


def _dilation(source: str) -> Comparison:
    batch = runs()
    masks = ops.rle_decode(*batch, IMAGE_HW)
    images = _bytes(masks)

    def ours() -> object:
        if source == "pixels":
            return ops.dilate_bit_masks(masks, 5)
        return ops.rle_dilate(*batch, IMAGE_HW, 5)

    def scipy() -> np.ndarray:
        return np.stack([ndimage.binary_dilation(mask, SQUARE, iterations=5) for mask in images])

    def opencv() -> np.ndarray:
        element = np.ones((11, 11), np.uint8)
        return np.stack([cv2.dilate(mask, element) for mask in images]).view(bool)

    return Comparison(
        name=f"mask dilation by 5, {source}",
        ways=_with_opencv({OURS: ours, "SciPy dilation": scipy}, opencv),
        agree=_same_masks,
    )


def _turn() -> Comparison:
    batch = runs()
    records = [{"size": list(IMAGE_HW), "counts": text} for text in ops.rle_to_strings(*batch)]

    def theirs() -> list[dict[str, object]]:
        turned = np.rot90(coco_mask.decode(records))
        return coco_mask.encode(np.asfortranarray(turned))

    return Comparison(
        name="mask quarter turn, runs",
        ways={OURS: lambda: ops.rle_rotate_90(*batch, IMAGE_HW), "pycocotools + NumPy": theirs},
        agree=same_rles,
    )


def _overlap() -> Comparison:
    masks = ops.rle_decode(*runs(), IMAGE_HW)

    def product() -> Tensor:
        pixels = masks.flatten(1).float()
        common = (pixels @ pixels.T).double()
        areas = common.diagonal()
        return common / (areas[:, None] + areas - common)

    def coco() -> np.ndarray:
        columns = np.asfortranarray(_bytes(masks).transpose(1, 2, 0))
        records = coco_mask.encode(columns)
        return coco_mask.iou(records, records, np.zeros(COUNT, dtype=np.uint8))

    return Comparison(
        name="mask IoU 20x20, pixels",
        ways={
            OURS: lambda: ops.pairwise_bit_mask_iou(masks, masks),
            "torch product": product,
            "pycocotools": coco,
        },
        agree=same_arrays,
    )


def _same_masks(ours: object, theirs: object) -> bool:
    """Whether run lengths or dense masks of ours are the dense masks of a peer."""
    masks = ops.rle_decode(*ours, IMAGE_HW) if isinstance(ours, tuple) else ours
    return np.array_equal(masks.numpy(), theirs)
