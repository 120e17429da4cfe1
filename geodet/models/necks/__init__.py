"""Necks: feature maps of a backbone to maps of equal channels."""

from geodet.models.necks.fpn import FPN, LastLevelMaxPool, LastLevelP6P7, TopBlock

__all__ = ["FPN", "LastLevelMaxPool", "LastLevelP6P7", "TopBlock"]
