"""What all commands share: options, error messages, exit codes."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from geodet.errors import GeodetError, RecipeError
from geodet.inference import keep_freed_memory

__all__ = ["add_common_options", "command_parser", "print_json", "run_command", "status_console"]

_CLOSED_STDOUT = 128 + 13  # what a shell reports of a command that SIGPIPE ended


def command_parser(program: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Return a parser whose texts keep their line breaks."""
    return argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_common_options(parser: argparse.ArgumentParser, *, overrides: bool) -> None:
    """Add `--json` and `--traceback`, and `--set` when the command takes a recipe."""
    if overrides:
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="FIELD=VALUE",
            dest="overrides",
            help="change one field of the recipe, such as optimizer.lr=0.01; may be repeated",
        )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "--traceback", action="store_true", help="show where in the code an error came from"
    )


def run_command(
    parser: argparse.ArgumentParser,
    command: Callable[[argparse.Namespace], int],
    arguments: Sequence[str] | None,
) -> int:
    """Parse the arguments and run a command.

    Returns:
        Its exit code; 2 when recipe or usage is wrong, 1 after another error of geodet's (one
        message on stderr, no traceback), 130 after Ctrl-C, 141 when nobody reads stdout any more.
    """
    options = parser.parse_args(arguments)
    if arguments is None:  # from a shell: the process is ours
        keep_freed_memory()
    try:
        code = command(options)
        sys.stdout.flush()  # here, where a closed or full stdout is still a message
    except GeodetError as error:
        if options.traceback:
            raise
        sys.stderr.write(f"{parser.prog}: error: {error}\n")
        return 2 if isinstance(error, RecipeError) else 1
    except BrokenPipeError:  # who reads stdout has seen enough, as `| head` does
        # Python flushes stdout once more at its end; nothing may be left that fails again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_STDOUT
    except OSError as error:  # a full disk, a folder without permission; names its file
        if options.traceback:
            raise
        sys.stderr.write(f"{parser.prog}: error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{parser.prog}: interrupted\n")
        return 130
    return code


def status_console(*, quiet: bool = False) -> Console:
    """Return the console for progress: stderr, so that stdout holds results only."""
    return Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print a result as JSON on stdout; paths become text."""
    sys.stdout.write(json.dumps(value, indent=1, default=_path_text) + "\n")


def _path_text(value: object) -> str:
    if isinstance(value, Path):
        return value.as_posix()
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
