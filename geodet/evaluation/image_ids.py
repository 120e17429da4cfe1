"""Ids of images: each is seen once, and all can be sorted."""

from collections.abc import Collection

from geodet.errors import EvaluationError
from geodet.evaluation.coco_reader import ImageId

__all__ = ["check_new_image"]


def check_new_image(image_id: ImageId, seen: Collection[ImageId]) -> None:
    """Check the id of an image that an evaluator is about to add.

    Raises:
        EvaluationError: it is neither a number nor a text, was seen before, or is of another
            kind than those seen.
    """
    if isinstance(image_id, bool) or not isinstance(image_id, int | str):
        raise EvaluationError(f"image_id: expected an int or a str, got {type(image_id).__name__}")
    if image_id in seen:
        raise EvaluationError(f"image {image_id!r}: already evaluated; ids must be unique")
    first = next(iter(seen), image_id)
    if isinstance(first, str) != isinstance(image_id, str):
        raise EvaluationError(
            f"image {image_id!r}: ids are sorted, so they must be all numbers or all strings;"
            f" an earlier one is {first!r}"
        )
