"""The two-layer perceptron of transformer blocks."""

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Mlp"]


class Mlp(nn.Module):
    """Linear, exact GELU, linear.

    Args:
        channels: channels in and out.
        hidden_channels: channels between.
    """

    def __init__(self, channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden_channels)
        self.fc2 = nn.Linear(hidden_channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """[..., channels] -> [..., channels]."""
        out: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return out
