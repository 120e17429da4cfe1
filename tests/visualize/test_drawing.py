"""Drawing: pixels change where something is, and nowhere else."""

import itertools

import pytest
import torch

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.structures import (
    BitMasks,
    Boxes,
    ImageSize,
    Instances,
    Keypoints,
    RoiMasks,
    RotatedBoxes,
    Skeleton,
)
from geodet.visualize import distinct_color, draw_instances

SIZE = ImageSize(60, 80)
GREY = torch.full((3, 60, 80), 100, dtype=torch.uint8)
SKELETON = Skeleton(names=("a", "b", "c"), edges=((0, 1), (1, 2)), sigmas=(0.1, 0.1, 0.1))


def changed(picture: torch.Tensor) -> torch.Tensor:
    """[h, w] bool, where a picture differs from the grey ground."""
    return (picture != GREY).any(0)


def square_mask() -> BitMasks:
    """One mask: rows 20 to 49, columns 10 to 49."""
    data = torch.zeros(1, 60, 80, dtype=torch.bool)
    data[0, 20:50, 10:50] = True
    return BitMasks(data)


def test_box_outline_lies_on_its_border_pixels():
    """A half-open box [10, 50) x [20, 45) colours columns 10 and 49, rows 20 and 44."""
    boxes = Boxes(torch.tensor([[10.0, 20.0, 50.0, 45.0]]))
    picture = draw_instances(GREY, Instances(SIZE, boxes=boxes))
    expected = torch.zeros(60, 80, dtype=torch.bool)
    expected[20:45, 10:50] = True
    expected[21:44, 11:49] = False

    assert torch.equal(changed(picture), expected)
    assert picture[:, 20, 10].tolist() == list(distinct_color(0))


def test_mask_is_tinted_inside_and_outlined_in_full_colour():
    """Only pixels of the mask change; the border has the plain colour, the inside a blend."""
    picture = draw_instances(GREY, Instances(SIZE, masks=square_mask()), opacity=0.5)

    assert torch.equal(changed(picture), square_mask().data[0])
    color = distinct_color(0)
    assert picture[:, 20, 30].tolist() == list(color)
    blend = [round((100 + channel) / 2) for channel in color]
    assert picture[:, 35, 30].tolist() == pytest.approx(blend, abs=1)


def test_opacity_zero_leaves_the_inside_alone():
    """Without tint only the outline of a mask is drawn."""
    picture = draw_instances(GREY, Instances(SIZE, masks=square_mask()), opacity=0.0)

    assert not changed(picture)[22:48, 12:48].any()
    assert changed(picture)[20, 10:50].all()


@pytest.mark.parametrize("kind", ["bit", "rle", "roi"])
def test_every_kind_of_mask_is_drawn(kind):
    """Masks that describe the same pixels give the same picture."""
    masks = square_mask()
    if kind == "rle":
        masks = masks.to_rle_masks()
    elif kind == "roi":
        box = Boxes(torch.tensor([[10.0, 20.0, 50.0, 50.0]]))
        masks = RoiMasks(torch.ones(1, 7, 7), box, SIZE)
    picture = draw_instances(GREY, Instances(SIZE, masks=masks))
    # A soft mask fades over half a cell at the border of its box.
    slack = 3 if kind == "roi" else 0

    inside = changed(picture)[20 + slack : 50 - slack, 10 + slack : 50 - slack]
    assert inside.all()
    assert not changed(picture)[:20].any()
    assert not changed(picture)[:, 50:].any()


def test_rotated_boxes_are_drawn_along_their_sides():
    """At 90 degrees a 40 x 10 box stands upright."""
    boxes = RotatedBoxes(torch.tensor([[40.0, 30.0, 40.0, 10.0, 90.0]]))
    where = changed(draw_instances(GREY, Instances(SIZE, boxes=boxes)))
    rows, columns = where.nonzero(as_tuple=True)

    assert (rows.min(), rows.max()) == (10, 50)
    assert (columns.min(), columns.max()) == (35, 45)
    assert not where[20:40, 37:43].any()


def test_keypoints_and_bones_are_drawn_and_hidden_ones_are_not():
    """Joints with v = 0 get neither a dot nor a bone."""
    xyv = torch.tensor([[[10.5, 10.5, 2.0], [40.5, 10.5, 1.0], [70.5, 50.5, 0.0]]])
    where = changed(draw_instances(GREY, Instances(SIZE, keypoints=Keypoints(xyv, SKELETON))))

    assert where[10, 10:41].all()
    assert not where[30:].any()
    assert not where[:, 50:].any()


def test_label_is_written_with_its_class_and_colour():
    """Text makes more than one colour appear above the box, and differs between names."""
    boxes = Boxes(torch.tensor([[20.0, 30.0, 60.0, 50.0]]))
    instances = Instances(SIZE, boxes=boxes, labels=torch.tensor([1]), scores=torch.tensor([0.87]))
    pictures = [
        draw_instances(GREY, instances, class_names=names) for names in (["x", "cat"], ["x", "dog"])
    ]
    above = changed(pictures[0])[:29]

    assert above.any()
    assert pictures[0][:, :29][:, above].unique(dim=1).shape[1] > 1
    assert not torch.equal(pictures[0], pictures[1])


@pytest.mark.parametrize(
    "corner", [(0.0, 0.0), (75.0, 0.0), (75.0, 55.0), (-30.0, -30.0), (200.0, 200.0)]
)
def test_labels_at_and_beyond_the_border_stay_in_the_picture(corner):
    """Whatever the box, its label is fully visible."""
    x, y = corner
    boxes = Boxes(torch.tensor([[x, y, x + 4, y + 4]]))
    instances = Instances(SIZE, boxes=boxes, labels=torch.tensor([0]))
    picture = draw_instances(GREY, instances, class_names=["thing"])
    reference = draw_instances(
        GREY,
        Instances(
            SIZE,
            boxes=Boxes(torch.tensor([[30.0, 30.0, 34.0, 34.0]])),
            labels=torch.zeros(1).long(),
        ),
        class_names=["thing"],
    )

    # The ground of the label alone is wider than the little box.
    assert changed(picture).sum() >= changed(reference).sum() - 16


def test_low_scores_are_left_out():
    """Below the threshold nothing is drawn; without scores everything is."""
    boxes = Boxes(torch.tensor([[5.0, 30.0, 20.0, 50.0], [50.0, 30.0, 70.0, 50.0]]))
    scores = torch.tensor([0.3, 0.9])
    instances = Instances(SIZE, boxes=boxes, scores=scores)
    where = changed(draw_instances(GREY, instances, score_threshold=0.5))
    all_of_them = changed(draw_instances(GREY, instances.with_(scores=None), score_threshold=0.5))

    assert not where[30:50, :20].any()
    assert where[30:50, 50:70].any()
    assert all_of_them[30:50, :20].any()


def test_best_score_lies_on_top():
    """Where two masks overlap, the higher score gives the outline's colour."""
    boxes = Boxes(torch.tensor([[10.0, 30.0, 40.0, 50.0], [10.0, 30.0, 50.0, 50.0]]))
    instances = Instances(SIZE, boxes=boxes, scores=torch.tensor([0.9, 0.2]))
    picture = draw_instances(GREY, instances, color_by="instance")

    assert picture[:, 40, 10].tolist() == list(distinct_color(0))


def test_colour_by_instance_tells_objects_of_one_class_apart():
    """Two boxes of one class share a colour, or not, as asked."""
    boxes = Boxes(torch.tensor([[5.0, 30.0, 20.0, 50.0], [50.0, 30.0, 70.0, 50.0]]))
    instances = Instances(SIZE, boxes=boxes, labels=torch.tensor([3, 3]))
    by_class = draw_instances(GREY, instances)
    by_instance = draw_instances(GREY, instances, color_by="instance")

    assert torch.equal(by_class[:, 49, 5], by_class[:, 49, 50])
    assert not torch.equal(by_instance[:, 49, 5], by_instance[:, 49, 50])


def test_neighbouring_colours_differ_and_never_change():
    """The first 80 colours are distinct; the first ones are fixed for good."""
    colors = [distinct_color(index) for index in range(80)]

    assert len(set(colors)) == 80
    for a, b in itertools.pairwise(colors):
        assert sum(abs(x - y) for x, y in zip(a, b, strict=True)) > 100
    assert colors[0] == (255, 64, 38)


def test_nothing_to_draw_leaves_the_picture_unchanged():
    """No instances: an equal picture in memory of its own."""
    picture = draw_instances(GREY, Instances.empty(SIZE))

    assert torch.equal(picture, GREY)
    assert picture.data_ptr() != GREY.data_ptr()


def test_empty_masks_and_boxes_outside_are_no_error():
    """Degenerate instances draw little or nothing."""
    instances = Instances(
        SIZE,
        boxes=Boxes(torch.tensor([[500.0, 500.0, 500.0, 500.0]])),
        masks=BitMasks(torch.zeros(1, 60, 80, dtype=torch.bool)),
    )

    assert torch.equal(draw_instances(GREY, instances), GREY)


def test_unfit_pictures_and_labels_are_errors():
    """Wrong size, dtype or label is said, not drawn."""
    instances = Instances(SIZE, labels=torch.tensor([2]))
    with pytest.raises(ShapeError, match=r"\(60, 80\).*\(60, 60\)"):
        draw_instances(GREY[:, :, :60], instances)
    with pytest.raises(DtypeError, match="uint8"):
        draw_instances(GREY.float(), instances)
    with pytest.raises(InvalidValueError, match=r"label 2.*2 entries"):
        draw_instances(GREY, instances, class_names=["a", "b"])
