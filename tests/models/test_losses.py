"""Smooth L1 against SciPy's Huber loss."""

import pytest
import scipy.special
import torch

from geodet.models.losses import smooth_l1_loss


@pytest.mark.parametrize("beta", [1 / 9, 0.5, 1.0, 3.0])
def test_smooth_l1_is_the_huber_loss_over_beta(beta):
    """Sum of huber(beta, error) / beta."""
    error = torch.linspace(-4, 4, 101, dtype=torch.float64)
    wanted = scipy.special.huber(beta, error.numpy()).sum() / beta
    assert smooth_l1_loss(error, torch.zeros(101), beta=beta).item() == pytest.approx(wanted)


def test_beta_0_is_l1():
    """The limit that Detectron2 trains with."""
    error = torch.tensor([-2.0, 0.5, 0.0], requires_grad=True)
    loss = smooth_l1_loss(error, torch.zeros(3))
    loss.backward()
    assert loss.item() == 2.5
    assert error.grad.tolist() == [-1.0, 1.0, 0.0]


def test_half_precision_is_summed_in_float32():
    """4096 errors of 1 do not stop at 2048."""
    loss = smooth_l1_loss(torch.ones(4096).half(), torch.zeros(4096).half())
    assert loss.item() == 4096


def test_nothing_costs_nothing():
    """No elements: 0, and a gradient of the right shape."""
    none = torch.zeros(0, 4, requires_grad=True)
    smooth_l1_loss(none, torch.zeros(0, 4)).backward()
    assert none.grad.shape == (0, 4)
