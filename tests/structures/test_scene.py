"""Scenes: tables of classes, truth and predictions that belong together."""

import attrs
import pytest
import torch
from hypothesis import given

from geodet import (
    DtypeError,
    ImageSize,
    Instances,
    InvalidValueError,
    PanopticSegmentation,
    SceneLabels,
    ScenePrediction,
    SceneTarget,
    Segment,
    SemanticMap,
    SemanticScores,
    ShapeError,
)
from geodet import testing as gt

SIZE = ImageSize(3, 4)


@attrs.frozen
class NothingFound:
    """A merging that finds nothing."""

    def merge(self, instances, semantic):
        """Return an empty scene."""
        return PanopticSegmentation.empty(instances.image_size)


def prediction():
    """A scene without objects and with equal scores."""
    return ScenePrediction(
        Instances.empty(SIZE), SemanticScores.from_logits(torch.zeros(2, *SIZE)), NothingFound()
    )


def test_things_as_one_class_are_class_zero_of_the_map():
    """Detectron2's numbering: 0 any thing, stuff from 1; in the scene stuff follows the things."""
    labels = SceneLabels.with_things_as_one(num_things=3, num_stuff=2)
    assert labels.things == (0, 1, 2)
    assert labels.semantic == (None, 3, 4)
    assert labels.num_classes == 5
    ids = torch.tensor([[1, 2, 3, 4], [0, 0, 0, 5]], dtype=torch.int32)
    segments = [
        Segment(1, 0, is_thing=True),
        Segment(2, 2, is_thing=True, is_crowd=True),
        Segment(3, 3, is_thing=False),
        Segment(4, 4, is_thing=False),
        Segment(5, 9, is_thing=False),  # a class that neither head has
    ]
    panoptic = PanopticSegmentation(ids, segments)
    assert labels.semantic_map(panoptic).labels.tolist() == [[0, 0, 1, 2], [-1, -1, -1, -1]]
    crowded = labels.semantic_map(panoptic, ignore_crowd=True)
    assert crowded.labels.tolist() == [[0, -1, 1, 2], [-1, -1, -1, -1]]


@given(gt.panoptic_segmentations())
def test_all_classes_keep_their_numbers(panoptic):
    """Where scene and map number alike, the map is that of the segments."""
    labels = SceneLabels.all_semantic(num_things=2, num_stuff=2)
    assert labels.semantic_map(panoptic).equal(SemanticMap.from_panoptic(panoptic))


def test_stuff_alone_ignores_things():
    """Without a class for things their pixels do not train."""
    labels = SceneLabels(things=(0,), semantic=(1,))
    ids = torch.tensor([[1, 2]], dtype=torch.int32)
    segments = (Segment(1, 0, is_thing=True), Segment(2, 1, is_thing=False))
    panoptic = PanopticSegmentation(ids, segments)
    assert labels.semantic_map(panoptic).labels.tolist() == [[-1, 0]]
    assert labels.is_thing(0)
    assert not labels.is_thing(1)


def test_tables_that_contradict_themselves_are_refused():
    """A class twice, a negative one, two classes for all things."""
    with pytest.raises(InvalidValueError, match="once"):
        SceneLabels(things=(0, 0), semantic=())
    with pytest.raises(InvalidValueError, match="once"):
        SceneLabels(things=(), semantic=(None, None))
    with pytest.raises(InvalidValueError, match="at least 0"):
        SceneLabels(things=(-1,), semantic=())


def test_parts_of_a_scene_belong_to_one_image():
    """Types and sizes are checked, and moving keeps the parts together."""
    target = SceneTarget(Instances.empty(SIZE), SemanticMap.empty(SIZE))
    gt.assert_structure_laws(target)
    assert len(target) == 0
    with pytest.raises(ShapeError, match="semantic"):
        SceneTarget(Instances.empty(SIZE), SemanticMap.empty(ImageSize(4, 4)))
    with pytest.raises(DtypeError, match="SemanticMap"):
        SceneTarget(Instances.empty(SIZE), torch.zeros(3, 4))
    scene = prediction()
    gt.assert_structure_laws(scene)
    assert scene.panoptic.image_size == SIZE
    larger = ImageSize(6, 8)
    resized = scene.with_parts(Instances.empty(larger), scene.semantic.resize(larger))
    assert resized.panoptic.image_size == larger
    with pytest.raises(ShapeError, match="semantic"):
        scene.with_parts(Instances.empty(larger), scene.semantic)
    with pytest.raises(DtypeError, match="merging"):
        ScenePrediction(scene.instances, scene.semantic, None)
