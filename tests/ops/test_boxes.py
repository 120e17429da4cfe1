"""Box overlap: laws, specification, torchvision, gradients and odd numbers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geodet.errors import DtypeError, ShapeError
from geodet.ops import box_area, pairwise_box_iou
from geodet.ops.reference.boxes import box_iou_reference

INF = float("inf")
NAN = float("nan")

sizes = st.integers(0, 12)
seeds = st.integers(0, 10**6)


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


@given(n=sizes, m=sizes, seed=seeds)
def test_iou_equals_its_specification(n, m, seed):
    """Every pair gives the number of the slow definition, inverted boxes included."""
    a, b = random_boxes(n, seed), random_boxes(m, seed + 1)
    expected = [[box_iou_reference(p, q) for q in b.tolist()] for p in a.tolist()]
    # the same double operations
    torch.testing.assert_close(
        pairwise_box_iou(a, b),
        torch.tensor(expected, dtype=torch.float64).reshape(n, m),
        rtol=0,
        atol=1e-15,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_iou_equals_torchvisions(dtype):
    """The numbers are those of torchvision for boxes with positive sides."""
    from torchvision.ops import box_iou

    a, b = valid_boxes(300, 0).to(dtype), valid_boxes(200, 1).to(dtype)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-14  # one rounding of the last step
    torch.testing.assert_close(pairwise_box_iou(a, b), box_iou(a, b), rtol=0, atol=tolerance)


@given(n=sizes, m=sizes, seed=seeds)
def test_iou_lies_between_zero_and_one(n, m, seed):
    """No pair leaves [0, 1], not by rounding either."""
    iou = pairwise_box_iou(random_boxes(n, seed).float(), random_boxes(m, seed + 1).float())
    assert ((iou >= 0) & (iou <= 1)).all()


@given(n=sizes, m=sizes, seed=seeds)
def test_iou_is_symmetric(n, m, seed):
    """Exchanging the arguments transposes the matrix, up to the order of one sum."""
    a, b = random_boxes(n, seed), random_boxes(m, seed + 1)
    torch.testing.assert_close(pairwise_box_iou(a, b), pairwise_box_iou(b, a).T, rtol=0, atol=1e-15)


@given(n=sizes, seed=seeds)
def test_iou_of_a_box_with_itself_is_one(n, seed):
    """A box with positive sides overlaps itself fully."""
    boxes = valid_boxes(n, seed).float()
    assert (pairwise_box_iou(boxes, boxes).diagonal() == 1).all()


@given(n=sizes, m=sizes, seed=seeds, dx=st.integers(-64, 64), dy=st.integers(-64, 64))
def test_iou_of_translates_is_invariant(n, m, seed, dx, dy):
    """Moving everything by the same vector changes nothing where no coordinate is rounded."""
    a, b = on_grid(random_boxes(n, seed)), on_grid(random_boxes(m, seed + 1))
    shift = torch.tensor([dx, dy, dx, dy])
    assert torch.equal(pairwise_box_iou(a + shift, b + shift), pairwise_box_iou(a, b))


@given(n=sizes, m=sizes, seed=seeds, power=st.integers(-8, 8))
def test_iou_of_scaled_boxes_is_invariant(n, m, seed, power):
    """Scaling everything by a power of two changes nothing."""
    a, b = random_boxes(n, seed), random_boxes(m, seed + 1)
    assert torch.equal(pairwise_box_iou(a * 2.0**power, b * 2.0**power), pairwise_box_iou(a, b))


def test_boxes_that_only_touch_do_not_overlap():
    """Shared edges and corners have no area."""
    box = torch.tensor([[0.0, 0, 4, 4]])
    others = torch.tensor([[4.0, 0, 8, 4], [0, 4, 4, 8], [4, 4, 8, 8], [2, 2, 2, 3]])
    assert (pairwise_box_iou(box, others) == 0).all()


@pytest.mark.parametrize("odd", [[NAN, 0, 4, 4], [0, 0, 4, NAN], [-INF, -INF, INF, INF], [INF] * 4])
def test_boxes_that_are_not_finite_overlap_nothing(odd):
    """A NaN or an infinite area gives 0, never a NaN."""
    boxes = torch.tensor([[0.0, 0, 4, 4], odd])
    iou = pairwise_box_iou(boxes, boxes)
    assert iou.tolist() == [[1, 0], [0, 0]]


def test_huge_boxes_stay_in_range():
    """Areas beyond the largest float give 0, areas below it are right."""
    boxes = torch.tensor([[-3e38, -3e38, 3e38, 3e38], [0, 0, 1e19, 1e18], [0, 0, 1e19, 5e17]])
    assert pairwise_box_iou(boxes, boxes)[0].tolist() == [0, 0, 0]
    # 5e17 is rounded to float
    assert pairwise_box_iou(boxes, boxes)[1, 2].item() == pytest.approx(0.5, rel=1e-6)


def test_gradients_equal_differences():
    """First and second derivatives are those of the function."""
    a = valid_boxes(3, 0).requires_grad_()
    b = valid_boxes(4, 1).requires_grad_()
    assert torch.autograd.gradcheck(pairwise_box_iou, (a, b))
    assert torch.autograd.gradgradcheck(pairwise_box_iou, (a, b))


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


def test_half_precision_is_computed_in_float32():
    """Half and bfloat16 boxes give the float32 result rounded once."""
    for dtype in (torch.float16, torch.bfloat16):
        boxes = random_boxes(9, 0).to(dtype)
        wide = pairwise_box_iou(boxes.float(), boxes.float())
        assert torch.equal(pairwise_box_iou(boxes, boxes), wide.to(dtype))


def test_strided_boxes_are_read_by_value():
    """Views with strides of their own give the same numbers."""
    wide = random_boxes(10, 0).repeat_interleave(2, dim=1)
    assert not wide[:, ::2].is_contiguous()
    expected = pairwise_box_iou(random_boxes(10, 0), random_boxes(10, 0))
    assert torch.equal(pairwise_box_iou(wide[:, ::2], wide[:, ::2]), expected)


def test_empty_tables_give_empty_matrices():
    """No boxes on either side give no rows or no columns."""
    none, some = torch.zeros(0, 4), torch.ones(3, 4)
    assert pairwise_box_iou(none, some).shape == (0, 3)
    assert pairwise_box_iou(some, none).shape == (3, 0)
    assert pairwise_box_iou(none, none).shape == (0, 0)
    assert box_area(none).shape == (0,)


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


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # opcheck's own reading
def test_registration_passes_torchs_own_checks():
    """Schema, fake, autograd and tracing agree with the kernel."""
    arguments = (valid_boxes(3, 0).requires_grad_(), valid_boxes(4, 1).requires_grad_())
    torch.library.opcheck(torch.ops.geodet.pairwise_box_iou, arguments)


@pytest.mark.cuda
def test_cuda_equals_the_cpu_in_every_bit(cuda):
    """The device makes the same roundings."""
    a, b = random_boxes(300, 0).float(), random_boxes(200, 1).float()
    a[0, 0], b[0, 3] = NAN, INF
    assert torch.equal(pairwise_box_iou(a.to(cuda), b.to(cuda)).cpu(), pairwise_box_iou(a, b))
