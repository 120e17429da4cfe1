"""What COCO reports of a kind of region: area ranges, limits on predictions, named numbers."""

import attrs

__all__ = ["KEYPOINT_PROTOCOL", "PROTOCOLS", "REGION_PROTOCOL", "CocoProtocol", "CocoStat"]

# Square pixels, both ends included; the official tool's names and numbers.
_ALL = ("all", 0.0, 1e5**2)
_SMALL = ("small", 0.0, 32.0**2)
_MEDIUM = ("medium", 32.0**2, 96.0**2)
_LARGE = ("large", 96.0**2, 1e5**2)


@attrs.frozen
class CocoStat:
    """One number of a report.

    Attributes:
        name: as in "AP50".
        is_precision: average precision, not recall.
        iou: its threshold; None for the mean over all thresholds.
        area: name of the area range.
        limit: index of the limit on predictions.
    """

    name: str
    is_precision: bool
    iou: float | None = None
    area: str = "all"
    limit: int = -1


@attrs.frozen(kw_only=True)
class CocoProtocol:
    """Settings of one kind of region.

    Attributes:
        area_ranges: A triples of name, least and greatest area in square pixels.
        max_detections: M ascending limits on predictions per image and class.
        stats: the numbers of the summary, in its order.
    """

    area_ranges: tuple[tuple[str, float, float], ...]
    max_detections: tuple[int, ...]
    stats: tuple[CocoStat, ...]

    @property
    def area_names(self) -> tuple[str, ...]:
        """Names of the A area ranges."""
        return tuple(name for name, _, _ in self.area_ranges)


REGION_PROTOCOL = CocoProtocol(
    area_ranges=(_ALL, _SMALL, _MEDIUM, _LARGE),
    max_detections=(1, 10, 100),
    stats=(
        CocoStat("AP", True),
        CocoStat("AP50", True, iou=0.5),
        CocoStat("AP75", True, iou=0.75),
        CocoStat("APs", True, area="small"),
        CocoStat("APm", True, area="medium"),
        CocoStat("APl", True, area="large"),
        CocoStat("AR@1", False, limit=0),
        CocoStat("AR@10", False, limit=1),
        CocoStat("AR@100", False, limit=2),
        CocoStat("ARs", False, area="small"),
        CocoStat("ARm", False, area="medium"),
        CocoStat("ARl", False, area="large"),
    ),
)

# The official tool leaves out small objects: nobody annotated keypoints on them.
KEYPOINT_PROTOCOL = CocoProtocol(
    area_ranges=(_ALL, _MEDIUM, _LARGE),
    max_detections=(20,),
    stats=(
        CocoStat("AP", True),
        CocoStat("AP50", True, iou=0.5),
        CocoStat("AP75", True, iou=0.75),
        CocoStat("APm", True, area="medium"),
        CocoStat("APl", True, area="large"),
        CocoStat("AR", False),
        CocoStat("AR50", False, iou=0.5),
        CocoStat("AR75", False, iou=0.75),
        CocoStat("ARm", False, area="medium"),
        CocoStat("ARl", False, area="large"),
    ),
)

PROTOCOLS: tuple[tuple[str, CocoProtocol], ...] = (
    ("boxes", REGION_PROTOCOL),
    ("rotated_boxes", REGION_PROTOCOL),
    ("masks", REGION_PROTOCOL),
    ("keypoints", KEYPOINT_PROTOCOL),
)
