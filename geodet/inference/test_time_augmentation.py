"""One answer from several views of an image: sizes and mirrors, for any model of `Predictor`.

Reference: the order of steps for boxes and masks is Detectron2's (GeneralizedRCNNWithTTA).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import attrs
import torch
from torch import Tensor, nn

from geodet.errors import CompositionError, InvalidValueError
from geodet.inference.predictor import Prediction
from geodet.models.box_kinds import ROTATED, UPRIGHT
from geodet.models.detectors import rescale_instances, with_region_columns
from geodet.models.heads import RegionHead
from geodet.structures import (
    ImageSize,
    Instances,
    RotatedBoxes,
    ScenePrediction,
    SemanticScores,
)
from geodet.transforms import (
    Compose,
    HorizontalFlip,
    Identity,
    Resize,
    Transform,
    VerticalFlip,
    shortest_edge_size,
)

__all__ = ["AugmentedModel", "Views", "multi_scale_views"]

Views: TypeAlias = Callable[[ImageSize], Sequence[Transform]]

_PredictionT = TypeVar("_PredictionT")


def multi_scale_views(
    short_edges: Sequence[int] = (400, 500, 600, 700, 800, 900, 1000, 1100, 1200),
    *,
    max_long_edge: int | None = 4000,
    flip: bool = True,
) -> Views:
    """Return views of several sizes, each also mirrored; the defaults are Detectron2's.

    Args:
        short_edges: lengths of the shorter side, pixels.
        max_long_edge: most pixels of the longer side; None for no limit.
        flip: mirror left and right, too.
    """

    def views(size: ImageSize) -> list[Transform]:
        resizes = [
            Resize(size, shortest_edge_size(size, edge, max_long_edge)) for edge in short_edges
        ]
        chosen: list[Transform] = []
        for resize in resizes:
            chosen.append(resize)
            if flip:
                chosen.append(Compose((resize, HorizontalFlip(resize.target))))
        return chosen

    return views


@runtime_checkable
class _LooksIntoBoxes(Protocol):
    """A detector whose further heads can be asked about boxes that are known."""

    @property
    def region_heads(self) -> Mapping[str, RegionHead[Any]]: ...

    def region_outputs(
        self, images: Sequence[Tensor], instances: Sequence[Instances]
    ) -> list[dict[str, Tensor]]: ...


class AugmentedModel(nn.Module):
    """A model that looks at several views of each image and gives one answer in its pixels.

    Boxes of either kind: those of all views are mapped back, cut at the border of the image,
    thinned by suppression within each class, and the best are kept; scores stay as they were.

    Masks and keypoints of a detector with heads that can be asked about known boxes (two-stage
    and one-stage detectors of geodet): the heads look into the merged boxes in every view, and
    what they say is mirrored back and averaged: probabilities of the cells of a mask, logits of
    the cells of a keypoint's heatmap. Of other detectors each merged box keeps the mask and the
    keypoints of the view that it came from.

    Classes of pixels: the probabilities (softmax) of all views, resampled to the image, are
    averaged; the result holds their logarithms. A scene is merged from averaged parts.

    A `Predictor` around it gives images as they are, since views have sizes of their own.

    Args:
        model: any model that `Predictor` takes.
        views: from the size of an image to the transforms that make its views: resizes, mirrors
            and compositions of them.
        nms_threshold: IoU of suppression between detections of a class, of all views.
        max_detections: most detections of an image.
        views_per_batch: views that go through the model together.
    Raises:
        InvalidValueError: a number makes no sense.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        views: Views | None = None,
        nms_threshold: float = 0.5,
        max_detections: int = 100,
        views_per_batch: int = 1,
    ) -> None:
        super().__init__()
        if not 0 < nms_threshold <= 1:
            raise InvalidValueError(f"nms_threshold: expected in (0, 1], got {nms_threshold}")
        for name, value in (
            ("max_detections", max_detections),
            ("views_per_batch", views_per_batch),
        ):
            if value < 1:
                raise InvalidValueError(f"{name}: expected at least 1, got {value}")
        self.model = model
        self.views = multi_scale_views() if views is None else views
        self.nms_threshold = nms_threshold
        self.max_detections = max_detections
        self.views_per_batch = views_per_batch

    def forward(self, images: Sequence[Tensor]) -> list[Prediction]:
        """Predict each image from its views.

        Args:
            images: [c, h, w] each, RGB, 0..255, as the model takes them; uint8 ones are
                resampled on the CPU, as pictures are for `Predictor`.
        Returns:
            One prediction per image, of the kind that the model gives, in pixels of the image.
        Raises:
            InvalidValueError: there is no view, or a transform that cannot be undone here.
        Empty: no images give no predictions.
        """
        return [self._of_one(image) for image in images]

    def _of_one(self, image: Tensor) -> Prediction:
        size = ImageSize(image.shape[-2], image.shape[-1])
        transforms = list(self.views(size))
        if not transforms:
            raise InvalidValueError("views: expected at least one view, got none")
        steps = [_steps(transform) for transform in transforms]
        views = [_View(image, *each) for each in zip(transforms, steps, strict=True)]
        found: list[Prediction] = []
        for batch in _batches(views, self.views_per_batch):
            found += self.model([view.image() for view in batch])
        if all(isinstance(each, SemanticScores) for each in found):
            return _averaged_scores(_of_kind(found, SemanticScores), views, size)
        if all(isinstance(each, ScenePrediction) for each in found):
            scenes = _of_kind(found, ScenePrediction)
            detector = getattr(self.model, "detector", self.model)
            return scenes[0].with_parts(
                self._merged([scene.instances for scene in scenes], views, size, detector),
                _averaged_scores([scene.semantic for scene in scenes], views, size),
            )
        return self._merged(_of_kind(found, Instances), views, size, self.model)

    def _merged(
        self, found: list[Instances], views: list["_View"], size: ImageSize, model: nn.Module
    ) -> Instances:
        """Detections of all views as detections of the image."""
        back = [
            rescale_instances(view.transform.inverse().apply_instances(each), size)
            for each, view in zip(found, views, strict=True)
        ]
        # A view without detections may lack columns; it adds no row either.
        back = [each for each in back if len(each)] or back[:1]
        merged = self._suppressed(Instances.cat(back))
        if not isinstance(model, _LooksIntoBoxes) or not model.region_heads:
            return merged
        merged = merged.with_(**dict.fromkeys(model.region_heads))
        totals: dict[str, Tensor] = {}
        for batch in _batches(views, self.views_per_batch):
            asked = [view.transform.apply_instances(merged) for view in batch]
            outputs = model.region_outputs([view.image() for view in batch], asked)
            for view, each in zip(batch, outputs, strict=True):
                for name, head in model.region_heads.items():
                    said = view.mirrored_back(
                        head, each[name], rotated=isinstance(merged.boxes, RotatedBoxes)
                    )
                    totals[name] = totals[name] + said if name in totals else said
        averages = {name: total / len(views) for name, total in totals.items()}
        return with_region_columns(merged, model.region_heads, averages)

    def _suppressed(self, instances: Instances) -> Instances:
        """The best detections of each class, by descending score."""
        if instances.scores is None or instances.labels is None or len(instances) == 0:
            return instances
        kind = ROTATED if isinstance(instances.boxes, RotatedBoxes) else UPRIGHT
        boxes = kind.unwrap(instances.boxes, name="boxes")
        kept = kind.batched_nms(boxes, instances.scores, instances.labels, self.nms_threshold)
        return instances[kept[: self.max_detections]]


@attrs.frozen(eq=False)
class _View:
    """One view of an image.

    Args:
        original: [c, h, w].
        transform: from the image to the view.
        steps: the same, taken apart.
    """

    original: Tensor
    transform: Transform
    steps: tuple[Transform, ...]

    def image(self) -> Tensor:
        """[c, H, W], on the device of the original."""
        image = self.original
        # Pillow resamples bytes, and only on the CPU.
        image = image.cpu() if image.dtype == torch.uint8 else image
        return self.transform.apply_image(image).to(self.original.device)

    def mirrored_back(self, head: RegionHead[Any], said: Tensor, *, rotated: bool) -> Tensor:
        """What a head says of regions of the view, for those regions of the image."""
        # A mirrored rotated box keeps its own top: left and right change places either way.
        vertical = -1 if rotated else -2
        for step in reversed(self.steps):
            if isinstance(step, HorizontalFlip):
                said = head.mirrored(said, dim=-1)
            elif isinstance(step, VerticalFlip):
                said = head.mirrored(said, dim=vertical)
        return said

    def scores_back(self, scores: SemanticScores) -> SemanticScores:
        """Scores of the view, for the image."""
        for step in reversed(self.steps):
            if isinstance(step, HorizontalFlip):
                scores = scores.flip_horizontally()
            elif isinstance(step, VerticalFlip):
                scores = scores.flip_vertically()
            else:
                scores = scores.resize(step.source)
        return scores


def _steps(transform: Transform) -> tuple[Transform, ...]:
    """The parts of a transform, each of which every kind of prediction can undo."""
    steps = transform.transforms if isinstance(transform, Compose) else (transform,)
    for step in steps:
        if not isinstance(step, Identity | Resize | HorizontalFlip | VerticalFlip):
            raise InvalidValueError(
                f"views: expected resizes and mirrors, got {type(step).__name__}, after which"
                " classes of pixels cannot be put back"
            )
    return steps


def _averaged_scores(
    scores: Sequence[SemanticScores], views: Sequence[_View], size: ImageSize
) -> SemanticScores:
    """Mean probabilities of every pixel of the image."""
    total: Tensor | None = None
    for each, view in zip(scores, views, strict=True):
        chances = view.scores_back(each).resize(size).dense().softmax(0)
        total = chances if total is None else total + chances
    if total is None:
        raise InvalidValueError("views: expected at least one view, got none")
    # The mean of chances may round to 0; its logarithm stays finite.
    mean = (total / len(scores)).clamp(min=torch.finfo(total.dtype).tiny)
    return SemanticScores.from_logits(mean.log())


def _batches(views: Sequence[_View], size: int) -> Iterator[Sequence[_View]]:
    for start in range(0, len(views), size):
        yield views[start : start + size]


def _of_kind(found: Sequence[Prediction], kind: type[_PredictionT]) -> list[_PredictionT]:
    """The predictions, all of one kind."""
    chosen: list[_PredictionT] = [each for each in found if isinstance(each, kind)]
    if len(chosen) != len(found):
        kinds = ", ".join(sorted({type(each).__name__ for each in found}))
        raise CompositionError(f"AugmentedModel: expected predictions of one kind, got {kinds}")
    return chosen
