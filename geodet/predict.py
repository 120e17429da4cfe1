"""Detect objects in pictures: `python -m geodet.predict RUN IMAGES_OR_FOLDER... [--out DIR]`."""

import argparse
import json
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from geodet.data.decode import read_image
from geodet.engine import choose_device
from geodet.errors import DataError, ImageDecodeError, RecipeError
from geodet.inference import Predictor, to_coco_results
from geodet.recipes import (
    apply_overrides,
    build_predictor,
    build_trained,
    describe_weights,
    find_weights,
)
from geodet.recipes.command_line import (
    add_common_options,
    command_parser,
    print_json,
    run_command,
    status_console,
)
from geodet.visualize import draw_instances, save_image

__all__ = ["main"]

_EPILOG = """\
  python -m geodet.predict runs/mine photo.jpg
  python -m geodet.predict runs/mine photos/ --out found --score 0.3

DIR receives one picture an image and predictions.json: COCO result rows (bbox as x, y, width,
height in pixels, category_id of the training data, RLE masks) whose image_id is the file name,
with folders in front where two files share a name. A file that cannot be read is named at the
end, the others are done, and the exit code is 1.
"""
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


def main(
    arguments: Sequence[str] | None = None, *, program: str = "python -m geodet.predict"
) -> int:
    """Run the command; returns its exit code."""
    parser = command_parser(program, "Detect objects in pictures.", _EPILOG)
    parser.add_argument(
        "weights", type=Path, metavar="RUN", help="a run folder, a checkpoint, or its weights file"
    )
    parser.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGES_OR_FOLDER", help="files, or folders of them"
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
    files = _list_images(options.images)
    pictures_of = _picture_paths(files, options.out)
    weights = find_weights(options.weights)
    described = describe_weights(weights)
    if described is None:
        raise RecipeError(f"{weights}: no model.json beside it, so its classes are unknown")
    recipe = apply_overrides(described.recipe, options.overrides)
    model = build_trained(attrs.evolve(described, recipe=recipe), weights)
    device = choose_device(recipe.device)
    predictor = build_predictor(model, recipe, described.label_map, device)
    console = status_console()
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    pictures = []
    options.out.mkdir(parents=True, exist_ok=True)
    for name, image, found in _detect(predictor, files, failures):
        instances = found[found.scores >= options.score]
        rows += to_coco_results(name, instances, described.label_map)
        picture = draw_instances(image, instances, class_names=predictor.class_names)
        pictures.append(pictures_of[name])
        save_image(picture, pictures[-1])
        console.print(f"{name}: {len(instances)} objects")
    path = options.out / "predictions.json"
    path.write_text(json.dumps(rows) + "\n", "utf-8")
    for failure in failures:
        console.print(f"skipped: {failure}", markup=False)
    if options.json:
        print_json(
            {"predictions": path, "pictures": pictures, "objects": len(rows), "skipped": failures}
        )
    else:
        print(f"{len(rows)} objects in {len(pictures)} images: {path}")
    return 1 if failures else 0


def _detect(
    predictor: Predictor, files: Sequence[tuple[str, Path]], failures: list[str]
) -> Iterator[tuple[str, Tensor, Any]]:
    """Yield name, image and detections of each file that can be read."""
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

    for instances in predictor.stream(images()):
        name, image = waiting.popleft()
        yield name, image, instances


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
