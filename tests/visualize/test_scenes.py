"""Pictures of classes of pixels and of scenes."""

import attrs
import pytest
import torch

from geodet.errors import InvalidValueError, ShapeError
from geodet.structures import (
    Boxes,
    ImageSize,
    Instances,
    PanopticSegmentation,
    ScenePrediction,
    Segment,
    SemanticMap,
    SemanticScores,
)
from geodet.visualize import draw_instances, draw_panoptic, draw_prediction, draw_semantic

SIZE = ImageSize(60, 80)
IMAGE = torch.full((3, 60, 80), 100, dtype=torch.uint8)


def scene():
    """A background on the left and a thing on the right; the rest is nothing."""
    ids = torch.zeros(60, 80, dtype=torch.int32)
    ids[:, :30], ids[20:50, 50:] = 1, 2
    return PanopticSegmentation(ids, [Segment(1, 0, is_thing=False), Segment(2, 1, is_thing=True)])


def test_segments_are_tinted_and_the_rest_stays():
    """Every pixel of a segment changes, no other one does, names aside."""
    drawn = draw_panoptic(IMAGE, scene(), class_names=["sky", "cat"])
    changed = (drawn != IMAGE).any(0)

    assert changed[:, :30].all()
    assert changed[20:50, 50:].all()
    assert not changed[55:, 40:].any()
    assert torch.equal(draw_panoptic(IMAGE, scene(), class_names=["sky", "cat"]), drawn)
    assert not torch.equal(drawn[:, 30, 10], drawn[:, 40, 70])


def test_classes_of_pixels_are_drawn_like_a_scene_of_backgrounds():
    """One colour a class; pixels of no class stay."""
    labels = torch.full((60, 80), -1)
    labels[:, :40] = 2
    drawn = draw_semantic(IMAGE, SemanticMap(labels))

    assert (drawn != IMAGE).any(0)[:, :40].all()
    assert torch.equal(drawn[:, :, 60:], IMAGE[:, :, 60:])


@attrs.frozen
class Fixed:
    """A merging that knows the answer."""

    def merge(self, instances, semantic):
        """The scene above."""
        return scene()


def test_every_prediction_is_drawn_as_its_kind():
    """Instances, scores of pixels and merged scenes, in one function."""
    boxes = Boxes(torch.tensor([[5.0, 5.0, 30.0, 40.0]]))
    instances = Instances(SIZE, boxes=boxes, labels=torch.tensor([0]), scores=torch.tensor([0.5]))
    scores = SemanticScores.from_logits(torch.randn(2, 60, 80))
    names = {"class_names": ["sky"], "stuff_names": ["cat"]}

    found = draw_prediction(IMAGE, instances, **names)
    assert torch.equal(found, draw_instances(IMAGE, instances, class_names=["sky"]))
    assert torch.equal(draw_prediction(IMAGE, instances, **names, score_threshold=0.6), IMAGE)
    found = draw_prediction(IMAGE, scores, **names)
    wanted = draw_semantic(IMAGE, scores.to_semantic_map(), class_names=["sky", "cat"])
    assert torch.equal(found, wanted)
    found = draw_prediction(IMAGE, ScenePrediction(instances, scores, Fixed()), **names)
    assert torch.equal(found, draw_panoptic(IMAGE, scene(), class_names=["sky", "cat"]))


def test_wrong_sizes_and_missing_names_are_errors():
    """A scene of another picture, a class that nobody named."""
    with pytest.raises(ShapeError, match=r"expected \(height, width\) \(60, 80\)"):
        draw_panoptic(IMAGE[:, :50], scene())
    with pytest.raises(InvalidValueError, match="class 1: has no name"):
        draw_panoptic(IMAGE, scene(), class_names=["sky"])
