"""Clipping of rotated boxes by windows: laws, GEOS and odd numbers."""

import math

import numpy as np
import pytest
import shapely
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from geodet.errors import DtypeError, ShapeError
from geodet.ops import clip_rotated_boxes
from geodet.ops.reference.rotated import clip_reference, rotated_corners

INF = float("inf")
NAN = float("nan")
WINDOW = (2.0, 3.0, 14.0, 11.0)

seeds = st.integers(0, 10**6)
angles = st.one_of(st.sampled_from([0, 45, 90, 135, 180]), st.floats(-360, 360, width=32))
boxes = st.tuples(
    st.integers(0, 16), st.integers(0, 16), st.integers(0, 20), st.integers(0, 20), angles
)


def outline(points: Tensor, count: Tensor) -> list[list[float]]:
    """Points of one polygon."""
    return points[: int(count)].tolist()


@given(box=boxes)
@example(box=(8, 7, 12, 8, 0))  # the window itself
@example(box=(8, 7, 12, 8, 90))
@example(box=(2, 3, 4, 4, 45))  # a corner on the window's corner
def test_clipped_boxes_are_those_of_shapely(box):
    """The polygon is GEOS's intersection: the same region, clockwise, with distinct corners."""
    points, counts = clip_rotated_boxes(
        torch.tensor([box], dtype=torch.float64), torch.tensor(WINDOW, dtype=torch.float64)
    )
    wanted = shapely.intersection(shapely.Polygon(rotated_corners(box)), shapely.box(*WINDOW))
    corners = outline(points[0], counts[0])
    assert len(corners) == len({tuple(corner) for corner in corners})
    assert (points[0, len(corners) :] == 0).all()
    if not corners:
        assert wanted.area < 1e-12
        return
    polygon = shapely.Polygon(corners)
    assert polygon.is_valid or polygon.area < 1e-9
    assert polygon.area == pytest.approx(wanted.area, abs=1e-12)
    # The y axis points down: clockwise on the screen is counter-clockwise to shapely.
    assert polygon.area < 1e-9 or polygon.exterior.is_ccw
    assert polygon.symmetric_difference(wanted).area < 1e-9


@given(box=boxes)
def test_clipped_boxes_equal_their_specification(box):
    """The enclosed area is that of the slow clipping by a polygon."""
    points, counts = clip_rotated_boxes(
        torch.tensor([box], dtype=torch.float64), torch.tensor(WINDOW, dtype=torch.float64)
    )
    x1, y1, x2, y2 = WINDOW
    window = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    wanted = clip_reference(rotated_corners(box), window)
    areas = [
        shapely.Polygon(corners).area if len(corners) > 2 else 0.0
        for corners in (outline(points[0], counts[0]), wanted)
    ]
    assert areas[0] == pytest.approx(areas[1], abs=1e-12)


@given(seed=seeds)
def test_clipped_boxes_lie_in_their_window(seed):
    """No corner leaves the window, not by a rounding; corners inside it are kept in every bit."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.rand(20, 5, generator=generator) * torch.tensor([16, 14, 20, 20, 360])
    window = torch.tensor(WINDOW)
    points, counts = clip_rotated_boxes(rows, window)
    used = torch.arange(8) < counts[:, None]
    inside = (points >= window[:2]) & (points <= window[2:])
    assert inside.all(dim=2)[used].all()
    free, all_four = clip_rotated_boxes(rows, torch.tensor([-INF, -INF, INF, INF]))
    assert (all_four == 4).all()
    for i, corner in enumerate(free[:, :4].unbind(0)):
        for x, y in corner.tolist():
            if WINDOW[0] < x < WINDOW[2] and WINDOW[1] < y < WINDOW[3]:
                assert [x, y] in points[i].tolist()


def test_each_box_has_its_own_window():
    """[n, 4] windows cut row by row; [4] cuts all rows alike."""
    rows = torch.tensor([[5.0, 5, 4, 4, 0], [5, 5, 4, 4, 0]])
    windows = torch.tensor([[4.0, 0, 9, 9], [0, 0, 6, 9]])
    points, counts = clip_rotated_boxes(rows, windows)
    assert counts.tolist() == [4, 4]
    assert points[:, :4, 0].amin(dim=1).tolist() == [4, 3]
    assert points[:, :4, 0].amax(dim=1).tolist() == [7, 6]
    for i in range(2):
        alone = clip_rotated_boxes(rows[i : i + 1], windows[i])
        assert torch.equal(alone[0], points[i : i + 1])


def test_an_octagon_has_eight_corners():
    """A square turned by 45 degrees loses all its corners to a window around its centre."""
    points, counts = clip_rotated_boxes(
        torch.tensor([[0.0, 0, 2, 2, 45]]), torch.tensor([-1.0, -1, 1, 1])
    )
    assert counts.tolist() == [8]
    lengths = np.linalg.norm(points[0] - points[0].roll(-1, 0), axis=1)
    assert lengths == pytest.approx(np.full(8, 2 * math.tan(math.pi / 8)), abs=1e-6)


@pytest.mark.parametrize("box", [[NAN, 0, 2, 2, 0], [0, 0, INF, 2, 0], [0, 0, 2, 2, -INF]])
def test_what_is_not_finite_gives_no_corners(box):
    """So do boxes and windows without area, windows with a NaN, and boxes outside."""
    window = torch.tensor([-4.0, -4, 4, 4])
    assert clip_rotated_boxes(torch.tensor([box]), window)[1].tolist() == [0]
    rows = torch.tensor([[0.0, 0, 2, 2, 20]])
    for flat in ([0.0, 0, 2, 2, 20], [0.0, 0, 0, 2, 20], [0.0, 0, 2, -2, 20], [9.0, 9, 2, 2, 20]):
        count = clip_rotated_boxes(torch.tensor([flat]), window)[1].item()
        assert (count > 0) == (flat == rows[0].tolist())
    for bad in ([NAN, -4, 4, 4], [1.0, -4, 1, 4], [4.0, 4, -4, -4]):
        points, counts = clip_rotated_boxes(rows, torch.tensor(bad))
        assert counts.tolist() == [0]
        assert (points == 0).all()


def test_no_boxes_give_no_polygons():
    """Nothing in gives [0, 8, 2] and [0] out."""
    for window in (torch.ones(4), torch.ones(0, 4)):
        points, counts = clip_rotated_boxes(torch.zeros(0, 5), window)
        assert points.shape == (0, 8, 2)
        assert counts.shape == (0,)
        assert counts.dtype == torch.int64


def test_half_precision_is_computed_in_float32():
    """Half boxes give the float32 polygon rounded once."""
    rows = torch.tensor([[5.0, 5, 4, 7, 30]])
    window = torch.tensor([4.0, 0, 9, 9])
    points, counts = clip_rotated_boxes(rows.half(), window.half())
    wide, wide_counts = clip_rotated_boxes(rows, window)
    assert torch.equal(points, wide.half())
    assert torch.equal(counts, wide_counts)


def test_wrong_arguments_are_named():
    """Each mistake is reported with the argument's name and what was expected."""
    rows, window = torch.ones(3, 5), torch.ones(4)
    with pytest.raises(ShapeError, match=r"cxcywha: expected \[n, 5\]"):
        clip_rotated_boxes(rows[:, :4], window)
    with pytest.raises(ShapeError, match=r"window: expected \[4\], got \[3\]"):
        clip_rotated_boxes(rows, window[:3])
    with pytest.raises(ShapeError, match=r"window: expected \[3, 4\], got \[2, 4\]"):
        clip_rotated_boxes(rows, torch.ones(2, 4))
    with pytest.raises(DtypeError, match=r"window: expected torch\.float32"):
        clip_rotated_boxes(rows, window.double())


def test_registration_passes_torchs_own_checks():
    """Schema, fake and tracing agree with the kernel."""
    rows = torch.tensor([[5.0, 5, 4, 7, 30]])
    torch.library.opcheck(
        torch.ops.geodet.clip_rotated_boxes, (rows, torch.tensor([[4.0, 0, 9, 9]]))
    )


@pytest.mark.cuda
def test_cuda_equals_the_cpu_in_every_bit(cuda):
    """The device clips with the same roundings."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(500, 5, generator=generator) * torch.tensor([16, 14, 20, 20, 360])
    window = torch.tensor(WINDOW)
    for ours, theirs in zip(
        clip_rotated_boxes(rows.to(cuda), window.to(cuda)),
        clip_rotated_boxes(rows, window),
        strict=True,
    ):
        assert torch.equal(ours.cpu(), theirs)
