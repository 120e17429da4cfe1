"""Detectron2's checkpoints: its names for our modules, and its files.

A module whose children Detectron2 calls otherwise has a rule in one of the files of this folder;
the tables of these files are joined here.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from torch import nn

from geodet.models.published.detectron2.dense import DENSE
from geodet.models.published.detectron2.files import write_detectron2
from geodet.models.published.detectron2.loading import load_by_rules
from geodet.models.published.detectron2.region_heads import REGION_HEADS
from geodet.models.published.detectron2.scenes import SCENES
from geodet.models.published.detectron2.transformers import TRANSFORMERS
from geodet.models.published.detectron2.trunks import TRUNKS
from geodet.models.published.detectron2.two_stage import TWO_STAGE
from geodet.models.published.names import Rule, published_names
from geodet.weights import LoadReport

__all__ = ["DETECTRON2", "load_detectron2", "save_detectron2"]

DETECTRON2: Mapping[type[nn.Module], Rule] = MappingProxyType(
    {**TRANSFORMERS, **TRUNKS, **TWO_STAGE, **DENSE, **SCENES, **REGION_HEADS}
)


def load_detectron2(model: nn.Module, path: Path, *, partial: bool = False) -> LoadReport:
    """Load a checkpoint of Detectron2, Detectron1 / Caffe2 or pycls: all of it or nothing.

    Files of backbones (ImageNet initialisation) go into the backbone; what they do not hold
    stays as it was and is listed. Nothing in a file is run.

    Args:
        model: a detector, or a part of one; its weights are overwritten.
        path: .pkl, .pth, .pyth or .safetensors.
        partial: load what fits and list the rest.
    Returns:
        What was loaded, what was not, and what the file has that no model needs.
    Raises:
        CheckpointError: the file is unsafe or damaged; or names, shapes or the statistics of
            pixels differ: one table by part of the architecture, in both sides' names.
    """
    return load_by_rules(model, path, DETECTRON2, partial=partial)


def save_detectron2(model: nn.Module, path: Path) -> None:
    """Write the model's weights as a `.pkl` of the layout of Detectron2's model zoo.

    Args:
        model: whatever has rules; other modules keep their own names.
        path: ends in .pkl.
    Raises:
        CheckpointError: two tensors would get one name, or the file cannot be written.
    """
    names = published_names(model, DETECTRON2)
    write_detectron2(path, {names[name]: value for name, value in model.state_dict().items()})
