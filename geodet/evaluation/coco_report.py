"""COCO's numbers, the curves behind them, and the tables people paste."""

from collections.abc import Mapping

import attrs
import numpy as np
from numpy.typing import NDArray

from geodet.evaluation.coco_curves import CocoCurves
from geodet.evaluation.coco_protocol import CocoProtocol, CocoStat

__all__ = ["CocoReport", "CocoResult"]


@attrs.frozen(kw_only=True, eq=False)
class CocoResult:
    """COCO's AP of one kind of region, bit-equal to the official tool's arrays.

    T = 10 IoU thresholds, R = 101 recall thresholds, K classes; A area ranges and M limits on
    detections per image and class, which the protocol names. -1 means that no target falls in
    the range.

    Attributes:
        class_names: K names.
        iou_thresholds: [T].
        recall_thresholds: [R].
        protocol: area ranges, limits and the numbers of the summary.
        target_counts: [K] targets that count.
        curves: precision [T, R, K, A, M], recall [T, K, A, M], scores [T, R, K, A, M].
    """

    class_names: tuple[str, ...]
    iou_thresholds: NDArray[np.float64]
    recall_thresholds: NDArray[np.float64]
    protocol: CocoProtocol
    target_counts: NDArray[np.int64]
    curves: CocoCurves

    @property
    def max_detections(self) -> tuple[int, ...]:
        """M limits on detections per image and class."""
        return self.protocol.max_detections

    @property
    def precision(self) -> NDArray[np.float64]:
        """[T, R, K, A, M] highest precision at this recall or above."""
        return self.curves.precision

    @property
    def recall(self) -> NDArray[np.float64]:
        """[T, K, A, M] highest recall reached."""
        return self.curves.recall

    @property
    def scores(self) -> NDArray[np.float64]:
        """[T, R, K, A, M] score at which the recall is reached."""
        return self.curves.scores

    @property
    def stats(self) -> NDArray[np.float64]:
        """The numbers of the summary; `stat_names` says which."""
        return np.array([self._stat(stat) for stat in self.protocol.stats])

    @property
    def stat_names(self) -> tuple[str, ...]:
        """Short names of `stats`: "AP" first."""
        return tuple(stat.name for stat in self.protocol.stats)

    @property
    def ap(self) -> float:
        """AP averaged over IoU 0.50:0.95, all areas; -1 without targets."""
        return self._stat(self.protocol.stats[0])

    def class_ap(self, iou_threshold: float | None = None) -> NDArray[np.float64]:
        """AP [K] of every class over all areas, -1 for a class without targets.

        Args:
            iou_threshold: one of `iou_thresholds`; None for the mean over all of them.
        Raises:
            KeyError: no such threshold.
        """
        chosen = self.precision[self._threshold(iou_threshold)][..., 0, -1]
        return np.array([_mean(chosen[:, :, label]) for label in range(len(self.class_names))])

    def class_ar(self) -> NDArray[np.float64]:
        """Average recall [K] of every class at the largest limit, all areas."""
        chosen = self.recall[..., 0, -1]
        return np.array([_mean(chosen[:, label]) for label in range(len(self.class_names))])

    def to_table(self) -> str:
        """The official tool's lines, then a line per class that has targets."""
        return "\n".join([*self._summary_lines(), "", *self._class_lines()])

    def to_dict(self) -> dict[str, object]:
        """Plain numbers for JSON: `stats` by name and `per_class` by class name."""
        columns = zip(
            self.class_names,
            self.target_counts.tolist(),
            self.class_ap().tolist(),
            self.class_ap(0.5).tolist(),
            self.class_ar().tolist(),
            strict=True,
        )
        return {
            "stats": dict(zip(self.stat_names, self.stats.tolist(), strict=True)),
            "per_class": {
                name: {"targets": count, "AP": ap, "AP50": ap50, "AR": ar}
                for name, count, ap, ap50, ar in columns
            },
        }

    def _threshold(self, iou_threshold: float | None) -> slice | NDArray[np.intp]:
        if iou_threshold is None:
            return slice(None)
        found = np.flatnonzero(np.isclose(self.iou_thresholds, iou_threshold, rtol=0, atol=1e-9))
        if len(found) == 0:
            raise KeyError(
                f"iou_threshold: expected one of {self.iou_thresholds.round(2).tolist()},"
                f" got {iou_threshold}"
            )
        return found

    def _stat(self, stat: CocoStat) -> float:
        values = self.precision if stat.is_precision else self.recall
        area = self.protocol.area_names.index(stat.area)
        return _mean(values[self._threshold(stat.iou)][..., area, stat.limit])

    def _summary_lines(self) -> list[str]:
        lines = []
        low, high = self.iou_thresholds[[0, -1]]
        for stat, value in zip(self.protocol.stats, self.stats, strict=True):
            title = "Average Precision  (AP)" if stat.is_precision else "Average Recall     (AR)"
            ious = f"{low:0.2f}:{high:0.2f}" if stat.iou is None else f"{stat.iou:0.2f}"
            most = self.max_detections[stat.limit]
            lines.append(
                f" {title} @[ IoU={ious:<9} | area={stat.area:>6s} | maxDets={most:>3d} ]"
                f" = {value:0.3f}"
            )
        return lines

    def _class_lines(self) -> list[str]:
        width = max([len("class"), *(len(name) for name in self.class_names)])
        lines = [f" {'class':<{width}}  targets     AP   AP50   AP75     AR"]
        rows = zip(
            self.class_names,
            self.target_counts,
            self.class_ap(),
            self.class_ap(0.5),
            self.class_ap(0.75),
            self.class_ar(),
            strict=True,
        )
        for name, count, *numbers in rows:
            if count:
                cells = "".join(f"  {number:5.3f}" for number in numbers)
                lines.append(f" {name:<{width}}  {count:7d}{cells}")
        absent = int((self.target_counts == 0).sum())
        if absent:
            lines.append(f" ({absent} of {len(self.class_names)} classes have no target)")
        return lines


@attrs.frozen(kw_only=True, eq=False)
class CocoReport:
    """Results by kind of region.

    Attributes:
        num_images: images evaluated.
        results: "boxes", "rotated_boxes", "masks", "keypoints" to their result.
    """

    num_images: int
    results: Mapping[str, CocoResult]

    def __getitem__(self, iou_type: str) -> CocoResult:
        """Result of one kind, as in "boxes"."""
        return self.results[iou_type]

    def to_table(self) -> str:
        """Every result's table under its name."""
        return "\n\n".join(f"{kind}\n{result.to_table()}" for kind, result in self.results.items())

    def to_dict(self) -> dict[str, object]:
        """Plain numbers for JSON, by kind of region, and `num_images`."""
        numbers: dict[str, object] = {"num_images": self.num_images}
        return numbers | {kind: result.to_dict() for kind, result in self.results.items()}


def _mean(values: NDArray[np.float64]) -> float:
    """Mean of the entries that exist, -1 when none does."""
    present = values[values > -1]
    return float(np.mean(present)) if present.size else -1.0
