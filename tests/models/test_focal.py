"""Focal loss against torchvision's, where it is stable and where it would not be; normalisers."""

import copy

import pytest
import torch
from torchvision.ops import sigmoid_focal_loss as torchvision_focal

from geodet.errors import CompositionError, InvalidValueError, ShapeError
from geodet.models import EmaNormaliser
from geodet.models.losses import dense_focal_loss, sigmoid_focal_loss


def _case(rows=40, classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=generator, dtype=torch.float64) * 4
    labels = torch.randint(-1, classes + 1, (rows,), generator=generator)
    one_hot = torch.zeros(rows, classes, dtype=torch.float64)
    hit = (labels >= 0) & (labels < classes)
    one_hot[hit, labels[hit]] = 1
    return logits, labels, one_hot


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.5, 0.0), (0.9, 1.5), (0.0, 3.0)])
def test_every_element_equals_torchvision(alpha, gamma):
    """Value and gradient, also of targets between 0 and 1."""
    logits, _, one_hot = _case()
    targets = one_hot.clone()
    targets[::7] = 0.3
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    found = sigmoid_focal_loss(ours, targets, alpha=alpha, gamma=gamma)
    wanted = torchvision_focal(theirs, targets, alpha=alpha, gamma=gamma)
    torch.testing.assert_close(found, wanted)
    found.sum().backward()
    wanted.sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.5, 0.0), (0.9, 1.5)])
def test_labels_stand_for_one_hot_targets(alpha, gamma):
    """The sum over rows that count, with the same gradient; ignored rows get none."""
    logits, labels, one_hot = _case()
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    found = dense_focal_loss(ours, labels, alpha=alpha, gamma=gamma)
    counted = labels >= 0
    wanted = torchvision_focal(
        theirs[counted], one_hot[counted], alpha=alpha, gamma=gamma, reduction="sum"
    )
    torch.testing.assert_close(found, wanted)
    found.backward()
    wanted.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert not ours.grad[~counted].any()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_huge_logits_cost_what_they_should(dtype, gamma):
    """At +-1e4 a right answer is free and a wrong one costs its logit; all gradients are finite."""
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4], [-1e4, -1e4]], dtype=dtype)
    labels = torch.tensor([0, 0, 2])  # right twice, wrong twice, background twice right
    logits.requires_grad_()
    loss = dense_focal_loss(logits, labels, alpha=0.25, gamma=gamma)
    loss.backward()
    magnitude = logits.abs().max().item()  # of 1e4 in 8 bits
    assert loss.item() == pytest.approx(0.25 * magnitude + 0.75 * magnitude)
    assert torch.isfinite(logits.grad).all()
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    each = sigmoid_focal_loss(
        logits, torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]), gamma=gamma
    )
    assert each.sum().item() == pytest.approx(magnitude)
    assert torch.isfinite(torch.autograd.grad(each.sum(), logits)[0]).all()


def test_a_confident_positive_does_not_cancel_the_rest():
    """The cost it would have as a negative is never in the sum: 1e-5 beside 7500 would be lost."""
    logits = torch.tensor([[1e4], [-3.0]])
    together = dense_focal_loss(logits, torch.tensor([0, 1]))
    torch.testing.assert_close(together, dense_focal_loss(logits[1:], torch.tensor([1])))


def test_nothing_costs_nothing():
    """No rows, or ignored ones alone: 0, and a gradient of zeros."""
    for rows, labels in ((0, []), (2, [-1, -1])):
        logits = torch.ones(rows, 3, requires_grad=True)
        loss = dense_focal_loss(logits, torch.tensor(labels, dtype=torch.int64))
        loss.backward()
        assert loss == 0
        assert logits.grad.shape == (rows, 3)
        assert not logits.grad.any()
    assert sigmoid_focal_loss(torch.zeros(0, 3), torch.zeros(0, 3)).shape == (0, 3)


def test_misfits_are_named():
    """Shapes that do not go together, and numbers out of range."""
    with pytest.raises(ShapeError, match=r"targets: expected .*\[2, 3\], got \[3, 2\]"):
        sigmoid_focal_loss(torch.zeros(2, 3), torch.zeros(3, 2))
    with pytest.raises(ShapeError, match=r"labels: expected \[2\]"):
        dense_focal_loss(torch.zeros(2, 3), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(InvalidValueError, match=r"alpha=1\.5"):
        sigmoid_focal_loss(torch.zeros(1), torch.zeros(1), alpha=1.5)
    with pytest.raises(InvalidValueError, match="gamma=-1"):
        dense_focal_loss(torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64), gamma=-1)


def test_the_normaliser_is_a_moving_average():
    """Written out by hand; counts below 1 are 1."""
    normaliser = EmaNormaliser(initial=100.0, momentum=0.9)
    assert normaliser.update(50) == pytest.approx(95.0)
    assert normaliser.update(torch.tensor(0)) == pytest.approx(0.9 * 95.0 + 0.1)


def test_reading_the_normaliser_changes_nothing():
    """And what was read stays what it was, so that two passes can share a backward pass."""
    normaliser = EmaNormaliser(initial=10.0)
    before = normaliser()
    assert normaliser() == before == 10.0
    updated = normaliser.update(20)
    normaliser.update(1000)
    assert before == 10.0
    assert updated == pytest.approx(11.0)


def test_the_normaliser_is_saved_and_resumed():
    """A buffer in the checkpoint, no parameter."""
    normaliser = EmaNormaliser()
    normaliser.update(7)
    saved = copy.deepcopy(normaliser.state_dict())
    other = EmaNormaliser(initial=1.0)
    other.load_state_dict(saved)
    assert torch.equal(other.update(3), normaliser.update(3))
    assert not list(normaliser.parameters())


@pytest.mark.parametrize("numbers", [{"initial": 0.0}, {"momentum": 1.0}, {"momentum": -0.1}])
def test_normalisers_that_cannot_work_are_refused(numbers):
    """Division by 0, or a mean that never moves."""
    with pytest.raises(CompositionError, match="EmaNormaliser"):
        EmaNormaliser(**numbers)
