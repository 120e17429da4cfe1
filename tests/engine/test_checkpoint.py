"""Checkpoints: whole or not there, strict, and bit-equal on resume."""

import json
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from geodet.engine import Checkpoints, read_metrics
from geodet.errors import CheckpointError
from geodet.weights import load_weights, read_tensors, write_tensors


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("stop", [1, 3, 5])
def test_resume_is_bit_equal(tiny, tmp_path, optimizer, stop):
    """Training 9 steps, or some and then the rest from the checkpoint, gives the same bits."""
    whole = tiny.build(tmp_path / "whole", 9, optimizer=optimizer)
    whole.run()
    tiny.build(tmp_path / "parts", stop, optimizer=optimizer).run()
    rest = tiny.build(tmp_path / "parts", 9, optimizer=optimizer)
    rest.resume(Checkpoints(tmp_path / "parts" / "checkpoints").latest())
    assert rest.step == stop
    rest.run()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, rest.model.state_dict()[name]), name


def test_a_killed_run_resumes_bit_equal(start_tiny, tmp_path):
    """Kill -9 at some moment, resume: the weights are those of the run nobody killed."""
    steps = 40
    finish(start_tiny(tmp_path / "whole", steps))
    process = start_tiny(tmp_path / "killed", steps, "--slow")
    while not (tmp_path / "killed" / "checkpoints" / "step_000006").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not (tmp_path / "killed" / "final.safetensors").exists()
    finish(start_tiny(tmp_path / "killed", steps, "--resume"))
    whole = read_tensors(tmp_path / "whole" / "final.safetensors")
    resumed = read_tensors(tmp_path / "killed" / "final.safetensors")
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    lines = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "killed")]
    assert [line["step"] for line in lines[1]] == [*range(1, steps + 1)]
    assert [line["loss"] for line in lines[0]] == [line["loss"] for line in lines[1]]


@pytest.fixture(scope="module")
def two_processes(start_tiny, tmp_path_factory):
    """Folder of a finished run of two gloo processes."""
    folder = tmp_path_factory.mktemp("two")
    finish(start_tiny(folder, 12, "--plain", processes=2))
    return folder


def test_two_processes_train_as_one(start_tiny, two_processes, tmp_path):
    """Two gloo processes with half a batch each give the losses of one with the whole batch."""
    finish(start_tiny(tmp_path, 12, "--plain"))
    one, two = (read_metrics(path / "metrics.jsonl") for path in (tmp_path, two_processes))
    # Float32 sums of the same numbers in another order: about 1e-7 a step, growing slowly.
    assert [line["loss"] for line in two] == pytest.approx([line["loss"] for line in one], rel=2e-5)
    assert len(two) == 12
    weights = [read_tensors(path / "final.safetensors") for path in (tmp_path, two_processes)]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-5)


def test_leaving_the_group_ends_its_threads(two_processes):
    """A gloo thread that outlived its group could abort the process at the interpreter's end."""
    if not Path("/proc/self/task").is_dir():
        pytest.skip("no /proc: this system does not list native threads")
    for rank in range(2):
        names = (two_processes / f"threads_{rank}.txt").read_text().split()
        assert names  # at least the main thread: the run did look
        assert not [name for name in names if "gloo" in name]


def test_only_the_newest_whole_checkpoints_stay(tiny, tmp_path):
    """Three are kept; half-written and damaged folders do not count as the latest."""
    tiny.build(tmp_path, 15).run()
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    names = [path.name for path in checkpoints.complete()]
    assert names == ["step_000009", "step_000012", "step_000015"]
    newest = checkpoints.latest()
    with (newest / "model.safetensors").open("r+b") as file:
        file.truncate(10)
    assert checkpoints.latest().name == "step_000012"
    (tmp_path / "checkpoints" / "step_000012" / "complete.json").unlink()
    (tmp_path / "checkpoints" / "step_000099").mkdir()
    (tmp_path / "checkpoints" / ".step_000100.part").mkdir()
    assert checkpoints.latest().name == "step_000009"
    assert Checkpoints(tmp_path / "nowhere").latest() is None


def test_a_changed_byte_is_found(tiny, tmp_path):
    """Every file is read against its digest."""
    tiny.build(tmp_path, 3).run()
    newest = Checkpoints(tmp_path / "checkpoints").latest()
    data = bytearray((newest / "optimizer.safetensors").read_bytes())
    data[-1] ^= 1
    (newest / "optimizer.safetensors").write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match="damaged"):
        Checkpoints.load(newest)


def test_no_file_of_a_checkpoint_is_a_pickle(tiny, tmp_path):
    """Only safetensors and JSON are written."""
    tiny.build(tmp_path, 3).run()
    newest = Checkpoints(tmp_path / "checkpoints").latest()
    assert {path.suffix for path in newest.iterdir()} == {".safetensors", ".json"}
    for path in newest.glob("*.json"):
        json.loads(path.read_text("utf-8"))
    assert Checkpoints.load(newest).description == {"a": 1}


def test_weights_of_another_model_are_one_table_and_nothing_is_loaded(tiny):
    """Missing, unexpected and mis-shaped keys come together, by part; the model is untouched."""
    model = tiny.TinyModel()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = {name: value + 1 for name, value in model.state_dict().items()}
    found["head.weight"] = torch.zeros(2, 8)
    del found["body.1.running_mean"]
    found["mask.fcn1.weight"] = torch.zeros(3)
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, found, source="other.safetensors")
    text = str(caught.value)
    assert "1 missing, 1 unexpected, 1 of another shape" in text
    assert "head: 1 differ, the model has 2" in text
    for words in ("other.safetensors", "[1, 8]", "[2, 8]", "body.1.running_mean", "mask.fcn1"):
        assert words in text
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_tensors_that_share_memory_are_written_apart(tmp_path):
    """Tied weights and views come back with their values."""
    base = torch.arange(6.0)
    tied = nn.Parameter(torch.randn(2, 2))
    write_tensors(tmp_path / "w.safetensors", {"a": base[:2], "b": base, "c": tied, "d": tied})
    found = read_tensors(tmp_path / "w.safetensors")
    assert torch.equal(found["a"], base[:2])
    assert torch.equal(found["b"], base)
    assert torch.equal(found["c"], found["d"])


def test_unreadable_weights_name_the_file(tmp_path):
    """A missing file and a file of something else are one clear message."""
    with pytest.raises(CheckpointError, match="no such file"):
        read_tensors(tmp_path / "missing.safetensors")
    (tmp_path / "text.safetensors").write_text("hello, I am no tensor")
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        read_tensors(tmp_path / "text.safetensors")


def finish(process):
    """Wait for a process that must succeed."""
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
