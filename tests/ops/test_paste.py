"""Mask pasting: against its specification and torch's grid_sample."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.ops import (
    paste_mask_probabilities,
    paste_masks,
    paste_masks_to_rle,
    rle_area,
    rle_decode,
    rle_encode,
    rle_to_strings,
)
from geodet.ops.reference.paste import paste_probabilities_reference, paste_runs_reference

INF = float("inf")
NAN = float("nan")


def random_masks(count: int, side: int, seed: int) -> Tensor:
    """Random probabilities [count, side, side]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, side, side, generator=generator, dtype=torch.float64)


def random_boxes(count: int, size: tuple[int, int], seed: int) -> Tensor:
    """Boxes of all sizes in and around an image."""
    generator = torch.Generator().manual_seed(seed)
    extent = torch.tensor([size[1], size[0]], dtype=torch.float64)
    first = (torch.rand(count, 2, generator=generator).double() * 1.6 - 0.5) * extent
    sides = torch.randn(count, 2, generator=generator).double().exp() * extent / 3
    return torch.cat([first, first + sides], dim=1)


def pasted_by_grid_sample(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The same by torch's own sampler."""
    centres = [torch.arange(length, dtype=masks.dtype) + 0.5 for length in size]
    y = (centres[0] - boxes[:, 1:2]) / (boxes[:, 3:4] - boxes[:, 1:2]) * 2 - 1
    x = (centres[1] - boxes[:, 0:1]) / (boxes[:, 2:3] - boxes[:, 0:1]) * 2 - 1
    shape = (len(masks), *size)
    grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=-1)
    sampled = torch.nn.functional.grid_sample(masks[:, None], grid, align_corners=False)
    return sampled[:, 0]


@given(
    seed=st.integers(0, 10**6),
    cells=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    size=st.tuples(st.integers(1, 9), st.integers(1, 12)),
)
def test_pasted_values_equal_the_specification(seed, cells, size):
    """Any mask on any box gives the numbers of the slow definition."""
    masks = random_masks(3, 5, seed)[:, : cells[0], : cells[1]]
    boxes = random_boxes(3, size, seed)
    expected = [
        paste_probabilities_reference(mask.tolist(), box.tolist(), size)
        for mask, box in zip(masks, boxes, strict=True)
    ]
    ours = paste_mask_probabilities(masks, boxes, size)
    # double; narrow boxes far away lose a few digits
    torch.testing.assert_close(ours, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_pasted_masks_equal_grid_samples(dtype, threshold):
    """Values equal those of the sampler of torch, and so do pixels that are no ties."""
    size = (73, 310)
    masks = random_masks(40, 28, 0).to(dtype)
    boxes = random_boxes(40, size, 1).to(dtype)
    expected = pasted_by_grid_sample(masks, boxes, size)
    soft = paste_mask_probabilities(masks, boxes, size)
    # the same positions; four products are added in another order
    tolerance = 1e-6 if dtype == torch.float32 else 1e-14
    torch.testing.assert_close(soft, expected, rtol=0, atol=tolerance)
    decided = (expected - threshold).abs() > tolerance
    painted = paste_masks(masks, boxes, size, threshold=threshold)
    assert painted.dtype == torch.bool
    assert torch.equal(painted[decided], (expected >= threshold)[decided])
    assert decided.double().mean() > 0.999


def test_masks_are_pasted_probabilities_at_the_threshold():
    """The bool form is exactly the soft form compared."""
    size = (40, 50)
    masks, boxes = random_masks(20, 14, 0).float(), random_boxes(20, size, 3).float()
    soft = paste_mask_probabilities(masks, boxes, size)
    for threshold in (0.25, 0.5, 1.0):
        assert torch.equal(paste_masks(masks, boxes, size, threshold=threshold), soft >= threshold)


def tall_boxes(count: int, size: tuple[int, int], seed: int) -> Tensor:
    """Boxes of which every third covers whole columns: its runs go on in the next one."""
    boxes = random_boxes(count, size, seed)
    boxes[::3, 1] = -0.7 * size[0] - 1
    boxes[::3, 3] = 1.9 * size[0] + 1
    return boxes


@given(
    seed=st.integers(0, 10**6),
    cells=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    size=st.tuples(st.integers(1, 140), st.integers(1, 140)),
    threshold=st.sampled_from([0.2, 0.5, 0.9]),
)
def test_runs_are_those_of_the_dense_masks(seed, cells, size, threshold):
    """Straight to run lengths is, byte for byte, pasting and then encoding; in both precisions."""
    for dtype in (torch.float32, torch.float64):
        masks = random_masks(4, 5, seed)[:, : cells[0], : cells[1]].to(dtype)
        boxes = tall_boxes(4, size, seed).to(dtype)
        counts, offsets = paste_masks_to_rle(masks, boxes, size, threshold=threshold)
        dense = paste_masks(masks, boxes, size, threshold=threshold)
        expected = rle_encode(dense)
        assert torch.equal(counts, expected[0])
        assert torch.equal(offsets, expected[1])
        assert torch.equal(rle_decode(counts, offsets, size), dense)


@given(seed=st.integers(0, 10**6), size=st.tuples(st.integers(1, 9), st.integers(1, 12)))
def test_runs_equal_the_specification(seed, size):
    """Any mask on any box gives the runs of the slow definition, but for ties at one half."""
    masks, boxes = random_masks(3, 4, seed), tall_boxes(3, size, seed)
    counts, offsets = paste_masks_to_rle(masks, boxes, size)
    soft = paste_mask_probabilities(masks, boxes, size)
    for row in range(3):
        if ((soft[row] - 0.5).abs() < 1e-9).any():
            continue
        expected = paste_runs_reference(masks[row].tolist(), boxes[row].tolist(), size, 0.5)
        assert counts[offsets[row] : offsets[row + 1]].tolist() == expected


def test_runs_are_cocos_of_grid_samples():
    """The text is what pycocotools makes of what torch's sampler pastes."""
    coco = pytest.importorskip("pycocotools.mask")
    size = (173, 310)
    masks, boxes = random_masks(40, 28, 4), tall_boxes(40, size, 5)
    dense = pasted_by_grid_sample(masks, boxes, size) >= 0.5
    columns = np.asfortranarray(dense.numpy().view(np.uint8).transpose(1, 2, 0))
    texts = [rle["counts"] for rle in coco.encode(columns)]
    runs = paste_masks_to_rle(masks, boxes, size)
    # in double precision, no pixel of these is a tie
    assert rle_to_strings(*runs) == texts
    assert rle_area(*runs).tolist() == dense.sum(dim=(1, 2)).tolist()


@given(seed=st.integers(0, 10**6), dx=st.integers(-8, 8), dy=st.integers(-8, 8))
def test_pasting_moves_with_the_box(seed, dx, dy):
    """Moving a box by whole pixels moves what it paints."""
    size, margin = (8, 8), 8
    masks = random_masks(2, 4, seed)
    # Multiples of 1/64, so that moving rounds nothing.
    boxes = (random_boxes(2, size, seed) * 64).round() / 64 + torch.tensor([margin] * 4)
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0.25)
    boxes = torch.cat([boxes[:, :2], boxes[:, :2] + sides], dim=1)
    canvas = (size[0] + 2 * margin, size[1] + 2 * margin)
    still = paste_mask_probabilities(masks, boxes, canvas)
    moved = paste_mask_probabilities(masks, boxes + torch.tensor([dx, dy, dx, dy]), canvas)
    inner = slice(margin, margin + size[0])
    shifted = moved[:, margin + dy : margin + dy + size[0], margin + dx : margin + dx + size[1]]
    assert torch.equal(shifted, still[:, inner, inner])


def test_a_full_mask_paints_its_box():
    """Ones on a box with whole corners paint exactly the pixels of the box."""
    boxes = torch.tensor([[2.0, 3.0, 30.0, 17.0]])
    painted = paste_masks(torch.ones(1, 28, 28), boxes, (20, 40))
    expected = torch.zeros(1, 20, 40, dtype=torch.bool)
    expected[:, 3:17, 2:30] = True
    assert torch.equal(painted, expected)


@pytest.mark.parametrize(
    "box",
    [
        [5.0, 5, 5, 9],
        [5, 9, 9, 5],
        [NAN, 0, 9, 9],
        [0, 0, INF, 9],
        [-INF, -INF, INF, INF],
        [-3e38, 0, 3e38, 9],
        [90, 90, 99, 99],
        [-1e30, -1e30, -5e29, -5e29],
    ],
)
def test_boxes_without_a_place_paint_nothing(box):
    """Empty, inverted, infinite, NaN and faraway boxes give an empty mask."""
    masks, boxes = torch.ones(1, 4, 4), torch.tensor([box]).float()
    assert not paste_masks(masks, boxes, (10, 10), threshold=1e-6).any()
    assert paste_masks_to_rle(masks, boxes, (10, 10), threshold=1e-6)[0].tolist() == [100]
    assert (paste_mask_probabilities(masks, boxes, (10, 10)) == 0).all()


def test_huge_boxes_paint_the_image():
    """The image is the middle of a mask far larger than it, at the cost of the image."""
    boxes = torch.tensor([[-1e30, -1e30, 1e30, 1e30]])
    assert paste_masks(torch.ones(1, 4, 4), boxes, (10, 10)).all()
    assert paste_masks_to_rle(torch.ones(1, 4, 4), boxes, (10, 10))[0].tolist() == [0, 100]


def test_runs_of_huge_images_cost_their_boxes():
    """An image of two thousand million pixels is no work when little of it is painted."""
    boxes = torch.tensor([[30_000.0, 40_000.0, 30_004.0, 40_004.0]])
    counts, _ = paste_masks_to_rle(torch.ones(1, 2, 2), boxes, (46_340, 46_340))
    assert counts.tolist()[1::2] == [4] * 4
    assert int(counts.sum()) == 46_340**2
    with pytest.raises(InvalidValueError, match=r"image_size: .*2\^31 - 1"):
        paste_masks_to_rle(torch.ones(1, 2, 2), boxes, (46_341, 46_341))


def test_nan_probabilities_are_below_the_threshold():
    """NaN paints nothing and stays NaN in the soft form."""
    masks, boxes = torch.full((1, 2, 2), NAN), torch.tensor([[2.0, 2, 6, 6]])
    assert not paste_masks(masks, boxes, (8, 8)).any()
    assert paste_masks_to_rle(masks, boxes, (8, 8))[0].tolist() == [64]
    soft = paste_mask_probabilities(masks, boxes, (8, 8))
    assert soft[:, 2:6, 2:6].isnan().all()
    assert (soft[:, :1] == 0).all()


def test_empty_inputs_give_empty_outputs():
    """No masks or no pixels give a tensor of that shape."""
    for count, size in [(0, (4, 5)), (2, (0, 5)), (2, (4, 0))]:
        masks, boxes = torch.ones(count, 3, 3), torch.tensor([[0.0, 0, 2, 2]]).repeat(count, 1)
        assert paste_masks(masks, boxes, size).shape == (count, *size)
        assert paste_mask_probabilities(masks, boxes, size).shape == (count, *size)
        counts, offsets = paste_masks_to_rle(masks, boxes, size)
        assert counts.tolist() == [0] * count
        assert offsets.tolist() == list(range(count + 1))


def test_large_results_equal_small_ones():
    """Results large enough for lazily zeroed memory and for threads hold the same pixels."""
    size = (700, 900)
    masks, boxes = random_masks(20, 28, 0).float(), random_boxes(20, size, 1).float()
    large = paste_masks(masks, boxes, size)
    runs = rle_encode(large)
    assert all(map(torch.equal, runs, paste_masks_to_rle(masks, boxes, size)))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.equal(paste_masks(masks, boxes, size), large)
        assert all(map(torch.equal, runs, paste_masks_to_rle(masks, boxes, size)))
    finally:
        torch.set_num_threads(before)
    for index in range(20):
        one = paste_masks(masks[index : index + 1], boxes[index : index + 1], size)
        assert torch.equal(one[0], large[index])


def test_half_precision_is_computed_in_float32():
    """Half and bfloat16 masks give the float32 result, soft values rounded once."""
    boxes = torch.tensor([[1.3, 2.1, 7.9, 8.2]])
    for dtype in (torch.float16, torch.bfloat16):
        masks = random_masks(1, 5, 0).to(dtype)
        soft = paste_mask_probabilities(masks.float(), boxes, (10, 10))
        assert torch.equal(paste_mask_probabilities(masks, boxes, (10, 10)), soft.to(dtype))
        assert torch.equal(paste_masks(masks, boxes, (10, 10)), soft >= 0.5)
        runs = paste_masks_to_rle(masks, boxes, (10, 10))
        assert torch.equal(rle_decode(*runs, (10, 10)), soft >= 0.5)


def test_wrong_arguments_are_named():
    """Each mistake is reported with the argument's name and what was expected."""
    masks, boxes = torch.ones(2, 3, 3), torch.ones(2, 4)
    with pytest.raises(ShapeError, match=r"xyxy: expected \[2, 4\]"):
        paste_masks(masks, boxes[:1], (4, 4))
    with pytest.raises(ShapeError, match="probabilities: expected masks of at least one cell"):
        paste_masks(masks[:, :0], boxes, (4, 4))
    with pytest.raises(DtypeError, match=r"xyxy: expected torch\.float32"):
        paste_masks(masks, boxes.double(), (4, 4))
    for paste in (paste_masks, paste_masks_to_rle):
        with pytest.raises(InvalidValueError, match=r"threshold: .*\(0, 1\]"):
            paste(masks, boxes, (4, 4), threshold=0.0)
        with pytest.raises(InvalidValueError, match="image_size"):
            paste(masks, boxes, (-4, 4))
    with pytest.raises(InvalidValueError, match="image_size"):
        paste_mask_probabilities(masks, boxes, (4, -1))


def test_registration_passes_torchs_own_checks():
    """Schema, fake and tracing agree with the kernels."""
    masks, boxes = random_masks(3, 4, 0), random_boxes(3, (6, 7), 1)
    torch.library.opcheck(torch.ops.geodet.paste_masks, (masks, boxes, 6, 7, 0.5))
    torch.library.opcheck(torch.ops.geodet.paste_masks_to_rle, (masks, boxes, 6, 7, 0.5))
    torch.library.opcheck(torch.ops.geodet.paste_mask_probabilities, (masks, boxes, 6, 7))


def test_soft_masks_carry_no_gradient():
    """The soft form says by requires_grad that nothing flows back."""
    masks = torch.ones(1, 3, 3, requires_grad=True)
    assert not paste_mask_probabilities(masks, torch.ones(1, 4), (4, 4)).requires_grad


@pytest.mark.cuda
def test_cuda_paints_the_same_pixels(cuda):
    """CPU and device agree on every bit."""
    size = (73, 310)
    masks, boxes = random_masks(40, 28, 0).float(), random_boxes(40, size, 1).float()
    on_device = paste_mask_probabilities(masks.to(cuda), boxes.to(cuda), size)
    assert torch.equal(on_device.cpu(), paste_mask_probabilities(masks, boxes, size))
    painted = paste_masks(masks.to(cuda), boxes.to(cuda), size)
    assert torch.equal(painted.cpu(), paste_masks(masks, boxes, size))
    runs = paste_masks_to_rle(masks.to(cuda), boxes.to(cuda), size)
    assert all(map(torch.equal, (part.cpu() for part in runs), rle_encode(painted.cpu())))
    tall = tall_boxes(40, size, 2).float()
    runs = paste_masks_to_rle(masks.to(cuda), tall.to(cuda), size)
    on_cpu = paste_masks_to_rle(masks, tall, size)
    assert all(map(torch.equal, (part.cpu() for part in runs), on_cpu))
