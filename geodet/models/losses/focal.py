"""Focal loss: cross-entropy that leaves easy examples to themselves."""

import torch
from torch import Tensor
from torch.nn import functional

from geodet.errors import InvalidValueError, ShapeError

__all__ = ["dense_focal_loss", "sigmoid_focal_loss"]


def sigmoid_focal_loss(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Focal loss of every element, not reduced.

    Args:
        logits: any shape.
        targets: the same shape, 1 for what is there and 0 for what is not; values between are
            mixtures of both.
        alpha: weight of what is there; 1 - alpha is that of what is not.
        gamma: power of the probability of being wrong; 0 is weighted cross-entropy.
    Returns:
        The same shape, float32 at least, finite for finite logits.
    Raises:
        ShapeError: the shapes differ.
        InvalidValueError: alpha is outside [0, 1] or gamma below 0.
    Empty: no elements give none.
    Reference: Lin et al. 2017 (arXiv 1708.02002), equation 5.
    """
    if logits.shape != targets.shape:
        raise ShapeError(
            f"targets: expected the shape of logits {list(logits.shape)}, got {list(targets.shape)}"
        )
    _check_numbers(alpha, gamma)
    logits = _widened(logits)
    targets = targets.to(logits.dtype)
    # Soft targets weigh the probability of being wrong as a whole, not each side of it.
    wrong = functional.sigmoid(logits) * (1 - targets) + functional.sigmoid(-logits) * targets
    # A probability that rounds to 0 has no gradient; its power below 1 would have an infinite one.
    wrong = wrong.clamp(min=torch.finfo(wrong.dtype).tiny)
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return weight * wrong**gamma * entropy


def dense_focal_loss(
    logits: Tensor, labels: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Sum of the focal losses of many classifiers, one per class, given labels.

    The same number as `sigmoid_focal_loss` on one-hot targets, without ever making them.

    Args:
        logits: [..., c].
        labels: [...] int64: a class, c for background, -1 for rows that do not count.
        alpha: see `sigmoid_focal_loss`.
        gamma: see `sigmoid_focal_loss`.
    Returns:
        Scalar in float32 at least, finite for finite logits.
    Raises:
        ShapeError: labels do not go with logits.
        InvalidValueError: alpha is outside [0, 1] or gamma below 0.
    Empty: no rows give 0, with a gradient of zeros.
    Reference: Lin et al. 2017 (arXiv 1708.02002), equation 5.
    """
    if labels.shape != logits.shape[:-1]:
        raise ShapeError(
            f"labels: expected {list(logits.shape[:-1])}, one per row of logits "
            f"{list(logits.shape)}, got {list(labels.shape)}"
        )
    _check_numbers(alpha, gamma)
    num_classes = logits.shape[-1]
    logits, labels = _widened(logits.reshape(-1, num_classes)), labels.flatten()
    positive = torch.nonzero((labels >= 0) & (labels < num_classes)).flatten()
    classes = labels[positive]
    costs = (1 - alpha) * _focused(logits, gamma)
    # Written over, not added and taken off again: a confident row would cancel all but noise.
    costs[positive, classes] = alpha * _focused(-logits[positive, classes], gamma)
    return torch.where(labels >= 0, costs.sum(dim=-1), 0.0).sum()


def _focused(logits: Tensor, gamma: float) -> Tensor:
    """sigmoid(x)^gamma * softplus(x): the cost of logits that should be low."""
    # The power as an exponential: its gradient stays finite where the probability rounds to 0.
    return torch.exp(gamma * functional.logsigmoid(logits)) * functional.softplus(logits)


def _widened(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def _check_numbers(alpha: float, gamma: float) -> None:
    if not 0.0 <= alpha <= 1.0 or gamma < 0.0:
        raise InvalidValueError(
            f"focal loss: expected alpha in [0, 1] and gamma of at least 0, got alpha={alpha}, "
            f"gamma={gamma}"
        )
