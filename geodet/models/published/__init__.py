"""What published checkpoints call the tensors of our modules."""

from geodet.models.published.detectron2 import DETECTRON2, load_detectron2, save_detectron2
from geodet.models.published.names import Rule, Rules, published_names
from geodet.models.published.torchvision_loading import load_torchvision

__all__ = [
    "DETECTRON2",
    "Rule",
    "Rules",
    "load_detectron2",
    "load_torchvision",
    "published_names",
    "save_detectron2",
]
