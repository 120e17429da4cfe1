"""Colours that tell classes apart and never change from run to run."""

import colorsys

__all__ = ["Rgb", "distinct_color", "readable_on"]

Rgb = tuple[int, int, int]

# Steps of the golden ratio spread any number of hues evenly around the circle.
_GOLDEN_RATIO = 0.618033988749895
# Hues come close again after about a dozen steps; then brightness and saturation differ.
_SHADES = ((0.85, 1.0), (0.6, 0.95), (1.0, 0.75))


def distinct_color(index: int) -> Rgb:
    """Colour number `index` of an endless list in which neighbours differ clearly.

    Args:
        index: a class or an instance, from 0.
    Returns:
        Red, green, blue in 0..255.
    """
    hue = (0.02 + index * _GOLDEN_RATIO) % 1.0
    saturation, value = _SHADES[index % len(_SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def readable_on(background: Rgb) -> Rgb:
    """Black or white, whichever stands out on `background`."""
    # Rec. 601 luma: the eye takes green for far brighter than blue.
    luma = 0.299 * background[0] + 0.587 * background[1] + 0.114 * background[2]
    return (0, 0, 0) if luma > 140 else (255, 255, 255)
