"""Train a detector: `python -m geodet.train [CONFIG] [--set FIELD=VALUE] ...`."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from geodet.engine import (
    Callback,
    Checkpoints,
    EvaluateEvery,
    LogMetrics,
    MetricsFiles,
    NoMetrics,
    Processes,
    SaveCheckpoints,
    ShowProgress,
    Trainer,
    TrainingResult,
    WatchCount,
    process_group,
)
from geodet.errors import RecipeError
from geodet.recipes import (
    BuiltTraining,
    Description,
    ScoreReport,
    TrainRecipe,
    build_predictor,
    load_recipe,
    save_model,
    score,
    to_text,
)
from geodet.recipes.command_line import (
    add_common_options,
    command_parser,
    print_json,
    run_command,
    status_console,
)
from geodet.recipes.pictures import draw_comparisons
from geodet.recipes.run_folder import choose_new_folder, find_run_to_resume

__all__ = ["main"]

_EPILOG = """\
Without CONFIG: a small Mask R-CNN on built-in pictures, on a CPU, in minutes.

  python -m geodet.train
  python -m geodet.train configs/mine.py --set optimizer.lr=0.01 --out runs/mine
  python -m geodet.train --resume runs/mine
  torchrun --nproc-per-node 4 -m geodet.train configs/mine.py

The run folder holds recipe.json (every field; itself a CONFIG), metrics.jsonl, TensorBoard
events, checkpoints/, model.safetensors with model.json, evaluation.json and pictures/.
Ctrl-C or SIGTERM saves a checkpoint after the current step; a second one stops at once.
"""

# What a detector counts, and what it may mean when there is none for long.
_POSITIVES = (
    ("rpn_positive", "an anchor fits: see model.rpn.anchor_sizes"),
    ("dense_positive", "an anchor or cell fits: see model.anchor_sizes and the sizes in data"),
)


def main(arguments: Sequence[str] | None = None, *, program: str = "python -m geodet.train") -> int:
    """Run the command; returns its exit code."""
    parser = command_parser(program, "Train a detector and evaluate it.", _EPILOG)
    parser.add_argument(
        "config", nargs="?", type=Path, metavar="CONFIG", help="a .py or .json recipe"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the run folder; default runs/<name of CONFIG>"
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        metavar="DIR",
        help="go on from the latest checkpoint of DIR, of --out, or of the newest run of CONFIG",
    )
    add_common_options(parser, overrides=True)
    return run_command(parser, _train, arguments)


def _train(options: argparse.Namespace) -> int:
    config: Path | None = options.config
    resumed: Path | None = None
    if options.resume is not None:
        given = None if options.resume is True else Path(options.resume)
        resumed = find_run_to_resume(given, options.out, config)
    recipe = load_recipe(config or resumed, options.overrides)
    with process_group(recipe.device) as processes:
        console = status_console(quiet=not processes.is_main)
        built = recipe.build(processes)
        folder = resumed or processes.gather(choose_new_folder(options.out, config))[0]
        run = _Run(recipe, built, folder, processes, console)
        result = run.train(resume=resumed is not None)
        if result.stop_signal is not None:
            console.print(
                f"stopped after step {result.step} by signal {result.stop_signal}; a checkpoint "
                f"is saved, go on with --resume {folder}"
            )
            return 128 + result.stop_signal
        report = run.finish()
        if processes.is_main:
            _print_result(options, folder, result, report)
    return 0


class _Run:
    """One run in its folder.

    Args:
        recipe: what to do.
        built: what the recipe built.
        folder: the run folder, there already.
        processes: this process among all.
        console: where progress goes.
    """

    def __init__(
        self,
        recipe: TrainRecipe,
        built: BuiltTraining,
        folder: Path,
        processes: Processes,
        console: Console,
    ) -> None:
        self._recipe = recipe
        self._built = built
        self._folder = folder
        self._processes = processes
        self._console = console
        self._description = Description.of(recipe, built.validation)
        self._predictor = build_predictor(built.model, recipe, built.label_map, processes.device)
        self._report: ScoreReport | None = None

    def train(self, *, resume: bool) -> TrainingResult:
        """Train, from the latest checkpoint of the folder when resuming.

        Raises:
            RecipeError: the run to resume went further than the recipe's steps.
            CheckpointError, InvalidValueError: the recipe does not fit the run to resume, which
                stays as it was.
        """
        recipe, built = self._recipe, self._built
        trainer = Trainer(
            built.model,
            built.batches,
            built.optimizer,
            built.schedule,
            steps=recipe.steps,
            callbacks=self._callbacks(),
            clip_norm=recipe.clip_norm,
            precision=recipe.precision,
            channels_last=recipe.channels_last,
            seed=recipe.seed,
            processes=self._processes,
        )
        if resume:
            latest = Checkpoints(self._folder / "checkpoints").latest()
            if latest is not None:
                trainer.resume(latest)
            if trainer.step > recipe.steps:
                raise RecipeError(
                    f"steps: expected {trainer.step} or more (updates that {latest} has made), "
                    f"got {recipe.steps}"
                )
        self._write_recipe()
        weights = sum(each.numel() for each in built.model.parameters())
        self._console.print(
            f"run {self._folder}: steps {trainer.step} to {recipe.steps} of {recipe.batch_size} "
            f"images on {self._processes.device}, {len(built.label_map)} classes, "
            f"{weights / 1e6:.2f} million weights"
        )
        return trainer.run()

    def _write_recipe(self) -> None:
        # Not before everything fits: a failed attempt must not change the recipe of a good run.
        if not self._processes.is_main:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / ".recipe.json.part"
        part.write_text(to_text(self._recipe), "utf-8")
        part.replace(self._folder / "recipe.json")

    def finish(self) -> ScoreReport:
        """Write the trained model, its evaluation and pictures."""
        report = self._report
        if report is None:  # resumed at the last step: nothing was evaluated here
            report = self._score()
        if self._processes.is_main:
            save_model(self._folder, self._built.model, self._description)
            text = json.dumps(report.to_dict(), indent=1)
            (self._folder / "evaluation.json").write_text(text + "\n", "utf-8")
            draw_comparisons(
                self._predictor,
                self._built.validation,
                self._folder / "pictures",
                count=self._recipe.pictures,
                stuff_names=self._description.stuff_names,
            )
        self._processes.wait()
        return report

    def _callbacks(self) -> list[Callback]:
        recipe, main = self._recipe, self._processes.is_main
        writer = MetricsFiles(self._folder) if main else NoMetrics()
        checkpoints = Checkpoints(self._folder / "checkpoints", keep=recipe.keep_checkpoints)
        callbacks: list[Callback] = [LogMetrics(writer, every=recipe.log_every)]
        if main:
            callbacks.append(ShowProgress(self._console, every=recipe.log_every))
            callbacks += [
                WatchCount(
                    name,
                    every=recipe.log_every,
                    warn=lambda text: self._console.print(text, markup=False),
                    advice=f"these images have no objects, or none that {reason}",
                )
                for name, reason in _POSITIVES
            ]
        return [
            *callbacks,
            # before the evaluation, which may take longer than anyone lets it run
            SaveCheckpoints(
                checkpoints,
                every=recipe.checkpoint_every,
                description=self._description.to_data(),
            ),
            EvaluateEvery(recipe.evaluate_every or recipe.steps, self._evaluate, writer),
        ]

    def _evaluate(self, step: int) -> Mapping[str, float]:
        self._report = self._score()
        numbers = self._report.numbers()
        shown = "  ".join(f"{name} {value:.3f}" for name, value in numbers.items())
        self._console.print(f"step {step}  {shown}")
        if step != self._recipe.steps:
            self._report = None
        return numbers

    def _score(self) -> ScoreReport:
        return score(
            self._predictor,
            self._built.validation,
            outputs=self._recipe.model.outputs,
            num_workers=self._recipe.num_workers,
            processes=self._processes,
        )


def _print_result(
    options: argparse.Namespace, folder: Path, result: TrainingResult, report: ScoreReport
) -> None:
    if options.json:
        print_json({"run": folder, "step": result.step, "evaluation": report.to_dict()})
    else:
        print(report.to_table())
        print(f"\nrun folder: {folder}")


if __name__ == "__main__":
    sys.exit(main())
