"""Numbers that say how good predictions are, equal to the official tools'."""

from geodet.evaluation.coco import CocoEvaluator
from geodet.evaluation.coco_report import CocoReport, CocoResult

__all__ = ["CocoEvaluator", "CocoReport", "CocoResult"]
