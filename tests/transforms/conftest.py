"""Pictures and tables of objects with every kind of column, for the laws of transforms."""

import numpy as np
import pytest
import torch

from geodet.structures import (
    BitMasks,
    Boxes,
    Instances,
    Keypoints,
    PanopticSegmentation,
    PolygonMasks,
    RoiMasks,
    RotatedBoxes,
    Segment,
    Skeleton,
)

SKELETON = Skeleton(
    names=("nose", "left hand", "right hand", "left foot", "right foot"),
    edges=((0, 1), (0, 2)),
    flip_pairs=((1, 2), (3, 4)),
    sigmas=(0.1,) * 5,
)


def _points(rng, size, *rows):
    """Draw [*rows, 2] points up to a quarter outside; multiples of 1/64, so flips round nothing."""
    spans = np.array([size.width, size.height])
    points = np.floor(rng.uniform(-0.25, 1.25, (*rows, 2)) * spans * 64) / 64
    return torch.from_numpy(points).float()


def _boxes(rng, size, count):
    return Boxes(_points(rng, size, count, 2).sort(dim=1).values.flatten(1))


def _rotated_boxes(rng, size, count):
    sides = torch.from_numpy(rng.integers(1, 640, (count, 2)) / 64).float()
    angles = torch.from_numpy(rng.integers(-180, 180, (count, 1))).float()
    return RotatedBoxes(torch.cat((_points(rng, size, count), sides, angles), dim=1))


def _keypoints(rng, size, count):
    visibility = torch.from_numpy(rng.integers(0, 3, (count, 5, 1))).float()
    return Keypoints(torch.cat((_points(rng, size, count, 5), visibility), dim=2), SKELETON)


class _Make:
    @staticmethod
    def image(rng, size, channels=3, dtype=torch.uint8):
        """Draw a noise picture in 0..255."""
        return torch.from_numpy(rng.integers(0, 256, (channels, *size), dtype=np.uint8)).to(dtype)

    @staticmethod
    def instances(rng, size, count):
        """Draw objects with all columns, and extras of every kind."""
        bits = BitMasks(torch.from_numpy(rng.random((count, *size)) < 0.4))
        corners = _points(rng, size, count, 4).double()
        outlines = [[corner.flatten().tolist()] for corner in corners]
        soft = torch.from_numpy(rng.random((count, 4, 4))).float()
        return Instances(
            size,
            boxes=_boxes(rng, size, count),
            labels=torch.arange(count),
            scores=torch.from_numpy(rng.random(count)).float(),
            masks=bits,
            keypoints=_keypoints(rng, size, count),
            is_crowd=torch.from_numpy(rng.random(count) < 0.3),
            extras={
                "row": torch.arange(count, dtype=torch.float64),
                "proposals": _boxes(rng, size, count),
                "rotated": _rotated_boxes(rng, size, count),
                "runs": bits.to_rle_masks(),
                "outlines": PolygonMasks.from_coco(outlines, size),
                "soft": RoiMasks(soft, _boxes(rng, size, count), size),
                "points": _keypoints(rng, size, count),
            },
        )

    @staticmethod
    def panoptic(rng, size):
        """Draw a map of up to three segments and void."""
        ids = torch.from_numpy(rng.integers(0, 4, tuple(size), dtype=np.int32))
        segments = tuple(
            Segment(id=number, label=number, is_thing=number > 1, is_crowd=False)
            for number in range(1, 4)
            if bool((ids == number).any())
        )
        return PanopticSegmentation(ids, segments)


@pytest.fixture(scope="session")
def make():
    """Makers of pictures, tables of objects and panoptic maps, from a random generator."""
    return _Make
