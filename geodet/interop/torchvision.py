"""Weights of torchvision's detectors. torchvision itself is not needed."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from geodet.models.published import load_torchvision
from geodet.weights import LoadReport

__all__ = ["load_checkpoint"]


def load_checkpoint(
    model: nn.Module, source: Path | str | Mapping[str, Tensor], *, partial: bool = False
) -> LoadReport:
    """Load weights of torchvision's Faster, Mask or Keypoint R-CNN or RetinaNet on R50-FPN.

    The models to load into are `torchvision_faster_rcnn_r50_fpn` and the others of that prefix
    in `geodet.models.zoo`. A class that torchvision calls k + 1 is k in R-CNN models, where
    background is last; RetinaNet has no background, and its classes keep their numbers.

    Args:
        model: its weights are overwritten.
        source: a `.pth` or safetensors file, or a state dict.
        partial: load what fits and list the rest.
    Returns:
        What was loaded, what was not, and what the file has that no model needs.
    Raises:
        CheckpointError: the file is unsafe or damaged, or names or shapes differ: one table by
            part of the architecture, in both sides' names.
    """
    place = Path(source) if isinstance(source, str) else source
    return load_torchvision(model, place, partial=partial)
