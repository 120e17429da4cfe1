"""Messages of indexing and cat, which all tables share, and structures under torch.compile."""

import pytest
import torch

from geodet import (
    BitMasks,
    Boxes,
    DtypeError,
    ImageSize,
    Instances,
    Keypoints,
    ShapeError,
    Skeleton,
)

BOXES = Boxes(torch.arange(12.0).view(3, 4))
SIZE = ImageSize(2, 3)


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (3, IndexError, "index 3 is out of range for 3 rows"),
        (-4, IndexError, "index -4 is out of range for 3 rows"),
        (
            True,
            DtypeError,
            "index: expected an int, a slice, a bool mask or int64 rows, got a bool",
        ),
        (1.0, DtypeError, "index: expected an int, a slice, .* got float"),
        ("a", DtypeError, "index: expected an int, a slice, .* got str"),
        (
            torch.tensor([0.0]),
            DtypeError,
            "index: expected torch.bool or torch.int64, got torch.float32",
        ),
        (torch.tensor([[0]]), ShapeError, r"index: expected \[k\], got \[1, 1\]"),
        (torch.tensor([True]), ShapeError, r"index: expected a bool mask of \[3\], got \[1\]"),
    ],
)
def test_an_index_that_makes_no_sense_is_refused(index, error, message):
    """The message says which indices are known."""
    with pytest.raises(error, match=message):
        BOXES[index]


def test_lists_work_as_indices():
    """Lists of ints and of bools are row numbers and masks; an empty list selects nothing."""
    assert BOXES[[2, 0]].equal(BOXES[torch.tensor([2, 0])])
    assert BOXES[[True, False, True]].equal(BOXES[::2])
    assert BOXES[[]].equal(BOXES[:0])


def test_slices_reach_beyond_the_rows():
    """Huge bounds and steps mean what they mean for lists."""
    huge = 2**62
    assert BOXES[::huge].equal(BOXES[:1])
    assert BOXES[-huge:huge].equal(BOXES)
    assert BOXES[huge:].equal(BOXES[:0])
    assert BOXES[::-huge].equal(BOXES[2])


def test_slices_share_memory():
    """A slice is a view."""
    assert BOXES[1:].xyxy.data_ptr() == BOXES.xyxy[1:].data_ptr()


def instances(**columns):
    """A table of one row."""
    return Instances(SIZE, labels=torch.tensor([0]), **columns)


@pytest.mark.parametrize(
    ("tables", "error", "message"),
    [
        ([], ShapeError, "cat: expected at least one table, got none; use .*[.]empty"),
        ([BOXES, torch.zeros(1, 4)], DtypeError, "Boxes.cat: expected Boxes, item 1 is Tensor"),
        (
            [BOXES, BOXES.to(dtype=torch.float64)],
            DtypeError,
            "Boxes.cat: xyxy: item 1 is torch.float64, item 0 torch.float32",
        ),
        (
            [BitMasks.empty(SIZE), BitMasks.empty(ImageSize(3, 3))],
            ShapeError,
            r"BitMasks.cat: data: item 1 is \[0, 3, 3\], item 0 \[0, 2, 3\]; they may differ in",
        ),
        (
            [BOXES, Boxes(torch.zeros(1, 4, device="meta"))],
            ValueError,
            "Boxes.cat: xyxy: item 1 is on meta, item 0 cpu",
        ),
        (
            [instances(), instances(scores=torch.tensor([0.5]))],
            ShapeError,
            "Instances.cat: scores: item 1 has this column, item 0 does not",
        ),
        (
            [instances(), Instances(ImageSize(5, 5), labels=torch.tensor([0]))],
            ShapeError,
            "Instances.cat: image_size: item 1 has ImageSize.height=5, width=5., item 0 ",
        ),
        (
            [instances(extras={"a": torch.tensor([0])}), instances()],
            ShapeError,
            r"Instances.cat: extras: item 1 has \[\], item 0 \['a'\]",
        ),
        (
            [instances(extras={"a": torch.tensor([0])}), instances(extras={"a": BOXES[0]})],
            DtypeError,
            r"Instances.cat: extras\['a'\]: item 1 is Boxes, item 0 Tensor",
        ),
        (
            [
                Keypoints.empty(Skeleton(names=["a"], sigmas=[1.0])),
                Keypoints.empty(Skeleton(names=["b"], sigmas=[1.0])),
            ],
            ShapeError,
            "Keypoints.cat: skeleton: item 1 has Skeleton",
        ),
    ],
)
def test_tables_that_do_not_join_are_refused(tables, error, message):
    """The message names the column and both items."""
    kind = type(tables[0]) if tables else Boxes
    with pytest.raises(error, match=message):
        kind.cat(tables)


def test_structures_enter_a_compiled_function():
    """A traced function reads the tensors of a structure without a graph break."""
    table = Instances(SIZE, boxes=BOXES, scores=torch.rand(3))

    def weighted_area(instances: Instances) -> torch.Tensor:
        return instances.boxes.area() * instances.scores

    compiled = torch.compile(weighted_area, backend="eager", fullgraph=True)
    assert torch.equal(compiled(table), weighted_area(table))


def test_repr_tells_shapes_and_no_values():
    """Printing a structure never waits for a GPU."""
    assert repr(BOXES) == "Boxes(xyxy=float32[3, 4], device=cpu)"
