"""mypy in strict mode on programs that a user would write: right ones pass, mistakes are found."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed (extra test)"),
]


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """Errors that mypy reports, as (file name, line, code), in one run over both programs."""
    settings = tmp_path_factory.mktemp("mypy") / "mypy.ini"
    settings.write_text("[mypy]\nstrict = True\nuntyped_calls_exclude = torch\n")
    files = [str(HERE / name) for name in ("user_program.py", "user_mistakes.py")]
    options = ("--config-file", settings, "--cache-dir", settings.parent / "cache")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *map(str, options), "--no-error-summary", *files],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert not done.stderr, done.stderr
    pattern = r"^(.+?):(\d+): error: .*\[([\w-]+)\]$"
    found = re.findall(pattern, done.stdout, flags=re.MULTILINE)
    return {(Path(name).name, int(line), code) for name, line, code in found}


def test_a_right_program_passes(reported):
    """No error is reported in the program, nor in geodet itself."""
    assert {entry for entry in reported if entry[0] != "user_mistakes.py"} == set()


def test_every_mistake_is_found(reported):
    """Each line with a mistake has the error that it names, and no other line has one."""
    lines = (HERE / "user_mistakes.py").read_text().splitlines()
    expected = {
        ("user_mistakes.py", number, line.rpartition("# error: ")[2])
        for number, line in enumerate(lines, start=1)
        if "# error: " in line
    }
    assert len(expected) > 10
    assert {entry for entry in reported if entry[0] == "user_mistakes.py"} == expected


def test_the_right_program_runs():
    """What mypy accepts also works."""
    program = [sys.executable, str(HERE / "user_program.py")]
    done = subprocess.run(program, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
