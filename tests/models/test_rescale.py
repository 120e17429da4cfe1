"""rescale_instances: boxes, masks and order in another image size."""

import pytest
import torch

from geodet.errors import DtypeError
from geodet.models import rescale_instances
from geodet.structures import (
    BitMasks,
    Boxes,
    ImageSize,
    Instances,
    Keypoints,
    RoiMasks,
    RotatedBoxes,
    Skeleton,
)

SIZE = ImageSize(50, 100)


def _predictions():
    boxes = Boxes(torch.tensor([[10.0, 5, 20, 25], [0, 0, 100, 50], [30, 10, 30, 20]]))
    return Instances(
        SIZE,
        boxes=boxes,
        scores=torch.tensor([0.9, 0.8, 0.7]),
        labels=torch.tensor([1, 0, 2]),
        masks=RoiMasks(torch.rand(3, 4, 4), boxes=boxes, image_size=SIZE),
    )


def test_boxes_scale_and_empty_ones_go():
    """X and y have their own factors; masks follow their boxes; columns stay aligned."""
    found = _predictions()
    moved = rescale_instances(found, ImageSize(200, 300))
    assert moved.image_size == ImageSize(200, 300)
    assert moved.boxes.xyxy.tolist() == [[30, 20, 60, 100], [0, 0, 300, 200]]
    assert moved.labels.tolist() == [1, 0]
    assert moved.masks.image_size == ImageSize(200, 300)
    assert torch.equal(moved.masks.roi_boxes.xyxy, moved.boxes.xyxy)
    assert torch.equal(moved.masks.probabilities, found.masks.probabilities[:2])


def test_boxes_are_clipped_to_the_new_size():
    """Rounding never leaves a box outside the image."""
    found = Instances(SIZE, boxes=Boxes(torch.tensor([[-5.0, 5, 120, 60], [100, 0, 120, 9]])))
    moved = rescale_instances(found, ImageSize(100, 200))
    assert moved.boxes.xyxy.tolist() == [[0, 10, 200, 100]]


def test_no_instances_stay_none():
    """Only the size changes."""
    moved = rescale_instances(Instances.empty(SIZE), ImageSize(7, 9))
    assert len(moved) == 0
    assert moved.image_size == ImageSize(7, 9)


def test_rotated_boxes_and_keypoints_are_scaled_as_their_types_say():
    """Each kind with the two factors; a rotated box without area goes, one at the border stays."""
    boxes = RotatedBoxes(
        torch.tensor([[50.0, 25, 30, 10, 20], [99, 49, 40, 20, 45], [9, 9, 0, 5, 0]])
    )
    xyv = torch.tensor([[[10.0, 20.0, 1.0]], [[50.0, 5.0, 0.5]], [[1.0, 2.0, 1.0]]])
    keypoints = Keypoints(xyv, Skeleton(names=("tip",), sigmas=(0.1,)))
    found = Instances(SIZE, boxes=boxes, keypoints=keypoints)
    moved = rescale_instances(found, ImageSize(200, 300))
    assert torch.equal(moved.boxes.cxcywha, boxes.scale(3.0, 4.0).cxcywha[:2])
    assert moved.keypoints.xyv[:, 0, :2].tolist() == [[30, 80], [150, 20]]
    assert torch.equal(rescale_instances(found, SIZE).boxes.cxcywha, boxes.cxcywha[:2])


def test_other_kinds_of_columns_are_refused():
    """Hard masks and missing boxes are named, with what to use instead."""
    with pytest.raises(DtypeError, match=r"instances\.boxes.*NoneType"):
        rescale_instances(Instances(SIZE), SIZE)
    masks = BitMasks(torch.zeros(1, 50, 100, dtype=torch.bool))
    hard = Instances(SIZE, boxes=Boxes(torch.ones(1, 4)), masks=masks)
    with pytest.raises(DtypeError, match=r"BitMasks.*transforms\.Resize"):
        rescale_instances(hard, SIZE)
