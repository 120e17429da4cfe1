"""Operators called with arrays of any kind raise Python errors and never end the process."""

import importlib.util
import warnings
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

_SCRIPT = Path(__file__).with_name("arrays_fuzz.py")
_spec = importlib.util.spec_from_file_location("arrays_fuzz", _SCRIPT)
arrays_fuzz = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(arrays_fuzz)


@given(st.binary(min_size=8, max_size=200))
def test_wrong_arrays_are_python_errors(data):
    """Whatever type, rank, size, stride, device or number: a result, or an error that says why."""
    arrays_fuzz.call_something(data)


def test_calls_reach_results():
    """Not all calls end at the first check: some of a thousand return."""
    returned = 0
    for seed in range(1000):
        data = arrays_fuzz.random.Random(seed).randbytes(120)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's notes on odd arrays
            function, arguments, keywords = arrays_fuzz.public_call(arrays_fuzz.Bytes(data))
            try:
                function(*arguments, **keywords)
            except arrays_fuzz.ALLOWED:
                continue
        returned += 1

    assert returned > 50
