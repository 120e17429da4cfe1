"""Mappings: chance follows (seed, epoch, index), lost objects are counted, truth keeps in step."""

import attrs
import pytest
import torch

from geodet.data.label_map import LabelMap
from geodet.data.mapping import EvalMapper, TrainMapper, sample_generator
from geodet.data.sample import Batch, Sample
from geodet.errors import InvalidValueError
from geodet.structures import Boxes, ImageSize, Instances, PanopticSegmentation, RotatedBoxes
from geodet.transforms import RandomHorizontalFlip, ResizeShortestEdge

SIZE = ImageSize(8, 12)


@attrs.frozen(eq=False)
class One:
    """A source of one black image of 12 x 8 with the given truth."""

    instances: Instances
    panoptic: PanopticSegmentation | None = None
    label_map = LabelMap.from_names(["a"])
    skeleton = None

    def __len__(self):
        """Return 1."""
        return 1

    def __getitem__(self, index):
        """Return the image."""
        return Sample(
            image=torch.arange(3 * 96, dtype=torch.uint8).reshape(3, 8, 12),
            instances=self.instances,
            image_id="only",
            source="made up",
            original_size=SIZE,
            panoptic=self.panoptic,
        )

    def image_sizes(self):
        """Return the size of the image."""
        return [SIZE]

    def describe(self, index):
        """Name the image."""
        return "made up"


DOUBLE = ResizeShortestEdge((16,), None)


def test_training_drops_crowds_and_counts_lost_boxes():
    """Crowds are no targets; boxes of which nothing remains are counted, the others clipped."""
    boxes = [[1, 1, 5, 5], [0, 0, 9, 7], [13, 2, 15, 4], [-2, 1, 3, 5.0]]
    instances = Instances(
        SIZE,
        boxes=Boxes(torch.tensor(boxes)),
        labels=torch.arange(4),
        is_crowd=torch.tensor([False, True, False, False]),
        extras={"area": torch.tensor([16.0, 63, 4, 20])},
    )
    sample = TrainMapper(source=One(instances), choices=DOUBLE, seed=0)(0, 0)

    assert sample.image.shape == (3, 16, 24)
    assert sample.original_size == SIZE
    assert sample.instances.labels.tolist() == [0, 3]
    assert sample.instances.boxes.xyxy.tolist() == [[2, 2, 10, 10], [0, 2, 6, 10]]
    assert sample.instances.extras["area"].tolist() == [16, 20]
    assert sample.instances.is_crowd is None
    assert sample.num_dropped == 1
    assert Batch.from_samples([sample]).num_dropped == [1]


def test_thin_boxes_can_be_left_out():
    """min_side_px counts in pixels of the changed image."""
    boxes = Boxes(torch.tensor([[1, 1, 2.5, 5], [1, 1, 3, 5]]))
    source = One(Instances(SIZE, boxes=boxes))

    for limit, dropped in ((2.9, 0), (3, 1), (4, 2)):
        mapper = TrainMapper(source=source, choices=DOUBLE, seed=0, min_side_px=limit)
        assert mapper(0, 0).num_dropped == dropped


def test_rotated_boxes_need_their_centre_in_the_image():
    """Rotated boxes are not clipped; those whose centre is outside are left out and counted."""
    boxes = RotatedBoxes(torch.tensor([[6, 4, 30, 2, 30], [12.5, 4, 8, 8, 0], [0, 0, 1, 1, 0.0]]))
    sample = TrainMapper(source=One(Instances(SIZE, boxes=boxes)), choices=DOUBLE, seed=0)(0, 0)

    assert sample.instances.boxes.cxcywha[:, :2].tolist() == [[12, 8], [0, 0]]
    assert sample.num_dropped == 1


def test_instances_without_boxes_pass():
    """Truth that has no boxes loses no row."""
    source = One(Instances(SIZE, labels=torch.arange(3)))

    assert TrainMapper(source=source, choices=DOUBLE, seed=0)(0, 0).num_dropped == 0


def test_panoptic_truth_follows_in_training_and_stays_in_evaluation():
    """The id map is resized with the image for training, and kept for evaluation."""
    ids = torch.zeros(8, 12, dtype=torch.int32)
    panoptic = PanopticSegmentation(ids, ())
    source = One(Instances.empty(SIZE), panoptic)
    training = TrainMapper(source=source, choices=DOUBLE, seed=0)(0, 0)
    evaluation = EvalMapper(source=source, choices=DOUBLE)(0, 0)

    assert training.panoptic.ids.shape == (16, 24)
    assert evaluation.panoptic.ids.shape == (8, 12)
    assert evaluation.image.shape == (3, 16, 24)
    assert evaluation.instances.image_size == SIZE


def test_chance_follows_seed_epoch_and_index():
    """The same three numbers give the same draw; each of them matters, in its place."""
    draws = {
        (seed, epoch, index): sample_generator(seed, epoch, index).integers(2**62)
        for seed in range(4)
        for epoch in range(4)
        for index in range(4)
    }

    assert len(set(draws.values())) == len(draws)
    assert sample_generator(1, 2, 3).integers(2**62) == draws[1, 2, 3]


def test_epochs_change_the_image():
    """Over some epochs an image is seen both ways round, and each epoch can be seen again."""
    source = One(Instances.empty(SIZE))
    mapper = TrainMapper(source=source, choices=RandomHorizontalFlip(0.5), seed=0)
    seen = [mapper(epoch, 0).image for epoch in range(12)]
    flipped = [not torch.equal(image, source[0].image) for image in seen]

    assert {True, False} == set(flipped)
    assert all(torch.equal(mapper(epoch, 0).image, seen[epoch]) for epoch in range(12))


@pytest.mark.parametrize("numbers", [(-1, 0, 0), (0, -1, 0), (0, 0, -1)])
def test_negative_numbers_are_refused(numbers):
    """Seed sequences know no negative numbers: the error says which they were."""
    with pytest.raises(InvalidValueError, match="at least 0"):
        sample_generator(*numbers)
