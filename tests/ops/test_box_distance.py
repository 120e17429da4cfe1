"""Distances of boxes and points: shapely, gradients, odd numbers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geodet import ops
from geodet.errors import DtypeError, ShapeError

NAN = float("nan")

seeds = st.integers(0, 10**6)
sizes = st.integers(0, 6)


def random_boxes(count: int, seed: int) -> Tensor:
    """Boxes that touch, overlap and lie apart, on a grid of 1/2 so that they do all three often."""
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator).double() * 30
    sides = torch.rand(count, 2, generator=generator).double() * 12
    return torch.cat((low, low + sides), dim=1).mul(2).round() / 2


def random_rotated(count: int, seed: int) -> Tensor:
    """Rotated boxes of all shapes; a third at multiples of 45 degrees."""
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(count, 5, generator=generator).double()
    boxes *= torch.tensor([30.0, 30, 12, 12, 720])
    boxes[::3, 4] = (boxes[::3, 4] / 45).round() * 45
    return boxes


def rotated_polygons(boxes: Tensor):
    """The same as shapely polygons, turned by shapely."""
    from shapely import affinity
    from shapely.geometry import box

    return [
        affinity.rotate(box(cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), -angle)
        for cx, cy, w, h, angle in boxes.tolist()
    ]


@given(n=sizes, m=sizes, seed=seeds)
def test_box_distance_agrees_with_shapely(n, m, seed):
    """The gap between boxes is shapely's distance, for every pair."""
    shapely = pytest.importorskip("shapely")
    a, b = random_boxes(n, seed), random_boxes(m, seed + 1)
    expected = shapely.distance(shapely.box(*a.T.numpy())[:, None], shapely.box(*b.T.numpy())[None])
    ours = ops.pairwise_box_distance(a, b)
    torch.testing.assert_close(ours, torch.from_numpy(expected).reshape(n, m), rtol=1e-12, atol=0)


@given(n=st.integers(1, 4), seed=seeds)
def test_rotated_distance_agrees_with_shapely(n, seed):
    """The gap between rotated boxes is shapely's distance, crossing boxes included."""
    shapely = pytest.importorskip("shapely")
    a, b = random_rotated(n, seed), random_rotated(n + 1, seed + 1)
    p, q = rotated_polygons(a), rotated_polygons(b)
    expected = torch.tensor([[shapely.distance(x, y) for y in q] for x in p])
    torch.testing.assert_close(
        ops.pairwise_rotated_distance(a, b), expected.double(), rtol=1e-9, atol=1e-9
    )


def test_boxes_that_cross_have_no_gap():
    """A cross has no corner of one box in the other, and no gap."""
    a = torch.tensor([[5.0, 5, 10, 2, 30]])
    b = torch.tensor([[5.0, 5, 2, 10, 30]])
    assert ops.matched_rotated_distance(a, b).item() == 0


@given(n=sizes, seed=seeds)
def test_matched_distances_are_the_diagonal(n, seed):
    """Row by row is the diagonal of all pairs, for both kinds of boxes."""
    for kind, draw in (("box", random_boxes), ("rotated", random_rotated)):
        a, b = draw(n, seed), draw(n, seed + 1)
        pairs = getattr(ops, f"pairwise_{kind}_distance")(a, b)
        rows = getattr(ops, f"matched_{kind}_distance")(a, b)
        # torch's vector code rounds hypot and cosines otherwise than its code for what is left.
        torch.testing.assert_close(rows, pairs.diagonal(), rtol=1e-12, atol=1e-12)


@given(n=sizes, m=sizes, seed=seeds)
def test_turned_by_nothing_distances_agree(n, m, seed):
    """Rotated boxes at angle 0 are as far apart as the horizontal ones."""
    a, b = random_boxes(n, seed), random_boxes(m, seed + 1)
    rotated = [
        torch.cat(((x[:, :2] + x[:, 2:]) / 2, x[:, 2:] - x[:, :2], 0 * x[:, :1]), 1) for x in (a, b)
    ]
    assert torch.equal(ops.pairwise_rotated_distance(*rotated), ops.pairwise_box_distance(a, b))


@given(n=sizes, p=sizes, seed=seeds)
def test_point_distances_are_positive_inside(n, p, seed):
    """All four are positive exactly for points inside; opposite ones add up to the side."""
    shapely = pytest.importorskip("shapely")
    boxes = random_boxes(n, seed)
    points = torch.rand(p, 2, generator=torch.Generator().manual_seed(seed)).double() * 40
    distances = ops.pairwise_point_box_distances(points, boxes)
    assert distances.shape == (p, n, 4)
    inside = shapely.contains_xy(shapely.box(*boxes.T.numpy())[None], *points.T.numpy()[..., None])
    assert ((distances > 0).all(2).numpy() == inside.reshape(p, n)).all()
    sides = (boxes[:, 2:] - boxes[:, :2]).expand(p, n, 2)
    torch.testing.assert_close(distances[..., :2] + distances[..., 2:], sides)


@pytest.mark.parametrize("kind", ["box", "rotated"])
def test_distance_gradients_equal_differences(kind):
    """Gradients are those of the function where boxes lie apart, and zero where they overlap."""
    a = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 9, 9]], dtype=torch.float64)
    b = torch.tensor([[5.0, 1, 8, 3], [3, 5, 7, 9], [3, 3, 20, 20]], dtype=torch.float64)
    if kind == "rotated":
        a = torch.cat((a, torch.tensor([[10.0], [20], [30]]).double()), 1)
        b = torch.cat((b, torch.tensor([[70.0], [-20], [35]]).double()), 1)
    a.requires_grad_()
    b.requires_grad_()
    pairs = getattr(ops, f"pairwise_{kind}_distance")
    assert torch.autograd.gradcheck(pairs, (a, b))
    own = getattr(ops, f"matched_{kind}_distance")(a, a)
    assert own.tolist() == [0] * 3
    (gradient,) = torch.autograd.grad(own.sum(), a)
    assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("kind", ["box", "rotated"])
def test_odd_distances(kind):
    """A NaN gives NaN; half precision rounds once; nothing gives nothing."""
    columns = 4 if kind == "box" else 5
    pairs, rows = (getattr(ops, f"{shape}_{kind}_distance") for shape in ("pairwise", "matched"))
    boxes = torch.tensor([[0.0, 0, 4, 4, 0], [9, 0, 13, 4, 0], [NAN, 0, 4, 4, 0]])[:, :columns]
    distances = pairs(boxes, boxes)
    assert distances[2].isnan().all()
    assert distances[:, 2].isnan().all()
    half = boxes[:2].half()
    assert torch.equal(pairs(half, half), pairs(half.float(), half.float()).half())
    none = torch.zeros(0, columns)
    assert pairs(none, boxes).shape == (0, 3)
    assert rows(none, none).shape == (0,)
    with pytest.raises(ShapeError, match=rf"b: expected \[3, {columns}\], got \[2, {columns}\]"):
        rows(boxes, boxes[:2])
    with pytest.raises(DtypeError, match=r"b: expected torch\.float32"):
        pairs(boxes, boxes.double())


def test_distances_compile_without_a_break():
    """The compositions trace as one graph."""
    a, b = random_boxes(3, 0), random_boxes(4, 1)
    compiled = torch.compile(ops.pairwise_box_distance, fullgraph=True, backend="eager")
    assert torch.equal(compiled(a, b), ops.pairwise_box_distance(a, b))
    a, b = random_rotated(3, 0), random_rotated(4, 1)
    compiled = torch.compile(ops.pairwise_rotated_distance, fullgraph=True, backend="eager")
    assert torch.equal(compiled(a, b), ops.pairwise_rotated_distance(a, b))


@pytest.mark.cuda
def test_distances_on_cuda(cuda):
    """The device gives the same numbers up to rounding."""
    a, b = random_rotated(30, 0), random_rotated(40, 1)
    on_device = ops.pairwise_rotated_distance(a.to(cuda), b.to(cuda)).cpu()
    torch.testing.assert_close(on_device, ops.pairwise_rotated_distance(a, b))
