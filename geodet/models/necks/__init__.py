"""Necks: feature maps of a backbone to maps of equal channels."""

from geodet.models.necks.fpn import FPN, LastLevelMaxPool, LastLevelP6P7, TopBlock
from geodet.models.necks.simple_pyramid import SimpleFeaturePyramid

__all__ = ["FPN", "LastLevelMaxPool", "LastLevelP6P7", "SimpleFeaturePyramid", "TopBlock"]
