"""Pickles: arrays come out as they went in, and nothing in a file is ever run."""

import collections
import contextlib
import os
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from geodet.errors import CheckpointError
from geodet.weights import read_archive, read_pickle

DTYPES = ("?", "i1", "<i8", ">i4", "u1", "<u2", "<f2", "<f4", ">f8", "<c8")


def write(folder: Path, value, protocol: int = 4) -> Path:
    """A file of bytes as they are, or of a value pickled."""
    path = folder / "file.pkl"
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all examples of a property."""
    return tmp_path_factory.mktemp("pickles")


@given(
    array=st.sampled_from(DTYPES).flatmap(
        lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, min_side=0))
    ),
    protocol=st.integers(0, pickle.HIGHEST_PROTOCOL),
    columns_first=st.booleans(),
)
def test_arrays_come_back(folder, array, protocol, columns_first):
    """Every dtype of numbers, shape, memory order and protocol."""
    stored = np.asfortranarray(array) if columns_first and array.ndim else array
    found = read_pickle(write(folder, {"x": stored}, protocol))["x"]
    assert found.shape == array.shape
    assert found.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_back(tmp_path, protocol):
    """Containers in containers, numbers of NumPy, and one object in two places."""
    twice = [1, 2.5, None, True, "text", b"bytes"]
    value = {"a": twice, "b": (twice, {"c": 2**80}), "d": {1, 2}, "n": np.float32(0.5)}
    assert read_pickle(write(tmp_path, value, protocol)) == value
    ordered = collections.OrderedDict(z=np.ones(2, np.float32), a=1)
    found = read_pickle(write(tmp_path, ordered, protocol))
    assert list(found) == ["z", "a"]
    assert type(found) is dict


def test_a_file_of_python_2_is_latin_1(tmp_path):
    """The arrays of Caffe2 are byte strings, which Python 3 must not take for UTF-8."""
    raw = struct.pack("<2f", 1.5, -2.0)
    text = (
        b"(dp1\nS'w'\np2\ncnumpy.core.multiarray\n_reconstruct\np3\n(cnumpy\nndarray\np4\n(I0\ntp5\n"
        b"S'b'\np6\ntp7\nRp8\n(I1\n(I2\ntp9\ncnumpy\ndtype\np10\n(S'f4'\np11\nI0\nI1\ntp12\nRp13\n"
        b"(I3\nS'<'\np14\nNNNI-1\nI-1\nI0\ntp15\nbI00\nS" + ascii(raw.decode("latin1")).encode()
    )
    found = read_pickle(write(tmp_path, text + b"\np16\ntp17\nbs."))
    np.testing.assert_array_equal(found["w"], np.array([1.5, -2.0], np.float32))


class Runs:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Runs(os.system, "touch owned"), ".system"),
        (Runs(eval, "open('owned', 'w')"), ".eval"),
        (Runs(getattr, np.ndarray, "tofile"), ".getattr"),
        ([Runs(getattr, Runs(__import__, "os"), "system")], ".getattr"),
        (Runs(np.load, "x"), "numpy.load"),
        (Runs(sys.setrecursionlimit, 10), "sys.setrecursionlimit"),
        (Path("/etc/passwd"), "pathlib"),
        ({"x": np.array([None], dtype=object)}, "dtype 'O8'"),
        (np.array([("a", 1)], dtype=[("n", "U1"), ("v", "i4")]), "dtype 'V8'"),
        (np.float32, "numpy.float32"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_anything_but_data_is_refused_by_name(tmp_path, monkeypatch, value, named, protocol):
    """Nothing runs: no file appears, and the message says what was asked for."""
    monkeypatch.chdir(tmp_path)
    limit = sys.getrecursionlimit()
    with pytest.raises(CheckpointError, match=r"file\.pkl") as caught:
        read_pickle(write(tmp_path, value, protocol))
    assert named in str(caught.value)
    assert not (tmp_path / "owned").exists()
    assert limit == sys.getrecursionlimit()


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
FLOATS = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f4I0\nI1\ntR(I3\nX\x01\x00\x00\x00<NNNI-1\nI-1\nI0\ntb"


def array_of(shape: bytes, content: bytes = b"C\x00", dtype: bytes = FLOATS) -> bytes:
    """The instructions that make one array."""
    blank = RECONSTRUCT + b"(cnumpy\nndarray\n(I0\ntC\x01btR"
    return b"\x80\x04" + blank + b"(I1\n(" + shape + b"t" + dtype + b"I00\n" + content + b"tb."


def test_the_hand_written_array_is_otherwise_right(tmp_path):
    """The hostile variants below differ from a good file in one thing each."""
    good = array_of(b"I2\n", b"C\x08" + struct.pack("<2f", 1, 2))
    np.testing.assert_array_equal(read_pickle(write(tmp_path, good)), np.float32([1, 2]))


@pytest.mark.parametrize(
    "data",
    [
        array_of(b"I1000000000\nI1000000000\n"),
        array_of(b"I-1\n"),
        array_of(b"I4611686018427387904\nI4\n"),
        array_of(b"I1\n" * 40, b"C\x04abcd"),
        array_of(b"X\x01\x00\x00\x00a"),
        array_of(b"I1\n", b"I5\n"),
        array_of(b"I1\n", b"C\x04abcd", dtype=b"N"),
        array_of(b"I1\n", b"C\x04abcd", dtype=FLOATS.replace(b"<", b"!")),
        b"\x80\x04" + RECONSTRUCT + b"(cnumpy\nndarray\n(I0\ntC\x01btR.",  # never filled
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 62) + b"abc.",  # BYTEARRAY8
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"abc.",  # BINBYTES8
        b"\x80\x04Nr\xff\xff\xff\x7f.",  # LONG_BINPUT: room for 2 billion values
        b"Np4000000000\n.",  # PUT
        b"\x80\x04" + RECONSTRUCT + b"}X\x01\x00\x00\x00aI1\nsb.",  # writes into a function
        b"\x80\x04" + RECONSTRUCT + b".",  # a function as a value
        b"\x80\x04cnumpy\ndtype\n\x85R.",
        b"(" * 100_000 + b"t" * 100_000 + b".",
        b"\x80\x04]q\x00h\x00a.",  # a list that holds itself
        b"\x80\x04}q\x00X\x01\x00\x00\x00ah\x00s.",  # a dict that holds itself
        b"\x80\x04(lp0\n" + b"(lp0\ng0\na" * 10,
        b"\x80\x04cos\nsystem\n\x81.",  # NEWOBJ
        b"\x80\x04Q.",  # BINPERSID
        b"\x80\x02\x82\x01.",  # EXT1
        b"",
        b"hello, I am no pickle",
        pickle.dumps({"a": np.arange(1000.0)})[:-500],
    ],
    ids=range(26),
)
def test_damaged_and_hostile_files_are_errors(tmp_path, data):
    """Sizes that do not match, memory bombs, loops, truncation: one clear error each."""
    with pytest.raises(CheckpointError, match=r"file\.pkl"):
        read_pickle(write(tmp_path, data))


def test_layers_of_doubling_do_not_explode(tmp_path):
    """A billion laughs: each list holds the one before twice, and is visited once."""
    value = ["ha"]
    for _ in range(50):
        value = [value, value]
    found = read_pickle(write(tmp_path, value))
    for _ in range(50):
        assert found[0] is found[1]
        found = found[0]
    assert found == ["ha"]


def test_one_file_cannot_change_how_the_next_is_read(tmp_path):
    """BUILD on a function writes attributes; every file gets functions of its own."""
    poison = RECONSTRUCT + b"(N}X\x0c\x00\x00\x00__defaults__(I1\ntstb0"
    with pytest.raises(CheckpointError):
        read_pickle(write(tmp_path, b"\x80\x04" + poison + b"N" + array_of(b"I5\n")[2:]))
    test_the_hand_written_array_is_otherwise_right(tmp_path)


@given(data=st.data())
def test_random_damage_never_gets_through_as_another_error(folder, data):
    """Any changed bytes give arrays or a CheckpointError."""
    whole = bytearray(pickle.dumps({"a": np.arange(6.0), "b": [1, "x"]}, protocol=2))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CheckpointError):
        read_pickle(write(folder, bytes(whole)))


def test_what_a_checkpoint_must_be_at_the_top(tmp_path):
    """Names to values; a list or numbers for names are refused."""
    with pytest.raises(CheckpointError, match="expected names and tensors at the top, got list"):
        read_archive(write(tmp_path, [1]))
    with pytest.raises(CheckpointError, match="expected names at the top, got 3"):
        read_archive(write(tmp_path, {3: 4}))
    with pytest.raises(CheckpointError, match="no such file"):
        read_archive(tmp_path / "missing.pkl")
    with pytest.raises(CheckpointError, match=r"ends in \.pkl, \.pth"):
        read_archive(tmp_path / "weights.h5")
