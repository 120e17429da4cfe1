"""Predict what is in pictures: `python -m geodet.predict RUN IMAGES_OR_FOLDER... [--out DIR]`."""

import argparse
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor

from geodet.data.decode import read_image
from geodet.errors import DataError, ImageDecodeError, RecipeError
from geodet.inference import Prediction, Predictor
from geodet.recipes.command_line import (
    add_common_options,
    command_parser,
    print_json,
    run_command,
    status_console,
)
from geodet.recipes.loaded_model import LoadedModel, load_run, load_zoo_model, read_labels
from geodet.recipes.result_files import ResultFiles

__all__ = ["main"]

_EPILOG = """\
  python -m geodet.predict runs/mine photo.jpg
  python -m geodet.predict runs/mine photos/ --out found --score 0.3
  python -m geodet.predict --weights model_final.pkl --model mask_rcnn_r50_fpn photos/

With --weights and --model, a checkpoint of Detectron2 goes into a model of geodet.models.zoo;
classes are COCO's, or those of --labels.

DIR receives one picture an image and predictions.json: COCO result rows (bbox as x, y, width,
height in pixels, of rotated boxes centre x, centre y, width, height, degrees; category_id of the
training data; RLE masks; keypoints) whose image_id is the file name, with folders in front where
two files share a name. Scenes go to panoptic/ and panoptic.json in COCO's panoptic format,
classes of pixels to semantic/. A file that cannot be read is named at the end, the others are
done, and the exit code is 1.
"""
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


def main(
    arguments: Sequence[str] | None = None, *, program: str = "python -m geodet.predict"
) -> int:
    """Run the command; returns its exit code."""
    parser = command_parser(program, "Predict what is in pictures.", _EPILOG)
    parser.add_argument(
        "inputs",
        type=Path,
        nargs="+",
        metavar="RUN IMAGES_OR_FOLDER",
        help="a run folder, a checkpoint or its weights file, left out with --weights; then image "
        "files, or folders of them",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="a checkpoint of Detectron2, for --model"
    )
    parser.add_argument("--model", metavar="NAME", help="a model of geodet.models.zoo")
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="class names of --model, one a line"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("predictions"), metavar="DIR", help="default: predictions"
    )
    parser.add_argument(
        "--score", type=_score, default=0.5, metavar="S", help="drop weaker detections; default 0.5"
    )
    add_common_options(parser, overrides=True)
    return run_command(parser, _predict, arguments)


def _predict(options: argparse.Namespace) -> int:
    images = _images_of(options)
    files = _list_images(images)
    pictures_of = _picture_paths(files, options.out)
    loaded = _load(options)
    console = status_console()
    failures: list[str] = []
    pictures = []
    results = ResultFiles(options.out, loaded, score=options.score)
    for name, image, found in _detect(loaded.predictor, files, failures):
        pictures.append(pictures_of[name])
        console.print(f"{name}: {results.add(name, pictures[-1], image, found)}")
    written = results.finish()
    for failure in failures:
        console.print(f"skipped: {failure}", markup=False)
    if options.json:
        print_json(
            {
                "predictions": written[0] if written else None,
                "files": written,
                "pictures": pictures,
                "objects": len(results.rows),
                "skipped": failures,
            }
        )
    else:
        where = ", ".join(map(str, written or [options.out]))
        print(f"{len(results.rows)} objects in {len(pictures)} images: {where}")
    return 1 if failures else 0


def _images_of(options: argparse.Namespace) -> list[Path]:
    """The images among the arguments.

    Raises:
        RecipeError: options that do not go together, or no image.
    """
    inputs: list[Path] = options.inputs
    if (options.weights is None) != (options.model is None):
        given, missing = ("--weights", "--model") if options.weights else ("--model", "--weights")
        raise RecipeError(f"{given}: needs {missing} too")
    if options.weights is not None:
        if options.overrides:
            raise RecipeError("--set: changes the recipe of a run, and --model has none")
        return inputs
    if options.labels is not None:
        raise RecipeError("--labels: goes with --model; a run knows its classes")
    if len(inputs) == 1:
        raise RecipeError(
            f"expected a run and images, got {inputs[0]} alone; with --weights and --model no run "
            "is needed"
        )
    return inputs[1:]


def _load(options: argparse.Namespace) -> LoadedModel:
    if options.weights is None:
        return load_run(options.inputs[0], options.overrides)
    labels = None if options.labels is None else read_labels(options.labels)
    return load_zoo_model(options.model, options.weights, labels=labels)


def _detect(
    predictor: Predictor, files: Sequence[tuple[str, Path]], failures: list[str]
) -> Iterator[tuple[str, Tensor, Prediction]]:
    """Yield name, image and prediction of each file that can be read."""
    waiting: deque[tuple[str, Tensor]] = deque()

    def images() -> Iterator[Tensor]:
        for name, path in files:
            try:
                image = read_image(path)
            except ImageDecodeError as error:
                failures.append(str(error))
                continue
            waiting.append((name, image))
            yield image

    for found in predictor.stream(images()):
        name, image = waiting.popleft()
        yield name, image, found


def _list_images(given: Sequence[Path]) -> list[tuple[str, Path]]:
    """Return (unique name, path) of every image file, folders opened, in a stable order."""
    paths: list[Path] = []
    for path in given:
        if path.is_dir():
            found = sorted(each for each in path.iterdir() if each.suffix.lower() in _SUFFIXES)
            if not found:
                raise DataError(f"{path}: no image files there ({', '.join(sorted(_SUFFIXES))})")
            paths += found
        elif path.is_file():
            paths.append(path)
        else:
            raise DataError(f"{path}: no such file or folder")
    unique = list(dict.fromkeys(paths))
    names: dict[Path, str] = {}
    depth = 0
    while len(names) < len(unique):  # distinct paths differ at full depth at the latest
        depth += 1
        ends = {path: "/".join(path.parts[-depth:]) for path in unique}
        counts = Counter(ends.values())
        for path in unique:
            if counts[ends[path]] == 1:
                names.setdefault(path, ends[path])
    return [(names[path], path) for path in unique]


def _picture_paths(files: Sequence[tuple[str, Path]], folder: Path) -> dict[str, Path]:
    """Return where the picture of each name goes: no two share a file, and none is an input.

    Raises:
        RecipeError: a picture would overwrite an image that was given.
    """
    flat = {name: name.replace("/", "_") for name, _ in files}
    stems = Counter(Path(each).stem for each in flat.values())
    inputs = {path.resolve() for _, path in files}
    pictures: dict[str, Path] = {}
    taken: set[str] = set()
    for name, file_name in flat.items():
        stem = Path(file_name).stem
        stem = stem if stems[stem] == 1 else file_name  # a.jpg and a.bmp: a.jpg.png, a.bmp.png
        while f"{stem}.png" in taken:
            stem += "_"
        taken.add(f"{stem}.png")
        pictures[name] = folder / f"{stem}.png"
        if pictures[name].resolve() in inputs:
            raise RecipeError(
                f"--out {folder}: {pictures[name]} is one of the images given and would be "
                "overwritten; choose another folder"
            )
    return pictures


def _score(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text}")
    return value


if __name__ == "__main__":
    sys.exit(main())
