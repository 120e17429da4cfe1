"""From pictures to predictions, and from predictions to result files."""

from geodet.inference.coco_results import to_coco_results
from geodet.inference.host_memory import keep_freed_memory
from geodet.inference.pictures import Picture
from geodet.inference.predictor import Prediction, Predictor

__all__ = ["Picture", "Prediction", "Predictor", "keep_freed_memory", "to_coco_results"]
