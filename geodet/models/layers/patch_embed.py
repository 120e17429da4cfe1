"""Images to grids of tokens, and the embeddings of their positions."""

import math

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["PatchEmbed", "grid_positions"]


class PatchEmbed(nn.Module):
    """One convolution from pixels to tokens.

    Args:
        in_channels: channels of the image.
        channels: channels of a token.
        kernel_size: side of the pixels that one token sees.
        stride: pixels from token to token.
        padding: zeros around the image.
    """

    def __init__(
        self, in_channels: int, channels: int, *, kernel_size: int, stride: int, padding: int = 0
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.channels = channels
        self.stride = stride
        self.proj = nn.Conv2d(
            in_channels, channels, kernel_size=kernel_size, stride=stride, padding=padding
        )

    def forward(self, images: Tensor) -> Tensor:
        """[b, in_channels, H, W] -> [b, h, w, channels]."""
        tokens: Tensor = self.proj(images)
        return tokens.permute(0, 2, 3, 1)


def grid_positions(embeddings: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Embeddings of the positions of a square grid, resized to another grid.

    Args:
        embeddings: [1, n, c], n a square number: row by row.
        size_hw: h and w of the grid wanted; another size is interpolated bicubically.
    Returns:
        [1, h, w, c].
    """
    side = math.isqrt(embeddings.shape[1])
    grid: Tensor = embeddings.unflatten(1, (side, side))
    if size_hw == (side, side):
        return grid
    resized = functional.interpolate(grid.permute(0, 3, 1, 2), size=size_hw, mode="bicubic")
    return resized.permute(0, 2, 3, 1)
