"""Measure a model on a source, shared among processes."""

from typing import Any, Self

import attrs
import torch
from torch import nn

from geodet.data.label_map import LabelMap
from geodet.data.loader import build_loader
from geodet.data.sample import Batch, Sample
from geodet.data.sources.source import Source
from geodet.data.targets import target_maker
from geodet.engine import Processes
from geodet.errors import EvaluationError
from geodet.evaluation import (
    CocoEvaluator,
    CocoReport,
    CocoResult,
    PanopticEvaluator,
    PanopticReport,
    SemanticEvaluator,
    SemanticReport,
)
from geodet.inference import Prediction, Predictor
from geodet.recipes.facts import Output, facts_of, stuff_names, target_kind
from geodet.recipes.train_recipe import TrainRecipe
from geodet.structures import (
    Instances,
    PanopticSegmentation,
    ScenePrediction,
    SceneTarget,
    SemanticMap,
    SemanticScores,
)

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
    """Everything that was measured of a model; None for what it does not predict.

    Args:
        detection: COCO's numbers of the objects.
        semantic: IoU of the classes of pixels.
        panoptic: quality of the merged scenes.
    """

    detection: CocoReport | None = None
    semantic: SemanticReport | None = None
    panoptic: PanopticReport | None = None

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
        found = {
            f"{kind}/{name}": float(value)
            for kind, result in results.items()
            for name, value in list(zip(result.stat_names, result.stats, strict=True))[:3]
        }
        if self.semantic is not None:
            found |= {"semantic/mIoU": self.semantic.miou, "semantic/pACC": self.semantic.pacc}
        if self.panoptic is not None:
            found |= {
                f"panoptic/{name}": self.panoptic.quality(group).pq
                for name, group in (("PQ", "all"), ("PQ_things", "things"), ("PQ_stuff", "stuff"))
            }
        return {f"validation/{name}": value for name, value in found.items()}

    def to_table(self) -> str:
        """Every table, one below the other."""
        parts = [] if self.detection is None else [self.detection.to_table()]
        if self.semantic is not None:
            parts.append(f"classes of pixels\n{self.semantic.to_table()}")
        if self.panoptic is not None:
            parts.append(f"panoptic\n{self.panoptic.to_table()}")
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, object]:
        """Plain numbers for JSON, by what was measured."""
        found = {} if self.detection is None else self.detection.to_dict()
        if self.semantic is not None:
            found |= {"semantic": self.semantic.to_dict()}
        if self.panoptic is not None:
            found |= {"panoptic": self.panoptic.to_dict()}
        return found


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
    judges = _Judges(source, outputs)
    if len(source) > 0:
        loader = build_loader(
            _AsItIs(source),
            batch_size=predictor.batch_size,
            target=judges.target,
            rank=own.rank,
            world_size=own.world_size,
            shuffle=False,
            pad=False,
            group_by_aspect=False,
            num_workers=num_workers,
            num_epochs=1,
        )
        for batch in loader:
            for row, found in enumerate(predictor(batch.images)):
                judges.update(batch, row, found)
    parts = own.gather(judges)
    for part in parts[1:]:
        parts[0].merge(part)
    return parts[0].report()


class _Judges:
    """The evaluators of a model's outputs, fed together.

    Args:
        source: whose truth counts.
        outputs: what the model predicts.
    """

    def __init__(self, source: Source, outputs: tuple[Output, ...]) -> None:
        facts = facts_of(source)
        things, stuff = source.label_map.names, stuff_names(source)
        kind = target_kind(outputs)
        labels = facts.scene_labels if kind == "scene" else None
        self.target = target_maker(kind, labels=labels)
        regions = [name for name in outputs if name not in ("semantic", "panoptic")]
        self._detection = (
            CocoEvaluator(num_classes=len(things), class_names=things, iou_types=regions)
            if regions
            else None
        )
        pixels = (*things, *stuff) if labels is None else ("(any thing)", *stuff)
        self._semantic = (
            SemanticEvaluator(num_classes=len(pixels), class_names=pixels)
            if "semantic" in outputs
            else None
        )
        self._panoptic = (
            PanopticEvaluator(
                num_classes=len(things) + len(stuff),
                things=range(len(things)),
                class_names=(*things, *stuff),
            )
            if "panoptic" in outputs
            else None
        )

    def update(self, batch: Batch, row: int, found: Prediction) -> None:
        """Add one image of a batch.

        Raises:
            EvaluationError: the model predicts another kind than its recipe says.
        """
        image_id, truth, target = batch.image_ids[row], batch.instances[row], batch.targets[row]
        scene = batch.panoptic[row]
        if isinstance(found, ScenePrediction) and isinstance(
            target, SceneTarget | PanopticSegmentation
        ):
            pixels = (
                target.semantic
                if isinstance(target, SceneTarget)
                else SemanticMap.from_panoptic(target)
            )
            self._add(self._detection, image_id, found.instances, truth)
            self._add(self._semantic, image_id, found.semantic, pixels)
            if scene is not None:
                self._add(self._panoptic, image_id, found.panoptic, scene)
        elif isinstance(found, SemanticScores) and isinstance(target, SemanticMap):
            self._add(self._semantic, image_id, found, target)
        elif isinstance(found, Instances) and isinstance(target, Instances):
            self._add(self._detection, image_id, found, truth)
        else:
            raise EvaluationError(
                f"image {image_id!r}: the model predicts {type(found).__name__}, its recipe makes"
                f" targets of {type(target).__name__}"
            )

    @staticmethod
    def _add(evaluator: Any, image_id: int | str, found: object, truth: object) -> None:
        if evaluator is not None:
            evaluator.update(image_id, found, truth)

    def merge(self, other: Self) -> None:
        """Take over what other processes found."""
        for name in ("_detection", "_semantic", "_panoptic"):
            own, theirs = getattr(self, name), getattr(other, name)
            if own is not None:
                own.merge(theirs)

    def report(self) -> ScoreReport:
        """Compute the report over all images."""
        return ScoreReport(
            detection=None if self._detection is None else self._detection.result(),
            semantic=None if self._semantic is None else self._semantic.result(),
            panoptic=None if self._panoptic is None else self._panoptic.result(),
        )


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
