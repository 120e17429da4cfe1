"""Checkpoints to and from Detectron2. Detectron2 itself is not needed."""

from pathlib import Path

from torch import nn

from geodet.models.published import load_detectron2, save_detectron2
from geodet.weights import LoadReport

__all__ = ["load_checkpoint", "save_checkpoint"]


def load_checkpoint(model: nn.Module, path: Path | str, *, partial: bool = False) -> LoadReport:
    """Load a checkpoint of Detectron2, Detectron1 / Caffe2 or pycls: all of it or nothing.

    Files of backbones (ImageNet initialisation) go into the backbone; what they do not hold
    stays as it was and is listed. Nothing in a file is run.

    Args:
        model: a detector, or a part of one; its weights are overwritten.
        path: .pkl, .pth, .pyth or .safetensors.
        partial: load what fits and list the rest.
    Returns:
        What was loaded, what was not, and what the file has that no model needs; it prints as a
        table.
    Raises:
        CheckpointError: the file is unsafe or damaged; or names, shapes or the statistics of
            pixels differ: one table by part of the architecture, in both sides' names.
    """
    return load_detectron2(model, Path(path), partial=partial)


def save_checkpoint(model: nn.Module, path: Path | str) -> None:
    """Write the model's weights as a `.pkl` that Detectron2 loads.

    Args:
        model: a detector, or a part of one.
        path: ends in .pkl.
    Raises:
        CheckpointError: two tensors would get one name, or the file cannot be written.
    """
    save_detectron2(model, Path(path))
