"""One scene of detected objects and classified pixels, where both want the same pixel.

Reference: Kirillov et al. 2019 (arXiv 1801.00868), section 5; thresholds of Detectron2.
"""

from typing import cast

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.structures import (
    Instances,
    Masks,
    PanopticSegmentation,
    RleMasks,
    SceneLabels,
    Segment,
    SemanticScores,
)

__all__ = ["PanopticMerging"]

_Ids = npt.NDArray[np.int32]


@attrs.frozen(kw_only=True)
class PanopticMerging:
    """Objects first, by score, then the background that is left.

    An object of at least `score_threshold` gets the pixels of its mask that no better object has,
    unless more than `overlap_threshold` of the mask is taken: then it gets none. Classes of the
    semantic map get what remains of them, if that is at least `min_stuff_area` pixels; those
    that stand for things get nothing. Other pixels stay without a segment.

    Args:
        labels: what the two kinds of classes are called in the scene.
        score_threshold: least score of an object, 0 to 1.
        overlap_threshold: greatest share of a mask that may be taken already, 0 to 1.
        min_stuff_area: least area of a background class, pixels.
    Raises:
        InvalidValueError: a number is out of range.
    """

    labels: SceneLabels
    score_threshold: float = 0.5
    overlap_threshold: float = 0.5
    min_stuff_area: int = 4096

    def __attrs_post_init__(self) -> None:
        for name in ("score_threshold", "overlap_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidValueError(f"{name}: expected 0 to 1, got {getattr(self, name)}")
        if self.min_stuff_area < 0:
            raise InvalidValueError(
                f"min_stuff_area: expected 0 or more pixels, got {self.min_stuff_area}"
            )

    def merge(self, instances: Instances, semantic: SemanticScores) -> PanopticSegmentation:
        """Merge what was found in an image.

        Args:
            instances: objects with labels, scores and masks of any kind.
            semantic: scores for an image of the same size, of the classes in `labels`.
        Returns:
            The scene on the device of `semantic`: things have ids from 1 by descending score,
            equal scores in the order of their rows; background follows by class.
        Raises:
            DtypeError: a column is missing.
            ShapeError: the two are of different image sizes.
            InvalidValueError: a class is not in `labels`.
        Empty: without objects only background remains; without either, no segment.
        """
        if semantic.num_classes != len(self.labels.semantic):
            raise InvalidValueError(
                f"semantic: expected {len(self.labels.semantic)} classes (SceneLabels.semantic), "
                f"got {semantic.num_classes}"
            )
        if instances.image_size != semantic.image_size:
            raise ShapeError(
                f"semantic: expected scores for {instances.image_size} as instances, got "
                f"{semantic.image_size}; resize them first"
            )
        height, width = instances.image_size
        # Column by column, as run lengths count.
        ids: _Ids = np.zeros(height * width, dtype=np.int32)
        segments = [] if len(instances) == 0 else self._paint_things(ids, instances)
        classes = semantic.to_semantic_map().labels.t().reshape(-1).cpu().numpy()
        segments += self._paint_stuff(ids, classes, first_id=len(segments) + 1)
        grid = torch.from_numpy(ids.reshape(width, height).T.copy())
        return PanopticSegmentation(grid.to(semantic.device), segments)

    def _paint_things(self, ids: _Ids, instances: Instances) -> list[Segment]:
        masks, labels = self._candidates(instances)
        segments: list[Segment] = []
        for row, label in enumerate(labels):
            pixels = _pixels(masks, row)
            free = pixels[ids[pixels] == 0]
            taken = len(pixels) - len(free)
            if len(pixels) == 0 or taken > self.overlap_threshold * len(pixels):
                continue
            segment = Segment(len(segments) + 1, self.labels.things[label], is_thing=True)
            ids[free] = segment.id
            segments.append(segment)
        return segments

    def _paint_stuff(
        self, ids: _Ids, classes: npt.NDArray[np.int64], *, first_id: int
    ) -> list[Segment]:
        free = ids == 0
        wanted = classes[free]
        areas = np.bincount(wanted, minlength=len(self.labels.semantic))
        table = np.zeros(len(areas), dtype=np.int32)
        segments: list[Segment] = []
        for index, (area, label) in enumerate(zip(areas, self.labels.semantic, strict=True)):
            thing = label is None or self.labels.is_thing(label)
            if label is None or thing or area < max(1, self.min_stuff_area):
                continue
            segment = Segment(first_id + len(segments), label, is_thing=False)
            table[index] = segment.id
            segments.append(segment)
        ids[free] = table[wanted]
        return segments

    def _candidates(self, instances: Instances) -> tuple[RleMasks, list[int]]:
        """Masks and classes of the objects that score high enough, best first."""
        table = instances.sorted_by_score()
        for name in ("labels", "scores", "masks"):
            if getattr(table, name) is None:
                raise DtypeError(
                    f"instances.{name}: expected a column to merge into a scene, got None; use a "
                    "detector with a mask head"
                )
        kept = table[cast("Tensor", table.scores) >= self.score_threshold]
        labels = cast("Tensor", kept.labels).tolist()
        highest = max(labels, default=-1)
        if highest >= len(self.labels.things):
            raise InvalidValueError(
                f"instances.labels: expected classes below {len(self.labels.things)} "
                f"(SceneLabels.things), got {highest}"
            )
        return cast("Masks", kept.masks).to_rle_masks(), labels


def _pixels(masks: RleMasks, row: int) -> npt.NDArray[np.int64]:
    """[t] positions of a mask's pixels, column by column, ascending."""
    begin, end = masks.offsets[row : row + 2].tolist()
    bounds = masks.counts[begin:end].numpy().astype(np.int64).cumsum()
    starts, stops = bounds[0::2], bounds[1::2]
    lengths = stops - starts[: len(stops)]
    before = lengths.cumsum() - lengths
    shifts = np.repeat(starts[: len(stops)] - before, lengths)
    return shifts + np.arange(lengths.sum())
