"""What a user of the public types may write: `mypy --strict` finds nothing here."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from geodet import (
    BitMasks,
    Boxes,
    ImageList,
    ImageSize,
    Instances,
    Keypoints,
    PanopticSegmentation,
    PolygonMasks,
    RleMasks,
    RoiMasks,
    RotatedBoxes,
    Skeleton,
    ops,
)
from geodet.structures import HardMasks, Masks, Region

SIZE = ImageSize(height=20, width=30)


def largest(regions: Region, count: int) -> Region:
    """Code against the protocol takes and gives regions of either kind."""
    order: Tensor = regions.area().argsort(descending=True)
    return regions[order[:count]]


def total_area(masks: Masks) -> int:
    """Any kind of masks has an area."""
    return int(masks.area().sum())


def grown(masks: HardMasks) -> Masks:
    """Masks that answer yes or no can be grown."""
    return masks.dilate(1)


def rows_of(table: Instances) -> Iterator[Instances]:
    """Iterating gives tables of one row."""
    yield from table


def boxes_stay_boxes() -> Boxes:
    """Selecting, joining and moving keep the type."""
    boxes = Boxes.from_xywh(torch.rand(3, 4))
    joined = Boxes.cat([boxes[0], boxes[1:], boxes[boxes.area() > 0], boxes[[0, 2]]])
    moved = joined.to("cpu", dtype=torch.float64).translate(1.0, 2.0).clip_to(SIZE)
    return moved.flip_horizontally(SIZE).validated()


def rotated_boxes_stay_rotated() -> RotatedBoxes:
    """And so do rotated ones; hulls are upright."""
    rotated = RotatedBoxes.from_boxes(boxes_stay_boxes()).rotate(30.0, center=(1.0, 1.0))
    upright: Boxes = rotated.hull()
    return RotatedBoxes.cat([rotated, upright.to_rotated()])


def masks_convert() -> tuple[BitMasks, RleMasks, PolygonMasks]:
    """Each conversion names what comes out."""
    polygons = PolygonMasks.from_coco([[[1.0, 1.0, 9.0, 1.0, 9.0, 9.0]]], SIZE)
    runs: RleMasks = polygons.to_rle_masks()
    bits: BitMasks = runs.to_bit_masks()
    both: BitMasks = bits.union(bits)
    iou: Tensor = runs.pairwise_iou(runs)
    assert iou.shape == (1, 1)
    return both, runs.crop((0, 0, 5, 5)), bits.contours()


def a_table() -> Instances:
    """Columns are optional, extras are a mapping."""
    skeleton = Skeleton.coco_person()
    boxes = Boxes.empty()
    soft = RoiMasks(torch.zeros(0, 4, 4), boxes, SIZE)
    table = Instances(SIZE, boxes=boxes, masks=soft, keypoints=Keypoints.empty(skeleton))
    extras: Mapping[str, object] = table.extras
    assert not extras
    if table.masks is not None:
        total_area(table.masks)
    return table.with_(scores=torch.zeros(0))


def operators() -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Operators take tensors and give tensors."""
    boxes, scores = torch.rand(4, 4), torch.rand(4)
    kept: Tensor = ops.nms(boxes, scores, 0.5)
    overlaps: Tensor = ops.pairwise_rotated_iou(torch.rand(2, 5), torch.rand(3, 5))
    return kept, overlaps, ops.rle_encode(torch.zeros(1, 2, 3, dtype=torch.bool))


def batches() -> tuple[ImageList, PanopticSegmentation]:
    """Batches and maps know their sizes."""
    batch = ImageList.from_images([torch.zeros(3, 4, 5)], size_divisor=8)
    sizes: tuple[ImageSize, ...] = batch.sizes
    return batch, PanopticSegmentation.empty(sizes[0])


one: Region = largest(boxes_stay_boxes(), 1)
two: Region = largest(rotated_boxes_stay_rotated(), 2)
three: Masks = grown(masks_convert()[1])
