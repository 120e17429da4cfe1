"""Class losses: against PyTorch's own, and what federated sampling promises."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from geodet.errors import CompositionError
from geodet.models import FederatedClasses, SigmoidClasses, SoftmaxClasses

CLASSES = 6
COUNTS = (1, 4, 0, 9, 100, 25)


def _logits(r=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(r, CLASSES + 1, generator=generator) * 3
    return logits, torch.randint(0, CLASSES + 1, (r,), generator=generator)


def test_softmax_is_mean_cross_entropy():
    """Over classes and background; the weight is a factor."""
    logits, labels = _logits()
    wanted = functional.cross_entropy(logits, labels)
    torch.testing.assert_close(SoftmaxClasses()(logits, labels), wanted)
    torch.testing.assert_close(SoftmaxClasses(weight=0.3)(logits, labels), 0.3 * wanted)
    probabilities = SoftmaxClasses().probabilities(logits)
    torch.testing.assert_close(probabilities, logits.softmax(1)[:, :CLASSES])


def test_sigmoid_sums_over_classes_and_averages_over_regions():
    """Background is the absence of every class; its own logit counts for nothing."""
    logits, labels = _logits()
    wanted = torch.zeros(12, CLASSES)
    for row, label in enumerate(labels.tolist()):
        if label < CLASSES:
            wanted[row, label] = 1
    mean = functional.binary_cross_entropy_with_logits(logits[:, :CLASSES], wanted)
    loss = SigmoidClasses()(logits, labels)
    torch.testing.assert_close(loss, mean * CLASSES)
    logits[:, -1] += 5
    assert SigmoidClasses()(logits, labels) == loss
    assert torch.equal(SigmoidClasses().probabilities(logits), logits.sigmoid()[:, :CLASSES])


@given(labels=st.lists(st.integers(0, CLASSES), max_size=20), used=st.integers(1, 9))
def test_federated_classes_are_those_present_and_some_others(labels, used):
    """All that the batch has, none twice, never a class without images or background unseen."""
    loss = FederatedClasses(COUNTS, num_classes_used=used)
    drawn = loss.draw(torch.tensor(labels, dtype=torch.int64)).tolist()
    present = sorted(set(labels))
    assert drawn[: len(present)] == present
    assert len(set(drawn)) == len(drawn)
    others = drawn[len(present) :]
    assert not {2, CLASSES} & set(others)
    available = len({0, 1, 3, 4, 5} - set(present))
    assert len(others) == max(0, min(used - len(present), available))


def test_federated_classes_come_by_the_root_of_their_count():
    """One drawn class, many times: chances 1, 2, 3, 5, 10 of 21."""
    loss = FederatedClasses(COUNTS, num_classes_used=1)
    generator = torch.Generator().manual_seed(0)
    none = torch.zeros(0, dtype=torch.int64)
    draws = torch.cat([loss.draw(none, generator=generator) for _ in range(2100)])
    found = torch.bincount(draws, minlength=CLASSES).float()
    wanted = torch.tensor([100.0, 200, 0, 300, 1000, 500])
    assert (found - wanted).abs().max() < 90  # standard deviations are 10 to 23
    assert found[2] == 0


def test_federated_loss_counts_the_drawn_classes_only():
    """Sum of those columns over the number of regions; the generator alone decides."""
    logits, labels = _logits()
    labels[labels > 1] = CLASSES
    loss = FederatedClasses(COUNTS, num_classes_used=4)
    drawn = loss.draw(labels, generator=torch.Generator().manual_seed(5))
    wanted = torch.zeros(12, CLASSES + 1)
    wanted[torch.arange(12), labels] = 1
    each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    columns = drawn[drawn < CLASSES]
    value = loss(logits, labels, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(value, each[:, columns].sum() / 12)
    values = {float(loss(logits, labels)) for _ in range(20)}
    assert len(values) > 1


def test_federated_loss_over_every_class_is_the_sigmoid_loss():
    """Room for all of them leaves nothing to draw."""
    logits, labels = _logits()
    federated = FederatedClasses((3,) * CLASSES, num_classes_used=CLASSES + 1, weight=2.0)
    torch.testing.assert_close(
        federated(logits, labels), SigmoidClasses(weight=2.0)(logits, labels)
    )
    assert torch.equal(federated.probabilities(logits), SigmoidClasses().probabilities(logits))
    assert not federated.state_dict()  # counts describe the data, not the model


@pytest.mark.parametrize(
    "loss", [SoftmaxClasses(), SigmoidClasses(), FederatedClasses(COUNTS)], ids=repr
)
def test_no_regions_cost_nothing(loss):
    """Zero, with gradients of zero; half precision is summed in float32."""
    logits = torch.zeros(0, CLASSES + 1, requires_grad=True)
    value = loss(logits, torch.zeros(0, dtype=torch.int64))
    value.backward()
    assert value == 0
    assert logits.grad is not None
    some, labels = _logits()
    assert loss(some.bfloat16(), labels).dtype == torch.float32
    assert loss.probabilities(some.half()).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SoftmaxClasses(weight=-1), "SoftmaxClasses: expected weight"),
        (lambda: FederatedClasses(()), "count of images"),
        (lambda: FederatedClasses((0, 0)), "one above 0"),
        (lambda: FederatedClasses((1, -1)), "count of images"),
        (lambda: FederatedClasses((1,), num_classes_used=0), "num_classes_used >= 1"),
        (lambda: FederatedClasses((1, 2)).check_fits(3), "2 classes, BoxHead has num_classes=3"),
    ],
)
def test_impossible_numbers_fail_at_construction(make, message):
    """Before any training."""
    with pytest.raises(CompositionError, match=message):
        make()


@pytest.mark.cuda
@pytest.mark.parametrize(
    "loss", [SoftmaxClasses(), SigmoidClasses(), FederatedClasses(COUNTS, num_classes_used=7)]
)
def test_cuda_computes_like_the_cpu(loss, cuda):
    """Buffers move with the module; with every class drawn nothing is random."""
    logits, labels = _logits()
    expected = loss(logits, labels)
    value = loss.to(cuda)(logits.to(cuda), labels.to(cuda))
    torch.testing.assert_close(value.cpu(), expected)
    loss.to("cpu")
