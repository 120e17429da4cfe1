"""Hypothesis strategies that draw structures.

All options are keyword-only and checked when the strategy is made. Rows default to 0 up to 4 or 6,
so empty tables are drawn often. Coordinates are multiples of 1/8 pixel: mirrors, moves and sums of
them are exact in single precision, so laws can ask for equality. Every value is drawn on the CPU
and moved to `device` last, so the same seed draws the same values on every device.
"""

from geodet.testing.strategies.images import (
    image_lists,
    image_sizes,
    panoptic_segmentations,
    semantic_maps,
    semantic_scores,
)
from geodet.testing.strategies.keypoints import keypoints, skeletons
from geodet.testing.strategies.masks import bit_masks, rle_masks, roi_masks
from geodet.testing.strategies.polygons import polygon_masks
from geodet.testing.strategies.regions import boxes, rotated_boxes, scores
from geodet.testing.strategies.tables import instances, row_indices

__all__ = [
    "bit_masks",
    "boxes",
    "image_lists",
    "image_sizes",
    "instances",
    "keypoints",
    "panoptic_segmentations",
    "polygon_masks",
    "rle_masks",
    "roi_masks",
    "rotated_boxes",
    "row_indices",
    "scores",
    "semantic_maps",
    "semantic_scores",
    "skeletons",
]
