"""Losses of pixels against plain torch, pixel by pixel."""

import pytest
import torch

from geodet.errors import InvalidValueError
from geodet.models import HardPixelMining, PixelCrossEntropy

LOSSES = (PixelCrossEntropy(), HardPixelMining(), HardPixelMining(1.0))


def drawn(ignored=0.2):
    """Logits and labels of 2 images, 5 classes, 6 x 7 pixels, some without a class."""
    torch.manual_seed(0)
    labels = torch.randint(0, 5, (2, 6, 7))
    labels[torch.rand(2, 6, 7) < ignored] = -1
    return torch.randn(2, 5, 6, 7, requires_grad=True), labels


def pixel_losses(logits, labels):
    """The loss of each pixel by the formula, one by one; 0 without a class."""
    values = []
    for image, truth in zip(logits, labels, strict=True):
        for row in range(truth.shape[0]):
            for column in range(truth.shape[1]):
                scores, label = image[:, row, column], truth[row, column]
                loss = scores.exp().sum().log() - scores[label] if label >= 0 else scores.sum() * 0
                values.append(loss)
    return torch.stack(values)


def test_cross_entropy_is_the_mean_of_labelled_pixels():
    """Torch's mean with ignored pixels; weights change the sum alone."""
    logits, labels = drawn()
    loss = PixelCrossEntropy()(logits, labels)
    expected = torch.nn.functional.cross_entropy(logits, labels, ignore_index=-1)
    assert torch.allclose(loss, expected)
    weights = torch.rand(2, 6, 7)
    each = pixel_losses(logits, labels) * weights.flatten()
    weighted = PixelCrossEntropy()(logits, labels, weights)
    assert torch.allclose(weighted, each.sum() / (labels >= 0).sum())


@pytest.mark.parametrize("fraction", [0.01, 0.2, 1.0])
def test_hard_pixels_are_those_of_the_greatest_loss(fraction):
    """The mean of the worst share of all pixels, those without a class among the best."""
    logits, labels = drawn()
    weights = torch.rand(2, 6, 7)
    ordered = (pixel_losses(logits, labels) * weights.flatten()).sort(descending=True).values
    expected = ordered[: max(1, int(fraction * 84))].mean()
    assert torch.allclose(HardPixelMining(fraction)(logits, labels, weights), expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_without_labels_the_loss_is_zero(loss):
    """Gradients are 0 then, never missing or NaN; so for a batch of no image."""
    logits, labels = drawn(ignored=2.0)
    value = loss(logits, labels)
    value.backward()
    assert value == 0
    assert not logits.grad.any()
    assert loss(logits[:0], labels[:0]) == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_is_computed_in_float32(loss):
    """The number has full precision whatever the scores have."""
    logits, labels = drawn()
    assert loss(logits.bfloat16(), labels).dtype == torch.float32


def test_shares_that_are_none_are_refused():
    """0 and more than 1."""
    for fraction in (0.0, 1.5):
        with pytest.raises(InvalidValueError, match="share"):
            HardPixelMining(fraction)
