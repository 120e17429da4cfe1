"""RoIAlign: against its specification, torchvision and the derivative by differences."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.ops import roi_align
from geodet.ops.reference.rois import roi_align_reference

INF = float("inf")
NAN = float("nan")


def random_rois(count: int, images: int, extent: float, seed: int) -> Tensor:
    """Rois of all sizes, some inverted, some outside, in an input `extent` pixels wide."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(images, (count, 1), generator=generator).double()
    first = (torch.rand(count, 2, generator=generator).double() * 1.4 - 0.2) * extent
    size = torch.randn(count, 2, generator=generator).double().exp() * extent / 4
    inverted = torch.rand(count, 2, generator=generator) < 0.05
    return torch.cat([image, first, first + torch.where(inverted, -size, size)], dim=1)


def features(seed: int, *shape: int) -> Tensor:
    """Random double features."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(1, 9), st.integers(1, 12)),
    output_size=st.tuples(st.integers(1, 4), st.integers(1, 9)),
    sampling_ratio=st.integers(0, 3),
    aligned=st.booleans(),
    scale=st.sampled_from([1.0, 0.25]),
)
def test_roi_align_equals_its_specification(
    *, seed, size, output_size, sampling_ratio, aligned, scale
):
    """Any size of map, roi and grid gives the numbers of the slow definition."""
    maps = features(seed, 2, 2, *size)
    rois = random_rois(4, 2, max(size) / scale, seed)
    options = {"spatial_scale": scale, "sampling_ratio": sampling_ratio, "aligned": aligned}
    ours = roi_align(maps, rois, output_size, **options)
    expected = roi_align_reference(maps, rois, output_size, **options)
    # double sums in another order
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("output_size", [(7, 7), (14, 14), (3, 20)])
def test_values_and_gradients_equal_torchvisions(dtype, aligned, sampling_ratio, output_size):
    """The operator that detection checkpoints were trained with gives the same numbers."""
    from torchvision.ops import roi_align as oracle

    maps = features(0, 3, 19, 30, 41).to(dtype).requires_grad_()
    rois = random_rois(60, 3, 160, 1).to(dtype)
    if sampling_ratio == 0:  # torchvision tries to allocate a negative number of samples
        rois = rois[(rois[:, 3:] > rois[:, 1:3]).all(dim=1)]
    ours = roi_align(
        maps,
        rois,
        output_size,
        spatial_scale=0.25,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
    )
    theirs = oracle(maps, rois, output_size, 0.25, sampling_ratio, aligned)
    grad = features(2, *ours.shape).to(dtype)
    (our_grad,) = torch.autograd.grad(ours, maps, grad)
    (their_grad,) = torch.autograd.grad(theirs, maps, grad)
    # float: sums of up to a few hundred terms of size 1 in another order
    tolerance = 2e-4 if dtype == torch.float32 else 1e-11
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)
    torch.testing.assert_close(our_grad, their_grad, rtol=0, atol=tolerance)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_gradients_equal_differences(aligned, sampling_ratio):
    """First and second derivatives are those of the function."""
    maps = features(3, 2, 2, 5, 6).requires_grad_()
    rois = random_rois(4, 2, 6, 4)

    def pooled(maps):
        return roi_align(
            maps, rois, (2, 3), spatial_scale=1.0, sampling_ratio=sampling_ratio, aligned=aligned
        )

    assert torch.autograd.gradcheck(pooled, maps)
    assert torch.autograd.gradgradcheck(pooled, maps)


def test_wrong_image_indices_are_refused():
    """An index outside the batch, between images or NaN is an error, not a wild read."""
    for index in (-1.0, 2.0, 0.5, NAN, INF, 1e30):
        rois = torch.tensor([[0.0, 0, 0, 2, 2], [index, 0, 0, 2, 2]])
        with pytest.raises(InvalidValueError, match=r"rois\[:, 0\].*\[0, 2\)"):
            roi_align(torch.ones(2, 1, 4, 4), rois, (2, 2), spatial_scale=1.0)


def test_wrong_arguments_are_named():
    """Each mistake is reported with the argument's name and what was expected."""
    maps, rois = torch.ones(1, 1, 4, 4), torch.zeros(1, 5)
    with pytest.raises(ShapeError, match=r"rois: expected \[r, 5\]"):
        roi_align(maps, rois[:, :4], (2, 2), spatial_scale=1.0)
    with pytest.raises(DtypeError, match=r"rois: expected torch\.float32"):
        roi_align(maps, rois.double(), (2, 2), spatial_scale=1.0)
    with pytest.raises(InvalidValueError, match="output_size"):
        roi_align(maps, rois, (0, 2), spatial_scale=1.0)
    with pytest.raises(InvalidValueError, match="spatial_scale"):
        roi_align(maps, rois, (2, 2), spatial_scale=NAN)
    with pytest.raises(InvalidValueError, match="sampling_ratio"):
        roi_align(maps, rois, (2, 2), spatial_scale=1.0, sampling_ratio=-1)


@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_rois_that_are_not_finite_give_zeros(sampling_ratio):
    """NaN and infinite coordinates pool nothing and send no gradient."""
    maps = torch.ones(1, 2, 4, 4, requires_grad=True)
    rois = torch.tensor([[0, NAN, 0, 2, 2], [0, 0, 0, INF, 2], [0, 0, -INF, 2, INF]])
    pooled = roi_align(maps, rois, (2, 2), spatial_scale=1.0, sampling_ratio=sampling_ratio)
    pooled.sum().backward()
    assert (pooled == 0).all()
    assert maps.grad is not None
    assert (maps.grad == 0).all()


@pytest.mark.parametrize("extent", [1e6, 1e9, 1e15, 1e30])
def test_huge_rois_take_bounded_work(extent):
    """A roi far larger than the map ends at once, with the mean over mostly empty cells."""
    maps = torch.ones(1, 1, 8, 8, requires_grad=True)
    rois = torch.tensor([[0.0, -extent, -extent, extent, extent]])
    pooled = roi_align(maps, rois, (3, 3), spatial_scale=1.0)
    pooled.sum().backward()
    assert pooled.isfinite().all()
    # The map fills (8 / cell)^2 of the middle cell, and its border one pixel more on either side.
    assert 0 <= pooled.sum() <= (12 / (2 * extent / 3)) ** 2 + 1e-6
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


def test_large_adaptive_grids_equal_the_full_sum():
    """Skipping the samples outside the map changes nothing but the time."""
    maps = features(5, 1, 1, 3, 4)
    rois = torch.tensor([[0, -3000.0, -1, 2500.0, 4]], dtype=torch.float64)
    ours = roi_align(maps, rois, (2, 2), spatial_scale=1.0)
    expected = roi_align_reference(maps, rois, (2, 2), spatial_scale=1.0)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-13)


def test_empty_inputs_give_empty_outputs():
    """No rois, images or channels give no rows; a map without pixels gives zeros."""
    for images, channels, height, rois in [(1, 3, 4, 0), (0, 3, 4, 0), (1, 0, 4, 2), (1, 2, 0, 2)]:
        maps = torch.ones(images, channels, height, 4, requires_grad=True)
        pooled = roi_align(maps, torch.zeros(rois, 5), (2, 3), spatial_scale=1.0)
        assert pooled.shape == (rois, channels, 2, 3)
        assert (pooled == 0).all()
        pooled.sum().backward()


def test_half_precision_is_computed_in_float32():
    """Half and bfloat16 features give the float32 result rounded once, gradients too."""
    rois = random_rois(5, 1, 8, 0).float()
    for dtype in (torch.float16, torch.bfloat16):
        maps = features(1, 1, 3, 8, 8).to(dtype).requires_grad_()
        pooled = roi_align(maps, rois, (2, 2), spatial_scale=1.0)
        wide = roi_align(maps.float(), rois, (2, 2), spatial_scale=1.0)
        assert torch.equal(pooled, wide.to(dtype))
        assert torch.autograd.grad(pooled.sum(), maps)[0].dtype == dtype


def test_thread_count_changes_no_bit():
    """Values and gradients are bit-equal for one and two threads, and from run to run."""
    maps = features(1, 1, 64, 40, 40).float().requires_grad_()
    rois = random_rois(300, 1, 160, 0).float()
    results = []
    for threads in (1, 2, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            pooled = roi_align(maps, rois, (7, 7), spatial_scale=0.25)
            (grad,) = torch.autograd.grad(pooled.square().sum(), maps)
        finally:
            torch.set_num_threads(before)
        results.append((pooled, grad))
    for pooled, grad in results[1:]:
        assert torch.equal(pooled, results[0][0])
        assert torch.equal(grad, results[0][1])


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_memory_format_changes_no_value(memory_format):
    """Maps with strides of their own are read by value."""
    maps = features(1, 2, 5, 8, 8).to(memory_format=memory_format)
    rois = random_rois(6, 2, 8, 0)
    pooled = roi_align(maps, rois, (2, 2), spatial_scale=1.0)
    expected = roi_align(maps.clone().contiguous(), rois, (2, 2), spatial_scale=1.0)
    torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("aligned", [True, False])
def test_odd_rois_are_the_same_in_both_memory_formats(sampling_ratio, aligned):
    """Huge, inverted, empty and broken rois give what they give on maps with channels first."""
    maps = features(1, 2, 9, 8, 6)
    odd = torch.tensor([NAN, INF, -INF, 0.0, 1e30, -1e30, 1e6, -1e6, 3.0, 4.5, -2.0])
    generator = torch.Generator().manual_seed(0)
    rois = random_rois(500, 2, 8, 0)
    chosen = odd[torch.randint(len(odd), (500, 4), generator=generator)].double()
    rois[:, 1:] = torch.where(torch.rand(500, 4, generator=generator) < 0.4, chosen, rois[:, 1:])
    options = {"spatial_scale": 1.0, "sampling_ratio": sampling_ratio, "aligned": aligned}
    first = roi_align(maps, rois, (2, 9), **options)
    last = roi_align(maps.contiguous(memory_format=torch.channels_last), rois, (2, 9), **options)
    torch.testing.assert_close(last, first, rtol=0, atol=1e-11)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # opcheck's own reading
def test_registration_passes_torchs_own_checks():
    """Schema, fake, autograd and tracing agree with the kernels, for values and gradients."""
    maps = features(1, 2, 3, 6, 6).requires_grad_()
    rois = random_rois(3, 2, 6, 0)
    settings = (1.0, 0, True)
    torch.library.opcheck(torch.ops.geodet.roi_align, (maps, rois, 2, 3, *settings))
    grad = features(2, 3, 3, 2, 3).requires_grad_()
    for channels_last in (False, True):
        sizes = (2, 6, 6, channels_last)
        torch.library.opcheck(torch.ops.geodet.roi_align_backward, (grad, rois, *sizes, *settings))


def test_exported_programs_keep_the_operator():
    """torch.export traces through the public function with a free number of rois."""

    class Pool(torch.nn.Module):
        def forward(self, maps: Tensor, rois: Tensor) -> Tensor:
            return roi_align(maps, rois, (2, 2), spatial_scale=0.5)

    maps, rois = features(1, 2, 3, 6, 6), random_rois(3, 2, 12, 0)
    count = torch.export.Dim("count", min=2, max=64)
    program = torch.export.export(Pool(), (maps, rois), dynamic_shapes=(None, {0: count}))
    more = random_rois(9, 2, 12, 1)
    assert torch.equal(program.module()(maps, more), Pool()(maps, more))


@pytest.mark.cuda
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_cuda_equals_the_cpu(cuda, aligned, sampling_ratio):
    """The device gives the CPU's numbers, and NaN for an image that does not exist."""
    maps = features(0, 3, 19, 30, 41).requires_grad_()
    rois = random_rois(60, 3, 160, 1)
    rois[0, 1] = NAN
    options = {"spatial_scale": 0.25, "sampling_ratio": sampling_ratio, "aligned": aligned}
    ours = roi_align(maps, rois, (7, 7), **options)
    (our_grad,) = torch.autograd.grad(ours.square().sum(), maps)
    device_maps = maps.detach().to(cuda).requires_grad_()
    theirs = roi_align(device_maps, rois.to(cuda), (7, 7), **options)
    (their_grad,) = torch.autograd.grad(theirs.square().sum(), device_maps)
    # double sums in another order
    torch.testing.assert_close(theirs.cpu(), ours, rtol=0, atol=1e-11)
    torch.testing.assert_close(their_grad.cpu(), our_grad, rtol=0, atol=1e-10)
    rois[0] = torch.tensor([3.0, 0, 0, 9, 9])
    assert roi_align(device_maps, rois.to(cuda), (7, 7), **options)[0].isnan().all()
