"""From pictures to predictions, and from predictions to result files."""

from geodet.inference.coco_results import to_coco_results
from geodet.inference.host_memory import keep_freed_memory
from geodet.inference.pictures import Picture
from geodet.inference.predictor import MaskForm, Prediction, Predictor
from geodet.inference.test_time_augmentation import AugmentedModel, Views, multi_scale_views

__all__ = [
    "AugmentedModel",
    "MaskForm",
    "Picture",
    "Prediction",
    "Predictor",
    "Views",
    "keep_freed_memory",
    "multi_scale_views",
    "to_coco_results",
]
