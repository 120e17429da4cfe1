"""Operators of `geodet.ops` found when they are first called."""

import importlib
from typing import Any

_MODULES = {
    "paste_masks": "paste",
    "polygons_to_rle": "polygons",
    "ring_areas": "polygons",
    "roi_align": "rois",
}


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module(f"geodet.ops.{_MODULES.get(name, 'rle')}"), name)
