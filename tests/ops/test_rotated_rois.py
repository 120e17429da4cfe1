"""Rotated RoIAlign: its specification, upright RoIAlign, SciPy's interpolation, differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.ops import roi_align, roi_align_rotated
from geodet.ops.reference.rois import roi_align_rotated_reference

INF = float("inf")
NAN = float("nan")


def random_rois(count: int, images: int, extent: float, seed: int) -> Tensor:
    """Rotated rois of all sizes and angles, some outside, some with a negative side."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(images, (count, 1), generator=generator).double()
    center = (torch.rand(count, 2, generator=generator).double() * 1.4 - 0.2) * extent
    size = torch.randn(count, 2, generator=generator).double().exp() * extent / 4
    inverted = torch.rand(count, 2, generator=generator) < 0.05
    angle = torch.rand(count, 1, generator=generator).double() * 1000 - 500
    right = torch.rand(count, 1, generator=generator) < 0.2
    angle = torch.where(right, (angle / 90).round() * 90, angle)
    return torch.cat([image, center, torch.where(inverted, -size, size), angle], dim=1)


def upright(rois: Tensor) -> Tensor:
    """The same rois as corners, without their angles."""
    image, center, size, _ = rois.split([1, 2, 2, 1], dim=1)
    return torch.cat([image, center - size / 2, center + size / 2], dim=1)


def features(seed: int, *shape: int) -> Tensor:
    """Random double features."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(1, 9), st.integers(1, 12)),
    channels=st.sampled_from([1, 3, 8, 9, 41]),
    output_size=st.tuples(st.integers(1, 4), st.integers(1, 9)),
    sampling_ratio=st.integers(0, 3),
    scale=st.sampled_from([1.0, 0.25]),
    memory_format=st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_rotated_roi_align_equals_its_specification(
    *, seed, size, channels, output_size, sampling_ratio, scale, memory_format
):
    """Any size, memory format, roi and grid gives the numbers of the slow definition."""
    maps = features(seed, 2, channels, *size)
    rois = random_rois(4, 2, max(size) / scale, seed)
    options = {"spatial_scale": scale, "sampling_ratio": sampling_ratio}
    ours = roi_align_rotated(
        maps.contiguous(memory_format=memory_format), rois, output_size, **options
    )
    expected = roi_align_rotated_reference(maps, rois, output_size, **options)
    # A sample within a rounding of the map's end may count on one side and not on the other: the
    # coordinates are random, so only exact right angles can put one there, and those are exact.
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("output_size", [(7, 7), (14, 14), (3, 20)])
def test_angle_zero_is_upright_roi_align(dtype, sampling_ratio, output_size):
    """Without an angle values and gradients are those of roi_align, up to rounding."""
    maps = features(0, 3, 37, 30, 41).to(dtype).requires_grad_()
    rois = random_rois(60, 3, 160, 1).to(dtype)
    rois[:, 5] = 0
    options = {"spatial_scale": 0.25, "sampling_ratio": sampling_ratio}
    ours = roi_align_rotated(maps, rois, output_size, **options)
    theirs = roi_align(maps, upright(rois), output_size, **options)
    grad = features(2, *ours.shape).to(dtype)
    (our_grad,) = torch.autograd.grad(ours, maps, grad)
    (their_grad,) = torch.autograd.grad(theirs, maps, grad)
    # float: positions of up to 100 pixels are rounded differently, and slopes reach 5
    tolerance = 2e-3 if dtype == torch.float32 else 1e-10
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)
    torch.testing.assert_close(our_grad, their_grad, rtol=0, atol=tolerance)


@given(seed=st.integers(0, 10**6), quarters=st.integers(-9, 9))
def test_quarter_turns_turn_the_grid(seed, quarters):
    """Turning a roi by 90 degrees gives the cells of the upright roi of swapped sides, turned."""
    maps = features(seed, 1, 2, 8, 9)
    rois = random_rois(3, 1, 8, seed).abs()
    turned = rois.clone()
    turned[:, 5] = 90.0 * quarters
    ours = roi_align_rotated(maps, turned, (3, 4), spatial_scale=1.0, sampling_ratio=2)
    sides, grid = (rois[:, 3:5], (3, 4)) if quarters % 2 == 0 else (rois[:, [4, 3]], (4, 3))
    straight = torch.cat([rois[:, :3], sides, torch.zeros(3, 1, dtype=torch.float64)], dim=1)
    theirs = roi_align(maps, upright(straight), grid, spatial_scale=1.0, sampling_ratio=2)
    # The picture of the roi is the upright one turned back, clockwise.
    expected = theirs.rot90(-quarters, dims=(2, 3))
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-11)


@given(seed=st.integers(0, 10**6))
def test_values_are_scipys_inside_the_map(seed):
    """One sample a cell, away from the border, is SciPy's linear interpolation at that point."""
    from scipy.ndimage import map_coordinates

    maps = features(seed, 1, 1, 60, 70)
    generator = torch.Generator().manual_seed(seed)
    cx, cy, angle = (torch.rand(3, generator=generator) * torch.tensor([10.0, 10, 720])).tolist()
    roi = torch.tensor([[0, 30 + cx, 25 + cy, 21, 14, angle]], dtype=torch.float64)
    ours = roi_align_rotated(maps, roi, (4, 6), spatial_scale=1.0, sampling_ratio=1)[0, 0]
    u = (np.arange(6) + 0.5) / 6 * 21 - 10.5
    v = (np.arange(4) + 0.5) / 4 * 14 - 7
    turn = np.exp(-1j * math.radians(roi[0, 5].item()))  # y points down
    points = (u[None, :] + 1j * v[:, None]) * turn + complex(roi[0, 1] - 0.5, roi[0, 2] - 0.5)
    expected = map_coordinates(maps[0, 0].numpy(), [points.imag, points.real], order=1)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gradients_equal_differences(sampling_ratio, memory_format):
    """First and second derivatives are those of the function."""
    maps = features(3, 2, 9, 4, 5).contiguous(memory_format=memory_format).requires_grad_()
    rois = random_rois(4, 2, 6, 4)

    def pooled(maps):
        return roi_align_rotated(
            maps, rois, (2, 3), spatial_scale=1.0, sampling_ratio=sampling_ratio
        )

    assert torch.autograd.gradcheck(pooled, maps)
    assert torch.autograd.gradgradcheck(pooled, maps)


@pytest.mark.parametrize("channels", [1, 7, 8, 33, 70])
@pytest.mark.parametrize("count", [2, 300])
@pytest.mark.parametrize("pool", [roi_align, roi_align_rotated])
def test_memory_format_changes_no_bit_more_than_rounding(pool, channels, count):
    """Maps in channels_last format give the same values, and a gradient that lies like them."""
    maps = features(1, 2, channels, 20, 30).float()
    rois = random_rois(count, 2, 80, 0).float()
    rois = upright(rois) if pool is roi_align else rois
    sides = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        side = maps.contiguous(memory_format=memory_format).requires_grad_()
        pooled = pool(side, rois, (5, 3), spatial_scale=0.25)
        assert pooled.is_contiguous()
        (grad,) = torch.autograd.grad(pooled.square().sum(), side)
        assert grad.is_contiguous(memory_format=memory_format)
        sides.append((pooled, grad))
    # float sums of hundreds of terms of size 1 to 50 in another order
    torch.testing.assert_close(sides[0][0], sides[1][0], rtol=0, atol=1e-5)
    torch.testing.assert_close(sides[0][1], sides[1][1], rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_roi_alone_is_the_roi_in_a_crowd(memory_format):
    """Neither the other rois nor the way the map is read for them change a bit."""
    maps = features(1, 1, 40, 20, 30).float().contiguous(memory_format=memory_format)
    rois = random_rois(400, 1, 80, 0).float()
    together = roi_align_rotated(maps, rois, (4, 4), spatial_scale=0.25)
    for r in range(0, 400, 37):
        alone = roi_align_rotated(maps, rois[r : r + 1], (4, 4), spatial_scale=0.25)
        assert torch.equal(alone[0], together[r])


def test_thread_count_changes_no_bit():
    """Values and gradients are bit-equal for one and two threads, and from run to run."""
    maps = features(1, 2, 64, 40, 40).float().requires_grad_()
    rois = random_rois(300, 2, 160, 0).float()
    results = []
    for threads in (1, 2, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            pooled = roi_align_rotated(maps, rois, (7, 7), spatial_scale=0.25)
            (grad,) = torch.autograd.grad(pooled.square().sum(), maps)
        finally:
            torch.set_num_threads(before)
        results.append((pooled, grad))
    for pooled, grad in results[1:]:
        assert torch.equal(pooled, results[0][0])
        assert torch.equal(grad, results[0][1])


@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("column", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_rois_that_are_not_finite_give_zeros(sampling_ratio, column, value):
    """NaN and infinite numbers pool nothing and send no gradient."""
    maps = torch.ones(1, 9, 4, 4, requires_grad=True)
    rois = torch.tensor([[0.0, 2, 2, 3, 3, 30]])
    rois[0, column] = value
    pooled = roi_align_rotated(maps, rois, (2, 2), spatial_scale=1.0, sampling_ratio=sampling_ratio)
    pooled.sum().backward()
    assert (pooled == 0).all()
    assert maps.grad is not None
    assert (maps.grad == 0).all()


@given(
    exponent=st.floats(0, 40),
    thinness=st.floats(0, 1),
    angle=st.floats(-1e6, 1e6),
    offset=st.floats(-1, 1),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@example(exponent=6.9, thinness=1.0, angle=45.0, offset=0.5, dtype=torch.float32)
def test_huge_rois_take_bounded_work(exponent, thinness, angle, offset, dtype):
    """A roi far larger than the map ends at once, with means between 0 and the map's value."""
    extent = 10.0**exponent
    height = extent**thinness
    maps = torch.ones(1, 1, 8, 8, dtype=dtype, requires_grad=True)
    roi = torch.tensor([[0.0, 4 + offset * extent, 4, extent, height, angle]], dtype=dtype)
    pooled = roi_align_rotated(maps, roi, (3, 3), spatial_scale=1.0)
    pooled.sum().backward()
    assert (pooled >= 0).all()
    assert (pooled <= 1 + 1e-5).all()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


def test_large_adaptive_grids_equal_the_full_sum():
    """Skipping the samples outside the map changes nothing but the time."""
    maps = features(5, 1, 1, 3, 4)
    for angle in (0.0, 45, 90, 133, -20):
        roi = torch.tensor([[0, 30.1, -10.2, 350.3, 220.7, angle]], dtype=torch.float64)
        ours = roi_align_rotated(maps, roi, (2, 2), spatial_scale=1.0)
        expected = roi_align_rotated_reference(maps, roi, (2, 2), spatial_scale=1.0)
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-13)


def test_empty_inputs_give_empty_outputs():
    """No rois, images or channels give no rows; a map without pixels gives zeros."""
    for images, channels, height, rois in [(1, 3, 4, 0), (0, 3, 4, 0), (1, 0, 4, 2), (1, 2, 0, 2)]:
        maps = torch.ones(images, channels, height, 4, requires_grad=True)
        pooled = roi_align_rotated(maps, torch.zeros(rois, 6), (2, 3), spatial_scale=1.0)
        assert pooled.shape == (rois, channels, 2, 3)
        assert (pooled == 0).all()
        pooled.sum().backward()


def test_half_precision_is_computed_in_float32():
    """Half and bfloat16 features give the float32 result rounded once."""
    rois = random_rois(5, 1, 8, 0).float()
    for dtype in (torch.float16, torch.bfloat16):
        maps = features(1, 1, 3, 8, 8).to(dtype).requires_grad_()
        pooled = roi_align_rotated(maps, rois, (2, 2), spatial_scale=1.0)
        wide = roi_align_rotated(maps.float(), rois, (2, 2), spatial_scale=1.0)
        assert torch.equal(pooled, wide.to(dtype))
        assert torch.autograd.grad(pooled.sum(), maps)[0].dtype == dtype


def test_wrong_arguments_are_named():
    """Each mistake is reported with the argument's name and what was expected."""
    maps, rois = torch.ones(1, 1, 4, 4), torch.zeros(1, 6)
    with pytest.raises(ShapeError, match=r"rois: expected \[r, 6\]"):
        roi_align_rotated(maps, rois[:, :5], (2, 2), spatial_scale=1.0)
    with pytest.raises(ShapeError, match=r"rois: expected \[r, 5\]"):
        roi_align(maps, rois, (2, 2), spatial_scale=1.0)
    with pytest.raises(DtypeError, match=r"rois: expected torch\.float32"):
        roi_align_rotated(maps, rois.double(), (2, 2), spatial_scale=1.0)
    for index in (-1.0, 1.0, 0.5, NAN):
        rois[0, 0] = index
        with pytest.raises(InvalidValueError, match=r"rois\[:, 0\].*\[0, 1\)"):
            roi_align_rotated(maps, rois, (2, 2), spatial_scale=1.0)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # opcheck's own reading
def test_registration_passes_torchs_own_checks():
    """Schema, fake, autograd and tracing agree with the kernels, for both memory formats."""
    rois = random_rois(3, 2, 6, 0)
    settings = (1.0, 0, True)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        maps = features(1, 2, 3, 6, 6).contiguous(memory_format=memory_format).requires_grad_()
        torch.library.opcheck(torch.ops.geodet.roi_align, (maps, rois, 2, 3, *settings))


def test_compiled_functions_give_the_same():
    """torch.compile keeps the operator whole, forward and backward."""

    @torch.compile(fullgraph=True, backend="aot_eager")
    def pooled(maps: Tensor, rois: Tensor) -> Tensor:
        return roi_align_rotated(maps * 2, rois, (2, 2), spatial_scale=0.5)

    maps, rois = features(1, 2, 3, 6, 6).requires_grad_(), random_rois(5, 2, 12, 0)
    expected = roi_align_rotated(maps * 2, rois, (2, 2), spatial_scale=0.5)
    (expected_grad,) = torch.autograd.grad(expected.sum(), maps)
    ours = pooled(maps, rois)
    (grad,) = torch.autograd.grad(ours.sum(), maps)
    assert torch.equal(ours, expected)
    assert torch.equal(grad, expected_grad)


@pytest.mark.cuda
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_cuda_equals_the_cpu(cuda, sampling_ratio):
    """The device gives the CPU's numbers, and NaN for an image that does not exist."""
    maps = features(0, 3, 19, 30, 41).requires_grad_()
    rois = random_rois(60, 3, 160, 1)
    rois[0, 1] = NAN
    options = {"spatial_scale": 0.25, "sampling_ratio": sampling_ratio}
    ours = roi_align_rotated(maps, rois, (7, 7), **options)
    (our_grad,) = torch.autograd.grad(ours.square().sum(), maps)
    device_maps = maps.detach().to(cuda).requires_grad_()
    theirs = roi_align_rotated(device_maps, rois.to(cuda), (7, 7), **options)
    (their_grad,) = torch.autograd.grad(theirs.square().sum(), device_maps)
    # double sums in another order
    torch.testing.assert_close(theirs.cpu(), ours, rtol=0, atol=1e-10)
    torch.testing.assert_close(their_grad.cpu(), our_grad, rtol=0, atol=1e-9)
    rois[0] = torch.tensor([3.0, 2, 2, 9, 9, 0])
    assert roi_align_rotated(device_maps, rois.to(cuda), (7, 7), **options)[0].isnan().all()
