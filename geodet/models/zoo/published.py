"""Checkpoints that Detectron2 published: what each is, and how good.

Names and figures are those of Detectron2's MODEL_ZOO.md and of the pages of its projects. All
files are under the licence CC BY-SA 3.0. The six characters at the end of a file's name are the
start of its MD5.
"""

from collections.abc import Mapping
from types import MappingProxyType

from geodet.models.zoo.published_convolutional import CONVOLUTIONAL
from geodet.models.zoo.published_projects import PROJECTS
from geodet.models.zoo.published_table import PublishedCheckpoint
from geodet.models.zoo.published_transformers import TRANSFORMERS

__all__ = ["PUBLISHED", "PublishedCheckpoint"]

PUBLISHED: Mapping[str, PublishedCheckpoint] = MappingProxyType(
    {row.name: row for row in (*CONVOLUTIONAL, *TRANSFORMERS, *PROJECTS)}
)
