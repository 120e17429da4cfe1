"""Pictures of predictions and ground truth, for people to look at."""

from geodet.visualize.colors import distinct_color
from geodet.visualize.drawing import draw_instances
from geodet.visualize.panels import save_image, side_by_side

__all__ = ["distinct_color", "draw_instances", "save_image", "side_by_side"]
