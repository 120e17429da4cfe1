"""Box overlap: laws, specification, torchvision, shapely, gradients and odd numbers."""

import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from geodet import ops
from geodet.errors import DtypeError, ShapeError
from geodet.ops import box_area, pairwise_box_iou
from geodet.ops.reference import box_overlap as reference

INF = float("inf")
NAN = float("nan")
MEASURES = ("intersection", "iou", "ioa", "giou", "diou", "ciou")

on_every_measure = pytest.mark.parametrize("measure", MEASURES)
sizes = st.integers(0, 12)
seeds = st.integers(0, 10**6)


def pairwise(measure):
    """The operator for every pair."""
    return getattr(ops, f"pairwise_box_{measure}")


def matched(measure):
    """The operator for rows that belong together."""
    return getattr(ops, f"matched_box_{measure}")


def random_boxes(count: int, seed: int) -> Tensor:
    """Boxes that often overlap, in double; about one in ten is inverted on an axis."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.rand(count, 2, generator=generator).double() * 40
    sides = torch.rand(count, 2, generator=generator).double() * 22 - 1
    return torch.cat([first, first + sides], dim=1)


def valid_boxes(count: int, seed: int) -> Tensor:
    """The same with positive sides."""
    boxes = random_boxes(count, seed)
    return torch.cat([boxes[:, :2], torch.maximum(boxes[:, 2:], boxes[:, :2] + 0.5)], dim=1)


def on_grid(boxes: Tensor) -> Tensor:
    """Boxes moved to multiples of 1/8, whose sums and products are exact."""
    return (boxes * 8).round() / 8


@on_every_measure
@given(n=sizes, m=sizes, seed=seeds)
@example(n=12, m=12, seed=7)
def test_pairs_equal_their_specification(measure, n, m, seed):
    """Every pair gives the number of the slow definition, inverted boxes included."""
    a, b = random_boxes(n, seed), random_boxes(m, seed + 1)
    slow = getattr(reference, f"box_{measure}_reference")
    expected = [[slow(p, q) for q in b.tolist()] for p in a.tolist()]
    # The same double operations in nearly the same order.
    torch.testing.assert_close(
        pairwise(measure)(a, b),
        torch.tensor(expected, dtype=torch.float64).reshape(n, m),
        rtol=1e-14,
        atol=1e-14,
    )


@on_every_measure
@given(n=sizes, seed=seeds, dtype=st.sampled_from([torch.float32, torch.float64]))
def test_matches_are_the_diagonal_of_the_pairs(measure, n, seed, dtype):
    """Bit for bit, whatever the vector code does."""
    a, b = random_boxes(n, seed).to(dtype), random_boxes(n, seed + 1).to(dtype)
    assert torch.equal(matched(measure)(a, b), pairwise(measure)(a, b).diagonal())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("measure", "theirs"),
    [
        ("iou", "box_iou"),
        ("giou", "generalized_box_iou"),
        ("diou", "distance_box_iou"),
        ("ciou", "complete_box_iou"),
    ],
)
def test_pairs_equal_torchvisions(measure, theirs, dtype):
    """The numbers are those of torchvision for boxes with positive sides."""
    from torchvision import ops as tv_ops

    a, b = valid_boxes(300, 0).to(dtype), valid_boxes(200, 1).to(dtype)
    # One rounding of the last step; the other three add 1e-7 to denominators.
    tolerance = {torch.float32: 1e-6, torch.float64: 1e-14 if measure == "iou" else 1e-7}[dtype]
    torch.testing.assert_close(
        pairwise(measure)(a, b), getattr(tv_ops, theirs)(a, b), rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("measure", ["giou", "diou", "ciou"])
def test_losses_and_gradients_equal_torchvisions(measure):
    """1 - the matched measure is torchvision's loss, and so are its gradients in both boxes."""
    from torchvision import ops as tv_ops

    loss = {
        "giou": tv_ops.generalized_box_iou_loss,
        "diou": tv_ops.distance_box_iou_loss,
        "ciou": tv_ops.complete_box_iou_loss,
    }[measure]
    weights = torch.rand(200, generator=torch.Generator().manual_seed(2)).double()
    gradients = []
    for compute in (lambda a, b: 1 - matched(measure)(a, b), loss):
        a = valid_boxes(200, 0).requires_grad_()
        b = valid_boxes(200, 1).requires_grad_()
        values = compute(a, b)
        grads = torch.autograd.grad((values * weights).sum(), (a, b))
        gradients.append((values.detach(), *grads))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-7)  # their 1e-7 in denominators


@given(n=st.integers(1, 4), seed=seeds)
def test_areas_agree_with_shapely(n, seed):
    """Intersection, IoU, IoA and GIoU are made of areas that shapely measures."""
    shapely = pytest.importorskip("shapely")
    a, b = valid_boxes(n, seed), valid_boxes(n, seed + 1)
    p, q = (shapely.box(*x.T.numpy()) for x in (a, b))
    common = torch.from_numpy(shapely.area(shapely.intersection(p, q)))
    union = torch.from_numpy(shapely.area(shapely.union(p, q)))
    hull = torch.from_numpy(shapely.area(shapely.envelope(shapely.union(p, q))))
    for measure, expected in (
        ("intersection", common),
        ("iou", common / union),
        ("ioa", common / torch.from_numpy(shapely.area(q))),
        ("giou", common / union - (hull - union) / hull),
    ):
        torch.testing.assert_close(matched(measure)(a, b), expected, rtol=1e-12, atol=1e-12)


@on_every_measure
@given(n=sizes, m=sizes, seed=seeds, dtype=st.sampled_from([torch.float32, torch.float64]))
def test_measures_stay_in_their_range(measure, n, m, seed, dtype):
    """No pair leaves the range of its measure, not by rounding either."""
    low = {"giou": -1, "diou": -1, "ciou": -1.5}.get(measure, 0)
    high = INF if measure == "intersection" else 1
    values = pairwise(measure)(random_boxes(n, seed).to(dtype), random_boxes(m, seed + 1).to(dtype))
    assert ((values >= low) & (values <= high)).all()


@given(n=sizes, m=sizes, seed=seeds)
def test_penalties_only_take_away(n, m, seed):
    """CIoU <= DIoU <= IoU and GIoU <= IoU, for every pair."""
    a, b = random_boxes(n, seed).float(), random_boxes(m, seed + 1).float()
    iou, diou = pairwise("iou")(a, b), pairwise("diou")(a, b)
    assert (pairwise("giou")(a, b) <= iou).all()
    assert (diou <= iou).all()
    assert (pairwise("ciou")(a, b) <= diou).all()


@on_every_measure
@given(n=sizes, seed=seeds)
def test_a_box_measured_with_itself_is_one(measure, n, seed):
    """A box with positive sides has 1 with itself, exactly, and its area as intersection."""
    boxes = valid_boxes(n, seed).float()
    expected = box_area(boxes) if measure == "intersection" else torch.ones(n)
    assert torch.equal(matched(measure)(boxes, boxes), expected)


@given(n=sizes, seed=seeds)
def test_a_box_inside_another_is_covered(n, seed):
    """IoA is 1 exactly where the first box contains the second."""
    inner = valid_boxes(n, seed).float()
    outer = inner + torch.tensor([-1.0, -2, 3, 0])
    assert (matched("ioa")(outer, inner) == 1).all()
    assert (matched("ioa")(inner, outer) < 1).all()


def test_out_receives_the_result():
    """A reused buffer is written and returned; large results agree with small ones."""
    a, b = random_boxes(1200, 0).float(), random_boxes(1100, 1).float()
    out = torch.full((1200, 1100), NAN)
    assert pairwise_box_iou(a, b, out=out) is out
    assert torch.equal(out, pairwise_box_iou(a, b))
    assert torch.equal(out[:5], pairwise_box_iou(a[:5], b))


def test_thread_count_changes_no_bit():
    """One and two threads give the same matrix."""
    a = random_boxes(2000, 0).float()
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(pairwise_box_iou(a, a))
    torch.set_num_threads(before)
    assert torch.equal(*results)


def test_strided_boxes_are_read_by_value():
    """Views with strides of their own give the same numbers."""
    wide = random_boxes(10, 0).repeat_interleave(2, dim=1)
    assert not wide[:, ::2].is_contiguous()
    expected = pairwise_box_iou(random_boxes(10, 0), random_boxes(10, 0))
    assert torch.equal(pairwise_box_iou(wide[:, ::2], wide[:, ::2]), expected)


def test_area_is_width_times_height():
    """Nothing is added; one inverted side makes it negative."""
    boxes = torch.tensor([[1.0, 2, 4, 8], [4, 2, 1, 8], [0, 0, 0, 5]])
    assert box_area(boxes).tolist() == [18, -18, 0]


def test_wrong_arguments_are_named():
    """Each mistake is reported with the argument's name and what was expected."""
    boxes = torch.ones(3, 4)
    with pytest.raises(ShapeError, match=r"a: expected \[n, 4\], got \[3, 3\]"):
        pairwise_box_iou(boxes[:, :3], boxes)
    with pytest.raises(DtypeError, match=r"b: expected torch\.float32, got torch\.float64"):
        pairwise_box_iou(boxes, boxes.double())
    with pytest.raises(DtypeError, match="floating-point"):
        pairwise_box_iou(boxes.int(), boxes.int())
    with pytest.raises(DtypeError, match=r"a: expected a torch\.Tensor, got list"):
        pairwise_box_iou([[0, 0, 1, 1]], boxes)
    with pytest.raises(ShapeError, match=r"out: expected \[3, 3\]"):
        pairwise_box_iou(boxes, boxes, out=torch.ones(3, 2))
    with pytest.raises(ShapeError, match="contiguous"):
        pairwise_box_iou(boxes, boxes[:2], out=torch.ones(2, 3).T)
    with pytest.raises(DtypeError, match="out"):
        pairwise_box_iou(boxes, boxes, out=torch.ones(3, 3).double())


@on_every_measure
@given(n=sizes, m=sizes, seed=seeds)
def test_measures_are_symmetric(measure, n, m, seed):
    """Exchanging the arguments transposes the matrix; IoA exchanges whose area divides."""
    a, b = random_boxes(n, seed), random_boxes(m, seed + 1)
    if measure == "ioa":
        common = pairwise("intersection")(a, b)
        expected = torch.where(common > 0, common / box_area(b), 0.0)
        assert torch.equal(pairwise("ioa")(a, b), expected)
    else:
        assert torch.equal(pairwise(measure)(a, b), pairwise(measure)(b, a).T)


@on_every_measure
@given(n=sizes, seed=seeds, dx=st.integers(-64, 64), dy=st.integers(-64, 64))
def test_measures_of_translates_are_invariant(measure, n, seed, dx, dy):
    """Moving everything by the same vector changes nothing where no coordinate is rounded."""
    a, b = on_grid(random_boxes(n, seed)), on_grid(random_boxes(n, seed + 1))
    shift = torch.tensor([dx, dy, dx, dy])
    moved = pairwise(measure)(a + shift, b + shift)
    assert torch.equal(moved, pairwise(measure)(a, b))


@on_every_measure
@given(n=sizes, m=sizes, seed=seeds, power=st.integers(-8, 8))
def test_measures_of_scaled_boxes_are_invariant(measure, n, m, seed, power):
    """Scaling everything by a power of two changes nothing; the area it scales squared."""
    a, b = random_boxes(n, seed), random_boxes(m, seed + 1)
    factor = 4.0**power if measure == "intersection" else 1.0
    scaled = pairwise(measure)(a * 2.0**power, b * 2.0**power)
    assert torch.equal(scaled, pairwise(measure)(a, b) * factor)


@given(n=sizes, seed=seeds, factor=st.floats(1.01, 9))
def test_ciou_sees_what_diou_does_not(n, seed, factor):
    """Of two boxes with one centre, CIoU alone is lowered by another aspect ratio."""
    boxes = valid_boxes(n, seed)
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    center = boxes[:, :2] + half
    wide = half * torch.tensor([factor, 1.0], dtype=torch.float64)
    stretched = torch.cat((center - wide, center + wide), dim=1)
    diou, ciou = matched("diou")(boxes, stretched), matched("ciou")(boxes, stretched)
    torch.testing.assert_close(diou, torch.full_like(diou, 1 / factor), rtol=0, atol=1e-12)
    assert (ciou < diou).all()


def test_boxes_that_only_touch_do_not_overlap():
    """Shared edges and corners have no area."""
    box = torch.tensor([[0.0, 0, 4, 4]])
    others = torch.tensor([[4.0, 0, 8, 4], [0, 4, 4, 8], [4, 4, 8, 8], [2, 2, 2, 3]])
    for measure in ("intersection", "iou", "ioa"):
        assert (pairwise(measure)(box, others) == 0).all()
    # Two squares side by side fill their enclosing box; two at a corner half of it.
    assert pairwise("giou")(box, others).tolist() == [[0, 0, -0.5, 0]]


def test_boxes_without_area_have_numbers():
    """Points and lines give numbers, not NaN: a point with itself has no penalty."""
    boxes = torch.tensor([[2.0, 2, 2, 2], [0, 2, 4, 2], [2, 0, 2, 4], [6, 2, 6, 2]])
    for measure in MEASURES:
        assert pairwise(measure)(boxes, boxes).isfinite().all()
        assert (matched(measure)(boxes, boxes) == 0).all()
    assert pairwise("diou")(boxes[:1], boxes[3:]).item() == -1
    # Lines along x and along y: angles 90 and 0 degrees, v = 1, alpha = 1 / 2.
    assert pairwise("ciou")(boxes[1:2], boxes[2:3]).item() == pytest.approx(-0.5)


@on_every_measure
@pytest.mark.parametrize(
    "odd", [[NAN, 0, 4, 4], [0, 0, 4, NAN], [-INF, -INF, INF, INF], [INF] * 4, [0, 0, INF, 4]]
)
def test_boxes_that_are_not_finite_meet_nothing(measure, odd):
    """A NaN or an infinity gives 0 or -1, never a NaN, and no gradient."""
    boxes = torch.tensor([[0.0, 0, 4, 4], odd], requires_grad=True)
    apart = -1.0 if measure in {"giou", "diou", "ciou"} else 0.0
    values = pairwise(measure)(boxes, boxes)
    alone = 16.0 if measure == "intersection" else 1.0
    assert values.tolist() == [[alone, apart], [apart, apart]]
    (gradient,) = torch.autograd.grad(values.sum(), boxes)
    assert gradient[1].tolist() == [0] * 4
    assert gradient.isfinite().all()


def test_huge_boxes_stay_in_range():
    """Areas beyond the largest float give the lowest value, areas below it are right."""
    boxes = torch.tensor([[-3e38, -3e38, 3e38, 3e38], [0, 0, 1e19, 1e18], [0, 0, 1e19, 5e17]])
    assert pairwise_box_iou(boxes, boxes)[0].tolist() == [0, 0, 0]
    # 5e17 is rounded to float
    assert pairwise_box_iou(boxes, boxes)[1, 2].item() == pytest.approx(0.5, rel=1e-6)
    for measure in MEASURES:
        assert not pairwise(measure)(boxes, boxes).isnan().any()


@pytest.mark.parametrize("measure", [m for m in MEASURES if m != "ciou"])
@pytest.mark.parametrize("shape", [pairwise, matched])
def test_gradients_equal_differences(measure, shape):
    """First and second derivatives are those of the function."""
    a = valid_boxes(4, 0).requires_grad_()
    b = valid_boxes(4, 1).requires_grad_()
    assert torch.autograd.gradcheck(shape(measure), (a, b))
    assert torch.autograd.gradgradcheck(shape(measure), (a, b))


@on_every_measure
@given(n=sizes, m=sizes, seed=seeds, inverted=st.booleans())
def test_compiled_gradients_equal_those_that_differentiate_again(measure, n, m, seed, inverted):
    """The kernel and the torch operations give the same gradients, ties and all."""
    draw = random_boxes if inverted else valid_boxes
    a = on_grid(draw(n, seed)).requires_grad_()
    b = torch.cat((on_grid(draw(m, seed + 1)), a.detach())).requires_grad_()
    grad = torch.rand(n, m + n, generator=torch.Generator().manual_seed(seed)).double() - 0.5
    for function, own, weights in (
        (pairwise(measure), b, grad),
        (matched(measure), b[m:], grad.diagonal(m)),
    ):
        kernel = torch.autograd.grad(function(a, own), (a, b), weights)
        again = torch.autograd.grad(function(a, own), (a, b), weights, create_graph=True)
        for ours, theirs in zip(kernel, again, strict=True):
            torch.testing.assert_close(ours, theirs.detach(), rtol=1e-10, atol=1e-10)


def test_gradient_of_ciou_holds_alpha_constant():
    """The gradient is that of DIoU - alpha v with alpha a number, as differences show."""
    a, b = valid_boxes(5, 0), valid_boxes(5, 1)
    v, iou = ratio_term(a, b), matched("iou")(a, b)
    alpha = v / (1 - iou + v)

    def with_fixed_alpha(a, b):
        return matched("diou")(a, b) - alpha * ratio_term(a, b)

    a.requires_grad_()
    b.requires_grad_()
    assert torch.autograd.gradcheck(with_fixed_alpha, (a, b))
    ours = torch.autograd.grad(matched("ciou")(a, b).sum(), (a, b))
    expected = torch.autograd.grad(with_fixed_alpha(a, b).sum(), (a, b))
    torch.testing.assert_close(ours, expected)


def ratio_term(a: Tensor, b: Tensor) -> Tensor:
    """Term v of CIoU, from its definition."""
    angles = [torch.atan((x[:, 2] - x[:, 0]) / (x[:, 3] - x[:, 1])) for x in (a, b)]
    return 4 / math.pi**2 * (angles[0] - angles[1]) ** 2


@on_every_measure
@given(n=sizes, m=sizes, seed=seeds)
def test_gradients_are_finite_everywhere(measure, n, m, seed):
    """Boxes without area, inverted, identical or sharing corners give finite gradients."""
    a = on_grid(random_boxes(n, seed) / 8).requires_grad_()
    b = torch.cat((on_grid(random_boxes(m, seed + 1) / 8), a.detach())).requires_grad_()
    for gradient in torch.autograd.grad(pairwise(measure)(a, b).sum(), (a, b)):
        assert gradient.isfinite().all()


@on_every_measure
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(measure, dtype):
    """Half and bfloat16 boxes give the float32 result rounded once, and gradients of their own."""
    boxes = random_boxes(9, 0).to(dtype).requires_grad_()
    for shape in (pairwise, matched):
        wide = shape(measure)(boxes.float(), boxes.float().roll(1, 0))
        values = shape(measure)(boxes, boxes.roll(1, 0))
        assert torch.equal(values, wide.to(dtype))
        assert torch.autograd.grad(values.sum(), boxes)[0].dtype == dtype


@on_every_measure
def test_autocast_changes_nothing(measure):
    """Overlaps and their gradients stay in the precision of the boxes."""
    a = valid_boxes(6, 0).float().requires_grad_()
    b = valid_boxes(6, 1).float()
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            values = matched(measure)(a, b)
            results.append((values, torch.autograd.grad(values.sum(), a)[0]))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@on_every_measure
def test_empty_tables_give_empty_results(measure):
    """No boxes on either side give no rows or no columns, and empty gradients."""
    none, some = torch.zeros(0, 4, requires_grad=True), torch.ones(3, 4)
    assert pairwise(measure)(none, some).shape == (0, 3)
    assert pairwise(measure)(some, none).shape == (3, 0)
    assert pairwise(measure)(none, none).shape == (0, 0)
    assert matched(measure)(none, none).shape == (0,)
    assert torch.autograd.grad(pairwise(measure)(some, none).sum(), none)[0].shape == (0, 4)
    assert box_area(none).shape == (0,)


def test_matches_need_as_many_rows():
    """Rows that belong together are as many on both sides."""
    with pytest.raises(ShapeError, match=r"b: expected \[3, 4\], got \[2, 4\]"):
        ops.matched_box_giou(torch.ones(3, 4), torch.ones(2, 4))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # opcheck's own reading
@on_every_measure
def test_registration_passes_torchs_own_checks(measure):
    """Schema, fake, autograd and tracing agree with the kernel."""
    for shape in ("pairwise", "matched"):
        arguments = (valid_boxes(3, 0).requires_grad_(), valid_boxes(3, 1).requires_grad_())
        operator = getattr(torch.ops.geodet, f"{shape}_box_{measure}")
        torch.library.opcheck(operator, arguments)


@on_every_measure
@pytest.mark.cuda
def test_cuda_equals_the_cpu(measure, cuda):
    """The device makes the same roundings; the arc tangent of CIoU has its own."""
    a, b = random_boxes(300, 0).float(), random_boxes(300, 1).float()
    a[0, 0], b[0, 3] = NAN, INF
    tolerance = 1e-6 if measure == "ciou" else 0.0
    for shape in (pairwise, matched):
        on_device = shape(measure)(a.to(cuda), b.to(cuda)).cpu()
        torch.testing.assert_close(on_device, shape(measure)(a, b), rtol=0, atol=tolerance)
        both = []
        for device in ("cpu", cuda):
            p, q = (x.to(device).requires_grad_() for x in (a, b))
            gradients = torch.autograd.grad(shape(measure)(p, q).sum(), (p, q))
            both.append([gradient.cpu() for gradient in gradients])
        torch.testing.assert_close(*both, rtol=1e-4, atol=1e-5)
