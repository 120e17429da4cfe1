"""Laws of transforms on tables with every kind of column, on every device."""

import hypothesis.strategies as st
import torch
from hypothesis import given

from geodet import ImageSize
from geodet import testing as gt
from geodet.transforms import Compose, HorizontalFlip, Identity, Resize, VerticalFlip

SIZE = ImageSize(9, 14)
sizes = gt.image_sizes(max_side=20)


@st.composite
def transforms(draw):
    """One to three transforms that fit each other."""
    chain, size = [], SIZE
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from([Identity, HorizontalFlip, VerticalFlip, Resize]))
        chain.append(Resize(size, draw(sizes)) if kind is Resize else kind(size))
        size = chain[-1].target
    return Compose(tuple(chain))


@given(transforms(), st.data())
def test_no_row_is_lost_or_moved(device, transform, data):
    """No row is lost, columns keep their partners, labels and scores are handed on."""
    table = data.draw(gt.instances(image_size=SIZE, device=device))
    rows = data.draw(gt.row_indices(rows=len(table)))
    gt.assert_transform_keeps_rows(transform, table, rows)


@given(transforms(), st.data())
def test_the_inverse_takes_coordinates_back(device, transform, data):
    """Boxes and points return to where they were, through any chain."""
    columns = ("boxes", "keypoints", "labels")
    table = data.draw(gt.instances(image_size=SIZE, columns=columns, device=device))
    if not hasattr(table.boxes, "xyxy"):  # unequal scaling leaves no rotated box behind
        table = table.with_(boxes=table.boxes.hull())
    gt.assert_inverse_takes_back(transform, table)


@given(st.lists(st.sampled_from([HorizontalFlip, VerticalFlip]), min_size=1), st.data())
def test_mirrors_are_undone_to_the_last_bit(device, kinds, data):
    """Any number of mirrors of any column is taken back exactly; outlines to 1e-12."""
    table = data.draw(gt.instances(image_size=SIZE, device=device))
    mirrors = Compose(tuple(kind(SIZE) for kind in kinds))
    gt.assert_inverse_takes_back(mirrors, table, rtol=0, atol=1e-12)


@given(st.data())
def test_the_identity_changes_no_bit_of_any_magnitude(device, data):
    """Identity and Resize to the same size hand on even coordinates in [0, 1] as they are."""
    table = data.draw(gt.instances(image_size=SIZE, device=device))
    if table.boxes is not None:
        table = table.with_(boxes=table.boxes.scale(2.0**-9, 2.0**-9))
    for transform in (Identity(SIZE), Resize(SIZE, SIZE)):
        assert transform.apply_instances(table).equal(table)
        assert torch.device(device) == table.device or not table.columns()
