"""Boxes against torchvision's box operators, and their messages."""

import pytest
import torch
from hypothesis import given

from geodet import Boxes, DtypeError, ImageSize, InvalidValueError, Region, ShapeError
from geodet import testing as gt

SIZE = ImageSize(9, 14)


@pytest.fixture(scope="module")
def torchvision_ops():
    """The oracle: box operators that none of us wrote."""
    return pytest.importorskip("torchvision.ops")


@given(boxes=gt.boxes())
def test_formats_agree_with_torchvision(torchvision_ops, boxes):
    """Both other formats are those of torchvision and come back exactly."""
    for name, to, back in (
        ("xywh", boxes.to_xywh(), Boxes.from_xywh),
        ("cxcywh", boxes.to_cxcywh(), Boxes.from_cxcywh),
    ):
        assert torch.equal(to, torchvision_ops.box_convert(boxes.xyxy, "xyxy", name))
        assert back(to).equal(boxes)


@given(boxes=gt.boxes())
def test_area_agrees_with_torchvision(torchvision_ops, boxes):
    """Area is width times height, without a +1."""
    assert torch.equal(boxes.area(), torchvision_ops.box_area(boxes.xyxy))
    assert torch.equal(boxes.area(), boxes.widths() * boxes.heights())


@given(boxes=gt.boxes())
def test_clipping_agrees_with_torchvision(torchvision_ops, boxes):
    """Clipping cuts x at the width and y at the height, and what is inside stays."""
    moved = boxes.translate(-3.5, 2.25)
    clipped = moved.clip_to(SIZE)
    assert torch.equal(
        clipped.xyxy, torchvision_ops.clip_boxes_to_image(moved.xyxy, SIZE.as_tuple())
    )
    assert bool(clipped.inside(SIZE).all())
    assert clipped.clip_to(SIZE).equal(clipped)
    assert clipped[moved.inside(SIZE)].equal(moved[moved.inside(SIZE)])


@given(boxes=gt.boxes())
def test_nonempty_agrees_with_torchvision(torchvision_ops, boxes):
    """Both sides must be strictly larger; torchvision keeps at equality, so ask just above."""
    kept = torchvision_ops.remove_small_boxes(boxes.xyxy, 2.0 + 1e-6)
    assert kept.tolist() == boxes.nonempty(2.0).nonzero().flatten().tolist()


@given(a=gt.boxes(), b=gt.boxes())
def test_pairwise_iou_agrees_with_torchvision(torchvision_ops, a, b):
    """IoU is torchvision's, where its 0 / 0 for boxes without area is 0 here."""
    expected = torchvision_ops.box_iou(a.xyxy, b.xyxy).nan_to_num(0.0)
    torch.testing.assert_close(a.pairwise_iou(b), expected)


@given(gt.boxes(image_size=SIZE))
def test_geometry_moves_every_point_of_a_box(boxes):
    """Scale, translate and mirrors act on corners as on any point, and keep them in order."""
    corners = boxes.xyxy.view(-1, 2, 2)
    width = SIZE.width
    for got, x, y in (
        (boxes.scale(2.0, 0.5), corners[..., 0] * 2, corners[..., 1] / 2),
        (boxes.translate(1.0, -2.0), corners[..., 0] + 1, corners[..., 1] - 2),
        (boxes.flip_horizontally(SIZE), width - corners[..., 0], corners[..., 1]),
        (boxes.flip_vertically(SIZE), corners[..., 0], SIZE.height - corners[..., 1]),
    ):
        expected = torch.stack((x.amin(1), y.amin(1), x.amax(1), y.amax(1)), dim=1)
        assert torch.equal(got.xyxy, expected)


@given(gt.boxes())
def test_a_horizontal_box_is_its_own_hull(boxes):
    """Boxes meet the Region protocol; their hull is themselves."""
    assert isinstance(boxes, Region)
    assert boxes.hull() is boxes


def test_a_margin_widens_the_image():
    """Inside allows a box to stick out by the margin, not further."""
    boxes = Boxes(torch.tensor([[-1.0, 0.0, 15.0, 9.0], [-1.5, 0.0, 3.0, 3.0]]))
    assert boxes.inside(SIZE).tolist() == [False, False]
    assert boxes.inside(SIZE, margin=1).tolist() == [True, False]


def test_empty_boxes_go_through_every_method():
    """No box is a normal table: every method gives an empty result of the right shape."""
    none = Boxes.empty(dtype=torch.float64)
    assert len(none) == 0
    assert none.area().shape == none.nonempty().shape == none.inside(SIZE).shape == (0,)
    assert none.centers().shape == (0, 2)
    assert none.to_xywh().shape == none.to_cxcywh().shape == (0, 4)
    assert none.pairwise_iou(none).shape == (0, 0)
    assert none.clip_to(SIZE).equal(none)
    assert none.validated(size=SIZE) is none


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([[0, 0, 1, 1]], DtypeError, "xyxy: expected a torch.Tensor, got list"),
        (torch.zeros(3, 5), ShapeError, r"xyxy: expected \[n, 4\], got \[3, 5\]"),
        (torch.zeros(4), ShapeError, r"xyxy: expected \[n, 4\], got \[4\]"),
        (torch.zeros(1, 4, dtype=torch.int64), DtypeError, "xyxy: expected a floating-point dtype"),
    ],
)
def test_metadata_is_checked_at_construction(value, error, message):
    """Type, rank, last size and dtype family are errors at once."""
    with pytest.raises(error, match=message):
        Boxes(value)


def test_other_formats_check_their_own_name():
    """The message names the argument that the user passed."""
    with pytest.raises(ShapeError, match=r"xywh: expected \[n, 4\]"):
        Boxes.from_xywh(torch.zeros(1, 3))
    with pytest.raises(ShapeError, match=r"cxcywh: expected \[n, 4\]"):
        Boxes.from_cxcywh(torch.zeros(1, 3))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.0, 0.0, float("nan"), 1.0], "expected finite x1, y1, x2, y2, got [0.0, 0.0, nan, 1.0]"),
        ([5.0, 0.0, 3.0, 1.0], "expected x1 <= x2 and y1 <= y2, got [5.0, 0.0, 3.0, 1.0]"),
        ([0.0, 0.0, 15.0, 1.0], "expected a box inside 14 x 9 (width x height), got [0.0, 0.0,"),
    ],
)
def test_broken_values_name_place_row_and_numbers(row, message):
    """Validation says where the data came from, which row, and what it holds."""
    boxes = Boxes(torch.tensor([[0.0, 0.0, 1.0, 1.0], row]))
    with pytest.raises(InvalidValueError) as caught:
        boxes.validated(size=SIZE, where="train.json, image 7")
    assert str(caught.value).startswith(f"train.json, image 7: boxes row 1: {message}")
