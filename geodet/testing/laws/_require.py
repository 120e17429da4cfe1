"""How a law fails, and what it reads of tensors."""

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree


def require(holds: bool, message: str) -> None:
    """Raise AssertionError with the message unless the law holds."""
    if not holds:
        raise AssertionError(message)


def tensors_of(structure: object) -> list[Any]:
    """Return the tensors in a structure, as tree functions see them."""
    return _pytree.tree_leaves(structure)


def device_of(structure: object) -> torch.device:
    """Return where a structure lives: the GPU if any of its tensors does, else the CPU."""
    devices = [leaf.device for leaf in tensors_of(structure) if isinstance(leaf, Tensor)]
    return next((device for device in devices if device.type != "cpu"), torch.device("cpu"))


def require_close(name: str, found: Tensor, expected: Tensor, *, rtol: float, atol: float) -> None:
    """Raise AssertionError with the first entry that differs by more than the tolerances."""
    require(
        found.shape == expected.shape,
        f"{name}: expected shape {list(expected.shape)}, got {list(found.shape)}",
    )
    found, expected = found.detach().double().cpu(), expected.detach().double().cpu()
    wrong = ~torch.isclose(found, expected, rtol=rtol, atol=atol)
    if bool(wrong.any()):
        place = tuple(wrong.nonzero()[0].tolist())
        raise AssertionError(
            f"{name} at {place}: expected {expected[place].item():.9g}, "
            f"got {found[place].item():.9g} (rtol {rtol:g}, atol {atol:g})"
        )
