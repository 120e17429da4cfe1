"""Settings shared by all tests: Hypothesis profiles, data beside the repository, threads."""

import os
from pathlib import Path

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("dev", max_examples=50, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True)
hypothesis.settings.register_profile("nightly", max_examples=5000, deadline=None)
# The `--hypothesis-profile` option of Hypothesis overrides this choice.
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")

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
