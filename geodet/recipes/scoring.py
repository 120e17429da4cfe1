"""Measure a detector on a source, shared among processes."""

import attrs
import torch
from torch import nn

from geodet.data.label_map import LabelMap
from geodet.data.loader import build_loader
from geodet.data.sample import Sample
from geodet.data.sources.source import Source
from geodet.engine import Processes
from geodet.errors import EvaluationError
from geodet.evaluation import CocoEvaluator, CocoReport, CocoResult
from geodet.inference import Predictor
from geodet.recipes.facts import Output
from geodet.recipes.train_recipe import TrainRecipe
from geodet.structures import Instances

__all__ = ["ScoreReport", "build_predictor", "check_same_classes", "score"]


def build_predictor(
    model: nn.Module, recipe: TrainRecipe, label_map: LabelMap, device: torch.device
) -> Predictor:
    """Return a predictor that resizes as the recipe's validation does."""
    return Predictor(
        model,
        class_names=label_map.names,
        batch_size=max(1, min(recipe.batch_size, 8)),
        device=device,
    )


@attrs.frozen(kw_only=True)
class ScoreReport:
    """Everything that was measured of a model.

    Args:
        detection: COCO's numbers of the objects; None for a model that finds none.
    """

    detection: CocoReport | None = None

    def __getitem__(self, kind: str) -> CocoResult:
        """COCO's result of one kind of region, as in "boxes".

        Raises:
            KeyError: it was not measured.
        """
        if self.detection is None:
            raise KeyError(kind)
        return self.detection[kind]

    def numbers(self) -> dict[str, float]:
        """Return the headline numbers by the names of the metrics files."""
        results = {} if self.detection is None else self.detection.results
        return {
            f"validation/{kind}/{name}": float(value)
            for kind, result in results.items()
            for name, value in list(zip(result.stat_names, result.stats, strict=True))[:3]
        }

    def to_table(self) -> str:
        """Every table, one below the other."""
        return "" if self.detection is None else self.detection.to_table()

    def to_dict(self) -> dict[str, object]:
        """Plain numbers for JSON, by what was measured."""
        return {} if self.detection is None else self.detection.to_dict()


def score(
    predictor: Predictor,
    source: Source,
    *,
    outputs: tuple[Output, ...],
    num_workers: int = 0,
    processes: Processes | None = None,
) -> ScoreReport:
    """Predict every image of a source and measure all that the model predicts.

    Args:
        predictor: the model.
        source: images with their truth.
        outputs: what the model predicts.
        num_workers: processes that read images; 0 reads in this one.
        processes: each takes its share of the images, and all get the whole report.
    Empty: no images give a report of -1.
    """
    own = processes or Processes()
    evaluator = CocoEvaluator(
        num_classes=len(source.label_map), class_names=source.label_map.names, iou_types=outputs
    )
    if len(source) > 0:
        loader = build_loader(
            _AsItIs(source),
            batch_size=predictor.batch_size,
            rank=own.rank,
            world_size=own.world_size,
            shuffle=False,
            pad=False,
            group_by_aspect=False,
            num_workers=num_workers,
            num_epochs=1,
        )
        for batch in loader:
            found = predictor(batch.images)
            for image_id, predictions, targets in zip(
                batch.image_ids, found, batch.instances, strict=True
            ):
                if isinstance(predictions, Instances):
                    evaluator.update(image_id, predictions, targets)
    parts = own.gather(evaluator)
    for part in parts[1:]:
        parts[0].merge(part)
    return ScoreReport(detection=parts[0].result())


@attrs.frozen
class _AsItIs:
    """Samples as they are in their source: the predictor resizes images by itself."""

    source: Source

    def __call__(self, epoch: int, index: int) -> Sample:
        """Read the sample at `index`."""
        return self.source[index]


def check_same_classes(trained: LabelMap, measured: LabelMap) -> None:
    """Check that a model and the data it is measured on speak of the same classes.

    Raises:
        EvaluationError: the names differ; the first difference is shown.
    """
    if trained.names == measured.names:
        return
    pairs = zip(trained.names, measured.names, strict=False)
    where = next((index for index, (a, b) in enumerate(pairs) if a != b), None)
    first = (
        f"label {where} is {trained.names[where]!r} to the model and {measured.names[where]!r} "
        "in the data"
        if where is not None
        else "one list is longer"
    )
    raise EvaluationError(
        f"classes: the model knows {len(trained)}, the data have {len(measured)}; {first}"
    )
