"""Deformable convolution: plain convolution, moved maps, differences, missing torchvision."""

import sys

import pytest
import torch
from torch import Tensor

from geodet.errors import DtypeError, MissingDependencyError, ShapeError
from geodet.ops import deform_conv2d


def problem(groups: int = 1, offset_groups: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features, offsets, weight and modulation of a 3 x 3 kernel with padding 1."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    modulation = random(2, offset_groups * 9, 5, 6).sigmoid()
    return (
        random(2, 4, 5, 6),
        random(2, offset_groups * 18, 5, 6),
        random(6, 4 // groups, 3, 3),
        modulation,
    )


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("stride", "dilation"), [((1, 1), (1, 1)), ((2, 1), (1, 2))])
def test_without_offsets_it_is_convolution(groups, stride, dilation):
    """Offsets of 0 give torch's convolution; a modulation of one half gives half of it."""
    features, _, weight, _ = problem(groups)
    bias = torch.arange(6.0).double()
    options = {"stride": stride, "padding": (1, 2), "dilation": dilation}
    expected = torch.nn.functional.conv2d(features, weight, bias, groups=groups, **options)
    offsets = features.new_zeros(2, 18, *expected.shape[2:])
    ours = deform_conv2d(features, offsets, weight, bias, **options)
    torch.testing.assert_close(ours, expected)
    half = features.new_full((2, 9, *expected.shape[2:]), 0.5)
    ours = deform_conv2d(features, offsets, weight, modulation=half, **options)
    plain = torch.nn.functional.conv2d(features, weight, groups=groups, **options)
    torch.testing.assert_close(ours, plain / 2)


def test_whole_offsets_move_the_map():
    """An offset of one row down and two columns right reads the map moved as much."""
    features, offsets, weight, _ = problem()
    offsets = torch.zeros_like(offsets)
    offsets[:, 0::2] = 1  # y
    offsets[:, 1::2] = 2  # x
    moved = torch.zeros(2, 4, 8, 10, dtype=torch.float64)
    moved[:, :, 1:6, 1:7] = features
    expected = torch.nn.functional.conv2d(moved[:, :, 1:, 2:], weight)[:, :, :5, :6]
    ours = deform_conv2d(features, offsets, weight, padding=(1, 1))
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("modulated", [False, True])
def test_gradients_equal_differences(modulated):
    """Every tensor gets its derivative."""
    features, offsets, weight, modulation = problem(groups=2, offset_groups=2)
    tensors = [x.clone().requires_grad_() for x in (features, offsets, weight)]
    tensors += [modulation.requires_grad_()] if modulated else []

    def convolved(features, offsets, weight, modulation=None):
        return deform_conv2d(features, offsets, weight, modulation=modulation, padding=(1, 1))

    assert torch.autograd.gradcheck(convolved, tensors, fast_mode=True)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_offsets_that_are_no_numbers_sample_nothing(odd):
    """They count as far outside, forward and backward; torchvision alone may end the process."""
    features, offsets, weight, modulation = problem()
    outside, broken = offsets.clone(), offsets.clone()
    outside[:, ::3], broken[:, ::3] = 1e4, odd
    broken.requires_grad_()
    expected = deform_conv2d(features, outside, weight, modulation=modulation, padding=(1, 1))

    found = deform_conv2d(features, broken, weight, modulation=modulation, padding=(1, 1))
    (grad,) = torch.autograd.grad(found.sum(), broken)

    assert torch.equal(found, expected)
    assert grad.isfinite().all()
    assert (grad[:, ::3] == 0).all()


def test_wrong_arguments_are_named():
    """Each mistake is reported with the argument's name and what was expected."""
    features, offsets, weight, modulation = problem()
    with pytest.raises(ShapeError, match=r"multiple of 2 \* kh \* kw = 18 channels.*got 17"):
        deform_conv2d(features, offsets[:, :17], weight, padding=(1, 1))
    with pytest.raises(ShapeError, match=r"offsets: expected the output's size \[3, 4\]"):
        deform_conv2d(features, offsets, weight)
    with pytest.raises(ShapeError, match=r"modulation: expected \[2, 9, 5, 6\]"):
        deform_conv2d(features, offsets, weight, modulation=modulation[:, :8], padding=(1, 1))
    with pytest.raises(ShapeError, match="weight: expected c / g channels with c = 4"):
        deform_conv2d(features, offsets, weight[:, :3], padding=(1, 1))
    with pytest.raises(DtypeError, match=r"weight: expected torch\.float64"):
        deform_conv2d(features, offsets, weight.float(), padding=(1, 1))


def test_missing_torchvision_is_said_with_the_command_that_installs_it(monkeypatch):
    """Without torchvision the call, and only the call, fails."""
    features, offsets, weight, _ = problem()
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.ops", None)
    with pytest.raises(MissingDependencyError, match="`pip install torchvision`"):
        deform_conv2d(features, offsets, weight, padding=(1, 1))


@pytest.mark.cuda
def test_cuda_equals_the_cpu(cuda):
    """The device gives the CPU's numbers."""
    features, offsets, weight, modulation = problem()
    tensors = (features, offsets, weight)
    ours = deform_conv2d(*tensors, modulation=modulation, padding=(1, 1))
    on_device = [x.to(cuda) for x in tensors]
    theirs = deform_conv2d(*on_device, modulation=modulation.to(cuda), padding=(1, 1))
    torch.testing.assert_close(theirs.cpu(), ours)
