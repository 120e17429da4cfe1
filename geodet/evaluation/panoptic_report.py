"""Panoptic quality, over all classes and by class."""

import attrs
import numpy as np
from numpy.typing import NDArray

__all__ = ["PanopticQuality", "PanopticReport"]

_GROUPS = ("all", "things", "stuff")


@attrs.frozen(kw_only=True)
class PanopticQuality:
    """Three numbers of some classes, each the mean over those that occur; -1 when none does.

    Args:
        pq: panoptic quality, about sq times rq.
        sq: segmentation quality: mean IoU of matched segments.
        rq: recognition quality: F1 of the segments.
        num_classes: classes that occur, in the truth or as a false prediction.
    """

    pq: float
    sq: float
    rq: float
    num_classes: int


@attrs.frozen(kw_only=True, eq=False)
class PanopticReport:
    """Panoptic quality, equal to the official tool's.

    Attributes:
        num_images: images evaluated.
        class_names: K names.
        is_thing: [K] which classes are things.
        ious: [K] sum of the IoU of matched segments.
        true_positives: [K] matched segments.
        false_positives: [K] predicted segments without partner.
        false_negatives: [K] true segments without partner.
    """

    num_images: int
    class_names: tuple[str, ...]
    is_thing: NDArray[np.bool_]
    ious: NDArray[np.float64]
    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    false_negatives: NDArray[np.int64]

    @property
    def present(self) -> NDArray[np.bool_]:
        """[K] which classes occur, in the truth or as a false prediction."""
        return (self.true_positives + self.false_positives + self.false_negatives) > 0

    def class_pq(self) -> NDArray[np.float64]:
        """[K] panoptic quality of each class, -1 where it does not occur."""
        return self._per_class(self.ious, self._half_counts())

    def class_sq(self) -> NDArray[np.float64]:
        """[K] mean IoU of matched segments, 0 without any, -1 where a class does not occur."""
        return self._per_class(self.ious, np.maximum(self.true_positives, 1))

    def class_rq(self) -> NDArray[np.float64]:
        """[K] F1 of the segments, -1 where a class does not occur."""
        return self._per_class(self.true_positives, self._half_counts())

    def quality(self, group: str = "all") -> PanopticQuality:
        """Quality of "all" classes, of "things" or of "stuff".

        Raises:
            KeyError: another group.
        """
        if group not in _GROUPS:
            raise KeyError(f"group: expected one of {_GROUPS}, got {group!r}")
        chosen = self.present.copy()
        if group != "all":
            chosen &= self.is_thing == (group == "things")
        means = [
            float(values[chosen].mean()) if chosen.any() else -1.0
            for values in (self.class_pq(), self.class_sq(), self.class_rq())
        ]
        return PanopticQuality(pq=means[0], sq=means[1], rq=means[2], num_classes=int(chosen.sum()))

    @property
    def pq(self) -> float:
        """Panoptic quality over all classes that occur; -1 when none does."""
        return self.quality().pq

    def to_table(self) -> str:
        """A line for all, things and stuff, then one for each class that occurs; in percent."""
        width = max([len("things"), *(len(name) for name in self.class_names)])
        lines = [f" {'':<{width}}     PQ     SQ     RQ  classes"]
        for group in _GROUPS:
            found = self.quality(group)
            numbers = _cells(found.pq, found.sq, found.rq)
            lines.append(f" {group:<{width}}{numbers}  {found.num_classes:7d}")
        lines += ["", f" {'class':<{width}}     PQ     SQ     RQ     TP     FP     FN"]
        rows = zip(
            self.class_names,
            self.present,
            zip(self.class_pq(), self.class_sq(), self.class_rq(), strict=True),
            zip(self.true_positives, self.false_positives, self.false_negatives, strict=True),
            strict=True,
        )
        for name, present, qualities, counts in rows:
            if present:
                cells = "".join(f"  {count:5d}" for count in counts)
                lines.append(f" {name:<{width}}{_cells(*qualities)}{cells}")
        absent = int((~self.present).sum())
        if absent:
            lines.append(f" ({absent} of {len(self.class_names)} classes do not occur)")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Plain numbers for JSON: "all", "things", "stuff", and `per_class` by name."""
        columns = {
            "PQ": self.class_pq(),
            "SQ": self.class_sq(),
            "RQ": self.class_rq(),
            "TP": self.true_positives,
            "FP": self.false_positives,
            "FN": self.false_negatives,
        }
        groups = {group: self.quality(group) for group in _GROUPS}
        return {
            "num_images": self.num_images,
            **{
                group: {"PQ": q.pq, "SQ": q.sq, "RQ": q.rq, "classes": q.num_classes}
                for group, q in groups.items()
            },
            "per_class": {
                name: {key: values[row].item() for key, values in columns.items()}
                for row, name in enumerate(self.class_names)
            },
        }

    def _half_counts(self) -> NDArray[np.float64]:
        wrong = (self.false_positives + self.false_negatives).astype(np.float64)
        return self.true_positives + wrong / 2

    def _per_class(
        self, values: NDArray[np.float64] | NDArray[np.int64], counts: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        divided: NDArray[np.float64] = values / np.maximum(counts, 0.5)
        return np.where(self.present, divided, -1.0)


def _cells(*fractions: float) -> str:
    return "".join(f"  {100 * value if value >= 0 else value:5.1f}" for value in fractions)
