"""Numbers that say how good predictions are, equal to the official tools'."""

from geodet.evaluation.coco import CocoEvaluator
from geodet.evaluation.coco_report import CocoReport, CocoResult
from geodet.evaluation.panoptic import PanopticEvaluator
from geodet.evaluation.panoptic_report import PanopticQuality, PanopticReport
from geodet.evaluation.semantic import SemanticEvaluator
from geodet.evaluation.semantic_report import SemanticReport

__all__ = [
    "CocoEvaluator",
    "CocoReport",
    "CocoResult",
    "PanopticEvaluator",
    "PanopticQuality",
    "PanopticReport",
    "SemanticEvaluator",
    "SemanticReport",
]
