"""Pictures of predictions and ground truth, for people to look at."""

from geodet.visualize.colors import distinct_color
from geodet.visualize.drawing import draw_instances
from geodet.visualize.panels import save_image, side_by_side
from geodet.visualize.scenes import draw_panoptic, draw_prediction, draw_semantic

__all__ = [
    "distinct_color",
    "draw_instances",
    "draw_panoptic",
    "draw_prediction",
    "draw_semantic",
    "save_image",
    "side_by_side",
]
