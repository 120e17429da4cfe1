"""Maps of classes and scores of classes: laws, resampling against torch, messages."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch.nn import functional

from geodet import (
    DtypeError,
    ImageSize,
    InvalidValueError,
    PanopticSegmentation,
    Segment,
    SemanticMap,
    SemanticScores,
    ShapeError,
)
from geodet import testing as gt
from geodet.structures import semantic as module


@given(gt.semantic_maps())
def test_maps_obey_their_laws(device, semantic):
    """Mirrors, crops, resizing and the panoptic form move whole pixels."""
    gt.assert_semantic_map_laws(semantic.to(device))
    assert semantic.validated(num_classes=4) is semantic


@given(semantic=gt.semantic_maps(), turns=st.integers(-5, 5), size=gt.image_sizes())
def test_geometry_is_that_of_numpy_and_of_masks(semantic, turns, size):
    """Turns are NumPy's, and every class moves as its mask does."""
    assert np.array_equal(semantic.rotate_90(turns).labels, np.rot90(semantic.labels, turns))
    masks = semantic.to_bit_masks((-1, 0, 3))
    assert semantic.resize(size).to_bit_masks((-1, 0, 3)).equal(masks.resize(size))
    assert torch.equal(masks.data[0], semantic.labels == -1)


@given(semantic=gt.semantic_maps(num_classes=3))
def test_relabelling_is_a_table(semantic):
    """Each class gets its entry, a pixel without a class stays one."""
    table = {-1: -1, 0: 7, 1: -1, 2: 0}
    wanted = [[table[label] for label in row] for row in semantic.labels.tolist()]
    assert semantic.relabelled((7, -1, 0)).labels.tolist() == wanted


def test_panoptic_truth_gives_classes():
    """Pixels without a segment get -1; crowds only when asked for."""
    ids = torch.tensor([[0, 4], [9, 9]], dtype=torch.int32)
    segments = (Segment(4, 2, is_thing=True, is_crowd=True), Segment(9, 0, is_thing=False))
    panoptic = PanopticSegmentation(ids, segments)
    assert SemanticMap.from_panoptic(panoptic).labels.tolist() == [[-1, 2], [0, 0]]
    without = SemanticMap.from_panoptic(panoptic, ignore_crowd=True)
    assert without.labels.tolist() == [[-1, -1], [0, 0]]
    back = without.to_panoptic(things=[0])
    assert back.segments == (Segment(1, 0, is_thing=True),)
    assert back.validated(num_classes=1) is back


def test_maps_that_are_none_are_refused():
    """Types, shapes and numbers, each with what was expected."""
    with pytest.raises(DtypeError, match="int64"):
        SemanticMap(torch.zeros(2, 3))
    with pytest.raises(ShapeError, match=r"\[h, w\]"):
        SemanticMap(torch.zeros((1, 2, 3), dtype=torch.int64))
    with pytest.raises(ShapeError, match="at least one pixel"):
        SemanticMap(torch.zeros((0, 3), dtype=torch.int64))
    semantic = SemanticMap(torch.tensor([[0, 5]]))
    with pytest.raises(InvalidValueError, match=r"x\.png: labels: expected in \[-1, 5\), got 5"):
        semantic.validated(num_classes=5, where="x.png")
    with pytest.raises(InvalidValueError, match="got -2"):
        SemanticMap(torch.tensor([[-2]])).validated()
    with pytest.raises(InvalidValueError, match="entry for class 5"):
        semantic.relabelled((0, 1))
    with pytest.raises(InvalidValueError, match="window"):
        semantic.crop((0, 0, 3, 1))
    with pytest.raises(InvalidValueError, match="pad"):
        semantic.pad(-1, 0, 0, 0)
    assert SemanticMap.empty(ImageSize(2, 3)).classes().tolist() == []


def resampled(scores):
    """The two steps on full-size maps, by torch alone."""
    maps = scores.logits[None].float()
    if scores.stride > 1:
        maps = functional.interpolate(
            maps, scale_factor=scores.stride, mode="bilinear", align_corners=False
        )
    maps = maps[..., : scores.input_size.height, : scores.input_size.width]
    size = scores.image_size.as_tuple()
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)[0]


@given(scores=gt.semantic_scores())
def test_scores_obey_their_laws(device, scores):
    """Lazy sizes, the highest score, mirrors."""
    gt.assert_semantic_score_laws(scores.to(device))
    assert scores.validated() is scores


@given(scores=gt.semantic_scores(), chunk=st.sampled_from([1, 100, 1 << 24]))
@example(
    # A shrunk image, one row at a time: rows that one step does not read.
    scores=SemanticScores(
        torch.arange(48.0).reshape(3, 4, 4).sin(),
        stride=8,
        input_size=ImageSize(27, 30),
        image_size=ImageSize(4, 3),
    ),
    chunk=1,
)
def test_resampling_in_slabs_is_that_of_whole_maps(scores, chunk):
    """Enlarge, cut, stretch: equal to torch on whole maps, however few rows go at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK_NUMBERS", chunk)
        dense = scores.dense()
    # Scores reach 128: float32 rounds the positions, times the slope between two cells.
    assert torch.allclose(dense, resampled(scores), rtol=0, atol=2e-3)


def test_scores_of_one_cell_a_pixel_are_the_logits():
    """Without stride, padding and another size nothing is resampled."""
    logits = torch.randn(3, 5, 7)
    scores = SemanticScores.from_logits(logits)
    assert torch.equal(scores.dense(), logits)
    assert scores.num_classes == 3
    assert torch.equal(scores.to_semantic_map().labels, logits.argmax(0))
    assert torch.equal(scores.flip_vertically().dense(), logits.flip(1))


@given(scores=gt.semantic_scores(), data=st.data())
def test_probabilities_are_those_of_the_softmax(scores, data):
    """Of the class named at each pixel, over all classes; 0 where none is named."""
    classes = data.draw(gt.semantic_maps(image_size=scores.image_size))
    softmax = scores.dense().softmax(0)
    known = classes.labels >= 0
    wanted = softmax.gather(0, classes.labels.clamp(min=0)[None])[0] * known
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK_NUMBERS", 64)
        assert torch.allclose(scores.probability_of(classes), wanted, atol=1e-3)
    with pytest.raises(ShapeError, match="classes"):
        scores.probability_of(classes.pad(0, 0, 1, 0))


def test_many_classes_need_no_full_size_map():
    """The map of 2,000 classes at 2,000 x 2,000 pixels comes without 32 GB of scores."""
    largest = 0
    inner = SemanticScores._slab

    def watched(self, start, stop):
        nonlocal largest
        slab = inner(self, start, stop)
        largest = max(largest, slab.numel())
        return slab[..., :1]  # the argmax of everything would take half a minute

    scores = SemanticScores(
        torch.zeros((2000, 2, 2)),
        stride=16,
        input_size=ImageSize(32, 32),
        image_size=ImageSize(2000, 2000),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SemanticScores, "_slab", watched)
        next(iter(scores._slabs()))
    assert 0 < largest <= 1 << 24


def test_scores_that_are_none_are_refused():
    """Integers, cells that do not cover the image, strides, sizes and NaN."""
    size = ImageSize(4, 4)
    with pytest.raises(DtypeError, match="floating"):
        SemanticScores.from_logits(torch.zeros((2, 4, 4), dtype=torch.int64))
    with pytest.raises(ShapeError, match="cover"):
        SemanticScores(torch.zeros(2, 1, 2), stride=2, input_size=size, image_size=size)
    with pytest.raises(ShapeError, match="at least one class"):
        SemanticScores(torch.zeros(0, 4, 4), stride=1, input_size=size, image_size=size)
    with pytest.raises(InvalidValueError, match="stride"):
        SemanticScores(torch.zeros(2, 4, 4), stride=0, input_size=size, image_size=size)
    with pytest.raises(DtypeError, match="ImageSize"):
        SemanticScores(torch.zeros(2, 4, 4), stride=1, input_size=size, image_size=(4, 4))
    broken = torch.zeros(2, 4, 4)
    broken[1, 0, 0] = float("nan")
    with pytest.raises(InvalidValueError, match="class 1"):
        SemanticScores.from_logits(broken).validated()
