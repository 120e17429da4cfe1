"""Grids of tokens cut into square windows and put together again.

Shapes: b images, h x w tokens, c channels, s the side of a window.
"""

from torch import Tensor
from torch.nn import functional

__all__ = ["join_windows", "split_windows"]


def split_windows(tokens: Tensor, side: int) -> Tensor:
    """Cut into windows that do not overlap; zeros at the right and bottom make the grid divide.

    Args:
        tokens: [b, h, w, c].
        side: s.
    Returns:
        [b * ceil(h / s) * ceil(w / s), s, s, c], windows of an image row by row.
    Empty: b = 0 gives no window.
    """
    b, h, w, c = tokens.shape
    tokens = functional.pad(tokens, (0, 0, 0, -w % side, 0, -h % side))
    rows, columns = -(-h // side), -(-w // side)
    windows = tokens.view(b, rows, side, columns, side, c).transpose(2, 3)
    return windows.reshape(b * rows * columns, side, side, c)


def join_windows(windows: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Undo `split_windows`, padding dropped.

    Args:
        windows: [b * ceil(h / s) * ceil(w / s), s, s, c].
        size_hw: h and w of the grid.
    Returns:
        [b, h, w, c].
    Empty: no window gives b = 0.
    """
    (h, w), (count, side, _, c) = size_hw, windows.shape
    rows, columns = -(-h // side), -(-w // side)
    b = count // (rows * columns)
    tokens = windows.view(b, rows, columns, side, side, c).transpose(2, 3)
    return tokens.reshape(b, rows * side, columns * side, c)[:, :h, :w]
