"""Laws of non-maximum suppression, on every device."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from geodet import ImageSize, ops
from geodet import testing as gt

SIZE = ImageSize(6, 6)
thresholds = st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 0.75, 1.0])


KINDS = {
    "boxes": (gt.boxes, "xyxy", ops.nms, ops.batched_nms, ops.pairwise_box_iou),
    "rotated_boxes": (
        gt.rotated_boxes,
        "cxcywha",
        ops.rotated_nms,
        ops.batched_rotated_nms,
        ops.pairwise_rotated_iou,
    ),
}


class Scored:
    """Crowded regions [n, 4 or 5], their scores [n], and a threshold that overlaps often equal."""

    def __init__(self, data, kind, device, *, distinct=False):
        regions, field, nms, batched, iou = KINDS[kind]
        self.rows = getattr(data.draw(regions(image_size=SIZE, max_rows=8, device=device)), field)
        self.scores = data.draw(gt.scores(rows=len(self.rows), distinct=distinct, device=device))
        self.threshold = data.draw(thresholds)
        self.overlaps = iou(self.rows, self.rows)
        self.nms = lambda rows, scores: nms(rows, scores, self.threshold)
        self.batched = lambda rows, scores, groups: batched(rows, scores, groups, self.threshold)


on_every_kind = pytest.mark.parametrize("kind", KINDS)


@on_every_kind
@given(data=st.data())
def test_exactly_the_right_boxes_survive(device, kind, data):
    """Best first; no two survivors overlap too much; every dropped box has its better."""
    drawn = Scored(data, kind, device)
    gt.assert_suppression_laws(drawn.nms, drawn.rows, drawn.scores, drawn.overlaps, drawn.threshold)


@on_every_kind
@given(data=st.data())
def test_survivors_do_not_depend_on_the_order(device, kind, data):
    """Shuffled rows with different scores keep the same boxes."""
    drawn = Scored(data, kind, device, distinct=True)
    order = torch.tensor(data.draw(st.permutations(range(len(drawn.rows)))), dtype=torch.int64)
    gt.assert_suppression_ignores_order(drawn.nms, drawn.rows, drawn.scores, order.to(device))


def moved(rows, step):
    """Centres or corners moved by (step, step); sides and angles stay."""
    offset = torch.tensor([step, step] if rows.shape[1] == 5 else [step] * 4)
    offset = torch.nn.functional.pad(offset, (0, rows.shape[1] - len(offset)))
    return rows + offset.to(rows)


@on_every_kind
@given(data=st.data())
def test_survivors_do_not_depend_on_the_place(device, kind, data):
    """An offset that coordinates can hold and double precision keep the same boxes."""
    drawn = Scored(data, kind, device)
    for step in (lambda rows: moved(rows, 2.0**18), lambda rows: rows.double()):
        gt.assert_suppression_is_unchanged_by(drawn.nms, step, drawn.rows, drawn.scores)


@on_every_kind
@given(data=st.data())
def test_groups_are_suppressed_apart_whatever_their_number(device, kind, data):
    """Suppression by groups is suppression in each, for numbers small, huge and negative."""
    drawn = Scored(data, kind, device)
    numbers = st.lists(st.integers(0, 2), min_size=len(drawn.rows), max_size=len(drawn.rows))
    groups = torch.tensor(data.draw(numbers), dtype=torch.int64, device=device)
    gt.assert_groups_are_independent(drawn.nms, drawn.batched, drawn.rows, drawn.scores, groups)
