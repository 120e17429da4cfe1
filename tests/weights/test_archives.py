"""Files of torch.save and safetensors, read as data."""

import collections
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from geodet.errors import CheckpointError
from geodet.weights import as_tensors, read_archive, write_tensors

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(7)}


@pytest.mark.parametrize("name", ["x.pth", "x.pyth", "x.pt", "x.bin", "x.pkl"])
@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_torch_are_read(tmp_path, name, zipped):
    """Both of its formats; a zip file that is called .pkl is known by its first bytes."""
    if name == "x.pkl" and not zipped:
        pytest.skip("only the first bytes of a zip file tell")
    torch.save(
        {"model": collections.OrderedDict(TENSORS), "iteration": 5},
        tmp_path / name,
        _use_new_zipfile_serialization=zipped,
    )
    found = read_archive(tmp_path / name)
    assert found["iteration"] == 5
    assert all(torch.equal(found["model"][key], value) for key, value in TENSORS.items())


def test_safetensors_are_read(tmp_path):
    """As `read_tensors` does."""
    write_tensors(tmp_path / "x.safetensors", TENSORS)
    found = read_archive(tmp_path / "x.safetensors")
    assert all(torch.equal(found[key], value) for key, value in TENSORS.items())


def test_a_file_of_torch_that_asks_for_more_is_refused_by_name(tmp_path):
    """torch.load(weights_only=True) refuses, and the message says what was asked for."""
    torch.save({"model": {}, "where": Path("x")}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"x\.pth: asks for pathlib\."):
        read_archive(tmp_path / "x.pth")


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04 not a zip", pickle.dumps([1], 2)])
def test_damaged_files_of_torch_are_errors(tmp_path, data):
    """Truncated, or something else."""
    (tmp_path / "x.pth").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"x\.pth"):
        read_archive(tmp_path / "x.pth")


def test_only_arrays_become_tensors():
    """Arrays in any byte order and scalars do; other values are named."""
    found = as_tensors(
        {"a": np.arange(3, dtype=np.float32), "n": np.int64(4), "t": torch.ones(1)}, source="f"
    )
    assert found["a"].tolist() == [0, 1, 2]
    assert found["n"].item() == 4
    with pytest.raises(CheckpointError, match=r"f: expected an array under 'x', got str"):
        as_tensors({"x": "text"}, source="f")
    with pytest.raises(CheckpointError, match="expected a table of tensors, got list"):
        as_tensors([], source="f")
