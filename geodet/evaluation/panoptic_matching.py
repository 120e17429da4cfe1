"""Which segments of a predicted scene are segments of the true one.

Letters: t true segments, p predicted ones.
"""

import attrs
import numpy as np
from numpy.typing import NDArray

from geodet.structures import PanopticSegmentation

__all__ = ["PanopticRecord", "record_scene"]


@attrs.frozen(eq=False)
class PanopticRecord:
    """What panoptic quality needs of an image.

    Args:
        matched_labels: class of each pair of segments that match.
        ious: overlap of each such pair.
        missed_labels: class of each true segment without partner.
        false_labels: class of each predicted segment without partner.
    """

    matched_labels: NDArray[np.int64]
    ious: NDArray[np.float64]
    missed_labels: NDArray[np.int64]
    false_labels: NDArray[np.int64]


@attrs.frozen(eq=False)
class _Side:
    """One of the two scenes, its segments that have pixels alone."""

    rows: NDArray[np.int64]  # of each pixel's segment; one past the last where it has none
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_]

    @classmethod
    def of(cls, scene: PanopticSegmentation) -> "_Side":
        kept = scene.to("cpu").drop_empty()
        return cls(
            rows=kept.segment_rows().numpy().reshape(-1),
            labels=np.array([segment.label for segment in kept.segments], dtype=np.int64),
            crowd=np.array([segment.is_crowd for segment in kept.segments], dtype=bool),
        )


def record_scene(prediction: PanopticSegmentation, target: PanopticSegmentation) -> PanopticRecord:
    """Match the segments of one image.

    Two segments of a class match when their IoU is above one half, pixels without true segment
    left out of the predicted one; so each has one partner at most. A true crowd has none and is
    not missed; a predicted segment that lies by more than half on pixels without true segment, or
    on these and the crowd of its own class, is not false. Of several crowd segments of a class
    the last counts, as in the official tool.

    Args:
        prediction: the scene found.
        target: the true scene, of the same size.
    Reference: Kirillov et al. 2019 (arXiv 1801.00868), section 4; panopticapi.
    """
    true, found = _Side.of(target), _Side.of(prediction)
    t, p = len(true.labels), len(found.labels)
    # [t + 1, p + 1] pixels of each pair; the last row and column are those without segment.
    pairs = np.bincount(true.rows * (p + 1) + found.rows, minlength=(t + 1) * (p + 1))
    overlap = pairs.reshape(t + 1, p + 1)
    void, inner = overlap[t, :p], overlap[:t, :p]
    found_areas = overlap[:, :p].sum(axis=0)
    unions = overlap[:t].sum(axis=1)[:, None] + (found_areas - void)[None] - inner
    comparable = (true.labels[:, None] == found.labels[None]) & ~true.crowd[:, None]
    ious = np.where(comparable, inner / np.maximum(unions, 1), 0.0)
    rows, columns = np.nonzero(ious > 0.5)
    missed = ~true.crowd
    missed[rows] = False
    crowd_pixels = np.zeros(p, dtype=np.int64)
    last_crowds = {int(true.labels[row]): row for row in np.flatnonzero(true.crowd)}
    for label, row in last_crowds.items():
        own = found.labels == label
        crowd_pixels[own] = inner[row, own]
    false = (void + crowd_pixels) / np.maximum(found_areas, 1) <= 0.5
    false[columns] = False
    return PanopticRecord(
        matched_labels=true.labels[rows],
        ious=ious[rows, columns],
        missed_labels=true.labels[missed],
        false_labels=found.labels[false],
    )
