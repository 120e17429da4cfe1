"""Layers: frozen batch norm, convolution with norm, initialisations."""

import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

from geodet.models.layers import (
    ConvNorm,
    DeformConvNorm,
    FrozenBatchNorm2d,
    LayerNorm2d,
    fill_c2_msra,
    fill_c2_xavier,
    fill_normal,
    group_norm,
)


def _random_batch_norm(channels=6):
    norm = nn.BatchNorm2d(channels)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.1, 2)
    return norm


def test_frozen_batch_norm_equals_batch_norm_in_eval_mode():
    """Same output and same gradient to the input, and nothing of its own to train."""
    torch.manual_seed(0)
    norm = _random_batch_norm().eval()
    frozen = FrozenBatchNorm2d.from_batch_norm(norm)
    assert not list(frozen.parameters())
    a = torch.randn(2, 6, 5, 4, requires_grad=True)
    b = a.detach().clone().requires_grad_()
    norm(a).square().sum().backward()
    frozen(b).square().sum().backward()
    torch.testing.assert_close(frozen(b), norm(a), rtol=1e-5, atol=1e-5)  # other order of sums
    torch.testing.assert_close(b.grad, a.grad, rtol=1e-5, atol=1e-5)


def test_frozen_batch_norm_ignores_the_mode_and_keeps_the_dtype():
    """Statistics never move; half precision stays half precision."""
    frozen = FrozenBatchNorm2d.from_batch_norm(_random_batch_norm())
    features = torch.randn(2, 6, 3, 3)
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    assert torch.equal(frozen.train()(features), frozen.eval()(features))
    assert all(torch.equal(before[name], value) for name, value in frozen.state_dict().items())
    assert frozen(features.bfloat16()).dtype == torch.bfloat16


def test_conv_norm_is_convolution_then_norm_then_activation():
    """The three steps by hand give the same, and the bias is there only without a norm."""
    conv = ConvNorm(
        3, 6, 3, stride=2, norm=lambda _: _random_batch_norm().eval(), activation=functional.relu
    )
    image = torch.randn(1, 3, 9, 8)
    by_hand = functional.conv2d(image, conv.weight, stride=2, padding=1)
    assert torch.equal(conv(image), conv.norm(by_hand).relu())
    assert conv.bias is None
    assert ConvNorm(3, 6, 3).bias is not None
    assert conv(image).shape == (1, 6, 5, 4)


def test_conv_norm_names_are_those_of_checkpoints():
    """Weight under the layer's own name, norm under `.norm`."""
    names = set(ConvNorm(3, 6, 1, norm=FrozenBatchNorm2d).state_dict())
    norm = {f"norm.{name}" for name in ("weight", "bias", "running_mean", "running_var")}
    assert names == {"weight"} | norm


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (48, 16), (16, 16), (7, 1)])
def test_group_norm_divides_narrow_layers(channels, groups):
    """32 groups where they divide the channels, else their greatest common divisor."""
    norm = pickle.loads(pickle.dumps(group_norm(32)))(channels)  # noqa: S301 - our own bytes
    assert norm.num_groups == groups


def test_initialisations_have_the_stated_spread():
    """Variances are 2 / fan_out, 1 / fan_in and std squared; biases are 0."""
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 128, 3)
    fill_c2_msra(conv)
    assert conv.weight.var().item() == pytest.approx(2 / (128 * 9), rel=0.03)
    fill_c2_xavier(conv)
    assert conv.weight.var().item() == pytest.approx(1 / (64 * 9), rel=0.03)
    assert conv.weight.abs().max().item() <= (3 / (64 * 9)) ** 0.5
    fill_normal(conv, 0.01)
    assert conv.weight.std().item() == pytest.approx(0.01, rel=0.03)
    assert not conv.bias.any()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_layer_norm_over_channels_follows_its_definition(memory_format):
    """Mean and variance of every cell in double precision, in either memory format."""
    torch.manual_seed(0)
    norm = LayerNorm2d(6)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    features = torch.randn(2, 6, 5, 4).contiguous(memory_format=memory_format)
    cells = features.double()
    centred = cells - cells.mean(1, keepdim=True)
    scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
    wanted = scaled * norm.weight.double().view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(norm(features).double(), wanted, rtol=1e-5, atol=1e-5)
    assert norm(features[:0]).shape == (0, 6, 5, 4)


def test_layer_norm_over_channels_equals_torchvision():
    """Its ConvNeXt has the same layer, with the same names and eps."""
    from torchvision.models.convnext import LayerNorm2d as Peer

    torch.manual_seed(0)
    peer = Peer(6, eps=1e-6)
    nn.init.normal_(peer.weight)
    norm = LayerNorm2d(6)
    norm.load_state_dict(peer.state_dict())
    features = torch.randn(2, 6, 5, 4)
    torch.testing.assert_close(norm(features), peer(features))


def test_deformable_convolution_keeps_the_dtype_of_its_input():
    """Half precision maps beside single precision weights, as under autocast."""
    layer = DeformConvNorm(4, 8, modulated=True, norm=group_norm(4))
    offsets = torch.zeros(1, layer.offset_channels, 5, 5, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(torch.rand(1, 4, 5, 5, dtype=torch.bfloat16), offsets)
    assert out.shape == (1, 8, 5, 5)
    assert out.isfinite().all()
    half = layer.bfloat16()(torch.rand(1, 4, 5, 5, dtype=torch.bfloat16), offsets)
    assert half.dtype == torch.bfloat16


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_constants_on_the_weight_equal_constants_on_the_map(layout):
    """Values and gradients of convolution, then norm, in double precision."""
    torch.manual_seed(0)
    frozen = FrozenBatchNorm2d.from_batch_norm(_random_batch_norm(6))
    layer = ConvNorm(4, 6, 3, stride=2, groups=2, norm=lambda _: frozen, activation=torch.relu)
    layer = layer.double().to(memory_format=layout)
    features = torch.randn(2, 4, 9, 8, dtype=torch.float64).to(memory_format=layout)
    features.requires_grad_()
    wanted = functional.conv2d(features, layer.weight, stride=2, padding=1, groups=2)
    wanted = torch.relu(frozen(wanted))
    given = layer(features)
    torch.testing.assert_close(given, wanted, rtol=1e-12, atol=1e-12)
    assert given.is_contiguous(memory_format=layout)
    pull = torch.randn_like(wanted)
    for mine, theirs in zip(
        torch.autograd.grad(given, (features, layer.weight), pull),
        torch.autograd.grad(wanted, (features, layer.weight), pull),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
