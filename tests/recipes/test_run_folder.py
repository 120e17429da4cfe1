"""Names of run folders, and which run a resume means."""

import os
from pathlib import Path

import pytest
import torch

from geodet.engine import Checkpoint, Checkpoints
from geodet.errors import CheckpointError, RecipeError
from geodet.recipes.run_folder import choose_new_folder, find_run_to_resume


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    """Run each test in a folder of its own."""
    monkeypatch.chdir(tmp_path)


def make_run(folder, age_s):
    """Make a run folder with one whole checkpoint of a given age."""
    state = {"w": torch.zeros(1)}
    path = Checkpoints(folder / "checkpoints").save(
        Checkpoint(
            step=1, model=state, optimizer={}, optimizer_scalars={}, batches={}, description={}
        )
    )
    os.utime(path, (1e9 - age_s, 1e9 - age_s))


def test_new_runs_never_take_a_folder_that_is_there():
    """The name of the config, numbered when it is taken."""
    names = []
    for _ in range(3):
        folder = choose_new_folder(None, Path("configs/bccd.py"))
        folder.mkdir(parents=True)
        names.append(str(folder))
    assert names == ["runs/bccd", "runs/bccd-2", "runs/bccd-3"]
    assert choose_new_folder(None, None) == Path("runs/default")
    assert choose_new_folder(None, Path("runs/old/recipe.json")) == Path("runs/old")


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path):
    """--out of an earlier run is an error that names --resume."""
    assert choose_new_folder(tmp_path / "new", None) == tmp_path / "new"
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(RecipeError, match="--resume"):
        choose_new_folder(tmp_path, None)


def test_resume_takes_the_newest_run_of_the_config():
    """Without a folder: the run of that name whose checkpoint is newest, other names left out."""
    make_run(Path("runs/bccd"), age_s=10)
    make_run(Path("runs/bccd-2"), age_s=5)
    make_run(Path("runs/other"), age_s=1)
    Path("runs/bccd-3").mkdir()
    assert find_run_to_resume(None, None, Path("bccd.py")) == Path("runs/bccd-2")
    assert find_run_to_resume(Path("runs/bccd"), None, None) == Path("runs/bccd")
    checkpoint = Path("runs/bccd/checkpoints/step_000001")
    assert find_run_to_resume(checkpoint, None, None) == Path("runs/bccd")


def test_nothing_to_resume_is_one_message():
    """No run, or a run without a whole checkpoint."""
    with pytest.raises(CheckpointError, match="no run 'default'"):
        find_run_to_resume(None, None, None)
    Path("runs/empty").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        find_run_to_resume(Path("runs/empty"), None, None)
