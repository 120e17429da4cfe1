"""RoiPooler: levels as torchvision assigns them, values as its half-pixel RoIAlign gives."""

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops.poolers import LevelMapper

from geodet.errors import CompositionError
from geodet.models import ROTATED, UPRIGHT, RoiPooler
from geodet.models.heads import assign_levels, rois_from_boxes

STRIDES = {"p2": 4, "p3": 8, "p4": 16}


def _random_boxes(n, seed=0, extent=128):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=generator) * extent * 0.9
    sides = extent * torch.rand(n, 2, generator=generator) ** 3
    return torch.cat([corner, corner + sides], dim=1)


def _features(b=2, extent=128):
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.randn(b, 3, extent // stride, extent // stride, generator=generator)
        for name, stride in STRIDES.items()
    }


@pytest.mark.parametrize(
    ("side", "level"),
    [(0, 2), (111, 2), (112, 3), (223, 3), (224, 4), (447, 4), (448, 5), (3e3, 5)],
)
def test_levels_change_at_powers_of_two(side, level):
    """A 224 pixel box belongs on p4, each doubling one level up, clamped at both ends."""
    area = torch.tensor([float(side) ** 2])
    assert assign_levels(area, lowest=2, highest=5).tolist() == [level]


@given(seed=st.integers(0, 2**31), n=st.integers(0, 40))
def test_levels_equal_torchvision(seed, n):
    """The same rule as torchvision's, at its canonical numbers."""
    boxes = _random_boxes(n, seed, extent=2000)
    ours = assign_levels(UPRIGHT.area(boxes), lowest=2, highest=5)
    assert torch.equal(ours, LevelMapper(2, 5, eps=1e-8)([boxes]) + 2)


def test_each_region_is_pooled_from_its_level():
    """Row by row equal to torchvision's aligned RoIAlign on the level of that row."""
    boxes = [_random_boxes(20), _random_boxes(15, seed=5)]
    rois = rois_from_boxes(boxes)
    features = _features()
    pooler = RoiPooler(STRIDES, output_side=5, canonical_size=32, canonical_level=3)
    pooled = pooler(features, rois)
    levels = assign_levels(
        UPRIGHT.area(rois[:, 1:]), lowest=2, highest=4, canonical_size=32, canonical_level=3
    )
    assert set(levels.tolist()) == {2, 3, 4}
    for roi, level, row in zip(rois, levels.tolist(), pooled, strict=True):
        wanted = torchvision.ops.roi_align(
            features[f"p{level}"], roi[None], 5, 1 / 2**level, sampling_ratio=0, aligned=True
        )
        torch.testing.assert_close(row[None], wanted, rtol=1e-4, atol=1e-4)  # other summing order


def test_gradient_reaches_every_level():
    """Also when no region is on a level: its gradient is zero then, not missing."""
    features = {name: level.requires_grad_() for name, level in _features().items()}
    pooler = RoiPooler(STRIDES, output_side=3)
    pooler(features, torch.tensor([[0.0, 3.0, 3.0, 40.0, 40.0]])).sum().backward()
    assert features["p2"].grad.abs().sum() > 0
    for name in ("p3", "p4"):
        assert features[name].grad is not None
        assert not features[name].grad.any()


def test_no_regions_and_half_precision():
    """Zero rows come out as zero rows; 16-bit maps are pooled in float32."""
    pooler = RoiPooler(STRIDES, output_side=3)
    assert pooler(_features(), torch.zeros(0, 5)).shape == (0, 3, 3, 3)
    halves = {name: level.bfloat16() for name, level in _features().items()}
    assert pooler(halves, torch.tensor([[0.0, 3, 3, 40, 40]])).dtype == torch.float32


def test_rois_carry_the_image_index():
    """Images without boxes add no rows."""
    rois = rois_from_boxes([torch.ones(1, 4), torch.zeros(0, 4), torch.full((2, 4), 3.0)])
    assert rois[:, 0].tolist() == [0, 2, 2]
    assert rois[:, 1].tolist() == [1, 3, 3]


@pytest.mark.parametrize("strides", [{}, {"p2": 4, "p4": 16}, {"p2": 6, "p3": 12}])
def test_strides_that_are_no_pyramid_fail_at_construction(strides):
    """Powers of two that double."""
    with pytest.raises(CompositionError, match="RoiPooler"):
        RoiPooler(strides, output_side=7)


def test_torchvisions_regions_start_half_a_pixel_later():
    """Not aligned, with 2 samples: torchvision's operator; rotated regions cannot."""
    torch.manual_seed(0)
    maps = {"p2": torch.rand(1, 3, 20, 20), "p3": torch.rand(1, 3, 10, 10)}
    rois = torch.tensor([[0, 3.3, 5.1, 30.2, 41.7], [0, 0.0, 0.0, 60.0, 70.0]])
    pooler = RoiPooler(
        {"p2": 4, "p3": 8}, output_side=7, sampling_ratio=2, canonical_level=3, aligned=False
    )
    wanted = torchvision.ops.roi_align(maps["p2"], rois, 7, 0.25, sampling_ratio=2, aligned=False)
    small = RoiPooler({"p2": 4}, output_side=7, sampling_ratio=2, aligned=False)
    torch.testing.assert_close(small(maps, rois), wanted)
    assert "not aligned" in repr(pooler)
    assert pooler(maps, rois).shape == (2, 3, 7, 7)
    with pytest.raises(CompositionError, match="RotatedBoxes are always pooled aligned"):
        RoiPooler({"p2": 4}, output_side=7, kind=ROTATED, aligned=False)
