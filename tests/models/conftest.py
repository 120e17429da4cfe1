"""Small detectors and small pictures with a few rectangles on them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from geodet.models import (
    FCOS,
    RCNN,
    Preprocess,
    RetinaNet,
    fcos_fpn,
    group_norm,
    mask_rcnn_fpn,
    retinanet_fpn,
)
from geodet.structures import BitMasks, Boxes, ImageSize, Instances

# (x1, y1, x2, y2, label) on a 64 x 64 picture.
SCENES = (
    ((4, 6, 34, 40, 0), (40, 30, 60, 58, 1)),
    ((10, 20, 50, 52, 1),),
)


def _picture(objects: tuple[tuple[int, ...], ...]) -> tuple[Tensor, Instances]:
    """Dark noise with one bright rectangle per object: label 0 red, label 1 blue."""
    size = ImageSize(64, 64)
    noise = torch.Generator().manual_seed(len(objects))
    image = torch.randint(0, 60, (3, 64, 64), generator=noise, dtype=torch.uint8)
    masks = torch.zeros((len(objects), 64, 64), dtype=torch.bool)
    for mask, (x1, y1, x2, y2, label) in zip(masks, objects, strict=True):
        image[2 * label, y1:y2, x1:x2] += 180
        mask[y1:y2, x1:x2] = True
    xyxy = torch.tensor([row[:4] for row in objects], dtype=torch.float32).reshape(-1, 4)
    labels = torch.tensor([row[4] for row in objects], dtype=torch.int64)
    return image, Instances(size, boxes=Boxes(xyxy), labels=labels, masks=BitMasks(masks))


@pytest.fixture
def pictures() -> tuple[list[Tensor], list[Instances]]:
    """Two pictures with two and one objects of two classes."""
    images, targets = zip(*(_picture(scene) for scene in SCENES), strict=True)
    return list(images), list(targets)


@pytest.fixture
def tiny_mask_rcnn() -> Callable[..., RCNN]:
    """Makes Mask R-CNN of a few hundred thousand parameters, drawn from a fixed seed."""

    def make(**changes) -> RCNN:
        torch.manual_seed(0)
        options = {
            "num_classes": 2,
            "preprocess": Preprocess(
                channel_order="rgb", mean=(60.0,) * 3, std=(60.0,) * 3, size_divisor=32
            ),
            "depth": 18,
            "width": 16,
            "norm": group_norm(8),
            "freeze_at": 0,
            "fpn_channels": 32,
            "anchor_sizes": (16, 32, 64, 128, 256),
            "rpn_samples": 64,
            "train_proposals": (100, 50),
            "test_proposals": (100, 50),
            "box_samples": 32,
            "box_features": (64, 64),
            "mask_convs": (32, 32),
        }
        return mask_rcnn_fpn(**{**options, **changes})

    return make


def _one_stage(family, **options):
    def make(**changes):
        torch.manual_seed(0)
        shared = {
            "num_classes": 2,
            "preprocess": Preprocess(
                channel_order="rgb", mean=(60.0,) * 3, std=(60.0,) * 3, size_divisor=32
            ),
            "depth": 18,
            "width": 8,
            "norm": group_norm(8),
            "freeze_at": 0,
            "fpn_channels": 32,
            "head_convs": 1,
            "head_norm": group_norm(8),
        }
        return family(**{**shared, **options, **changes})

    return make


@pytest.fixture
def tiny_retinanet() -> Callable[..., RetinaNet]:
    """Makes RetinaNet of a hundred thousand parameters, drawn from a fixed seed."""
    return _one_stage(retinanet_fpn, anchor_sizes=(16, 32, 64, 128, 256))


@pytest.fixture
def tiny_fcos() -> Callable[..., FCOS]:
    """Makes FCOS of a hundred thousand parameters, drawn from a fixed seed."""
    return _one_stage(fcos_fpn)
