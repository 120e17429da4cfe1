"""Pictures of predictions beside the truth."""

import math
from collections.abc import Sequence
from pathlib import Path

from geodet.data.sources.source import Source
from geodet.inference import Prediction, Predictor
from geodet.structures import ImageSize, Instances, ScenePrediction, SemanticScores
from geodet.transforms import Resize
from geodet.visualize import (
    draw_instances,
    draw_panoptic,
    draw_prediction,
    save_image,
    side_by_side,
)

__all__ = ["draw_comparisons"]

# Labels on smaller panels would hide what they name.
_LEAST_SIDE = 320


def draw_comparisons(
    predictor: Predictor,
    source: Source,
    folder: Path,
    *,
    count: int,
    stuff_names: Sequence[str] = (),
    score_threshold: float = 0.5,
) -> list[Path]:
    """Draw images with their truth and what the model finds, side by side.

    Args:
        predictor: the model.
        source: where images and truth come from; images are taken at equal distances.
        folder: where the PNG files go; made when missing.
        count: number of pictures, at most the length of the source.
        stuff_names: names of the background classes.
        score_threshold: weaker detections are left out.
    Returns:
        The files.
    Empty: count 0 or an empty source writes nothing and gives [].
    """
    names = predictor.class_names
    scene_names = None if names is None else (*names, *stuff_names)
    count = min(count, len(source))
    files = []
    for number in range(count):
        sample = source[number * len(source) // count]
        enlarge = _enlargement(sample.instances.image_size)
        image = enlarge.apply_image(sample.image)
        found = _resized(predictor(sample.image), enlarge)
        if isinstance(found, Instances) or sample.panoptic is None:
            truth = draw_instances(
                image, enlarge.apply_instances(sample.instances), class_names=names
            )
        else:
            truth = draw_panoptic(
                image, enlarge.apply_panoptic(sample.panoptic), class_names=scene_names
            )
        predicted = draw_prediction(
            image,
            found,
            class_names=names,
            stuff_names=stuff_names,
            score_threshold=score_threshold,
        )
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number:02d}_{_file_stem(sample.image_id)}.png"
        save_image(side_by_side([truth, predicted], ["truth", "predictions"]), path)
        files.append(path)
    return files


def _resized(found: Prediction, enlarge: Resize) -> Prediction:
    """The prediction for a picture of another size."""
    if isinstance(found, ScenePrediction):
        return found.with_parts(
            enlarge.apply_instances(found.instances), found.semantic.resize(enlarge.target)
        )
    if isinstance(found, SemanticScores):
        return found.resize(enlarge.target)
    return enlarge.apply_instances(found)


def _enlargement(size: ImageSize) -> Resize:
    """Return the resize by a whole factor that makes the shorter side long enough."""
    factor = math.ceil(_LEAST_SIDE / min(size.height, size.width))
    return Resize(size, ImageSize(factor * size.height, factor * size.width))


def _file_stem(image_id: int | str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in str(image_id))[:80]
