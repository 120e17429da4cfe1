"""Mask pasting into rotated boxes: against its specification, torch's and scipy's samplers."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.ops import (
    paste_mask_probabilities,
    paste_masks,
    paste_rotated_mask_probabilities,
    paste_rotated_masks,
    paste_rotated_masks_to_rle,
    rle_decode,
    rle_encode,
)
from geodet.ops.reference.paste import paste_rotated_probabilities_reference

INF = float("inf")
NAN = float("nan")


def random_masks(count: int, side: int, seed: int) -> Tensor:
    """Random probabilities [count, side, side]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, side, side, generator=generator, dtype=torch.float64)


def random_boxes(count: int, size: tuple[int, int], seed: int) -> Tensor:
    """Rotated boxes of all sizes and angles in and around an image."""
    generator = torch.Generator().manual_seed(seed)
    extent = torch.tensor([size[1], size[0]], dtype=torch.float64)
    centers = (torch.rand(count, 2, generator=generator).double() * 1.6 - 0.3) * extent
    sides = torch.randn(count, 2, generator=generator).double().exp() * extent / 3
    angles = torch.rand(count, 1, generator=generator).double() * 1440 - 720
    angles[::3] = (angles[::3] / 90).round() * 90  # quarter turns among them
    return torch.cat([centers, sides, angles], dim=1)


def pasted_by_grid_sample(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The same by torch's own sampler."""
    cx, cy, w, h, angle = (column[:, None, None] for column in boxes.unbind(1))
    x = torch.arange(size[1], dtype=masks.dtype)[None, None] + 0.5 - cx
    y = torch.arange(size[0], dtype=masks.dtype)[None, :, None] + 0.5 - cy
    cos, sin = torch.cos(torch.deg2rad(angle)), torch.sin(torch.deg2rad(angle))
    grid = torch.stack([(x * cos - y * sin) / w * 2, (x * sin + y * cos) / h * 2], dim=-1)
    sampled = torch.nn.functional.grid_sample(masks[:, None], grid, align_corners=False)
    return sampled[:, 0]


@given(
    seed=st.integers(0, 10**6),
    cells=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    size=st.tuples(st.integers(1, 9), st.integers(1, 12)),
)
def test_pasted_values_equal_the_specification(seed, cells, size):
    """Any mask in any rotated box gives the numbers of the slow definition."""
    masks = random_masks(3, 5, seed)[:, : cells[0], : cells[1]]
    boxes = random_boxes(3, size, seed)
    expected = [
        paste_rotated_probabilities_reference(mask.tolist(), box.tolist(), size)
        for mask, box in zip(masks, boxes, strict=True)
    ]
    ours = paste_rotated_mask_probabilities(masks, boxes, size)
    # double; narrow boxes far away lose a few digits
    torch.testing.assert_close(ours, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-9)


def test_pasted_values_equal_grid_samples():
    """Values equal those of the sampler of torch in an image of many pixels."""
    size = (73, 310)
    masks, boxes = random_masks(40, 28, 0), random_boxes(40, size, 1)
    expected = pasted_by_grid_sample(masks, boxes, size)
    soft = paste_rotated_mask_probabilities(masks, boxes, size)
    # torch rounds sine and cosine differently
    torch.testing.assert_close(soft, expected, rtol=0, atol=1e-10)
    assert (soft > 0).any(dim=2).any(dim=1).double().mean() > 0.5


def test_pasted_values_equal_scipys_interpolation():
    """Values equal those of scipy's map_coordinates on the mask with a border of zeros."""
    ndimage = pytest.importorskip("scipy.ndimage")
    size = (40, 50)
    masks, boxes = random_masks(10, 9, 3), random_boxes(10, size, 4)
    soft = paste_rotated_mask_probabilities(masks, boxes, size)
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    for mask, (cx, cy, w, h, angle), image in zip(masks, boxes.tolist(), soft, strict=True):
        turn = np.exp(1j * np.deg2rad(angle))  # a point as a complex number, y up
        local = ((columns - cx) - 1j * (rows - cy)) / turn
        places = [(0.5 - local.imag / h) * 9 - 0.5, (local.real / w + 0.5) * 9 - 0.5]
        bordered = np.pad(mask.numpy(), 2)
        inside = (np.abs(np.array(places) - 4) < 6).all(0)
        expected = ndimage.map_coordinates(bordered, np.array(places) + 2, order=1)
        np.testing.assert_allclose(image.numpy(), np.where(inside, expected, 0), atol=1e-10)


@given(
    seed=st.integers(0, 10**6),
    cells=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    size=st.tuples(st.integers(1, 140), st.integers(1, 140)),
    threshold=st.sampled_from([0.2, 0.5, 0.9]),
)
@example(seed=0, cells=(1, 1), size=(1, 1), threshold=0.5)
def test_masks_and_runs_are_the_soft_values_compared(seed, cells, size, threshold):
    """Dense masks, run lengths and soft values are one and the same in both precisions."""
    for dtype in (torch.float32, torch.float64):
        masks = random_masks(4, 5, seed)[:, : cells[0], : cells[1]].to(dtype)
        boxes = random_boxes(4, size, seed).to(dtype)
        soft = paste_rotated_mask_probabilities(masks, boxes, size)
        dense = paste_rotated_masks(masks, boxes, size, threshold=threshold)
        assert torch.equal(dense, soft >= threshold)
        runs = paste_rotated_masks_to_rle(masks, boxes, size, threshold=threshold)
        assert all(map(torch.equal, runs, rle_encode(dense)))
        assert torch.equal(rle_decode(*runs, size), dense)


@given(seed=st.integers(0, 10**6), turns=st.integers(-3, 3))
def test_a_box_of_angle_zero_is_the_upright_box(seed, turns):
    """Angle 0, or whole turns, gives the upright pixels; exactly where numbers are dyadic."""
    size = (16, 20)
    masks = random_masks(3, 8, seed)
    boxes = (random_boxes(3, size, seed) * 4).round() / 4
    boxes[:, 2:4] = 2 ** boxes[:, 2:4].clamp(1, 64).log2().round()  # cells divide sides exactly
    boxes[:, 4] = 360 * turns
    half = boxes[:, 2:4] / 2
    xyxy = torch.cat([boxes[:, :2] - half, boxes[:, :2] + half], dim=1)
    turned = paste_rotated_mask_probabilities(masks, boxes, size)
    assert torch.equal(turned, paste_mask_probabilities(masks, xyxy, size))
    assert torch.equal(paste_rotated_masks(masks, boxes, size), paste_masks(masks, xyxy, size))


@given(seed=st.integers(0, 10**6))
def test_a_quarter_turn_of_the_box_turns_what_it_paints(seed):
    """Turning the box with its image turns the pasted mask."""
    size = (11, 14)
    masks, boxes = random_masks(3, 5, seed), random_boxes(3, size, seed)
    cx, cy, w, h, angle = boxes.unbind(1)
    turned = torch.stack([cy, size[1] - cx, w, h, angle + 90], dim=1)
    image = paste_rotated_mask_probabilities(masks, turned, size[::-1])
    still = paste_rotated_mask_probabilities(masks, boxes, size)
    # centres are rounded when they are mirrored
    torch.testing.assert_close(image, still.rot90(1, (1, 2)), rtol=0, atol=1e-9)


def test_a_half_turn_is_seen():
    """As a mask, a box and its half turn differ: the top of the mask goes to the bottom."""
    mask = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    box = torch.tensor([[4.0, 4.0, 4.0, 4.0, 0.0]])
    up = paste_rotated_masks(mask, box, (8, 8))
    down = paste_rotated_masks(mask, box + torch.tensor([0, 0, 0, 0, 180.0]), (8, 8))
    assert up[0, 2:4, 2:6].all()
    assert torch.equal(down, up.flip(1, 2))


@pytest.mark.parametrize("column", range(5))
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_boxes_with_odd_numbers_paint_nothing(column, value):
    """A number that is not finite leaves the image empty, in every form."""
    boxes = torch.tensor([[4.0, 4.0, 4.0, 4.0, 30.0]])
    boxes[0, column] = value
    ones = torch.ones(1, 3, 3)
    assert not paste_rotated_masks(ones, boxes, (8, 8)).any()
    assert paste_rotated_masks_to_rle(ones, boxes, (8, 8))[0].tolist() == [64]


def test_boxes_without_area_paint_nothing():
    """Sides of 0 and negative ones are no place for a mask."""
    boxes = torch.tensor([[4.0, 4.0, 0.0, 4.0, 30.0], [4.0, 4.0, 4.0, -4.0, 30.0]])
    assert not paste_rotated_masks(torch.ones(2, 3, 3), boxes, (8, 8)).any()


def test_huge_boxes_cover_the_image():
    """A box far larger than the image reads its middle everywhere; a tiny one paints no pixel."""
    boxes = torch.tensor([[4.0, 4.0, 1e20, 1e20, 45.0], [4.0, 4.0, 1e-30, 1e-30, 45.0]])
    masks = paste_rotated_masks(torch.ones(2, 3, 3), boxes, (8, 8))
    assert masks[0].all()
    assert not masks[1].any()


def test_empty_arguments_give_empty_results():
    """No mask or no pixel is a normal case."""
    none = torch.zeros(0, 3, 3), torch.zeros(0, 5)
    assert paste_rotated_masks(*none, (4, 5)).shape == (0, 4, 5)
    counts, offsets = paste_rotated_masks_to_rle(*none, (4, 5))
    assert counts.shape == (0,)
    assert offsets.tolist() == [0]
    one = torch.ones(1, 3, 3), torch.ones(1, 5)
    assert paste_rotated_mask_probabilities(*one, (0, 5)).shape == (1, 0, 5)
    assert paste_rotated_masks_to_rle(*one, (0, 5))[0].tolist() == [0]


def test_half_precision_is_computed_in_single():
    """float16 and bfloat16 masks give the float32 result, soft values rounded once."""
    boxes = torch.tensor([[4.3, 5.1, 7.9, 8.2, 20.0]])
    for dtype in (torch.float16, torch.bfloat16):
        masks = random_masks(1, 5, 0).to(dtype)
        soft = paste_rotated_mask_probabilities(masks.float(), boxes, (10, 10))
        halved = paste_rotated_mask_probabilities(masks, boxes, (10, 10))
        assert torch.equal(halved, soft.to(dtype))
        assert torch.equal(paste_rotated_masks(masks, boxes, (10, 10)), soft >= 0.5)


def test_wrong_arguments_are_named():
    """Each mistake is reported with the argument's name and what was expected."""
    masks, boxes = torch.ones(2, 3, 3), torch.ones(2, 5)
    with pytest.raises(ShapeError, match=r"cxcywha: expected \[2, 5\]"):
        paste_rotated_masks(masks, boxes[:, :4], (4, 4))
    with pytest.raises(DtypeError, match=r"cxcywha: expected torch\.float32"):
        paste_rotated_masks_to_rle(masks, boxes.double(), (4, 4))
    with pytest.raises(InvalidValueError, match="threshold"):
        paste_rotated_masks(masks, boxes, (4, 4), threshold=0.0)
    with pytest.raises(ShapeError, match=r"xyxy: expected \[2, 4\]"):
        paste_masks(masks, boxes, (4, 4))


@pytest.mark.cuda
def test_cuda_paints_the_same_pixels(cuda):
    """CPU and device agree on every bit."""
    size = (73, 310)
    masks, boxes = random_masks(60, 28, 0).float(), random_boxes(60, size, 1).float()
    boxes[:5, 2:4] *= 1e9
    on_device = paste_rotated_mask_probabilities(masks.to(cuda), boxes.to(cuda), size)
    assert torch.equal(on_device.cpu(), paste_rotated_mask_probabilities(masks, boxes, size))
    painted = paste_rotated_masks(masks.to(cuda), boxes.to(cuda), size)
    assert torch.equal(painted.cpu(), paste_rotated_masks(masks, boxes, size))
    runs = paste_rotated_masks_to_rle(masks.to(cuda), boxes.to(cuda), size)
    expected = paste_rotated_masks_to_rle(masks, boxes, size)
    assert all(map(torch.equal, (part.cpu() for part in runs), expected))
