"""The loader: the same batches for any number of workers; errors name a sample."""

import os
import signal
import time

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geodet.data.label_map import LabelMap
from geodet.data.loader import build_loader
from geodet.data.mapping import EvalMapper, TrainMapper
from geodet.data.sample import Sample
from geodet.data.transport import pack, unpack
from geodet.errors import DataError, ImageDecodeError, InvalidValueError, TrainingError
from geodet.structures import Boxes, ImageSize, Instances
from geodet.transforms import RandomHorizontalFlip, ResizeShortestEdge, Sequence_

pytestmark = [
    # Machines differ in cores; a few small workers are right on all of them.
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    # Python 3.12 warns about any fork of a process that has threads, as torch's has.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]

CHOICES = Sequence_((ResizeShortestEdge((6, 8, 10), 20), RandomHorizontalFlip(0.5)))


@attrs.frozen
class Drawn:
    """A source of small made-up images; index `broken` fails in the way that `how` tells."""

    length: int = 11
    broken: int = -1
    how: str = "decode"
    label_map = LabelMap.from_names(["a", "b"])
    skeleton = None

    def __len__(self):
        """Return the number of images."""
        return self.length

    def __getitem__(self, index):
        """Draw image and boxes from the index."""
        if index == self.broken:
            self.fail()
        rng = np.random.default_rng(index)
        size = self.image_sizes()[index]
        pixels = rng.integers(0, 256, (3, *size), dtype=np.uint8)
        count = index % 4
        corners = np.sort(rng.uniform(0, 8, (count, 2, 2)), axis=1).reshape(count, 4)
        crowd = torch.arange(count) == 2
        return Sample(
            image=torch.from_numpy(pixels),
            instances=Instances(
                size,
                boxes=Boxes(torch.from_numpy(corners).float()),
                labels=torch.arange(count) % 2,
                is_crowd=crowd,
                extras={"area": torch.arange(count, dtype=torch.float64)},
            ),
            image_id=index,
            source="drawn",
            original_size=size,
        )

    def fail(self):
        """Break down as asked."""
        if self.how == "decode":
            raise ImageDecodeError("x.jpg: cut short")
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "hang up":
            os._exit(3)
        raise KeyError("no such thing")

    def image_sizes(self):
        """Wide and high images in turn."""
        return [ImageSize(8, 12) if i % 3 else ImageSize(12, 8) for i in range(self.length)]

    def describe(self, index):
        """Name a sample."""
        return f"drawing {index}"


def train_loader(length=11, workers=0, source=None, **options):
    """A loader of made-up training samples, three in a batch."""
    mapper = TrainMapper(source=source or Drawn(length), choices=CHOICES, seed=5)
    return build_loader(mapper, batch_size=3, seed=5, num_workers=workers, **options)


def taken(loader, count):
    """The next batches of a loader, which is closed afterwards."""
    try:
        return [next(loader) for _ in range(count)]
    finally:
        loader.close()


def same(a, b):
    """Whether two batches are equal to the last bit."""
    return (
        a.image_ids == b.image_ids
        and a.original_sizes == b.original_sizes
        and a.num_dropped == b.num_dropped
        and all(torch.equal(x, y) for x, y in zip(a.images, b.images, strict=True))
        and all(x.equal(y) for x, y in zip(a.targets, b.targets, strict=True))
    )


@settings(max_examples=6)
@given(
    workers=st.integers(0, 3),
    prefetch=st.integers(1, 3),
    stop=st.integers(0, 9),
    length=st.integers(1, 12),
)
def test_workers_prefetch_and_restart_change_nothing(workers, prefetch, stop, length):
    """Batches follow from (seed, epoch, position): not from who made them, or when."""
    expected = taken(train_loader(length), 10)
    loader = train_loader(length, workers, prefetch_batches=prefetch)
    before = taken(loader, stop)
    resumed = train_loader(length, workers)
    resumed.load_state(loader.state())
    after = taken(resumed, 10 - stop)

    assert all(same(a, b) for a, b in zip(expected, before + after, strict=True))


def test_a_closed_loader_goes_on_where_it_was():
    """Closing throws prepared batches away, not the position."""
    expected = taken(train_loader(), 6)
    loader = train_loader(workers=2)
    batches = taken(loader, 2) + taken(loader, 4)

    assert all(same(a, b) for a, b in zip(expected, batches, strict=True))
    assert loader.state()["epoch"] * loader.batches_per_epoch + loader.state()["position"] == 6


def test_epochs_differ_and_each_has_every_image():
    """An image is seen in each epoch, changed in another way."""
    loader = train_loader(length=12)
    per_epoch = loader.batches_per_epoch
    batches = taken(loader, 2 * per_epoch)
    epochs = [batches[:per_epoch], batches[per_epoch:]]
    ids = [[i for batch in epoch for i in batch.image_ids] for epoch in epochs]

    assert sorted(ids[0]) == sorted(ids[1]) == list(range(12))
    assert ids[0] != ids[1]


def test_ranks_share_the_epoch():
    """Two ranks together see each image of an even epoch once, in equally many batches."""
    loaders = [
        train_loader(12, rank=rank, world_size=2, group_by_aspect=False) for rank in range(2)
    ]
    ids = [
        i
        for loader in loaders
        for batch in taken(loader, loader.batches_per_epoch)
        for i in batch.image_ids
    ]

    assert [loader.batches_per_epoch for loader in loaders] == [2, 2]
    assert sorted(ids) == list(range(12))


def test_evaluation_sees_each_image_once_with_its_own_truth():
    """One pass in order; images are resized, the truth keeps original size and crowds."""
    source = Drawn(7)
    loader = build_loader(
        EvalMapper(source=source, choices=ResizeShortestEdge((16,), 40)),
        batch_size=2,
        shuffle=False,
        pad=False,
        group_by_aspect=False,
        num_epochs=1,
        num_workers=2,
    )
    batches = list(loader)

    assert [batch.image_ids for batch in batches] == [[0, 1], [2, 3], [4, 5], [6]]
    assert list(loader) == []
    for batch in batches:
        for i, image, target in zip(batch.image_ids, batch.images, batch.targets, strict=True):
            assert min(image.shape[1:]) == 16
            assert target.equal(source[i].instances)


def test_the_global_generator_is_left_alone():
    """Starting a loader draws nothing from torch's global generator: resumed runs stay equal."""
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    taken(train_loader(workers=1), 1)

    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("how", "kind", "what"),
    [("decode", ImageDecodeError, "x.jpg: cut short"), ("other", DataError, "KeyError")],
)
def test_errors_name_the_sample(workers, how, kind, what):
    """An error in a worker comes out as an error of the same kind that names sample and file."""
    loader = train_loader(workers=workers, source=Drawn(broken=4, how=how))

    with pytest.raises(kind) as caught:
        taken(loader, 5)
    message = str(caught.value)
    assert "sample 4 (drawing 4)" in message
    assert what in message
    assert "Traceback" not in message
    assert "Traceback" in caught.value.__notes__[0]


@pytest.mark.parametrize("how", ["kill", "hang up"])
def test_a_dead_worker_is_an_error_with_a_hint(how):
    """A worker that is killed or leaves ends the run with a message, not in waiting."""
    loader = train_loader(workers=1, source=Drawn(broken=4, how=how))
    started = time.monotonic()

    with pytest.raises(TrainingError, match=r"worker process failed.*memory"):
        taken(loader, 5)
    assert time.monotonic() - started < 60


def test_mixed_channel_counts_are_named():
    """A batch of gray and colour images is refused, and both images are named."""

    @attrs.frozen
    class Mixed(Drawn):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return attrs.evolve(sample, image=sample.image[: 1 if index == 2 else 3])

    with pytest.raises(DataError, match="channels"):
        taken(train_loader(source=Mixed()), 4)


def test_states_of_other_runs_are_refused():
    """A state that was made with another batch size says so."""
    loader = train_loader()
    state = loader.state()
    with pytest.raises(InvalidValueError, match="batch_size was 4, is 3"):
        loader.load_state(state | {"batch_size": 4})
    with pytest.raises(InvalidValueError, match="out of range"):
        loader.load_state(state | {"position": 99})


def test_an_empty_source_is_refused():
    """There is no batch of nothing: the error comes before the first step."""
    with pytest.raises(DataError, match="no sample"):
        train_loader(length=0)


def test_parcels_give_back_what_was_packed():
    """Tensors of any dtype and shape survive the way, empty and strided ones too."""
    value = {
        "bool": torch.tensor([True, False, True]),
        "half": torch.arange(5).to(torch.bfloat16),
        "strided": torch.arange(12).reshape(3, 4).T,
        "empty": torch.empty(0, 4),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "other": ["text", 3, None, np.arange(3)],
    }
    back = unpack(pack(value))

    for name in ("bool", "half", "strided", "empty", "scalar"):
        assert back[name].dtype == value[name].dtype
        assert back[name].shape == value[name].shape
        assert torch.equal(back[name], value[name])
    assert back["other"][:3] == ["text", 3, None]
    assert back["other"][3].tolist() == [0, 1, 2]


def test_empty_tensors_of_any_stride_travel():
    """An image without objects: NumPy gives its columns a stride of 0, which has no bytes."""
    columns = [
        torch.empty_strided((0,), (0,), dtype=torch.int64),
        torch.empty_strided((0, 4), (0, 0)),
        torch.zeros(1).expand(0),
    ]
    for sent, received in zip(columns, unpack(pack(columns)), strict=True):
        assert received.shape == sent.shape
        assert received.dtype == sent.dtype
