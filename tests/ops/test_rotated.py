"""Overlap of rotated boxes: laws, specification, published cases, gradients and odd numbers.

How exact it is over families of difficult pairs is checked in test_rotated_exact.py.
"""

import json
import math

import numpy as np
import pytest
import shapely
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from geodet.errors import DeviceError, DtypeError, ShapeError
from geodet.ops import (
    matched_rotated_giou,
    matched_rotated_intersection,
    matched_rotated_iou,
    pairwise_box_iou,
    pairwise_rotated_giou,
    pairwise_rotated_intersection,
    pairwise_rotated_iou,
)
from geodet.ops.reference.rotated import (
    rotated_corners,
    rotated_giou_reference,
    rotated_intersection_reference,
    rotated_iou_reference,
)

INF = float("inf")
NAN = float("nan")

PAIRWISE = (pairwise_rotated_iou, pairwise_rotated_intersection, pairwise_rotated_giou)
MATCHED = (matched_rotated_iou, matched_rotated_intersection, matched_rotated_giou)
REFERENCES = (rotated_iou_reference, rotated_intersection_reference, rotated_giou_reference)

sizes = st.integers(0, 8)
seeds = st.integers(0, 10**6)
coordinates = st.integers(-80, 80).map(lambda eighths: eighths / 8)
sides = st.integers(0, 80).map(lambda eighths: eighths / 8)
angles = st.one_of(st.sampled_from([-180, -90, -45, 0, 45, 90, 180]), st.integers(-720, 720)).map(
    lambda degrees: degrees / 2
)
boxes = st.tuples(coordinates, coordinates, sides, sides, angles)


def random_boxes(count: int, seed: int) -> Tensor:
    """Boxes that often overlap, in double; about one in ten has a side that is not positive."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.tensor([20.0, 20, 22, 22, 720]).double()
    low = torch.tensor([0.0, 0, -1, -1, -360]).double()
    return torch.rand(count, 5, generator=generator, dtype=torch.float64) * scale + low


def solid_boxes(count: int, seed: int) -> Tensor:
    """The same with sides of at least half a pixel."""
    rows = random_boxes(count, seed)
    rows[:, 2:4] = rows[:, 2:4].clamp(min=0.5)
    return rows


def polygons(rows: Tensor) -> object:
    """Shapely polygons of boxes."""
    corners = [rotated_corners(row) for row in rows.tolist()]
    return shapely.polygons(np.array(corners, dtype=np.float64).reshape(-1, 4, 2))


def turned(rows: Tensor, degrees: float, dx: float, dy: float) -> Tensor:
    """Boxes turned around the origin, then moved."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    cx, cy, w, h, angle = rows.unbind(1)
    x, y = cx * cos + cy * sin + dx, cy * cos - cx * sin + dy
    return torch.stack([x, y, w, h, angle + degrees], dim=1)


@given(a=boxes, b=boxes)
@example(a=(0, 0, 1, 1, 0), b=(0, 0, 1, 1, 90))
@example(a=(0, 0, 1, 1, 0), b=(0, 0, 0, 1, 0))
@example(a=(6.875, -3.125, 3.0, 6.5, 45.0), b=(6.875, -3.125, 3.0, 0.625, 45.0))
def test_rotated_overlaps_equal_their_specification(a, b):
    """Every quantity gives the number of the slow definition, boxes without area included."""
    rows = (torch.tensor([a]).double(), torch.tensor([b]).double())
    flat = a[2] * a[3] == 0 and b[2] * b[3] == 0  # the hull may be flat or not, by a rounding
    for matched, pairwise, reference in zip(MATCHED, PAIRWISE, REFERENCES, strict=True):
        if flat and matched is matched_rotated_giou:
            continue
        wanted = pytest.approx(reference(a, b), abs=1e-12)  # areas of up to 100, in double
        assert matched(*rows).item() == wanted
        assert pairwise(*rows).item() == wanted


@given(n=sizes, m=sizes, seed=seeds)
def test_rotated_intersection_is_that_of_shapely(n, m, seed):
    """Areas are those GEOS computes from the corners."""
    a, b = solid_boxes(n, seed), solid_boxes(m, seed + 1)
    wanted = shapely.area(shapely.intersection(polygons(a)[:, None], polygons(b)[None, :]))
    torch.testing.assert_close(
        pairwise_rotated_intersection(a, b),
        torch.tensor(wanted, dtype=torch.float64).reshape(n, m),
        rtol=0,
        atol=1e-11,  # rounding of the corners times the perimeter
    )


@given(n=sizes, seed=seeds)
def test_rotated_giou_encloses_by_the_convex_hull(n, seed):
    """GIoU follows its definition with GEOS's areas and hull."""
    a, b = solid_boxes(n, seed), solid_boxes(n, seed + 1)
    p, q = polygons(a), polygons(b)
    union = shapely.area(shapely.union(p, q))
    hull = shapely.area(shapely.convex_hull(shapely.union(p, q)))
    wanted = torch.tensor(
        shapely.area(shapely.intersection(p, q)) / union - (hull - union) / hull,
        dtype=torch.float64,
    )
    torch.testing.assert_close(matched_rotated_giou(a, b), wanted, rtol=0, atol=1e-12)


PUBLISHED = [
    # (a, b, IoU): pairs that some implementation got wrong, and the truth in double
    (
        (296.6620178222656, 458.73883056640625, 23.515729904174805, 47.677001953125, 0.08795166),
        (296.66201, 458.73882, 23.51573, 47.67702, 0.087951),
        0.999999,
    ),
    (
        (2563.74462890625, 1436.7901611328125, 2174.703369140625, 214.0950012207031, 115.11834717),
        (2563.74462890625, 1436.790283203125, 2174.702880859375, 214.09495544433594, 115.1183548),
        0.999999,
    ),
    ((160, 153, 230, 23, -37), (190, 127, 80, 21, -46), 0.0),
    ((160, 153, 230, 23, 37), (190, 127, 80, 21, 46), 0.265493),
    (
        (1010.5, 860.00012207, 12.20655537, 48.82622528, 55.00798035),
        (1022, 870.49993896, 10.81665134, 43.26660919, 56.30992889),
        0.368759,
    ),
    (
        (0, 0, 180.6422271729, 136.3633728027, math.degrees(0.9559648633)),
        (0, 0, 180.6422271729, 136.3633728027, math.degrees(0.9559648633)),
        1.0,
    ),
    (
        (135.07, 406.72, 7.9445e-7, 1971.1, math.degrees(1.7708)),
        (151.008, 436.2173, 302.0159, 313.7347, math.degrees(3.1184)),
        0.0,
    ),
    (
        (672.4067, 290.7776, 791.0275, 38.9333, 34.1454),
        (672.4067, 290.7776, 791.0275, 38.9333, 34.1454),
        1.0,
    ),
    (
        (46.83, 44.03, 3.9, 1.63, 0),
        (46.83, 44.03, 1.63, 3.9, math.degrees(1.45)),
        0.854834,
    ),
    (
        (0, 0, 5, 10, math.degrees(math.pi / 6)),
        (0, 0, 10, 5, math.degrees(math.pi / 3)),
        0.405827,
    ),
]


@pytest.mark.parametrize(("a", "b", "iou"), PUBLISHED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rotated_iou_of_published_cases_is_right(a, b, iou, dtype):
    """Pairs reported against Detectron2, mmcv and others have their true IoU."""
    rows = (torch.tensor([a], dtype=dtype), torch.tensor([b], dtype=dtype))
    # Truths are given to six digits; the near-identical pairs in float32 differ by their rounding.
    assert matched_rotated_iou(*rows).item() == pytest.approx(iou, abs=2e-6)
    assert pairwise_rotated_iou(*rows).item() == pytest.approx(iou, abs=2e-6)


def test_rotated_iou_of_reference_pairs_is_right(shared_dir):
    """484 pairs with their IoU by GEOS; their angles are clockwise radians."""
    file = shared_dir / "data" / "eval_reference" / "rotated_iou_pairs.json"
    pairs = json.loads(file.read_text())["pairs"]

    def rows(side: str) -> Tensor:
        values = torch.tensor([pair[side] for pair in pairs], dtype=torch.float64)
        return torch.cat([values[:, :4], -torch.rad2deg(values[:, 4:])], dim=1)

    wanted = torch.tensor([pair["iou"] for pair in pairs], dtype=torch.float64)
    a, b = rows("a"), rows("b")
    torch.testing.assert_close(matched_rotated_iou(a, b), wanted, rtol=0, atol=1e-9)
    single = matched_rotated_iou(a.float(), b.float()).double()
    rounded = matched_rotated_iou(a.float().double(), b.float().double())
    torch.testing.assert_close(single, rounded, rtol=6e-8, atol=0)  # one rounding


@given(n=sizes, m=sizes, seed=seeds)
def test_rotated_overlaps_are_symmetric_in_every_bit(n, m, seed):
    """Exchanging the arguments transposes the matrix, exactly."""
    a, b = random_boxes(n, seed), random_boxes(m, seed + 1)
    for pairwise in PAIRWISE:
        assert torch.equal(pairwise(a, b), pairwise(b, a).T)
        assert torch.equal(pairwise(a.float(), b.float()), pairwise(b.float(), a.float()).T)


@given(n=sizes, seed=seeds)
def test_rotated_iou_of_a_box_with_itself_is_one(n, seed):
    """Exactly, and so after half turns; after a quarter turn with the sides exchanged too."""
    a = solid_boxes(n, seed)
    a[:, 4] = (a[:, 4] * 64).round() / 64  # so that the turns below are exact
    ones = torch.ones(n, dtype=torch.float64)
    assert torch.equal(matched_rotated_iou(a, a), ones)
    assert torch.equal(matched_rotated_giou(a, a), ones)
    for half_turns in (-3, 1, 4):
        b = a + torch.tensor([0, 0, 0, 0, 180.0 * half_turns])
        assert torch.equal(matched_rotated_iou(a, b), ones)
    b = a[:, [0, 1, 3, 2, 4]] + torch.tensor([0, 0, 0, 0, 90.0])
    assert torch.equal(matched_rotated_iou(a, b), ones)


@given(n=sizes, m=sizes, seed=seeds)
def test_rotated_iou_lies_between_zero_and_one(n, m, seed):
    """No pair leaves [0, 1], nor GIoU [-1, IoU]."""
    a, b = random_boxes(n, seed).float(), random_boxes(m, seed + 1).float()
    iou, giou = pairwise_rotated_iou(a, b), pairwise_rotated_giou(a, b)
    assert ((iou >= 0) & (iou <= 1)).all()
    assert ((giou >= -1) & (giou <= iou)).all()


@given(n=sizes, m=sizes, seed=seeds, degrees=st.floats(-360, 360), dx=st.floats(-1e3, 1e3))
def test_rotated_overlaps_do_not_change_under_rigid_motion(n, m, seed, degrees, dx):
    """Turning and moving all boxes together changes nothing but roundings."""
    a, b = random_boxes(n, seed), random_boxes(m, seed + 1)
    for pairwise in PAIRWISE:
        moved = pairwise(turned(a, degrees, dx, -2 * dx), turned(b, degrees, dx, -2 * dx))
        # 1e3 in double, times the perimeter
        torch.testing.assert_close(moved, pairwise(a, b), rtol=0, atol=1e-10)


@given(n=sizes, m=sizes, seed=seeds, power=st.integers(-300, 300))
def test_rotated_iou_of_scaled_boxes_is_invariant(n, m, seed, power):
    """Scaling by a power of two changes nothing at all, at 1e-90 and 1e90 neither."""
    a, b = random_boxes(n, seed), random_boxes(m, seed + 1)
    scale = torch.tensor([2.0**power] * 4 + [1.0], dtype=torch.float64)
    for pairwise in (pairwise_rotated_iou, pairwise_rotated_giou):
        assert torch.equal(pairwise(a * scale, b * scale), pairwise(a, b))


@given(n=sizes, m=sizes, seed=seeds)
def test_rotated_iou_of_upright_boxes_is_box_iou(n, m, seed):
    """At multiples of 90 degrees the IoU is that of axis-aligned boxes."""
    generator = torch.Generator().manual_seed(seed)
    tables = []
    for count in (n, m):
        rows = solid_boxes(count, seed + len(tables))
        quarter = torch.randint(-4, 5, (count,), generator=generator)
        rows[:, 4] = 90.0 * quarter
        half = torch.where(quarter[:, None] % 2 == 1, rows[:, [3, 2]], rows[:, 2:4]) / 2
        tables.append((rows, torch.cat([rows[:, :2] - half, rows[:, :2] + half], dim=1)))
    (a, a_xyxy), (b, b_xyxy) = tables
    torch.testing.assert_close(
        pairwise_rotated_iou(a, b), pairwise_box_iou(a_xyxy, b_xyxy), rtol=0, atol=1e-13
    )


@given(n=sizes, seed=seeds)
def test_matched_overlaps_are_the_diagonal_of_pairwise_ones(n, seed):
    """Both forms give the same bits."""
    a, b = random_boxes(n, seed), random_boxes(n, seed + 1)
    for matched, pairwise in zip(MATCHED, PAIRWISE, strict=True):
        assert torch.equal(matched(a, b), pairwise(a, b).diagonal())
        single = matched(a.float(), b.float())
        assert torch.equal(single, pairwise(a.float(), b.float()).diagonal())


def test_rotated_boxes_that_only_touch_do_not_overlap():
    """Shared sides and corners have no area; their gradient is 0."""
    a = torch.tensor([[0.0, 0, 4, 4, 0]], requires_grad=True)
    others = torch.tensor([[4.0, 0, 4, 4, 90], [0, 4, 4, 4, 180], [4, 4, 4, 4, 0], [0, 0, 2, 0, 7]])
    iou = pairwise_rotated_iou(a, others)
    assert (iou == 0).all()
    iou.sum().backward()
    assert (a.grad == 0).all()


@pytest.mark.parametrize("column", range(5))
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_rotated_boxes_that_are_not_finite_overlap_nothing(column, value):
    """A NaN or infinity anywhere gives 0 (GIoU -1), never a NaN, and a gradient of 0."""
    odd = torch.tensor([[0.0, 0, 4, 4, 0], [0.0, 0, 4, 4, 0]])
    odd[1, column] = value
    odd.requires_grad_()
    for pairwise in PAIRWISE:
        nothing = -1 if pairwise is pairwise_rotated_giou else 0
        assert pairwise(odd, odd).tolist()[1] == [nothing, nothing]
        (grad,) = torch.autograd.grad(pairwise(odd, odd).sum(), odd)
        assert grad.isfinite().all()
        assert (grad[1] == 0).all()


def test_huge_and_tiny_rotated_boxes_stay_in_range():
    """At the ends of each type values stay in [0, 1] and gradients finite."""
    for dtype in (torch.float32, torch.float64):
        info = torch.finfo(dtype)
        extremes = [0, info.smallest_normal * info.eps, info.tiny, 1e-3, 1, info.max / 4, info.max]
        rows = [[c, -c, w, h, 30] for c in (0, info.max) for w in extremes for h in extremes]
        a = torch.tensor(rows, dtype=dtype, requires_grad=True)
        for pairwise in (pairwise_rotated_iou, pairwise_rotated_giou):
            value = pairwise(a, a.detach())
            assert ((value >= -1) & (value <= 1)).all()
            (grad,) = torch.autograd.grad(value.sum(), a)
            assert grad.isfinite().all()
        if dtype == torch.float32:  # in double, 1e-310 by 1e308 has no area that a double holds
            solid = (a[:, 2] > 0) & (a[:, 3] > 0)
            assert (pairwise_rotated_iou(a, a).diagonal()[solid] == 1).all()


@pytest.mark.parametrize("function", PAIRWISE + MATCHED)
def test_gradients_of_rotated_overlaps_equal_differences(function):
    """All ten derivatives are those of the function, away from its corners."""
    for seed in range(3):
        a = solid_boxes(4, seed).requires_grad_()
        b = solid_boxes(4, seed + 50).requires_grad_()
        assert torch.autograd.gradcheck(function, (a, b))


@given(seed=seeds)
@example(seed=0)
def test_gradients_of_upright_boxes_are_those_of_box_iou(seed):
    """At angle 0 both differentiate alike, where sides coincide too: each box gets half."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.randint(0, 9, (2, 8, 2), generator=generator).double()
    lengths = torch.randint(1, 6, (2, 8, 2), generator=generator).double()
    rows = torch.cat([corners + lengths / 2, lengths, torch.zeros(2, 8, 1)], dim=2)
    weights = torch.rand(8, 8, generator=generator, dtype=torch.float64)
    a, b = (side.requires_grad_() for side in rows.unbind())
    upright = (torch.cat([r[:, :2] - r[:, 2:4] / 2, r[:, :2] + r[:, 2:4] / 2], 1) for r in (a, b))
    ours = torch.autograd.grad((pairwise_rotated_iou(a, b) * weights).sum(), (a, b))
    theirs = torch.autograd.grad((pairwise_box_iou(*upright) * weights).sum(), (a, b))
    for x, y in zip(ours, theirs, strict=True):
        torch.testing.assert_close(x[:, :4], y[:, :4], rtol=0, atol=1e-13)


@given(seed=seeds)
@example(seed=0)
def test_gradients_of_rotated_overlaps_know_rigid_motion(seed):
    """Moving or turning both boxes together changes nothing, so those sums are 0."""
    a, b = solid_boxes(6, seed).requires_grad_(), solid_boxes(6, seed + 1).requires_grad_()
    for matched in MATCHED:
        by_a, by_b = torch.autograd.grad(matched(a, b).sum(), (a, b))
        size = 1 + by_a.abs().amax() + by_b.abs().amax()
        assert ((by_a + by_b)[:, :2].abs() < 1e-9 * size).all()
        turning = (by_a + by_b)[:, 4]
        for rows, by in ((a, by_a), (b, by_b)):
            per_degree = math.radians(1)
            turning = turning + per_degree * (rows[:, 1] * by[:, 0] - rows[:, 0] * by[:, 1])
        assert (turning.abs() < 1e-9 * size).all()


def test_gradients_are_finite_where_there_is_no_derivative():
    """Identical, touching, nested, flat, inverted and far boxes, each with each."""
    rows = torch.tensor(
        [
            [0.0, 0, 4, 2, 30],
            [0, 0, 4, 2, 30],
            [0, 0, 2, 4, 120],
            [0, 0, 2, 1, 30],
            [0, 0, 0, 2, 30],
            [0, 0, 0, 0, 30],
            [0, 0, -1, 2, 30],
            [4, 0, 4, 2, 0],
            [0, 0, 4, 2, 0],
            [1e7, 1e7, 4, 2, 0],
            [0, 0, 1e-6, 1e3, 0],
        ],
        requires_grad=True,
    )
    for pairwise in PAIRWISE:
        (grad,) = torch.autograd.grad(pairwise(rows, rows).sum(), rows)
        assert grad.isfinite().all()


def test_identical_boxes_share_the_gradient():
    """Growing either of two equal boxes changes the shared area by half of growing both."""
    a = torch.tensor([[1.0, 2, 4, 6, 25]], dtype=torch.float64, requires_grad=True)
    b = a.detach().clone().requires_grad_()
    by_a, by_b = torch.autograd.grad(matched_rotated_intersection(a, b).sum(), (a, b))
    expected = torch.tensor([[0.0, 0, 3, 2, 0]], dtype=torch.float64)
    torch.testing.assert_close(by_a, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(by_b, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    """Half boxes give the float32 result rounded once, and finite gradients, autocast or not."""
    a, b = random_boxes(9, 0).to(dtype), random_boxes(9, 1).to(dtype)
    a[0, 2:4] = 6e-5  # an IoU gradient of 1 / 6e-5 and more
    b[0] = a[0]
    for matched, pairwise in zip(MATCHED, PAIRWISE, strict=True):
        x, y = a.clone().requires_grad_(), b.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = matched(x, y)
            assert torch.equal(value, matched(a.float(), b.float()).to(dtype))
            assert torch.equal(pairwise(a, b), pairwise(a.float(), b.float()).to(dtype))
            for grad in torch.autograd.grad(value.sum(), (x, y)):
                assert grad.dtype == dtype
                assert grad.isfinite().all()


def test_out_receives_the_result():
    """A reused buffer is written and returned; large results agree with small ones."""
    a, b = random_boxes(700, 0).float(), random_boxes(800, 1).float()
    for pairwise in PAIRWISE[:2]:
        out = torch.full((700, 800), NAN)
        assert pairwise(a, b, out=out) is out
        assert torch.equal(out, pairwise(a, b))
        assert torch.equal(out[:5], pairwise(a[:5], b))


def test_thread_count_changes_no_bit():
    """One and two threads give the same matrix and the same gradients."""
    a = solid_boxes(700, 0).float().requires_grad_()
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        iou = pairwise_rotated_iou(a, a.detach())
        results.append((iou.detach(), *torch.autograd.grad(iou.sum(), a)))
    torch.set_num_threads(before)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_crowded_and_sparse_matrices_hold_what_single_pairs_do():
    """Early rejection rejects nothing that overlaps, far from the origin too."""
    for place, extent in ((0.0, 100.0), (1e7, 2000.0)):
        a, b = solid_boxes(300, 0), solid_boxes(300, 1)
        for rows in (a, b):
            rows[:, :2] = rows[:, :2] / 20 * extent + place
        matrix = pairwise_rotated_iou(a, b)
        i, j = torch.meshgrid(torch.arange(300), torch.arange(300), indexing="ij")
        single = matched_rotated_iou(a[i.flatten()], b[j.flatten()])
        assert torch.equal(matrix.flatten(), single)
        assert (matrix > 0).any()


def test_strided_boxes_are_read_by_value():
    """Views with strides of their own give the same numbers and gradients."""
    rows = solid_boxes(10, 0)
    wide = rows.repeat_interleave(2, dim=1)
    wide.requires_grad_()
    assert torch.equal(pairwise_rotated_iou(wide[:, ::2], rows), pairwise_rotated_iou(rows, rows))
    (grad,) = torch.autograd.grad(pairwise_rotated_iou(wide[:, ::2], rows).sum(), wide)
    assert grad.shape == (10, 10)
    assert (grad[:, 1::2] == 0).all()


def test_empty_tables_give_empty_matrices():
    """No boxes on either side give no rows or no columns, and empty gradients."""
    none, some = torch.zeros(0, 5, requires_grad=True), torch.ones(3, 5, requires_grad=True)
    for pairwise in PAIRWISE:
        assert pairwise(none, some).shape == (0, 3)
        assert pairwise(some, none).shape == (3, 0)
        (grad,) = torch.autograd.grad(pairwise(some, none).sum(), some)
        assert (grad == 0).all()
    for matched in MATCHED:
        assert matched(none, none).shape == (0,)


def test_wrong_arguments_are_named():
    """Each mistake is reported with the argument's name and what was expected."""
    rows = torch.ones(3, 5)
    with pytest.raises(ShapeError, match=r"a: expected \[n, 5\], got \[3, 4\]"):
        pairwise_rotated_iou(rows[:, :4], rows)
    with pytest.raises(DtypeError, match=r"b: expected torch\.float32, got torch\.float64"):
        matched_rotated_giou(rows, rows.double())
    with pytest.raises(DtypeError, match="floating-point"):
        pairwise_rotated_intersection(rows.int(), rows.int())
    with pytest.raises(ShapeError, match="b: expected 3 rows"):
        matched_rotated_iou(rows, rows[:2])
    with pytest.raises(DeviceError, match="a is on cpu, b on meta"):
        pairwise_rotated_iou(rows, rows.to("meta"))
    with pytest.raises(ShapeError, match=r"out: expected \[3, 3\]"):
        pairwise_rotated_iou(rows, rows, out=torch.ones(3, 2))
    with pytest.raises(ShapeError, match="contiguous"):
        pairwise_rotated_iou(rows, rows[:2], out=torch.ones(2, 3).T)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # opcheck's own reading
def test_registration_passes_torchs_own_checks():
    """Schema, fake, autograd and tracing agree with the kernels."""
    pair = (solid_boxes(3, 0).requires_grad_(), solid_boxes(3, 1).requires_grad_())
    torch.library.opcheck(torch.ops.geodet.pairwise_rotated_iou, pair)
    torch.library.opcheck(torch.ops.geodet.matched_rotated_giou, pair)
    for name in ("pairwise_rotated_giou", "matched_rotated_iou", "matched_rotated_intersection"):
        operator = getattr(torch.ops.geodet, name)  # made by the same code: shapes alone
        torch.library.opcheck(operator, pair, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.cuda
def test_cuda_equals_the_cpu_in_every_bit(cuda):
    """The device makes the same roundings; its gradients differ by the order of sums."""
    a, b = random_boxes(300, 0).float(), random_boxes(300, 1).float()
    a[0, 0], b[0, 3] = NAN, INF
    for matched, pairwise in zip(MATCHED, PAIRWISE, strict=True):
        assert torch.equal(pairwise(a.to(cuda), b.to(cuda)).cpu(), pairwise(a, b))
        assert torch.equal(matched(a.to(cuda), b.to(cuda)).cpu(), matched(a, b))
        grads = []
        for device in ("cpu", cuda):
            x, y = (rows.to(device, torch.float64).requires_grad_() for rows in (a, b))
            both = torch.autograd.grad(pairwise(x, y).sum() + matched(x, y).sum(), (x, y))
            grads.append(torch.cat(both).cpu())
        torch.testing.assert_close(*grads, rtol=1e-9, atol=1e-9)
