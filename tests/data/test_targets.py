"""What a model trains on: objects, classes of pixels, or both, through loader and transport."""

import pytest
import torch
from attrs import evolve

from geodet.data import TrainMapper, build_loader, target_maker
from geodet.data.sources.shapes import ShapesSource
from geodet.errors import DataError, InvalidValueError
from geodet.structures import ImageSize, Instances, SceneLabels, SceneTarget, SemanticMap
from geodet.transforms import HorizontalFlip, RandomHorizontalFlip

SOURCE = ShapesSource(4, size=ImageSize(48, 64), seed=3)
NUM_THINGS = len(SOURCE.label_map)
LABELS = SceneLabels.with_things_as_one(
    num_things=NUM_THINGS, num_stuff=len(SOURCE.panoptic_label_map) - NUM_THINGS
)


def loaded(kind, labels=None, num_workers=0):
    """First batch of the mirrored shapes."""
    loader = build_loader(
        TrainMapper(source=SOURCE, choices=RandomHorizontalFlip(1.0), seed=0),
        batch_size=2,
        shuffle=False,
        target=target_maker(kind, labels=labels),
        num_workers=num_workers,
    )
    try:
        return next(loader)
    finally:
        loader.close()


def test_targets_are_of_the_kind_asked_for():
    """Objects, classes of pixels or both; flipped with the image, moved with the batch."""
    flip = HorizontalFlip(SOURCE.size)
    truth = flip.apply_panoptic(SOURCE[0].panoptic)
    batch = loaded("instances")
    assert isinstance(batch.targets[0], Instances)
    assert batch.targets[0] is batch.instances[0]
    moved = batch.to("cpu")
    assert moved.targets[0] is moved.instances[0]

    batch = loaded("semantic")
    assert isinstance(batch.targets[0], SemanticMap)
    assert batch.targets[0].equal(SemanticMap.from_panoptic(truth))
    assert isinstance(batch.instances[0], Instances)

    batch = loaded("panoptic").to("cpu")
    assert batch.targets[0].equal(truth)

    batch = loaded("scene", LABELS).to("cpu")
    assert isinstance(batch.targets[0], SceneTarget)
    assert batch.targets[0].semantic.equal(LABELS.semantic_map(truth))
    assert batch.targets[0].instances.equal(batch.instances[0])


def test_workers_send_targets():
    """What a worker process makes is what the main process makes."""
    here, there = loaded("scene", LABELS), loaded("scene", LABELS, num_workers=1)
    for one, other in zip(here.targets, there.targets, strict=True):
        assert one.equal(other)


def test_semantic_truth_of_its_own_travels_with_the_sample():
    """Data sets without segments give maps: they flip with the image and win over panoptic."""
    sample = SOURCE[0]
    own = SemanticMap(torch.arange(48 * 64).reshape(48, 64) % 5 - 1)

    class Semantic:
        label_map = SOURCE.label_map

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return evolve(sample, semantic=own)

    mapper = TrainMapper(source=Semantic(), choices=RandomHorizontalFlip(1.0), seed=0)
    mapped = mapper(0, 0)
    assert mapped.semantic.equal(own.flip_horizontally())
    assert target_maker("semantic")(mapped).equal(own.flip_horizontally())


def test_missing_truth_is_named():
    """An image without maps, a kind without labels, an unknown kind."""
    bare = evolve(SOURCE[1], panoptic=None)
    with pytest.raises(DataError, match=r"image 1 \(shapes\(seed=3\)\[1\]\).*got neither"):
        target_maker("semantic")(bare)
    with pytest.raises(DataError, match="expected panoptic truth"):
        target_maker("panoptic")(bare)
    with pytest.raises(InvalidValueError, match="SceneLabels"):
        target_maker("scene")
    with pytest.raises(InvalidValueError, match="'instances', 'semantic', 'scene' or 'panoptic'"):
        target_maker("boxes")
