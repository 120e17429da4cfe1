"""Progress and metrics output."""

import io
import json

import pytest
from rich.console import Console

from geodet.engine import MetricsFiles, ShowProgress, read_metrics
from geodet.engine.distributed import Processes, choose_device
from geodet.errors import DeviceError, TrainingError


def test_without_a_terminal_progress_is_plain_lines(tiny, tmp_path):
    """Logs hold one line a period, without control characters."""
    text = io.StringIO()
    tiny.build(tmp_path, 6, callbacks=[ShowProgress(Console(file=text), every=3)]).run()
    lines = text.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["1/6", "3/6", "6/6"]
    assert all("loss" in line and "images/s" in line and "left" in line for line in lines)
    assert "\x1b" not in text.getvalue()


def test_no_color_is_honoured_on_a_terminal(tiny, tmp_path, monkeypatch):
    """With NO_COLOR the live bar moves the cursor but sets no colour."""
    monkeypatch.setenv("NO_COLOR", "1")
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100)
    tiny.build(tmp_path, 3, callbacks=[ShowProgress(console)]).run()
    assert "3/3" in text.getvalue()
    assert "\x1b[3" not in text.getvalue()  # 30..38 set colours


def test_lines_beyond_the_start_and_torn_lines_are_dropped(tmp_path):
    """A resumed run holds each step once, whatever the killed one left."""
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 4, "loss": 1.0}\n{"step": 5, "lo')
    files = MetricsFiles(tmp_path)
    files.start_from(3)
    files.write(4, {"loss": float("nan")})
    files.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"step": 1, "loss": 2.0},
        {"step": 4, "loss": None},
    ]
    assert len(read_metrics(path)) == 2


def test_unknown_devices_are_refused():
    """A device that torch does not know or that is not there is one clear error."""
    with pytest.raises(DeviceError, match="'auto'"):
        choose_device("gpu9")
    with pytest.raises(DeviceError, match="are there"):
        choose_device("cuda:99")


def test_batches_that_cannot_be_shared_are_refused():
    """A batch size that the processes do not divide is an error before the run."""
    assert Processes(world_size=4).share_of(8) == 2
    with pytest.raises(TrainingError, match="multiple of the 3"):
        Processes(world_size=3).share_of(8)
