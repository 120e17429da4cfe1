"""How the C library treats memory that tensors free."""

import ctypes
import sys

__all__ = ["keep_freed_memory"]

# Parameters of mallopt, from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Make this process keep the memory that tensors free on the CPU, and use it again.

    glibc maps every large block anew and gives it back when it is freed, so that each feature map
    of each image costs its page faults again (`benchmarks/models.py` shows how much of the time
    that is). After this call freed blocks stay with the process until it ends; its size stays near
    its largest. It holds for the whole process, for tensors allocated from then on, and cannot be
    taken back, so no library code calls it: the commands do, and a program of yours may.

    Returns:
        Whether it took effect. Other C libraries than glibc have no such switch, and need none.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    # -1 never trims the top of the heap; no block is mapped apart from it.
    return bool(mallopt(_M_TRIM_THRESHOLD, -1)) and bool(mallopt(_M_MMAP_MAX, 0))
