"""Laws of non-maximum suppression, on every device."""

import hypothesis.strategies as st
import torch
from hypothesis import given

from geodet import ImageSize, ops
from geodet import testing as gt

SIZE = ImageSize(6, 6)
thresholds = st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 0.75, 1.0])


def draw_scored(data, device, *, distinct=False):
    """Crowded boxes [n, 4], their scores [n] and a threshold that overlaps often equal."""
    boxes = data.draw(gt.boxes(image_size=SIZE, max_rows=8, device=device)).xyxy
    scores = data.draw(gt.scores(rows=len(boxes), distinct=distinct, device=device))
    return boxes, scores, data.draw(thresholds)


def nms_at(threshold):
    """Suppression with its threshold filled in."""
    return lambda boxes, scores: ops.nms(boxes, scores, threshold)


@given(data=st.data())
def test_exactly_the_right_boxes_survive(device, data):
    """Best first; no two survivors overlap too much; every dropped box has its better."""
    boxes, scores, threshold = draw_scored(data, device)
    overlaps = ops.pairwise_box_iou(boxes, boxes)
    gt.assert_suppression_laws(nms_at(threshold), boxes, scores, overlaps, threshold)


@given(data=st.data())
def test_survivors_do_not_depend_on_the_order(device, data):
    """Shuffled rows with different scores keep the same boxes."""
    boxes, scores, threshold = draw_scored(data, device, distinct=True)
    order = torch.tensor(data.draw(st.permutations(range(len(boxes)))), dtype=torch.int64)
    gt.assert_suppression_ignores_order(nms_at(threshold), boxes, scores, order.to(device))


@given(data=st.data())
def test_survivors_do_not_depend_on_the_place(device, data):
    """An offset that coordinates can hold, a mirror and doubling keep the same boxes."""
    boxes, scores, threshold = draw_scored(data, device)
    for step in (
        lambda b: b + 2.0**18,
        lambda b: SIZE.width - b[:, [2, 1, 0, 3]] * b.new_tensor([1, -1, 1, -1]),
        lambda b: b * 2,
        lambda b: b.double(),
    ):
        gt.assert_suppression_is_unchanged_by(nms_at(threshold), step, boxes, scores)


@given(data=st.data())
def test_groups_are_suppressed_apart_whatever_their_number(device, data):
    """Suppression by groups is suppression in each, for numbers small, huge and negative."""
    boxes, scores, threshold = draw_scored(data, device)
    numbers = st.lists(st.integers(0, 2), min_size=len(boxes), max_size=len(boxes))
    groups = torch.tensor(data.draw(numbers), dtype=torch.int64, device=device)
    gt.assert_groups_are_independent(
        nms_at(threshold),
        lambda b, s, g: ops.batched_nms(b, s, g, threshold),
        boxes,
        scores,
        groups,
    )
