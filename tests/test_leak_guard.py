"""The guard in conftest.py fails tests that leave processes or settings of torch behind."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LEAKY = {
    "a process": "import subprocess, sys; subprocess.Popen([sys.executable, '-c', SLEEP])",
    "threads": "torch.set_num_threads(torch.get_num_threads() + 1)",
    "a dtype": "torch.set_default_dtype(torch.float64)",
    "a device": "torch.set_default_device('meta')",
    "determinism": "torch.use_deterministic_algorithms(True)",
    "no gradients": "torch.set_grad_enabled(False)",
    "a group": (
        "import torch.distributed as d; "
        "d.init_process_group('gloo', store=d.HashStore(), rank=0, world_size=1)"
    ),
}
SLEEP = "import time; time.sleep(60)"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to list processes")
def test_leaks_are_errors_and_name_what_is_left(tmp_path):
    """Each leak is an error of the very test; a clean test beside them passes."""
    guard = (Path(__file__).parent / "conftest.py").read_text()
    guard = guard.replace("_SECONDS_TO_END = 10.0", "_SECONDS_TO_END = 0.5")
    (tmp_path / "conftest.py").write_text(guard)
    undo = "\n\nimport torch\nSLEEP = " + repr(SLEEP) + "\n"
    tests = [f"def test_{number}():\n    {leak}\n" for number, leak in enumerate(LEAKY.values())]
    cleanup = """
import pytest


@pytest.fixture(autouse=True, scope="module")
def ended():
    yield
    import os, signal
    from conftest import _children
    for pid in _children():
        os.kill(pid, signal.SIGKILL)
    torch.distributed.destroy_process_group()
"""
    (tmp_path / "test_leaky.py").write_text(undo + cleanup + "\n".join(tests))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
    assert f"{len(LEAKY)} errors" in done.stdout, done.stdout
    assert "processes left running: {" in done.stdout
    for name in ("get_num_threads", "default_dtype", "default_device", "deterministic alg"):
        assert name in done.stdout
    assert "process group" in done.stdout
