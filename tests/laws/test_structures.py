"""The laws of `geodet.testing` on every structure, and the mirrors that undo themselves."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from geodet import ImageSize, Instances
from geodet import testing as gt

SIZE = ImageSize(9, 14)

# Run lengths and outlines lie in host memory on every machine.
ON_ANY_DEVICE = ("boxes", "rotated_boxes", "bit_masks", "roi_masks", "keypoints", "instances")
TABLES = (*ON_ANY_DEVICE, "rle_masks", "polygon_masks")

on_every_table = pytest.mark.parametrize("kind", TABLES)


def draw_table(data, kind, device, **options):
    """A table of a kind, on the device if that kind goes there."""
    movable = {"device": device} if kind in ON_ANY_DEVICE else {}
    return data.draw(getattr(gt, kind)(**movable, **options))


@on_every_table
@given(data=st.data())
def test_tables_obey_their_laws(device, kind, data):
    """Selection, cat of slices, to, pickle, copy and pytree laws hold; nothing is mutated."""
    gt.assert_table_laws(draw_table(data, kind, device))


@on_every_table
@given(data=st.data())
def test_indexing_composes(device, kind, data):
    """Indexing is a homomorphism: selecting twice equals selecting once."""
    table = draw_table(data, kind, device)
    first = data.draw(gt.row_indices(rows=len(table)))
    second = data.draw(gt.row_indices(rows=len(table[first])))
    gt.assert_indexing_composes(table, first, second)


@on_every_table
@given(data=st.data())
def test_drawn_tables_are_valid(device, kind, data):
    """Strategies draw only values that the structures accept as sound."""
    table = draw_table(data, kind, device)
    assert table.validated() is table


@on_every_table
@given(data=st.data())
def test_iteration_yields_the_rows(device, kind, data):
    """Iterating gives tables of one row that join to the table."""
    table = draw_table(data, kind, device)
    rows = list(table)
    assert len(rows) == len(table)
    assert type(table).cat([table[:0], *rows]).equal(table)


@given(gt.panoptic_segmentations())
def test_panoptic_segmentations_obey_their_laws(segmentation):
    """Moving, pickle and pytree laws hold, mirrors undo themselves and values are sound."""
    gt.assert_structure_laws(segmentation)
    gt.assert_twice_is_identity(segmentation, lambda s: s.flip_horizontally())
    gt.assert_twice_is_identity(segmentation, lambda s: s.flip_vertically())
    assert segmentation.validated() is segmentation


@given(gt.image_lists())
def test_image_lists_obey_their_laws(batch):
    """Moving, pickle and pytree laws hold."""
    gt.assert_structure_laws(batch)


@pytest.mark.parametrize("kind", ["boxes", "rotated_boxes", "keypoints"])
@given(data=st.data())
def test_mirrors_of_coordinates_undo_themselves(device, kind, data):
    """Flipping twice is the identity, exactly, as coordinates lie on a binary grid."""
    table = draw_table(data, kind, device, image_size=SIZE)
    gt.assert_twice_is_identity(table, lambda t: t.flip_horizontally(SIZE))
    gt.assert_twice_is_identity(table, lambda t: t.flip_vertically(SIZE))


@pytest.mark.parametrize("kind", ["bit_masks", "polygon_masks", "roi_masks", "rle_masks"])
@given(data=st.data())
def test_mirrors_of_masks_undo_themselves(device, kind, data):
    """Flipping twice is the identity; holes carry rounding of double precision."""
    table = draw_table(data, kind, device)
    atol = 1e-12 if kind == "polygon_masks" else 0.0
    gt.assert_twice_is_identity(table, lambda t: t.flip_horizontally(), atol=atol)
    gt.assert_twice_is_identity(table, lambda t: t.flip_vertically(), atol=atol)


@pytest.mark.parametrize("kind", ["boxes", "rotated_boxes", "keypoints"])
@given(data=st.data())
def test_geometry_never_changes_its_receiver(device, kind, data):
    """Every method returns a new object and leaves the old one alone."""
    table = draw_table(data, kind, device, image_size=SIZE)
    for call in (
        lambda t: t.scale(2.0, 0.5),
        lambda t: t.translate(1.0, -1.0),
        lambda t: t.flip_horizontally(SIZE),
        lambda t: t.flip_vertically(SIZE),
    ):
        gt.assert_unchanged_by(table, call)


def test_tables_of_another_type_are_not_equal():
    """Equality asks for the same type first."""
    table = Instances(SIZE)
    assert not table.equal(None)
    assert not table.allclose(SIZE)


@given(gt.boxes(min_rows=1))
def test_equal_and_allclose_see_a_difference(boxes):
    """One changed number is seen by equal; a tiny one is forgiven by allclose alone."""
    moved = boxes.translate(0.25, 0.0)
    assert not boxes.equal(moved)
    assert not boxes.allclose(moved, rtol=0, atol=0.1)
    assert boxes.allclose(moved, rtol=0, atol=0.3)
    assert not boxes.equal(boxes.to(dtype=torch.float64))
