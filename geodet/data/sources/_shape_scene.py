"""Composition of one shapes picture: background, objects in depth order, and the whole truth.

Depth is settled before anything is painted: objects are placed from the nearest to the farthest,
and one of which too little stays visible is left out of the picture, so every object that is
painted is also annotated, and every annotated object can be seen.
"""

import math
from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from geodet.data.sources._shape_outlines import OUTLINES, Outline
from geodet.data.sources._shape_random import Draws, cos_sin_deg
from geodet.data.sources._shape_textures import (
    Colour,
    Plane,
    blobs,
    checks,
    contrasting_colour,
    draw_colour,
    gradient,
    mix,
    nearby_colour,
    pixel_centres,
    stripes,
    turned,
)

__all__ = ["LEAST_VISIBLE_PIXELS", "LEAST_VISIBLE_SHARE", "STUFF_NAMES", "Scene", "compose"]

STUFF_NAMES: Final = ("sky", "wall", "ground", "water")
LEAST_VISIBLE_SHARE: Final = 0.25
LEAST_VISIBLE_PIXELS: Final = 12
_CROWDING: Final = 0.3  # share of objects that are put next to another one


@attrs.frozen(kw_only=True, eq=False)
class Scene:
    """One picture and its truth as arrays; n objects, k points, nearest object first.

    Args:
        image: uint8 [3, h, w], RGB.
        labels: int64 [n], positions in OUTLINES.
        masks: bool [n, h, w], the visible pixels.
        boxes: float32 [n, 4], tight half-open xyxy of the visible pixels.
        rotated_boxes: float32 [n, 5], cx, cy, w, h, angle_deg of the whole outline; the head is at
            the top of the box, where it stays when the picture is mirrored.
        keypoints: float32 [n, k, 3], x, y, visibility: 2 seen; 1 hidden; all 0 out of the picture.
        stuff: int64 [h, w], position in STUFF_NAMES of the background behind each pixel.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.int64]
    masks: NDArray[np.bool_]
    boxes: Plane
    rotated_boxes: Plane
    keypoints: Plane
    stuff: NDArray[np.int64]


@attrs.frozen(kw_only=True, eq=False)
class _Figure:
    """One object that is in the picture: pose, and its outline on the crop it covers."""

    label: int
    center: tuple[float, float]
    half: tuple[float, float]
    heading_deg: float  # where the head points: 0 to the right, 90 up
    top: int
    left: int
    u: Plane
    v: Plane
    distance: Plane
    visible: NDArray[np.bool_]

    @property
    def outline(self) -> Outline:
        return OUTLINES[self.label]

    @property
    def window(self) -> tuple[slice, slice]:
        height, width = self.distance.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def compose(
    draws: Draws,
    height: int,
    width: int,
    *,
    max_objects: int,
    lengths: tuple[float, float],
    pattern: float,
    kinds: Sequence[int] = range(len(OUTLINES)),
) -> Scene:
    """Draw one scene.

    Args:
        draws: where every random number comes from.
        height: picture height in pixels.
        width: picture width in pixels.
        max_objects: most objects placed; at least one is, though it may prove too small to be seen.
        lengths: least and greatest length of an object, as a share of the shorter image side.
        pattern: contrast of the patterns on objects, 0 (flat colours) to 1.
        kinds: positions in OUTLINES of the classes that are drawn, at least one.
    Returns:
        The picture with everything there is to know about it.
    Empty: a picture too small for any object to be seen has n = 0.
    """
    occupied = np.zeros((height, width), dtype=bool)
    figures: list[_Figure] = []
    for _ in range(1 + draws.integer(max_objects) if max_objects else 0):
        figure = _place(draws, occupied, figures, lengths, kinds)
        if figure is not None:
            figures.append(figure)
    picture, stuff, behind = _background(draws, height, width)
    for figure in reversed(figures):
        _paint(draws, picture, figure, behind, np.float32(pattern))
    return Scene(
        image=_expose(draws, picture),
        labels=np.array([figure.label for figure in figures], dtype=np.int64),
        masks=_masks(figures, height, width),
        boxes=np.array([_box(figure) for figure in figures], dtype=np.float32).reshape(-1, 4),
        rotated_boxes=np.array(
            [(*f.center, 2 * f.half[1], 2 * f.half[0], f.heading_deg - 90) for f in figures],
            dtype=np.float32,
        ).reshape(-1, 5),
        keypoints=_keypoints(figures, height, width),
        stuff=stuff,
    )


def _place(
    draws: Draws,
    occupied: NDArray[np.bool_],
    nearer: list[_Figure],
    lengths: tuple[float, float],
    kinds: Sequence[int],
) -> _Figure | None:
    """Draw a pose behind all that `occupied` holds; None when too little of it would be seen."""
    height, width = occupied.shape
    label = kinds[draws.integer(len(kinds))]
    outline = OUTLINES[label]
    skew = draws.uniform(0.0, 1.0)
    share = lengths[0] + (lengths[1] - lengths[0]) * skew * skew  # small ones are common
    a = 0.5 * share * min(height, width)
    b = a * draws.uniform(*outline.widths)
    cx, cy = draws.uniform(0.04, 0.96) * width, draws.uniform(0.04, 0.96) * height
    if nearer and draws.chance(_CROWDING):  # half hidden by another, more often than by chance
        front = nearer[draws.integer(len(nearer))]
        reach = 0.8 * (a + front.half[0])
        cx = min(max(front.center[0] + draws.uniform(-reach, reach), 0.04 * width), 0.96 * width)
        cy = min(max(front.center[1] + draws.uniform(-reach, reach), 0.04 * height), 0.96 * height)
    heading_deg = draws.uniform(-90.0, 270.0)
    cosine, sine = (abs(t) for t in cos_sin_deg(heading_deg))
    reach_x, reach_y = cosine * a + sine * b, sine * a + cosine * b
    left, right = math.floor(cx - reach_x) - 1, math.ceil(cx + reach_x) + 1
    top, bottom = math.floor(cy - reach_y) - 1, math.ceil(cy + reach_y) + 1
    x, y = pixel_centres(top, left, bottom - top, right - left)
    u, v = turned(x - np.float32(cx), y - np.float32(cy), heading_deg)
    distance = outline.distance(u, v, a, b)
    whole = int(np.count_nonzero(distance < 0))
    inside = (
        slice(max(-top, 0), min(bottom, height) - top),
        slice(max(-left, 0), min(right, width) - left),
    )
    u, v, distance = u[inside], v[inside], distance[inside]
    top, left = max(top, 0), max(left, 0)
    taken = occupied[top : top + distance.shape[0], left : left + distance.shape[1]]
    visible = (distance < 0) & ~taken
    seen = int(np.count_nonzero(visible))
    if seen < LEAST_VISIBLE_PIXELS or seen < LEAST_VISIBLE_SHARE * whole:
        return None
    taken |= visible
    return _Figure(
        label=label,
        center=(cx, cy),
        half=(a, b),
        heading_deg=heading_deg,
        top=top,
        left=left,
        u=u,
        v=v,
        distance=distance,
        visible=visible,
    )


def _background(
    draws: Draws, height: int, width: int
) -> tuple[Plane, NDArray[np.int64], list[Colour]]:
    """Paint two regions that meet at a tilted horizon, and a clutter of lines across both.

    Returns:
        the picture [3, h, w], the stuff class of each pixel [h, w], the two main colours.
    """
    x, y = pixel_centres(0, 0, height, width)
    upper, lower = draws.integer(2), 2 + draws.integer(2)
    first = draw_colour(draws)
    second = contrasting_colour(draws, [first], 60.0)
    level, slope = draws.uniform(0.25, 0.75) * height, draws.uniform(-0.2, 0.2)
    depth = y - np.float32(level) - (x - np.float32(0.5 * width)) * np.float32(slope)
    above = _stuff(draws, STUFF_NAMES[upper], first, height, width)
    below = _stuff(draws, STUFF_NAMES[lower], second, height, width)
    picture = above + (below - above) * np.clip(depth + np.float32(0.5), 0, 1)
    for _ in range(draws.integer(5)):
        _draw_line(draws, picture)
    return picture, np.where(depth > 0, lower, upper).astype(np.int64), [first, second]


def _stuff(draws: Draws, name: str, colour: Colour, height: int, width: int) -> Plane:
    """Texture of one background class, which is all that tells it from the others."""
    side = float(min(height, width))
    other = nearby_colour(draws, colour, 45.0)
    x, y = pixel_centres(0, 0, height, width)
    if name == "sky":
        clouds = blobs(draws, height, width, side * draws.uniform(0.2, 0.4))
        weight = 0.6 * gradient(y, 0.0, float(height)) + 0.4 * clouds
    elif name == "wall":
        u, v = turned(x, y, draws.uniform(-12.0, 12.0))
        weight = checks(u, v, max(side * draws.uniform(0.1, 0.2), 4.0), draws.uniform(0.0, 1.0))
    elif name == "ground":
        coarse = blobs(draws, height, width, side * draws.uniform(0.04, 0.08))
        weight = 0.5 * coarse + 0.5 * blobs(draws, height, width, draws.uniform(1.2, 2.2))
    else:
        _, v = turned(x, y, draws.uniform(-15.0, 15.0))
        weight = stripes(v, max(side * draws.uniform(0.05, 0.1), 4.0), draws.uniform(0.0, 1.0))
    return mix(colour, other, weight)


def _draw_line(draws: Draws, picture: Plane) -> None:
    """Draw one thin straight line that belongs to no object."""
    _, height, width = picture.shape
    side = min(height, width)
    x, y = pixel_centres(0, 0, height, width)
    u, v = turned(
        x - np.float32(draws.uniform(0.0, 1.0) * width),
        y - np.float32(draws.uniform(0.0, 1.0) * height),
        draws.uniform(0.0, 180.0),
    )
    half = draws.uniform(0.15, 0.5) * side
    thickness = draws.uniform(0.5, 1.3)
    gap = np.maximum(np.abs(u) - np.float32(half), np.abs(v) - np.float32(thickness))
    weight = np.float32(draws.uniform(0.4, 0.9)) * np.clip(np.float32(0.5) - gap, 0, 1)
    colour = np.array(draw_colour(draws), dtype=np.float32)[:, None, None]
    picture += (colour - picture) * weight


def _paint(
    draws: Draws, picture: Plane, figure: _Figure, behind: list[Colour], pattern: np.float32
) -> None:
    """Paint one object over whatever lies behind it, its head in a colour of its own."""
    a, b = figure.half
    colour = contrasting_colour(draws, behind, 110.0)
    other = nearby_colour(draws, colour, 80.0)
    period, phase = max(a * draws.uniform(0.3, 0.8), 3.0), draws.uniform(0.0, 1.0)
    kind = draws.integer(5)
    if kind == 0:
        weight = gradient(figure.v, -b, 2.0 * b)
    elif kind == 1:
        weight = stripes(figure.u, period, phase)
    elif kind == 2:
        weight = stripes(figure.v, period, phase)
    elif kind == 3:
        weight = checks(figure.u, figure.v, period, phase)
    else:
        height, width = figure.distance.shape
        weight = blobs(draws, height, width, 0.3 * a)
    paint = mix(colour, other, pattern * weight)
    head = np.array(contrasting_colour(draws, [colour, *behind], 140.0), dtype=np.float32)
    paint += (head[:, None, None] - paint) * (pattern * gradient(figure.u, 0.45 * a - 0.5, 1.0))
    if draws.chance(0.5):  # a rim one or two pixels wide, darker or lighter
        rim = np.float32(draws.uniform(-0.45, 0.3))
        paint *= 1 + rim * np.clip(figure.distance + np.float32(1.8), 0, 1)
    crop = picture[:, *figure.window]
    crop += (paint - crop) * np.clip(np.float32(0.5) - figure.distance, 0, 1)


def _expose(draws: Draws, picture: Plane) -> NDArray[np.uint8]:
    """Light the scene from one side, add noise, round to bytes."""
    _, height, width = picture.shape
    x, y = pixel_centres(0, 0, height, width)
    u, _ = turned(x - np.float32(0.5 * width), y - np.float32(0.5 * height), draws.uniform(0, 360))
    fall = np.float32(draws.uniform(0.0, 0.4) / max(height, width))
    noise = draws.grid(3 * height, width).reshape(3, height, width) - np.float32(0.5)
    lit = picture * (1 + fall * u) + np.float32(draws.uniform(6.0, 24.0)) * noise
    rounded: NDArray[np.uint8] = np.clip(lit + np.float32(0.5), 0, 255).astype(np.uint8)
    return rounded


def _masks(figures: list[_Figure], height: int, width: int) -> NDArray[np.bool_]:
    masks = np.zeros((len(figures), height, width), dtype=bool)
    for mask, figure in zip(masks, figures, strict=True):
        mask[figure.window] = figure.visible
    return masks


def _box(figure: _Figure) -> tuple[int, int, int, int]:
    rows = np.flatnonzero(figure.visible.any(axis=1))
    columns = np.flatnonzero(figure.visible.any(axis=0))
    return (
        figure.left + int(columns[0]),
        figure.top + int(rows[0]),
        figure.left + int(columns[-1]) + 1,
        figure.top + int(rows[-1]) + 1,
    )


def _keypoints(figures: list[_Figure], height: int, width: int) -> Plane:
    """Place the named points; one is seen when the pixel it lies in shows its object.

    As in COCO's annotations, one out of the picture is not labelled: nothing is to be seen there,
    and a box that ends at the border of the picture cannot hold it.
    """
    found = np.zeros((len(figures), len(OUTLINES[0].points), 3), dtype=np.float32)
    for rows, figure in zip(found, figures, strict=True):
        (cx, cy), (a, b) = figure.center, figure.half
        cosine, sine = cos_sin_deg(figure.heading_deg)
        for row, (p, q) in zip(rows, figure.outline.points, strict=True):
            row[0] = cx + p * a * cosine + q * b * sine
            row[1] = cy - p * a * sine + q * b * cosine
            if not (0 <= row[0] < width and 0 <= row[1] < height):
                row[:] = 0
                continue
            i, j = math.floor(row[1]) - figure.top, math.floor(row[0]) - figure.left
            within = 0 <= i < figure.visible.shape[0] and 0 <= j < figure.visible.shape[1]
            row[2] = 2.0 if within and figure.visible[i, j] else 1.0
    return found
