"""Round-robin timing of several ways to compute one thing, and the table of ratios.

All ways of a comparison run in one process, one after another, over and over: what changes with
time (clock, caches, neighbours on the machine) then touches all of them alike.
"""

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib import metadata

import attrs
import torch
from scaled_peer import ScaledPeer

OURS = "geodet"


@attrs.frozen(kw_only=True)
class Comparison:
    """Ways to compute one thing.

    Attributes:
        name: shown in the table; `--only` selects by it.
        ways: name to a call without arguments; one of them is OURS.
        agree: whether a peer's answer (second) is ours (first); checked before timing.
        other_answer: peers that are known to define the answer differently; shown for scale.
        scaled: peers that do not run here; their yardsticks are among `ways`.
    """

    name: str
    ways: Mapping[str, Callable[[], object]]
    agree: Callable[[object, object], bool]
    other_answer: frozenset[str] = frozenset()
    scaled: tuple[ScaledPeer, ...] = ()

    @property
    def yardsticks(self) -> frozenset[str]:
        """Ways that compute something else, timed for the scaled peers alone."""
        return frozenset(peer.yardstick for peer in self.scaled)


def check(comparison: Comparison) -> None:
    """Run every way once; stop when a peer's answer is not ours."""
    ours = comparison.ways[OURS]()
    for name, way in comparison.ways.items():
        if name == OURS or name in comparison.other_answer | comparison.yardsticks:
            way()
        elif not comparison.agree(ours, way()):
            raise SystemExit(f"{comparison.name}: {name} gives another answer; nothing was timed")


def median_ms(comparison: Comparison, runs: int) -> dict[str, float]:
    """Median time of each way, and of each scaled peer, in milliseconds, over `runs` rounds."""
    times: dict[str, list[float]] = {name: [] for name in comparison.ways}
    for _ in range(runs):
        for name, way in comparison.ways.items():
            begin = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - begin)
    medians = {name: 1e3 * statistics.median(values) for name, values in times.items()}
    return medians | {peer.name: peer.now_ms(medians) for peer in comparison.scaled}


def rows(comparison: Comparison, medians: Mapping[str, float]) -> list[str]:
    """One line per peer: its time, ours, and how many times ours fits into it."""
    ours = medians[OURS]
    lines = []
    for name, value in medians.items():
        if name != OURS and name not in comparison.yardsticks:
            note = "  (another answer)" if name in comparison.other_answer else ""
            lines.append(
                f"{comparison.name:<34} {name:<24} {value:10.3f} {ours:10.3f}"
                f" {value / ours:8.2f}x{note}"
            )
    return lines


def header() -> str:
    """Column titles of `rows`."""
    return f"{'operation':<34} {'peer':<24} {'peer ms':>10} {'geodet ms':>10} {'ratio':>9}"


def setting(*packages: str) -> str:
    """Versions and thread counts that the numbers belong to."""
    versions = []
    for package in ("geodet", "torch", "numpy", *packages):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package} (not installed)")
    return (
        f"Python {platform.python_version()}, {', '.join(versions)}; {platform.machine()},"
        f" {torch.get_num_threads()} thread(s)"
    )
