"""Evaluate a trained detector: `python -m geodet.evaluate RUN_OR_WEIGHTS [CONFIG] ...`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from geodet.engine import process_group
from geodet.errors import RecipeError
from geodet.recipes import (
    Description,
    apply_overrides,
    build_predictor,
    build_trained,
    check_same_classes,
    describe_weights,
    find_weights,
    load_recipe,
    score,
)
from geodet.recipes.command_line import (
    add_common_options,
    command_parser,
    print_json,
    run_command,
    status_console,
)

__all__ = ["main"]

_EPILOG = """\
The validation images are those of the run's own recipe, or of CONFIG.

  python -m geodet.evaluate runs/mine
  python -m geodet.evaluate runs/mine --set data.root=/data/other --set data.test_short_edge=640
  python -m geodet.evaluate weights.safetensors configs/mine.py
"""


def main(
    arguments: Sequence[str] | None = None, *, program: str = "python -m geodet.evaluate"
) -> int:
    """Run the command; returns its exit code."""
    parser = command_parser(program, "Evaluate a trained detector with COCO's numbers.", _EPILOG)
    parser.add_argument(
        "weights",
        type=Path,
        metavar="RUN_OR_WEIGHTS",
        help="a run folder, a checkpoint, or a .safetensors file",
    )
    parser.add_argument(
        "config",
        nargs="?",
        type=Path,
        metavar="CONFIG",
        help="a .py or .json recipe, in place of the run's own",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the numbers as JSON")
    add_common_options(parser, overrides=True)
    return run_command(parser, _evaluate, arguments)


def _evaluate(options: argparse.Namespace) -> int:
    if options.out is not None:
        _check_writable(options.out)  # before the work, not after it
    weights = find_weights(options.weights)
    described = describe_weights(weights)
    if options.config is not None:
        recipe = load_recipe(options.config, options.overrides)
    elif described is not None:
        recipe = apply_overrides(described.recipe, options.overrides)
    else:
        raise RecipeError(f"{weights}: no model.json beside it; name a CONFIG too")
    validation = recipe.build_validation()
    if described is None:
        described = Description.of(recipe, validation)
    label_map = described.label_map
    check_same_classes(label_map, validation.label_map)
    model = build_trained(attrs.evolve(described, recipe=recipe), weights)
    with process_group(recipe.device) as processes:
        status_console(quiet=not processes.is_main).print(
            f"{weights}: {len(validation)} images on {processes.device}"
        )
        report = score(
            build_predictor(model, recipe, label_map, processes.device),
            validation,
            outputs=recipe.model.outputs,
            num_workers=recipe.num_workers,
            processes=processes,
        )
        if not processes.is_main:
            return 0
    if options.json:
        print_json(report.to_dict())
    else:
        print(report.to_table())
    if options.out is not None:
        options.out.write_text(json.dumps(report.to_dict(), indent=1) + "\n", "utf-8")
    return 0


def _check_writable(path: Path) -> None:
    """Raise OSError when a file cannot be written; what is in it stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    path.open("a").close()
    if is_new:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
