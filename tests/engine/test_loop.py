"""The loop: order of callbacks, checks of the numbers, precision, signals."""

import os
import signal
import time

import pytest
import torch

from geodet.engine import (
    Callback,
    EvaluateEvery,
    NoMetrics,
    TrainingResult,
    evaluation_mode,
    read_metrics,
)
from geodet.errors import CheckpointError, InvalidValueError, TrainingError


class Recorder(Callback):
    """Write down every call."""

    def __init__(self, name, calls):
        self.name, self.calls = name, calls

    def before_train(self, trainer):
        """Note it."""
        self.calls.append((self.name, "before_train", trainer.step))

    def before_step(self, trainer):
        """Note it."""
        self.calls.append((self.name, "before_step", trainer.step))

    def after_step(self, trainer, report):
        """Note it."""
        self.calls.append((self.name, "after_step", report.step))

    def after_train(self, trainer, result):
        """Note it."""
        self.calls.append((self.name, "after_train", result.step))

    def close(self):
        """Note it."""
        self.calls.append((self.name, "close"))


def test_callbacks_come_in_the_documented_order(tiny, tmp_path):
    """In list order at each point, and closed in reverse."""
    calls = []
    tiny.build(tmp_path, 1, callbacks=[Recorder("a", calls), Recorder("b", calls)]).run()
    assert calls == [
        ("a", "before_train", 0),
        ("b", "before_train", 0),
        ("a", "before_step", 0),
        ("b", "before_step", 0),
        ("a", "after_step", 1),
        ("b", "after_step", 1),
        ("a", "after_train", 1),
        ("b", "after_train", 1),
        ("b", "close"),
        ("a", "close"),
    ]


def test_training_lowers_the_loss(tiny, tmp_path):
    """The loop really optimises: the loss of the tiny problem falls by more than half."""
    losses = tiny.Losses()
    model = tiny.TinyModel(dropout=0.0)
    tiny.build(tmp_path, 60, callbacks=[losses], model=model).run()
    first, last = (
        sum(report.total for report in part) / 6
        for part in (losses.reports[:6], losses.reports[-6:])
    )
    assert last < first / 2
    assert [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")] == [*range(1, 61)]
    assert list(tmp_path.glob("events.out.tfevents.*"))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_weights(tiny, tmp_path, bad):
    """The error names step, loss and images; no update is made; the checkpoint before stays."""
    calls = []

    class Poisoned(tiny.TinyBatches):
        def __iter__(self):
            for batch in super().__iter__():
                if self.position == 5:
                    batch.targets[1] = torch.tensor(bad)
                yield batch

    class KeepWeights(Callback):
        def before_step(self, trainer):
            self.weights = [each.detach().clone() for each in trainer.model.parameters()]

    keep = KeepWeights()
    trainer = tiny.build(tmp_path, 10, batches=Poisoned(), callbacks=[keep, Recorder("a", calls)])
    with pytest.raises(TrainingError, match=r"step 5: absolute is (nan|inf), square is") as caught:
        trainer.run()
    assert "Images: " in str(caught.value)
    assert all(map(torch.equal, keep.weights, trainer.model.parameters()))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_000003"]
    assert calls[-1] == ("a", "close")


def test_no_batch_at_all_is_an_error(tiny, tmp_path):
    """An empty data set must not loop for ever."""

    class Empty(tiny.TinyBatches):
        def __iter__(self):
            return iter(())

    with pytest.raises(TrainingError, match="at least one batch"):
        tiny.build(tmp_path, 2, batches=Empty()).run()


def test_impossible_numbers_are_refused(tiny, tmp_path):
    """Wrong numbers are errors at construction."""
    with pytest.raises(InvalidValueError, match="steps"):
        tiny.build(tmp_path, 0)


def test_evaluation_cannot_disturb_training(tiny, tmp_path):
    """Weights are bit-equal with and without a callback that evaluates and draws numbers."""

    def evaluate(step):
        assert not any(module.training for module in trainer.model.modules())
        torch.rand(17)
        return {"AP": step / 10}

    plain = tiny.build(tmp_path / "plain", 6)
    plain.run()
    trainer = tiny.build(
        tmp_path / "evaluated", 6, callbacks=[EvaluateEvery(2, evaluate, NoMetrics())]
    )
    trainer.run()
    for one, other in zip(
        plain.model.state_dict().values(), trainer.model.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)


def test_evaluation_mode_leaves_frozen_layers_frozen(tiny):
    """A layer that was in evaluation mode stays there afterwards."""
    model = tiny.TinyModel()
    model.body[1].eval()
    with evaluation_mode(model):
        assert not model.head.training
    assert model.head.training
    assert not model.body[1].training


def test_bf16_and_channels_last_train_float32_weights(tiny, tmp_path):
    """Autocast changes the arithmetic, not the stored weights."""
    trainer = tiny.build(tmp_path, 3, precision="bf16", channels_last=True)
    trainer.run()
    assert {each.dtype for each in trainer.model.parameters()} == {torch.float32}
    assert trainer.model.body[0].weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_a_checkpoint_and_ends_the_run(tiny, start_tiny, tmp_path, number):
    """Ctrl-C and SIGTERM finish the step, save, and exit without a traceback."""
    process = start_tiny(tmp_path, 5000, "--slow")
    wait_for(tmp_path / "checkpoints" / "step_000003", process)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    words = output.split()
    assert words[-1] == str(int(number))
    latest = max(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert latest == f"step_{int(words[2]):06d}"


@pytest.mark.parametrize("kind", [TrainingError, RuntimeError])
def test_workers_that_a_signal_ended_are_no_crash(tiny, tmp_path, kind):
    """A signal to the whole process group: a stop between steps, one message inside a step."""

    class Dying(tiny.TinyBatches):
        def __iter__(self):
            for batch in super().__iter__():
                if self.position == 5:
                    self.position -= 1
                    os.kill(os.getpid(), signal.SIGTERM)
                    raise kind("a worker was killed")
                yield batch

    trainer = tiny.build(tmp_path, 9, batches=Dying())
    names = ["step_000003"]
    if kind is TrainingError:
        assert trainer.run() == TrainingResult(step=4, stop_signal=signal.SIGTERM)
        names.append("step_000004")
    else:
        with pytest.raises(TrainingError, match="after 4 updates; the last checkpoint is good"):
            trainer.run()
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == names


def test_a_full_disk_is_named_and_earlier_checkpoints_stay(tiny, tmp_path, monkeypatch):
    """The message says that the disk is full; what was saved before is whole."""

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    class FillDisk(Callback):
        def after_step(self, trainer, report):
            if report.step == 5:
                monkeypatch.setattr("geodet.engine.checkpoint._sync", full)

    with pytest.raises(CheckpointError, match="step_000006: the disk is full"):
        tiny.build(tmp_path, 9, callbacks=[FillDisk()]).run()
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_000003"]


def wait_for(path, process):
    """Wait until a file is there, or the process has died."""
    for _ in range(1200):
        if path.exists():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"{path} never came")
