"""The `geodet` command: one door to all the others."""

import sys
from collections.abc import Sequence

from geodet.recipes.command_line import command_parser

__all__ = ["main"]

_COMMANDS = {
    "train": "train a detector and evaluate it",
    "evaluate": "evaluate a trained detector with COCO's numbers",
    "predict": "detect objects in pictures",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `geodet COMMAND ...`; returns the exit code."""
    listed = "\n".join(f"  {name:10} {text}" for name, text in _COMMANDS.items())
    parser = command_parser(
        "geodet", "Object detection and segmentation.", f"commands:\n{listed}\n"
    )
    parser.add_argument("command", choices=list(_COMMANDS), metavar="COMMAND")
    given = list(sys.argv[1:] if arguments is None else arguments)
    # The rest belongs to the command, its --help included.
    command = parser.parse_args(given[:1]).command
    rest, program = given[1:], f"geodet {command}"
    # Each is imported when it is asked for: a help text needs no training code.
    if arguments is None:  # from a shell: the process is ours
        from geodet.inference import keep_freed_memory  # noqa: PLC0415 - see above

        keep_freed_memory()
    if command == "train":
        from geodet import train  # noqa: PLC0415 - see above

        return train.main(rest, program=program)
    if command == "evaluate":
        from geodet import evaluate  # noqa: PLC0415 - see above

        return evaluate.main(rest, program=program)
    from geodet import predict  # noqa: PLC0415 - see above

    return predict.main(rest, program=program)


if __name__ == "__main__":
    sys.exit(main())
