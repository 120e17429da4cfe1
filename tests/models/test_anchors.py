"""Anchors: hand values, order, and torchvision where it does not round."""

import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator as TorchvisionAnchors
from torchvision.models.detection.image_list import ImageList as TorchvisionImages

from geodet.errors import CompositionError, ShapeError
from geodet.models import AnchorGenerator
from geodet.structures import Boxes


def test_values_by_hand():
    """Area is size squared, ratio is height / width, the centre is the cell's corner."""
    anchors = AnchorGenerator(sizes=[(32,)], aspect_ratios=(0.25, 1, 4), strides=[8])
    (rows,) = anchors([(2, 2)])
    assert rows.tolist() == [
        [-32, -8, 32, 8], [-16, -16, 16, 16], [-8, -32, 8, 32],
        [-24, -8, 40, 8], [-8, -16, 24, 16], [0, -32, 16, 32],
        [-32, 0, 32, 16], [-16, -8, 16, 24], [-8, -24, 8, 40],
        [-24, 0, 40, 16], [-8, -8, 24, 24], [0, -24, 16, 40],
    ]  # fmt: skip


def test_first_anchors_of_detectron2():
    """The unrounded cell anchors of every FPN model's finest level."""
    (rows,) = AnchorGenerator(sizes=[(32,)], aspect_ratios=(0.5, 1, 2), strides=[4])([(1, 1)])
    side = 32 * 2**0.5 / 2
    wanted = [
        [-side, -side / 2, side, side / 2],
        [-16, -16, 16, 16],
        [-side / 2, -side, side / 2, side],
    ]
    torch.testing.assert_close(rows, torch.tensor(wanted))


def test_sizes_run_slower_than_ratios_and_offset_shifts():
    """Order size, ratio; offset 0.5 centres an anchor in its cell."""
    anchors = AnchorGenerator(sizes=[(2, 4)], aspect_ratios=(1, 4), strides=[10], offset=0.5)
    (rows,) = anchors([(1, 2)])
    centres, sides = (rows[:, :2] + rows[:, 2:]) / 2, rows[:, 2:] - rows[:, :2]
    assert sides[:4].tolist() == [[2, 2], [1, 4], [4, 4], [2, 8]]
    assert centres.tolist() == [[5, 5]] * 4 + [[15, 5]] * 4
    assert anchors.anchors_per_location == 4


def test_grid_equals_torchvision():
    """Several levels with whole-number anchors, which torchvision's rounding leaves alone."""
    sizes, ratios = ((32,), (64,), (128,)), (0.25, 1.0, 4.0)
    ours = AnchorGenerator(sizes=sizes, aspect_ratios=ratios, strides=[4, 8, 16])
    peer = TorchvisionAnchors(sizes, (ratios,) * 3)
    grids = [(16, 24), (8, 12), (4, 6)]
    images = TorchvisionImages(torch.zeros(1, 3, 64, 96), [(64, 96)])
    wanted = peer(images, [torch.zeros(1, 1, *grid) for grid in grids])
    assert torch.equal(torch.cat(ours(grids)), wanted[0])


def test_empty_grid_has_no_anchors_and_checkpoints_hold_none():
    """Anchors are computed, never loaded."""
    anchors = AnchorGenerator(sizes=[(32,)], aspect_ratios=(1,), strides=[4])
    assert anchors([(0, 3)])[0].shape == (0, 4)
    assert not anchors.state_dict()
    with pytest.raises(ShapeError, match="1 levels, got 2"):
        anchors([(1, 1), (1, 1)])


@pytest.mark.parametrize(
    "changes",
    [
        {"strides": [4, 8]},
        {"sizes": [], "strides": []},
        {"sizes": [(1,), (1, 2)], "strides": [4, 8]},
        {"sizes": [(0,)]},
        {"aspect_ratios": ()},
        {"offset": 1.0},
    ],
)
def test_impossible_anchors_fail_at_construction(changes):
    """Counts and signs are checked."""
    with pytest.raises(CompositionError, match="AnchorGenerator"):
        AnchorGenerator(**{"sizes": [(8,)], "aspect_ratios": (1,), "strides": [4], **changes})


def test_rotated_anchors_are_the_upright_ones_at_every_angle():
    """Angles vary fastest; centres, widths and heights are those of the upright anchors."""
    options = {"sizes": [(16, 24), (64, 96)], "aspect_ratios": (0.5, 2.0), "strides": [8, 16]}
    angles = (-90.0, 0.0, 30.0)
    turned = AnchorGenerator(**options, angles=angles)
    assert turned.anchors_per_location == 12
    for level, upright in zip(
        turned([(3, 5), (2, 2)]), AnchorGenerator(**options)([(3, 5), (2, 2)]), strict=True
    ):
        by_angle = level.view(-1, 3, 5)
        assert torch.equal(by_angle[..., 4], torch.tensor(angles).expand(len(upright), 3))
        for i in range(3):
            torch.testing.assert_close(by_angle[:, i, :4], Boxes(upright).to_cxcywh())
    with pytest.raises(CompositionError, match="at least one angle"):
        AnchorGenerator(**options, angles=())


def test_rounded_anchors_are_torchvisions():
    """Of one size a level; torchvision's own generator is the oracle."""
    sizes, ratios = ((33,), (65,)), (0.5, 1.0, 2.0)
    oracle = TorchvisionAnchors(sizes, (ratios,) * 2)
    ours = AnchorGenerator(sizes=sizes, aspect_ratios=ratios, strides=(4, 8), rounded=True)
    wanted = oracle.grid_anchors([(3, 5), (2, 2)], [[torch.tensor(s)] * 2 for s in (4, 8)])
    for found, expected in zip(ours([(3, 5), (2, 2)]), wanted, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
    with pytest.raises(CompositionError, match="no sides to round"):
        AnchorGenerator(
            sizes=sizes, aspect_ratios=ratios, strides=(4, 8), angles=(0.0,), rounded=True
        )
