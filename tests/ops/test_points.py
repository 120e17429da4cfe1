"""Point sampling: the four cells around a point, gradients, precision, wrong arguments."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geodet.errors import DeviceError, DtypeError, InvalidValueError, ShapeError
from geodet.ops import sample_points
from geodet.ops.reference import points as reference


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    scale=st.sampled_from([1.0, 0.25, 2.0]),
)
def test_samples_weigh_the_four_cells_around_a_point(seed, size, scale):
    """On cells, between them, across the border and far outside."""
    rng = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 3, *size, generator=rng, dtype=torch.float64)
    xy = torch.randint(-16, 80, (2, 7, 2), generator=rng).double() / 8 / scale
    found = sample_points(features, xy, spatial_scale=scale)
    expected = reference.sample_points(features, xy, scale)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_samples_agree_with_scipy():
    """Inside the outermost centres this is SciPy's linear interpolation."""
    ndimage = pytest.importorskip("scipy.ndimage")
    torch.manual_seed(0)
    features = torch.rand(1, 1, 5, 8, dtype=torch.float64)
    xy = 0.5 + torch.rand(1, 50, 2, dtype=torch.float64) * torch.tensor([7.0, 4.0])
    expected = ndimage.map_coordinates(features[0, 0], xy[0].flip(1).T - 0.5, order=1)
    torch.testing.assert_close(sample_points(features, xy)[0, 0], torch.from_numpy(expected))


def test_the_centre_of_a_cell_gives_the_cell():
    """Cell (i, j) lies at (j + 0.5, i + 0.5)."""
    features = torch.arange(12.0).reshape(1, 1, 3, 4)
    y, x = torch.meshgrid(torch.arange(3) + 0.5, torch.arange(4) + 0.5, indexing="ij")
    xy = torch.stack([x, y], dim=-1).reshape(1, 12, 2)
    torch.testing.assert_close(sample_points(features, xy), features.reshape(1, 1, 12))


def test_gradients_reach_features_and_points():
    """Both analytic gradients agree with differences, away from the centres of cells."""
    torch.manual_seed(1)
    features = torch.randn(2, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    cells = torch.randint(-1, 6, (2, 6, 2))
    xy = (cells + 0.5 + 0.1 + 0.8 * torch.rand(2, 6, 2)).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda f, p: sample_points(f, p, spatial_scale=0.8), (features, xy / 0.8)
    )


def test_points_that_are_not_finite_or_far_away_sample_zero():
    """Zeros come out and zeros go back: nothing is spoiled."""
    features = torch.ones(1, 1, 3, 3, requires_grad=True)
    values = [math.nan, math.inf, -math.inf, 3e38, -1e30]
    xy = torch.tensor([[[value, 1.0] for value in values]], requires_grad=True)
    sampled = sample_points(features, xy)
    assert sampled.tolist() == [[[0.0] * len(values)]]
    sampled.sum().backward()
    assert not features.grad.any()
    assert bool(xy.grad.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    """Rounded once at the end, under autocast too."""
    torch.manual_seed(2)
    features, xy = torch.rand(1, 3, 6, 6).to(dtype), torch.rand(1, 9, 2) * 6
    expected = sample_points(features.float(), xy).to(dtype)
    assert torch.equal(sample_points(features, xy), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(sample_points(features, xy), expected)
        exact = sample_points(features.float(), xy)
    assert exact.dtype == torch.float32


@pytest.mark.parametrize(
    ("shape", "points"), [((0, 2, 3, 3), (0, 4)), ((2, 0, 3, 3), (2, 4)), ((2, 2, 3, 3), (2, 0))]
)
def test_nothing_to_sample_is_normal(shape, points):
    """Empty results are part of the graph: a loss over no points trains."""
    features = torch.rand(shape, requires_grad=True)
    sampled = sample_points(features, torch.rand(*points, 2))
    assert sampled.shape == (shape[0], shape[1], points[1])
    sampled.sum().backward()
    assert features.grad.shape == shape


def test_wrong_arguments_are_named():
    """Each mistake is reported with the argument's name and what was expected."""
    features, xy = torch.zeros(2, 1, 3, 3), torch.zeros(2, 4, 2)
    with pytest.raises(ShapeError, match=r"xy: expected \[2, p, 2\], got \[1, 4, 2\]"):
        sample_points(features, xy[:1])
    with pytest.raises(ShapeError, match=r"features: expected \[b, c, h, w\]"):
        sample_points(features[0], xy)
    with pytest.raises(DtypeError, match="xy: expected a floating-point dtype"):
        sample_points(features, xy.long())
    with pytest.raises(DeviceError, match="features is on cpu, xy on meta"):
        sample_points(features, xy.to("meta"))
    with pytest.raises(InvalidValueError, match="spatial_scale: expected a positive number"):
        sample_points(features, xy, spatial_scale=0.0)
    with pytest.raises(InvalidValueError, match="features: expected at least one cell, got 0 x 3"):
        sample_points(features[:, :, :0], xy)


def test_compiled_sampling_is_one_graph():
    """No graph break, equal values."""
    features, xy = torch.rand(2, 3, 4, 5), torch.rand(2, 6, 2) * 5
    compiled = torch.compile(sample_points, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(features, xy), sample_points(features, xy))


@pytest.mark.cuda
def test_cuda_samples_the_same_values(cuda):
    """CPU and device agree up to rounding, backwards too."""
    torch.manual_seed(3)
    grads = []
    for device in ("cpu", cuda):
        torch.manual_seed(3)
        features = torch.rand(2, 3, 8, 9).to(device).requires_grad_()
        xy = (torch.rand(2, 20, 2) * 12 - 1).to(device).requires_grad_()
        sampled = sample_points(features, xy)
        sampled.square().sum().backward()
        grads.append([value.detach().cpu() for value in (sampled, features.grad, xy.grad)])
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
