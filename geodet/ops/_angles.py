"""Turned boxes as arithmetic: exact quarter turns, and corners."""

import torch
from torch import Tensor

__all__ = ["corners_of", "cos_sin_deg", "offsets_of_corners"]


def cos_sin_deg(angle_deg: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of angles in degrees; exactly 0 and 1 at multiples of 90.

    Only what is left over from the nearest quarter turn, at most 45 degrees, is rounded through
    radians, so large angles lose nothing either.
    """
    quarters = torch.round(angle_deg / 90).detach()
    rest = torch.deg2rad(angle_deg - 90 * quarters)
    cos, sin = torch.cos(rest), torch.sin(rest)
    turn = torch.remainder(quarters, 4)
    even = (turn == 0) | (turn == 2)
    return (
        torch.where(even, cos, sin) * torch.where((turn == 0) | (turn == 3), 1.0, -1.0).to(cos),
        torch.where(even, sin, cos) * torch.where((turn == 0) | (turn == 1), 1.0, -1.0).to(cos),
    )


def offsets_of_corners(cxcywha: Tensor) -> Tensor:
    """[..., 4, 2] corners of [..., 5] boxes, counted from their centres.

    Top left, top right, bottom right, bottom left at angle 0: clockwise as seen, at every angle.
    """
    _, _, w, h, angle = cxcywha.unbind(-1)
    cos, sin = cos_sin_deg(angle)
    # Half axes: along the width (cos, -sin), along the height (sin, cos), as y points down.
    wx, wy = cos * w / 2, -sin * w / 2
    hx, hy = sin * h / 2, cos * h / 2
    x = torch.stack((-wx - hx, wx - hx, wx + hx, hx - wx), dim=-1)
    y = torch.stack((-wy - hy, wy - hy, wy + hy, hy - wy), dim=-1)
    return torch.stack((x, y), dim=-1)


def corners_of(cxcywha: Tensor) -> Tensor:
    """[..., 4, 2] corners of [..., 5] boxes as (x, y), in the order of `offsets_of_corners`."""
    return cxcywha[..., None, :2] + offsets_of_corners(cxcywha)
