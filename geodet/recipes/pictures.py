"""Pictures of predictions beside the truth."""

import math
from pathlib import Path

from geodet.data.sources.source import Source
from geodet.inference import Predictor
from geodet.structures import ImageSize
from geodet.transforms import Resize
from geodet.visualize import draw_instances, save_image, side_by_side

__all__ = ["draw_comparisons"]

# Labels on smaller panels would hide what they name.
_LEAST_SIDE = 320


def draw_comparisons(
    predictor: Predictor, source: Source, folder: Path, *, count: int, score_threshold: float = 0.5
) -> list[Path]:
    """Draw images with their truth and what the detector finds, side by side.

    Args:
        predictor: the detector.
        source: where images and truth come from; images are taken at equal distances.
        folder: where the PNG files go; made when missing.
        count: number of pictures, at most the length of the source.
        score_threshold: weaker detections are left out.
    Returns:
        The files.
    Empty: count 0 or an empty source writes nothing and gives [].
    """
    count = min(count, len(source))
    files = []
    for number in range(count):
        sample = source[number * len(source) // count]
        (found,) = predictor([sample.image])
        enlarge = _enlargement(sample.instances.image_size)
        image = enlarge.apply_image(sample.image)
        panels = [
            draw_instances(
                image,
                enlarge.apply_instances(instances),
                class_names=predictor.class_names,
                score_threshold=score_threshold,
            )
            for instances in (sample.instances, found)
        ]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number:02d}_{_file_stem(sample.image_id)}.png"
        save_image(side_by_side(panels, ["truth", "predictions"]), path)
        files.append(path)
    return files


def _enlargement(size: ImageSize) -> Resize:
    """Return the resize by a whole factor that makes the shorter side long enough."""
    factor = math.ceil(_LEAST_SIDE / min(size.height, size.width))
    return Resize(size, ImageSize(factor * size.height, factor * size.width))


def _file_stem(image_id: int | str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in str(image_id))[:80]
