"""The precision that half-precision arguments are computed in."""

import torch
from torch import Tensor


def widened(values: Tensor) -> Tensor:
    """Return half-precision values as float32, others as they are."""
    return values.float() if values.dtype in {torch.float16, torch.bfloat16} else values
