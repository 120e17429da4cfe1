"""What all tests share: Hypothesis profiles, data beside the repository, devices, a leak guard."""

import os
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from pathlib import Path

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("dev", max_examples=50, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True)
hypothesis.settings.register_profile("nightly", max_examples=5000, deadline=None)
# The `--hypothesis-profile` option of Hypothesis overrides this choice.
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")

_SECONDS_TO_END = 10.0  # for processes that were told to end and have not been waited for

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of real data sets and reference numbers that lies beside the repository."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no folder of shared reference data beside the repository")
    return SHARED


def _cuda_or_skip() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch.device("cuda", torch.cuda.current_device())


@pytest.fixture
def cuda() -> torch.device:
    """CUDA device for tests that compare it with the CPU."""
    return _cuda_or_skip()


@pytest.fixture(scope="session", params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each device that the laws hold on: the CPU, and CUDA where there is one."""
    return torch.device("cpu") if request.param == "cpu" else _cuda_or_skip()


# What a test may not leave behind: processes, and settings that change other tests' numbers.


def _children() -> dict[int, str]:
    """Running child processes with their names; none where /proc does not tell."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:  # it ended while we looked
            continue
        number, _, rest = text.partition(" (")
        name, _, fields = rest.rpartition(") ")
        state, parent = fields.split()[:2]
        if int(parent) == os.getpid() and state != "Z":
            children[int(number)] = name
    # Python's own tracker of shared memory, started once and kept until the end.
    return {pid: name for pid, name in children.items() if pid != _tracker_pid()}


def _tracker_pid() -> int | None:
    tracker = getattr(resource_tracker, "_resource_tracker", None)
    return getattr(tracker, "_pid", None)


def _settings() -> dict[str, object]:
    """Settings of torch that hold for the whole process."""
    return {
        "torch.get_num_threads()": torch.get_num_threads(),
        "torch.get_default_dtype()": torch.get_default_dtype(),
        "torch.get_default_device()": torch.get_default_device(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn.deterministic": torch.backends.cudnn.deterministic,
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "float32 matmul precision": torch.get_float32_matmul_precision(),
        "grad mode": torch.is_grad_enabled(),
        "process group": torch.distributed.is_available() and torch.distributed.is_initialized(),
    }


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Fail a test that leaks a process or leaves torch otherwise set than it found it."""
    children, settings = _children(), _settings()
    yield
    patience = time.monotonic() + _SECONDS_TO_END
    while (leaked := _children().keys() - children.keys()) and time.monotonic() < patience:
        time.sleep(0.05)
    names = {pid: name for pid, name in _children().items() if pid in leaked}
    assert not leaked, f"processes left running: {names}"
    changed = {
        name: (before, _settings()[name])
        for name, before in settings.items()
        if _settings()[name] != before
    }
    assert not changed, f"settings left changed (before, after): {changed}"
