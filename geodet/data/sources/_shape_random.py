"""Random numbers and circular functions that are the same on every machine, bit for bit.

NumPy promises stable streams for bit generators and for SeedSequence, but not for the methods of
Generator, and the C library's sin and cos differ in the last bit between platforms. Shapes pictures
are therefore drawn from raw bits, and with + - * / and square roots alone, which IEEE 754 fixes.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Draws", "cos_sin_deg"]


class Draws:
    """A stream of random numbers, fixed by a seed and an index."""

    def __init__(self, seed: int, index: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, index]))

    def uniform(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * ((int(self._bits.random_raw()) >> 11) * 2.0**-53)

    def integer(self, stop: int) -> int:
        """Return a whole number in 0 .. stop - 1."""
        return ((int(self._bits.random_raw()) >> 32) * stop) >> 32

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self.uniform(0.0, 1.0) < probability

    def grid(self, height: int, width: int) -> NDArray[np.float32]:
        """Return [height, width] numbers in [0, 1], multiples of 1/255."""
        count = height * width
        words = np.atleast_1d(np.asarray(self._bits.random_raw(-(-count // 8) or 1)))
        values = words.astype("<u8").view(np.uint8)[:count]  # little-endian on every machine
        return values.reshape(height, width).astype(np.float32) * np.float32(1 / 255)


def cos_sin_deg(angle_deg: float) -> tuple[float, float]:
    """Cosine and sine by reduction to one eighth of a turn and a Taylor polynomial.

    Args:
        angle_deg: any finite angle in degrees.
    Returns:
        (cosine, sine), within 1e-15 for angles of a few turns, exact at multiples of 90 degrees.
    """
    quarter = round(angle_deg / 90.0)
    x = (angle_deg - 90.0 * quarter) * 0.017453292519943295
    square = x * x
    cosine, sine = 1.0, x
    even, odd = 1.0, x
    for k in range(1, 9):
        even *= -square / ((2 * k - 1) * (2 * k))
        odd *= -square / ((2 * k) * (2 * k + 1))
        cosine += even
        sine += odd
    turned = ((cosine, sine), (-sine, cosine), (-cosine, -sine), (sine, -cosine))
    return turned[quarter % 4]
