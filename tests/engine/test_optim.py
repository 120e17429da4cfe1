"""Parameter groups, learning rates, clipping."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from geodet.engine import clip_gradients, parameter_groups, set_learning_rate
from geodet.errors import CompositionError


def test_every_trainable_parameter_is_in_one_group(tiny):
    """Nothing is lost and nothing is trained twice; frozen ones are out."""
    model = tiny.TinyModel()
    model.body[0].bias.requires_grad_(False)
    groups = parameter_groups(model, weight_decay=0.1, norm_weight_decay=0.0, bias_lr_factor=2.0)
    found = sorted(id(parameter) for group in groups for parameter in group["params"])
    assert found == sorted(id(each) for each in model.parameters() if each.requires_grad)


def test_groups_give_norms_and_biases_their_own_decay(tiny):
    """Norm layers (bias included) and other biases get what they were told."""
    model = tiny.TinyModel()
    groups = parameter_groups(
        model,
        weight_decay=0.1,
        norm_weight_decay=0.2,
        bias_weight_decay=0.3,
        bias_lr_factor=2.0,
    )
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {
        (group["weight_decay"], group["lr_factor"]): {names[id(each)] for each in group["params"]}
        for group in groups
    }
    assert found == {
        (0.1, 1.0): {"body.0.weight", "head.weight"},
        (0.2, 1.0): {"body.1.weight", "body.1.bias"},
        (0.3, 2.0): {"body.0.bias", "head.bias"},
    }


def test_shared_parameters_come_once():
    """Two layers with one weight train it once."""
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    groups = parameter_groups(nn.Sequential(first, second), weight_decay=0.0)
    assert sum(len(group["params"]) for group in groups) == 3


def test_a_frozen_model_is_refused():
    """Nothing to train is an error before the run."""
    model = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(CompositionError, match="requires_grad"):
        parameter_groups(model, weight_decay=0.0)


class _Stack(nn.Module):
    """Three layers, and a norm above them."""

    def __init__(self):
        super().__init__()
        self.stem, self.middle, self.top = (nn.Linear(2, 2, bias=False) for _ in range(3))
        self.norm = nn.LayerNorm(2)

    def parameter_layers(self):
        return [list(part.parameters()) for part in (self.stem, self.middle, self.top)]


def test_deeper_layers_learn_slower():
    """The first of three layers by the decay's third power, what is above them by 1."""
    model = nn.Sequential(_Stack(), nn.Linear(2, 2, bias=False))
    groups = parameter_groups(model, weight_decay=0.1, norm_weight_decay=0.0, layer_decay=0.5)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {
        names[id(each)]: (group["weight_decay"], group["lr_factor"])
        for group in groups
        for each in group["params"]
    }
    assert found == {
        "0.stem.weight": (0.1, 0.125),
        "0.middle.weight": (0.1, 0.25),
        "0.top.weight": (0.1, 0.5),
        "0.norm.weight": (0.0, 1.0),
        "0.norm.bias": (0.0, 1.0),
        "1.weight": (0.1, 1.0),
    }


def test_layer_decay_without_layers_is_refused():
    """It would change nothing without a word."""
    with pytest.raises(CompositionError, match=r"layer_decay=0.7.*Linear has layers"):
        parameter_groups(nn.Linear(2, 2), weight_decay=0.0, layer_decay=0.7)


def test_parameters_named_undecayed_have_no_decay():
    """By the last part of their names, wherever they are."""
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    groups = parameter_groups(model, weight_decay=0.1, undecayed=("bias",))
    found = {group["weight_decay"]: [each.ndim for each in group["params"]] for group in groups}
    assert found == {0.1: [2, 2], 0.0: [1, 1]}


def test_learning_rate_reaches_every_group(tiny):
    """Each group gets base rate x schedule x its own factor."""
    groups = parameter_groups(tiny.TinyModel(), weight_decay=0.0, bias_lr_factor=2.0)
    optimizer = torch.optim.SGD(groups, lr=0.1)
    assert set_learning_rate(optimizer, 0.5) == pytest.approx(0.05)
    assert sorted(group["lr"] for group in optimizer.param_groups) == pytest.approx([0.05, 0.1])


@given(st.floats(0.01, 10.0), st.integers(0, 1000))
def test_clipping_agrees_with_torch(max_norm, seed):
    """Gradients and the returned norm are those of `clip_grad_norm_`."""
    torch.manual_seed(seed)
    parameters = [nn.Parameter(torch.zeros(3, 2)), nn.Parameter(torch.zeros(4))]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    twins = copy.deepcopy(parameters)
    for twin, parameter in zip(twins, parameters, strict=True):
        twin.grad = parameter.grad.clone()
    norm = clip_gradients(parameters, max_norm)
    assert norm == torch.nn.utils.clip_grad_norm_(twins, max_norm)
    for twin, parameter in zip(twins, parameters, strict=True):
        assert torch.equal(twin.grad, parameter.grad)


def test_measuring_changes_nothing_and_no_gradient_has_norm_zero():
    """Without a limit gradients stay; without gradients the norm is 0."""
    parameter = nn.Parameter(torch.zeros(2))
    assert clip_gradients([parameter], 1.0) == 0
    parameter.grad = torch.tensor([3.0, 4.0])
    assert clip_gradients([parameter], None) == 5
    assert parameter.grad.tolist() == [3.0, 4.0]
