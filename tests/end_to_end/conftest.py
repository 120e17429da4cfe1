"""The package's commands as processes, and a recipe small enough to train in a test."""

import os
import subprocess
import sys

import pytest

# A network of toy width on few small pictures: seconds, yet every part of a run takes part.
SMALL = (
    "model.backbone.width=8",
    "model.backbone.fpn_channels=16",
    "model.box_head.fc_features=16",
    "model.mask_head.conv_channels=8",
    "data.side=64",
    "data.train_length=12",
    "data.val_length=3",
    "batch_size=2",
    "log_every=1",
    "pictures=1",
    "checkpoint_every=2",
    "device=cpu",
)


@pytest.fixture(scope="session")
def small():
    """Arguments that shrink the default recipe."""
    return [part for each in SMALL for part in ("--set", each)]


@pytest.fixture(scope="session")
def start_command():
    """Start `python -m geodet ARGUMENTS` in a folder; more than one process go through torchrun."""

    def start(*arguments, cwd, processes=1):
        launcher = [sys.executable, "-m"]
        if processes > 1:
            launcher += ["torch.distributed.run", "--standalone"]
            launcher += [f"--nproc-per-node={processes}", "-m"]
        return subprocess.Popen(
            [*launcher, "geodet", *map(str, arguments)],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    return start


@pytest.fixture(scope="session")
def run_command(start_command):
    """Run a command to its end; returns exit code, stdout and stderr."""

    def run(*arguments, cwd, processes=1):
        process = start_command(*arguments, cwd=cwd, processes=processes)
        output, errors = process.communicate(timeout=300)
        return process.returncode, output, errors

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory, run_command, small):
    """A finished run of 6 steps: its folder and what the command printed."""
    folder = tmp_path_factory.mktemp("trained")
    code, output, errors = run_command("train", *small, "--set", "steps=6", cwd=folder)
    assert code == 0, errors
    return folder / "runs" / "default", output, errors
