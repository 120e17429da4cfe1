"""Recipes of data: where it lies, and how images are resized and flipped."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, get_args

import attrs
import torch

from geodet.data.sources.coco import CocoSource
from geodet.data.sources.rotated import RotatedBoxSource
from geodet.data.sources.shapes import THING_NAMES, ShapesSource
from geodet.data.sources.source import Source
from geodet.errors import RecipeError
from geodet.recipes.facts import Output
from geodet.recipes.fields import fraction, whole, wholes
from geodet.structures import ImageSize
from geodet.transforms import (
    RandomHorizontalFlip,
    ResizeShortestEdge,
    Sequence_,
    TransformChoice,
)

__all__ = ["CocoRecipe", "DataRecipe", "ShapesRecipe"]


@attrs.frozen(kw_only=True)
class CocoRecipe:
    """Images with annotations in COCO's format.

    Args:
        root: folder that the four paths below start from.
        train_images: folder of the training images.
        train_annotations: their annotation file.
        val_images: folder of the validation images.
        val_annotations: their annotation file.
        masks: read segmentations where the model wants them; false for files whose segmentations
            are not to be trusted.
        keep_empty: train on images without objects, as negatives.
        on_bad: "error" refuses annotation files with broken entries; "skip" leaves the entries
            out, with one warning.
        apply_exif: turn images upright as their EXIF orientation says; false for annotations that
            were drawn on the pixels as stored.
        short_edges: in training, the shorter side is resized to one of these, pixels.
        max_long_edge: most pixels of the longer side; None sets no limit.
        test_short_edge: the shorter side in validation and prediction.
        flip: probability of mirroring left and right in training.
    """

    root: Path
    train_images: Path = Path("train2017")
    train_annotations: Path = Path("annotations/instances_train2017.json")
    val_images: Path = Path("val2017")
    val_annotations: Path = Path("annotations/instances_val2017.json")
    masks: bool = True
    keep_empty: bool = True
    on_bad: Literal["error", "skip"] = "error"
    apply_exif: bool = True
    short_edges: tuple[int, ...] = attrs.field(
        default=(640, 672, 704, 736, 768, 800), validator=wholes()
    )
    max_long_edge: int | None = attrs.field(default=1333, validator=whole(optional=True))
    test_short_edge: int = attrs.field(default=800, validator=whole())
    flip: float = attrs.field(default=0.5, validator=fraction)

    @property
    def offers(self) -> frozenset[Output]:
        """What can be learned from these data."""
        masks: tuple[Output, ...] = ("masks", "rotated_boxes") if self.masks else ()
        return frozenset(("boxes", "keypoints", *masks))

    def build_train(self, outputs: Collection[Output]) -> Source:
        """Return the training images with the truth of what a model predicts."""
        # crowd regions are no targets; without them polygons need not become run lengths
        return self._source(
            outputs,
            self.train_images,
            self.train_annotations,
            keep_empty=self.keep_empty,
            keep_crowd=False,
        )

    def build_validation(self, outputs: Collection[Output]) -> Source:
        """Return the validation images likewise; those without objects always count."""
        return self._source(
            outputs,
            self.val_images,
            self.val_annotations,
            keep_empty=True,
            keep_crowd=True,
            box_dtype=torch.float64,  # every digit of the file counts in the evaluation
        )

    def augmentation(self) -> TransformChoice:
        """Return how training images are changed."""
        choices: Any = (
            ResizeShortestEdge(self.short_edges, self.max_long_edge),
            RandomHorizontalFlip(self.flip),
        )
        return Sequence_(choices)

    def _source(
        self, outputs: Collection[Output], images: Path, annotations: Path, **options: Any
    ) -> Source:
        if not self.root.is_dir():
            raise RecipeError(
                f"data.root: no folder {self.root} here; use --set data.root=... "
                "(a relative path starts where the command is run)"
            )
        rotated = "rotated_boxes" in outputs
        source = CocoSource(
            self.root / images,
            self.root / annotations,
            masks=rotated or "masks" in outputs,
            keypoints="keypoints" in outputs,
            on_bad=self.on_bad,
            apply_exif=self.apply_exif,
            **options,
        )
        return RotatedBoxSource(source) if rotated else source


@attrs.frozen(kw_only=True)
class ShapesRecipe:
    """The built-in generated data: simple shapes with every kind of truth, no download.

    Args:
        train_length: number of training images.
        val_length: number of validation images.
        side: height and width of every image, pixels.
        max_objects: most objects in an image.
        lengths: least and greatest length of an object as a share of the image side.
        pattern: contrast of the patterns on objects, from 0 (flat colours: easy) to 1.
        classes: names of those that are drawn; see `ShapesSource`.
        seed: of the training images; validation images have the next one.
        flip: probability of mirroring left and right in training.
    """

    train_length: int = attrs.field(default=2000, validator=whole())
    val_length: int = attrs.field(default=200, validator=whole())
    side: int = attrs.field(default=128, validator=whole(at_least=32))
    max_objects: int = attrs.field(default=6, validator=whole())
    lengths: tuple[float, float] = (0.12, 0.5)
    pattern: float = attrs.field(default=1.0, validator=fraction)
    classes: tuple[str, ...] = THING_NAMES
    seed: int = attrs.field(default=0, validator=whole(at_least=0))
    flip: float = attrs.field(default=0.5, validator=fraction)

    @property
    def test_short_edge(self) -> int:
        """The shorter side in validation and prediction, pixels."""
        return self.side

    @property
    def max_long_edge(self) -> int | None:
        """Most pixels of the longer side in prediction: wide photos keep their proportions."""
        return 4 * self.side

    @property
    def offers(self) -> frozenset[Output]:
        """What can be learned from these data: everything."""
        return frozenset(get_args(Output))

    def build_train(self, outputs: Collection[Output]) -> Source:
        """Return the training images with the truth of what a model predicts."""
        return self._source(outputs, self.train_length, self.seed)

    def build_validation(self, outputs: Collection[Output]) -> Source:
        """Return the validation images likewise, which differ from all training images."""
        return self._source(outputs, self.val_length, self.seed + 1)

    def augmentation(self) -> TransformChoice:
        """Return how training images are changed."""
        return RandomHorizontalFlip(self.flip)

    def _source(self, outputs: Collection[Output], length: int, seed: int) -> Source:
        size = ImageSize(self.side, self.side)
        source = ShapesSource(
            length,
            size=size,
            seed=seed,
            max_objects=self.max_objects,
            lengths=self.lengths,
            pattern=self.pattern,
            classes=self.classes,
        )
        return RotatedBoxSource(source) if "rotated_boxes" in outputs else source


DataRecipe = CocoRecipe | ShapesRecipe
