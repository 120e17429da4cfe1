"""Blocks that are computed again in the backward pass."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

__all__ = ["run_block"]


def run_block(block: nn.Module, tokens: Tensor, *, checkpointing: bool) -> Tensor:
    """Call a block, and keep what is in it for the backward pass or not.

    Args:
        block: tokens to tokens.
        tokens: what it takes.
        checkpointing: keep its input alone and compute it again: less memory, more time. What it
            draws at random it draws again. Without gradients it changes nothing.
    """
    if checkpointing and torch.is_grad_enabled():
        again: Tensor = checkpoint(block, tokens, use_reentrant=False)
        return again
    out: Tensor = block(tokens)
    return out
