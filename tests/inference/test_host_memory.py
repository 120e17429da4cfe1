"""Freed memory stays with the process, when asked to."""

import subprocess
import sys

import pytest

_PROGRAM = """
import resource, sys, torch
from geodet.inference import keep_freed_memory
torch.set_num_threads(1)
if sys.argv[1] == "keep" and not keep_freed_memory():
    print("no switch")
    raise SystemExit
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    torch.zeros(64 * 2**20, dtype=torch.uint8).fill_(1)
before = faults()
for _ in range(10):
    torch.zeros(64 * 2**20, dtype=torch.uint8).fill_(1)
print(faults() - before)
"""


def _page_faults(mode):
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, mode], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_freed_memory_is_used_again():
    """Ten tensors of 64 MiB cost their pages anew without it, and hardly any with it."""
    kept = _page_faults("keep")
    if kept == "no switch":
        pytest.skip("this C library has no mallopt")
    # 10 x 64 MiB are 163,840 pages of 4 KiB, or 320 huge ones where the system uses those.
    assert int(kept) < 100
    assert int(_page_faults("plain")) > 3 * int(kept)
