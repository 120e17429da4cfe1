"""Rows of COCO result files."""

import json

import numpy as np
import pytest
import torch

from geodet.data.label_map import LabelMap
from geodet.errors import InvalidValueError
from geodet.inference import to_coco_results
from geodet.structures import (
    BitMasks,
    Boxes,
    ImageSize,
    Instances,
    Keypoints,
    RotatedBoxes,
    Skeleton,
)

SIZE = ImageSize(20, 30)
LABELS = LabelMap(names=("cat", "dog"), dataset_ids=(17, 90))
BOXES = Boxes(torch.tensor([[1.0, 2.0, 4.5, 8.0], [0.0, 0.0, 30.0, 20.0]]))
FOUND = Instances(SIZE, boxes=BOXES, labels=torch.tensor([1, 0]), scores=torch.tensor([0.5, 0.25]))


def test_rows_hold_dataset_ids_and_xywh():
    """Labels become the data set's ids; boxes left, top, width, height; all plain Python."""
    rows = to_coco_results(42, FOUND, LABELS)

    assert rows == [
        {"image_id": 42, "category_id": 90, "score": 0.5, "bbox": [1.0, 2.0, 3.5, 6.0]},
        {"image_id": 42, "category_id": 17, "score": 0.25, "bbox": [0.0, 0.0, 30.0, 20.0]},
    ]
    assert json.loads(json.dumps(rows)) == rows


# pycocotools 2.0.11 warns about NumPy 2 whenever it decodes.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_masks_are_run_lengths_that_pycocotools_decodes():
    """The text decodes to the mask, bit for bit."""
    coco_mask = pytest.importorskip("pycocotools.mask")
    data = torch.from_numpy(np.random.default_rng(0).random((2, 20, 30)) > 0.5)
    rows = to_coco_results("a", FOUND.with_(masks=BitMasks(data)), LABELS)
    read = json.loads(json.dumps(rows))

    for row, mask in zip(read, data, strict=True):
        assert row["segmentation"]["size"] == [20, 30]
        assert (coco_mask.decode(row["segmentation"]) == mask.numpy()).all()


def test_keypoints_lose_the_half_pixel():
    """COCO names pixel centres by whole numbers; x and y are reduced by 0.5, v is not."""
    skeleton = Skeleton(names=("a", "b"), sigmas=(0.1, 0.1))
    xyv = torch.tensor([[[3.5, 4.5, 2.0], [0.5, 0.5, 1.0]], [[7.0, 8.0, 0.5], [1.5, 1.5, 0.0]]])
    rows = to_coco_results(1, FOUND.with_(keypoints=Keypoints(xyv, skeleton)), LABELS)

    assert rows[0]["keypoints"] == [3.0, 4.0, 2.0, 0.0, 0.0, 1.0]
    assert rows[1]["keypoints"][:3] == [6.5, 7.5, 0.5]


def test_no_instances_give_no_rows():
    """An image without predictions adds nothing to the file."""
    assert to_coco_results(1, Instances(SIZE), LABELS) == []


def test_incomplete_instances_are_errors_that_name_the_image():
    """Rows without class or score cannot be evaluated."""
    with pytest.raises(InvalidValueError, match=r"image 5.*labels and scores"):
        to_coco_results(5, FOUND.with_(scores=None), LABELS)


def test_rotated_boxes_are_written_with_their_angle():
    """Five numbers: centre, sides, degrees."""
    numbers = [[10.0, 8.0, 6.0, 4.0, 30.0], [5.0, 5.0, 2.0, 3.0, -90.0]]
    rows = to_coco_results(5, FOUND.with_(boxes=RotatedBoxes(torch.tensor(numbers))), LABELS)
    assert [row["bbox"] for row in rows] == numbers
