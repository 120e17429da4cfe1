"""Colours and textures of the shapes pictures, all from + - * / and table look-ups."""

import numpy as np
from numpy.typing import NDArray

from geodet.data.sources._shape_random import Draws, cos_sin_deg

__all__ = [
    "Colour",
    "Plane",
    "blobs",
    "checks",
    "contrasting_colour",
    "draw_colour",
    "gradient",
    "mix",
    "nearby_colour",
    "pixel_centres",
    "stripes",
    "turned",
]

Plane = NDArray[np.float32]
Colour = tuple[float, float, float]


def pixel_centres(top: int, left: int, height: int, width: int) -> tuple[Plane, Plane]:
    """Return x as [1, width] and y as [height, 1] of the pixel centres of a crop."""
    x = np.arange(left, left + width, dtype=np.float32) + np.float32(0.5)
    y = np.arange(top, top + height, dtype=np.float32) + np.float32(0.5)
    return x[None, :], y[:, None]


def turned(x: Plane, y: Plane, angle_deg: float) -> tuple[Plane, Plane]:
    """Coordinates in a frame turned counter-clockwise as seen on the screen (y down)."""
    cosine, sine = (np.float32(t) for t in cos_sin_deg(angle_deg))
    return x * cosine - y * sine, x * sine + y * cosine


def draw_colour(draws: Draws) -> Colour:
    """Draw a colour of any hue, from pale to saturated and dark to light, in 0..255."""
    hue, saturation = draws.uniform(0.0, 6.0), draws.uniform(0.1, 0.9)
    value = draws.uniform(50.0, 245.0)
    # Piecewise-linear hue wheel: each channel peaks at its own sixth of the turn.
    wheel = (abs(hue - 3.0) - 1.0, 2.0 - abs(hue - 2.0), 2.0 - abs(hue - 4.0))
    red, green, blue = (
        value * (1.0 - saturation + saturation * min(max(w, 0.0), 1.0)) for w in wheel
    )
    return red, green, blue


def contrasting_colour(draws: Draws, others: list[Colour], least: float) -> Colour:
    """Draw a colour whose channels differ from each of `others` by `least` in sum, if six tries do.

    The last try is taken as it is, so hard pictures stay possible but rare.
    """
    colour = draw_colour(draws)
    for _ in range(5):
        gaps = [sum(abs(p - q) for p, q in zip(colour, o, strict=True)) for o in others]
        if min(gaps, default=least) >= least:
            break
        colour = draw_colour(draws)
    return colour


def nearby_colour(draws: Draws, colour: Colour, span: float) -> Colour:
    """Move each channel of a colour by at least half of `span` and at most all of it."""
    moved = []
    for channel in colour:
        step = draws.uniform(0.5, 1.0) * span
        up = draws.chance(0.5)
        # Away from the end of the scale that it would run into.
        moved.append(
            channel + step if (up and channel + step <= 250) or channel < step else channel - step
        )
    return moved[0], moved[1], moved[2]


def mix(first: Colour, second: Colour, weight: Plane) -> Plane:
    """Blend two colours: weight 0 gives the first, 1 the second. Returns [3, h, w]."""
    start = np.array(first, dtype=np.float32)[:, None, None]
    step = np.array(second, dtype=np.float32)[:, None, None] - start
    return start + step * weight


def gradient(u: Plane, start: float, length: float) -> Plane:
    """Rise from 0 at u = start to 1 at start + length."""
    risen: Plane = np.clip((u - np.float32(start)) * np.float32(1 / length), 0, 1)
    return risen


def stripes(u: Plane, period: float, phase: float) -> Plane:
    """Stripes with edges about one pixel soft; u in pixels, phase in periods."""
    scaled = u * np.float32(1 / period) + np.float32(phase)
    wave = np.abs(scaled - np.floor(scaled) - np.float32(0.5))  # 0.5 .. 0 .. 0.5
    soft: Plane = np.clip((wave - np.float32(0.25)) * np.float32(period) + np.float32(0.5), 0, 1)
    return soft


def checks(u: Plane, v: Plane, period: float, phase: float) -> Plane:
    """Colour a chessboard of squares of half a period."""
    p, q = stripes(u, period, phase), stripes(v, period, phase)
    return p + q - 2 * p * q


def blobs(draws: Draws, height: int, width: int, cell: float) -> Plane:
    """Smooth noise in [0, 1]: random values a `cell` of pixels apart, bilinear in between."""
    cell = max(cell, 1.0)
    rows, columns = int(height / cell) + 2, int(width / cell) + 2
    table = draws.grid(rows, columns)
    y = (np.arange(height, dtype=np.float32) + np.float32(0.5)) * np.float32(1 / cell)
    x = (np.arange(width, dtype=np.float32) + np.float32(0.5)) * np.float32(1 / cell)
    row, column = y.astype(np.int64), x.astype(np.int64)
    down, right = (y - row.astype(np.float32))[:, None], (x - column.astype(np.float32))[None, :]
    bands = table[row] + (table[row + 1] - table[row]) * down
    return bands[:, column] + (bands[:, column + 1] - bands[:, column]) * right
