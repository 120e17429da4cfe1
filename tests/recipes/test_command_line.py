"""What all commands share: exit codes, and stdout that nobody reads."""

import subprocess
import sys

import pytest

from geodet.errors import DataError, RecipeError
from geodet.recipes.command_line import add_common_options, command_parser, run_command

PRINT_MUCH = """
import sys
from geodet.recipes.command_line import add_common_options, command_parser, run_command
parser = command_parser("much", "prints", "")
add_common_options(parser, overrides=False)
def command(options):
    for _ in range(LINES):
        print("x" * 100)
    return 0
sys.exit(run_command(parser, command, []))
"""


@pytest.mark.parametrize("lines", [1])
def test_a_closed_stdout_ends_quietly(lines):
    """`| head` ends the command without a word, as it ends other programs."""
    process = subprocess.Popen(
        [sys.executable, "-c", PRINT_MUCH.replace("LINES", str(lines))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 141
    assert errors == b""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RecipeError("what"), 2),
        (DataError("what"), 1),
        (OSError(28, "No space left", "there"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_become_exit_codes(error, code, capsys):
    """One message on stderr and the documented code."""
    parser = command_parser("this", "fails", "")
    add_common_options(parser, overrides=False)

    def fail(options):
        raise error

    assert run_command(parser, fail, []) == code
    captured = capsys.readouterr()
    assert not captured.out
    assert "Traceback" not in captured.err
    assert captured.err.strip().count("\n") == 0
