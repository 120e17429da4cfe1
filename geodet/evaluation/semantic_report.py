"""How well classes of pixels are told apart, over all classes and by class."""

import attrs
import numpy as np
from numpy.typing import NDArray

__all__ = ["SEMANTIC_STATS", "SemanticReport"]

SEMANTIC_STATS = ("mIoU", "fwIoU", "mACC", "pACC")


@attrs.frozen(kw_only=True, eq=False)
class SemanticReport:
    """IoU and accuracy of classes of pixels. -1 stands for what no labelled pixel tells.

    Attributes:
        num_images: images evaluated.
        class_names: K names.
        confusion: [K, K + 1] int64 pixels by true class and predicted class; the last column
            are pixels that the prediction gives no class. Pixels without true class are nowhere.
    """

    num_images: int
    class_names: tuple[str, ...]
    confusion: NDArray[np.int64]

    def class_iou(self) -> NDArray[np.float64]:
        """[K] pixels in both over pixels in either, -1 for a class without true pixels."""
        right = self._right()
        either = self._true() + self.confusion[:, :-1].sum(axis=0) - right
        return self._of_present(right / np.maximum(either, 1))

    def class_accuracy(self) -> NDArray[np.float64]:
        """[K] share of the true pixels that are found, -1 for a class without true pixels."""
        return self._of_present(self._right() / np.maximum(self._true(), 1))

    @property
    def miou(self) -> float:
        """Mean IoU over the classes that have true pixels; -1 without any."""
        return _mean(self.class_iou())

    @property
    def fwiou(self) -> float:
        """IoU of the classes weighted by their true pixels; -1 without any."""
        total = self._true().sum()
        if total == 0:
            return -1.0
        return float((self.class_iou().clip(min=0) * self._true()).sum() / total)

    @property
    def macc(self) -> float:
        """Mean accuracy over the classes that have true pixels; -1 without any."""
        return _mean(self.class_accuracy())

    @property
    def pacc(self) -> float:
        """Share of all labelled pixels that are right; -1 without any."""
        total = self._true().sum()
        return float(self._right().sum() / total) if total else -1.0

    @property
    def stats(self) -> dict[str, float]:
        """The four numbers by name: mIoU, fwIoU, mACC, pACC."""
        values = (self.miou, self.fwiou, self.macc, self.pacc)
        return dict(zip(SEMANTIC_STATS, values, strict=True))

    def to_table(self) -> str:
        """The four numbers, then a line per class that has true pixels; in percent."""
        width = max([len("class"), *(len(name) for name in self.class_names)])
        lines = [f" {name:<5} = {_percent(value)}" for name, value in self.stats.items()]
        lines += ["", f" {'class':<{width}}       pixels    IoU    ACC"]
        present = self._true() > 0
        rows = zip(
            self.class_names,
            self._true(),
            self.class_iou(),
            self.class_accuracy(),
            strict=True,
        )
        lines += [
            f" {name:<{width}}  {pixels:11d}  {_percent(iou)}  {_percent(accuracy)}"
            for name, pixels, iou, accuracy in rows
            if pixels
        ]
        absent = int((~present).sum())
        if absent:
            lines.append(f" ({absent} of {len(self.class_names)} classes have no true pixel)")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Plain numbers for JSON: `stats` by name and `per_class` by class name."""
        columns = zip(
            self.class_names,
            self._true().tolist(),
            self.class_iou().tolist(),
            self.class_accuracy().tolist(),
            strict=True,
        )
        return {
            "num_images": self.num_images,
            "stats": self.stats,
            "per_class": {
                name: {"pixels": pixels, "IoU": iou, "ACC": accuracy}
                for name, pixels, iou, accuracy in columns
            },
        }

    def _true(self) -> NDArray[np.int64]:
        counts: NDArray[np.int64] = self.confusion.sum(axis=1)
        return counts

    def _right(self) -> NDArray[np.int64]:
        return np.diagonal(self.confusion)

    def _of_present(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(self._true() > 0, values, -1.0)


def _mean(values: NDArray[np.float64]) -> float:
    """Mean of the entries that exist, -1 when none does."""
    present = values[values >= 0]
    return float(present.mean()) if present.size else -1.0


def _percent(value: float) -> str:
    return f"{100 * value if value >= 0 else value:5.1f}"
