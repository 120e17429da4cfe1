"""Transforms of pictures and of everything known about them; chance is kept apart.

A `Transform` is one fixed change and can be inverted. A `TransformChoice` draws one for a picture.
"""

from geodet.transforms.choices import (
    FixedResize,
    RandomBrightness,
    RandomContrast,
    RandomHorizontalFlip,
    RandomSaturation,
    RandomVerticalFlip,
    ResizeShortestEdge,
    Sequence_,
    TransformChoice,
    shortest_edge_size,
)
from geodet.transforms.geometric import Compose, HorizontalFlip, Identity, Resize, VerticalFlip
from geodet.transforms.photometric import Brightness, Contrast, Saturation
from geodet.transforms.resampling import resize_image
from geodet.transforms.transform import Transform

__all__ = [
    "Brightness",
    "Compose",
    "Contrast",
    "FixedResize",
    "HorizontalFlip",
    "Identity",
    "RandomBrightness",
    "RandomContrast",
    "RandomHorizontalFlip",
    "RandomSaturation",
    "RandomVerticalFlip",
    "Resize",
    "ResizeShortestEdge",
    "Saturation",
    "Sequence_",
    "Transform",
    "TransformChoice",
    "VerticalFlip",
    "resize_image",
    "shortest_edge_size",
]
