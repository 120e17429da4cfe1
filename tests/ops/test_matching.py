"""Greedy matching: pycocotools' own loop, ties, crowds, ignored targets, broken input."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from geodet.errors import DeviceError, DtypeError, InvalidValueError, ShapeError
from geodet.ops import batched_match_greedily, match_greedily
from geodet.ops.reference import matching as reference

THRESHOLDS = torch.linspace(0.5, 0.95, 10, dtype=torch.float64)


@st.composite
def matrices(draw, max_side=6):
    """Similarities on a coarse grid, so that ties and values on a threshold are common."""
    rows, columns = draw(st.integers(0, max_side)), draw(st.integers(0, max_side))
    steps = st.sampled_from([0.0, 0.3, 0.5, 0.6, 0.75, 0.8, 0.95, 1 - 1e-16, 1.0])
    values = draw(st.lists(steps, min_size=rows * columns, max_size=rows * columns))
    flags = st.lists(st.booleans(), min_size=columns, max_size=columns)
    crowd = torch.tensor(draw(flags), dtype=torch.bool)
    ignored = crowd | torch.tensor(draw(flags), dtype=torch.bool)
    similarities = torch.tensor(values, dtype=torch.float64).reshape(rows, columns)
    return similarities, ignored, crowd


def official(similarities, ignored, crowd, thresholds):
    """Rows of matched targets by COCOeval.evaluateImg."""
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    evaluation = cocoeval.COCOeval(iouType="bbox")
    evaluation.params.iouThrs = thresholds.numpy()
    rows, columns = similarities.shape
    targets = [
        {"id": t + 1, "ignore": int(ignored[t]), "iscrowd": int(crowd[t]), "area": 1}
        for t in range(columns)
    ]
    found = [{"id": d + 1, "score": 1 - d / 100, "area": 1} for d in range(rows)]
    evaluation._gts[1, 1], evaluation._dts[1, 1] = targets, found
    evaluation.ious = {(1, 1): similarities.numpy() if similarities.numel() else []}
    result = evaluation.evaluateImg(1, 1, [0, 1e10], 100)
    if result is None:
        return torch.full((len(thresholds), rows), -1)
    return torch.from_numpy(result["dtMatches"]).long() - 1


@given(case=matrices())
def test_matches_are_those_of_pycocotools(case):
    """Every prediction meets the target that the official loop gives it, at every threshold."""
    similarities, ignored, crowd = case
    found = match_greedily(similarities, THRESHOLDS, ignored=ignored, crowd=crowd)
    assert torch.equal(found, official(similarities, ignored, crowd, THRESHOLDS))


@given(case=matrices(), thresholds=st.lists(st.sampled_from([0.1, 0.5, 0.6, 1.0]), max_size=4))
@example(
    case=(torch.ones(3, 2).double(), torch.tensor([True, False]), torch.tensor([True, False])),
    thresholds=[1.0, 0.5],
)
def test_matches_equal_the_reference(case, thresholds):
    """Thresholds may come in any order and repeat."""
    similarities, ignored, crowd = case
    limits = torch.tensor(thresholds, dtype=torch.float64)
    found = match_greedily(similarities, limits, ignored=ignored, crowd=crowd)
    assert torch.equal(found, reference.match_greedily(similarities, limits, ignored, crowd))


@given(cases=st.lists(matrices(max_side=4), max_size=5), flip=st.booleans())
def test_groups_are_matched_as_if_alone(cases, flip):
    """A batch gives each group's own answer, in every setting, with rows counted over all."""
    preds = np.cumsum([0, *(len(c[0]) for c in cases)])
    targets = np.cumsum([0, *(c[0].shape[1] for c in cases)])
    ignored = torch.cat([torch.zeros(0, dtype=torch.bool), *(c[1] for c in cases)])
    crowd = torch.cat([torch.zeros(0, dtype=torch.bool), *(c[2] for c in cases)])
    settings = torch.stack([ignored, crowd | ~ignored if flip else crowd])
    found = batched_match_greedily(
        torch.cat([torch.zeros(0, dtype=torch.float64), *(c[0].flatten() for c in cases)]),
        torch.from_numpy(preds),
        torch.from_numpy(targets),
        THRESHOLDS,
        ignored=settings,
        crowd=crowd,
    )
    assert found.shape == (2, len(THRESHOLDS), preds[-1])
    for group, (similarities, _, own_crowd) in enumerate(cases):
        part = slice(*targets[group : group + 2].tolist())
        for setting in range(2):
            alone = match_greedily(
                similarities, THRESHOLDS, ignored=settings[setting, part], crowd=own_crowd
            )
            expected = torch.where(alone < 0, -1, alone + targets[group])
            columns = slice(*preds[group : group + 2].tolist())
            assert torch.equal(found[setting][:, columns], expected)


def test_threads_change_nothing():
    """A set large enough for several threads gives what one thread gives."""
    rng = torch.Generator().manual_seed(0)
    sides = torch.randint(0, 60, (2, 500), generator=rng)
    zero = torch.zeros(1, dtype=torch.int64)
    preds, targets = (torch.cat([zero, side.cumsum(0)]) for side in sides)
    similarities = torch.rand(int((sides[0] * sides[1]).sum()), generator=rng)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = batched_match_greedily(similarities, preds, targets, THRESHOLDS)
        torch.set_num_threads(3)
        together = batched_match_greedily(similarities, preds, targets, THRESHOLDS)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(alone, together)
    assert (alone >= 0).any()


def test_nan_never_matches_and_infinity_does():
    """A similarity that is no number is no similarity; pycocotools would let it win."""
    similarities = torch.tensor([[float("nan"), 0.6], [float("nan"), float("inf")]])
    assert match_greedily(similarities, torch.tensor([0.5])).tolist() == [[1, -1]]
    assert match_greedily(similarities[:, :1], torch.tensor([0.5])).tolist() == [[-1, -1]]


def test_offsets_that_do_not_fit_are_refused():
    """Falling offsets, a start other than 0 and blocks that do not fill the values."""
    values = torch.ones(4)
    good = torch.tensor([0, 2])
    for preds, targets in (
        (torch.tensor([0, 3]), good),
        (torch.tensor([1, 2]), good),
        (torch.tensor([0, 2, 1]), torch.tensor([0, 1, 2])),
        (torch.tensor([0, -2]), good),
    ):
        with pytest.raises(InvalidValueError, match="offsets: expected numbers that rise"):
            batched_match_greedily(values, preds, targets, THRESHOLDS)
    with pytest.raises(InvalidValueError, match="pred_offsets: expected at least one number"):
        batched_match_greedily(values, good[:0], good[:0], THRESHOLDS)


def test_wrong_arguments_are_named():
    """Dtype, rank, length and device, each with the argument's name."""
    values = torch.ones(2, 3)
    with pytest.raises(DtypeError, match="similarities: expected a floating-point dtype"):
        match_greedily(values.long(), THRESHOLDS)
    with pytest.raises(ShapeError, match=r"ignored: expected \[3\], got \[2\]"):
        match_greedily(values, THRESHOLDS, ignored=torch.zeros(2, dtype=torch.bool))
    with pytest.raises(ShapeError, match=r"crowd: expected \[3\], got \[2\]"):
        match_greedily(values, THRESHOLDS, crowd=torch.zeros(2, dtype=torch.bool))
    with pytest.raises(DtypeError, match=r"crowd: expected torch\.bool, got torch\.int64"):
        match_greedily(values, THRESHOLDS, crowd=torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ShapeError, match=r"thresholds: expected \[t\], got \[\]"):
        match_greedily(values, torch.tensor(0.5))
    with pytest.raises(DeviceError, match="similarities is on cpu, crowd on meta"):
        match_greedily(values, THRESHOLDS, crowd=torch.zeros(3, dtype=torch.bool, device="meta"))
    with pytest.raises(DtypeError, match=r"pred_offsets: expected torch\.int64"):
        batched_match_greedily(values[0], torch.zeros(1), torch.zeros(1).long(), THRESHOLDS)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_match_is_normal(shape):
    """No prediction gives no column, no target gives -1, no threshold gives no row."""
    assert (match_greedily(torch.ones(shape), THRESHOLDS) == -1).all()
    assert match_greedily(torch.ones(shape), THRESHOLDS).shape == (10, shape[0])
    assert match_greedily(torch.ones(shape), THRESHOLDS[:0]).shape == (0, shape[0])
    none = batched_match_greedily(torch.ones(0), *torch.zeros(2, 1).long(), THRESHOLDS)
    assert none.shape == (1, 10, 0)


def test_registration_passes_torchs_own_checks():
    """Schema, fake and tracing agree with the kernel, and a compiled function is one graph."""
    flags = torch.tensor([False, True, False])
    offsets = torch.tensor([0, 2]), torch.tensor([0, 3])
    arguments = (torch.rand(6).double(), *offsets, flags[None], ~flags, THRESHOLDS, 2)
    torch.library.opcheck(torch.ops.geodet.match_greedily, arguments)
    values = torch.rand(4, 3)
    compiled = torch.compile(match_greedily, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(values, THRESHOLDS), match_greedily(values, THRESHOLDS))
    compiled = torch.compile(batched_match_greedily, fullgraph=True, backend="aot_eager")
    for options in ({}, {"crowd": flags}, {"ignored": flags[None]}):
        expected = batched_match_greedily(values.view(-1)[:6], *offsets, THRESHOLDS, **options)
        found = compiled(values.view(-1)[:6], *offsets, THRESHOLDS, **options)
        assert torch.equal(found, expected)


@pytest.mark.cuda
def test_cuda_matches_the_same_targets(cuda):
    """CPU and device agree on every row."""
    rng = torch.Generator().manual_seed(1)
    sides = torch.randint(0, 30, (2, 300), generator=rng)
    zero = torch.zeros(1, dtype=torch.int64)
    offsets = [torch.cat([zero, side.cumsum(0)]) for side in sides]
    values = torch.rand(int((sides[0] * sides[1]).sum()), generator=rng).round(decimals=1)
    crowd = torch.rand(int(offsets[1][-1]), generator=rng) < 0.2
    ignored = torch.stack([crowd, crowd | (torch.rand(len(crowd), generator=rng) < 0.3)])
    expected = batched_match_greedily(values, *offsets, THRESHOLDS, ignored=ignored, crowd=crowd)
    found = batched_match_greedily(
        values.to(cuda),
        *(offset.to(cuda) for offset in offsets),
        THRESHOLDS.to(cuda),
        ignored=ignored.to(cuda),
        crowd=crowd.to(cuda),
    )
    assert torch.equal(found.cpu(), expected)
