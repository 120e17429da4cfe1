"""From pictures to predictions, and from predictions to result files."""

from geodet.inference.coco_results import to_coco_results
from geodet.inference.predictor import Predictor

__all__ = ["Predictor", "to_coco_results"]
