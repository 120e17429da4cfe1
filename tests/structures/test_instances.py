"""Instances: aligned columns, copies with changes, messages that name the column."""

import pytest
import torch
from hypothesis import given

from geodet import (
    BitMasks,
    Boxes,
    DtypeError,
    ImageSize,
    Instances,
    InvalidValueError,
    Keypoints,
    PolygonMasks,
    RotatedBoxes,
    ShapeError,
    Skeleton,
)
from geodet import testing as gt

SIZE = ImageSize(9, 14)
POINT = Skeleton(names=["p"], sigmas=[0.1])


def two():
    """Two instances with boxes, labels and scores."""
    return Instances(
        SIZE,
        boxes=Boxes(torch.tensor([[0.0, 0.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0]])),
        labels=torch.tensor([1, 0]),
        scores=torch.tensor([0.5, 0.25]),
        extras={"track": torch.tensor([7, 8])},
    )


def test_the_readme_example_of_selection():
    """Every column is selected together, extras too."""
    best = two()[two().scores > 0.3]
    assert len(best) == 1
    assert best.boxes.xyxy.tolist() == [[0.0, 0.0, 1.0, 1.0]]
    assert best.labels.tolist() == [1]
    assert best.extras["track"].tolist() == [7]


def test_a_table_without_columns_has_no_rows():
    """Length is 0, iteration yields nothing, and slicing works."""
    bare = Instances(SIZE)
    assert len(bare) == len(bare[:]) == len(list(bare)) == 0
    assert bare.columns() == {}
    with pytest.raises(IndexError, match="index 0 is out of range for 0 rows"):
        bare[0]


def test_an_image_without_objects_has_empty_boxes_and_labels():
    """The empty target joins with itself and validates."""
    none = Instances.empty(SIZE)
    assert none.boxes.xyxy.shape == (0, 4)
    assert none.labels.dtype == torch.int64
    assert Instances.cat([none, none]).equal(none)
    assert none.validated(num_classes=1) is none


@given(gt.instances())
def test_columns_rebuild_the_table(table):
    """What columns() lists is all there is."""
    columns = {name: c for name, c in table.columns().items() if name not in table.extras}
    assert Instances(table.image_size, extras=table.extras, **columns).equal(table)


def test_with_replaces_adds_and_leaves_out_columns():
    """The receiver stays as it was."""
    table = two()
    changed = table.with_(
        scores=None, labels=torch.tensor([3, 3]), is_crowd=torch.tensor([True, False])
    )
    assert set(changed.columns()) == {"boxes", "labels", "is_crowd", "track"}
    assert changed.labels.tolist() == [3, 3]
    assert set(table.columns()) == {"boxes", "labels", "scores", "track"}


@given(gt.instances(columns=["scores", "labels", "extras"]))
def test_sorting_by_score_is_pythons_stable_sort(table):
    """Best first, ties in their order, every column along."""
    rows = sorted(range(len(table)), key=lambda row: -float(table.scores[row]))
    assert table.sorted_by_score().equal(table[rows])


def test_a_table_without_scores_cannot_be_sorted_by_them():
    """An empty one is sorted already."""
    with pytest.raises(InvalidValueError, match="sorted_by_score: expected a column scores"):
        two().with_(scores=None).sorted_by_score()
    assert Instances.empty(SIZE).sorted_by_score().equal(Instances.empty(SIZE))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"scores": None},
            ShapeError,
            "Instances.cat: scores: item 0 has this column, item 1 does not",
        ),
        (
            {"extras": {"other": torch.tensor([1, 2])}},
            ShapeError,
            r"Instances.cat: extras: item 1 has \['other'\], item 0 \['track'\]",
        ),
        (
            {"boxes": RotatedBoxes(torch.ones(2, 5))},
            DtypeError,
            "Instances.cat: boxes: item 1 is RotatedBoxes, item 0 Boxes",
        ),
        (
            {"image_size": ImageSize(9, 15)},
            ShapeError,
            r"Instances.cat: image_size: item 1 has ImageSize\(height=9, width=15\)",
        ),
    ],
)
def test_joining_never_drops_a_column(change, error, message):
    """Tables whose columns differ are refused, and the message says in what."""
    with pytest.raises(error, match=message):
        Instances.cat([two(), two().with_(**change)])


def test_rotated_boxes_are_boxes_like_any_other():
    """Selection, joining, moving, validation and pickling do not ask which kind they are."""
    boxes = RotatedBoxes(torch.tensor([[3.0, 4.0, 2.0, 1.0, 30.0], [5.0, 4.0, 2.0, 1.0, -60.0]]))
    table = two().with_(boxes=boxes).validated(num_classes=2)
    gt.assert_table_laws(table)
    assert Instances.cat([table, table]).boxes.cxcywha.shape == (4, 5)
    assert table.to(dtype=torch.float64).boxes.cxcywha.dtype == torch.float64
    assert "RotatedBoxes" in repr(table)
    assert [row.boxes.cxcywha[0, 4].item() for row in table] == [30.0, -60.0]


def test_a_table_says_what_it_holds():
    """Columns by name with dtype and shape, absent ones left out, the device at the end."""
    text = repr(two())
    for part in ("image_size=", "Boxes(xyxy=float32[2, 4]", "labels=int64[2]", "track", "cpu"):
        assert part in text
    assert "masks" not in text


def test_extras_cannot_be_changed_in_place():
    """The mapping is read-only, and the dictionary it came from is not shared."""
    given_extras = {"track": torch.tensor([7])}
    table = Instances(SIZE, extras=given_extras)
    given_extras["other"] = torch.tensor([1, 2, 3])
    assert set(table.extras) == {"track"}
    with pytest.raises(TypeError):
        table.extras["track"] = torch.tensor([1])


def test_a_frozen_table_refuses_assignment():
    """Columns are replaced by with_, never assigned."""
    with pytest.raises(AttributeError):
        two().labels = torch.tensor([0, 0])


def test_half_precision_keeps_labels_flags_and_polygons():
    """A floating-point dtype converts floating-point columns that live with the model."""
    masks = PolygonMasks.from_coco([[[0, 0, 4, 0, 4, 4]], []], SIZE)
    half = two().with_(masks=masks, is_crowd=torch.tensor([True, False])).to(dtype=torch.float16)
    assert half.boxes.xyxy.dtype == half.scores.dtype == torch.float16
    assert half.labels.dtype == torch.int64
    assert half.is_crowd.dtype == torch.bool
    assert half.masks.points.dtype == torch.float64
    with pytest.raises(DtypeError, match=r"to: expected a floating-point dtype, got torch.int32"):
        two().to(dtype=torch.int32)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        (
            {"boxes": torch.zeros(2, 4)},
            DtypeError,
            "boxes: expected Boxes or RotatedBoxes, got Tensor",
        ),
        ({"labels": torch.zeros(2)}, DtypeError, "labels: expected torch.int64, got torch.float32"),
        ({"labels": torch.zeros(2, 1).long()}, ShapeError, r"labels: expected \[n\], got \[2, 1\]"),
        ({"scores": torch.zeros(2).long()}, DtypeError, "scores: expected a floating-point dtype"),
        ({"is_crowd": torch.zeros(2)}, DtypeError, "is_crowd: expected torch.bool"),
        ({"masks": torch.zeros(2, 9, 14)}, DtypeError, "masks: expected BitMasks, RleMasks"),
        (
            {"keypoints": torch.zeros(2, 1, 3)},
            DtypeError,
            "keypoints: expected Keypoints, got Tensor",
        ),
        (
            {"labels": torch.zeros(3).long()},
            ShapeError,
            r"labels: expected 2 rows \(as boxes has\), got 3",
        ),
        (
            {"extras": {"track": [1, 2]}},
            DtypeError,
            r"extras\['track'\]: expected a tensor with rows",
        ),
        (
            {"extras": {"track": torch.tensor(1)}},
            DtypeError,
            r"extras\['track'\]: expected a tensor",
        ),
        ({"extras": {"track": torch.zeros(3)}}, ShapeError, "track: expected 2 rows"),
        ({"extras": {"boxes": torch.zeros(2)}}, InvalidValueError, "extras: 'boxes' is a declared"),
        ({"extras": [1]}, DtypeError, "extras: expected a mapping of names, got list"),
        (
            {"masks": BitMasks.empty(ImageSize(3, 3))},
            ShapeError,
            r"masks: expected masks of ImageSize\(height=9, width=14\) \(the table's image_size\)",
        ),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, error, message):
    """The message names the column, what was expected and what was found."""
    boxes = Boxes(torch.zeros(2, 4))
    with pytest.raises(error, match=message):
        Instances(SIZE, **{"boxes": boxes, **columns})


def test_columns_on_two_devices_are_refused():
    """The meta device stands for a GPU: the message names both columns and devices."""
    with pytest.raises(ValueError, match=r"boxes is on cpu, labels on meta; move one with .to"):
        Instances(
            SIZE,
            boxes=Boxes(torch.zeros(2, 4)),
            labels=torch.zeros(2, dtype=torch.int64, device="meta"),
        )


def test_polygons_may_stay_on_the_cpu():
    """Outlines do not follow the table to another device."""
    masks = PolygonMasks.from_coco([[[0, 0, 4, 0, 4, 4]]], SIZE)
    moved = Instances(SIZE, boxes=masks.boxes(), masks=masks).to("meta")
    assert moved.device.type == "meta"
    assert moved.masks.device.type == "cpu"


def test_image_size_and_names_are_checked():
    """A tuple is no image size, and with_ knows its columns."""
    with pytest.raises(DtypeError, match="image_size: expected ImageSize, got tuple"):
        Instances((9, 14))
    with pytest.raises(InvalidValueError, match=r"with_: expected one of boxes, .* got 'label'"):
        two().with_(label=torch.tensor([0, 0]))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"labels": torch.tensor([0, -1])}, "a.json: labels row 1: expected in [0, 3), got -1"),
        ({"labels": torch.tensor([3, 0])}, "a.json: labels row 0: expected in [0, 3), got 3"),
        (
            {"scores": torch.tensor([0.5, float("nan")])},
            "a.json: scores row 1: expected a probability in [0, 1], got nan",
        ),
        (
            {"boxes": RotatedBoxes(torch.tensor([[0.0, 0.0, -1.0, 1.0, 0.0]]))},
            "a.json: boxes row 0: expected w >= 0 and h >= 0, got [0.0, 0.0, -1.0, 1.0, 0.0]",
        ),
        (
            {"keypoints": Keypoints(torch.tensor([[[0.0, 0.0, -2.0]]]), POINT)},
            "a.json: keypoints row 0, p: expected v >= 0, got [0.0, 0.0, -2.0]",
        ),
        (
            {"extras": {"old": Boxes(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))}},
            "a.json: extras['old']: boxes row 0: expected x1 <= x2 and y1 <= y2, "
            "got [1.0, 0.0, 0.0, 0.0]",
        ),
    ],
)
def test_broken_values_name_place_column_row_and_number(columns, message):
    """Validation goes through every column, extras too."""
    with pytest.raises(InvalidValueError) as caught:
        Instances(SIZE, **columns).validated(num_classes=3, where="a.json")
    assert str(caught.value) == message


def test_negative_labels_are_broken_without_a_class_count():
    """Labels count from 0 whatever the number of classes."""
    with pytest.raises(InvalidValueError, match="labels row 0: expected at least 0, got -1"):
        Instances(SIZE, labels=torch.tensor([-1])).validated()
