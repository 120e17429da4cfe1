"""ImageNet weights of torchvision in our backbones.

torchvision itself downloads, caches and checks them; it is imported when asked for a name.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import attrs
import torch
from torch import Tensor, nn

from geodet.errors import CheckpointError, MissingDependencyError
from geodet.models.backbones import (
    BottleneckBlock,
    ConvNeXt,
    DeformBottleneckBlock,
    RegNet,
    ResNet,
    Swin,
    ViT,
)
from geodet.models.published.names import published_names
from geodet.models.published.torchvision_trunks import TORCHVISION_TRUNKS
from geodet.weights import LoadReport, as_tensors, load_weights, read_archive

__all__ = ["load_imagenet"]

_FILE_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
# What a classifier has on top of its trunk, and a table that is computed, not learned.
_NOT_TRUNK = re.compile(
    r"^(fc|classifier|heads?|norm|encoder\.ln)\.|^class_token$|relative_position_index$"
)
# What detection adds to a trunk: it starts at its own initial values.
_ADDED = re.compile(r"(^norms\.|^norm\d+\.|\.conv2_offset\.|\.attn\.rel_pos_[hw]$|\.residual\.)")
# Names of perceptrons in the files of torchvision's ViT, which it reads under its newer names.
_OLD_NAMES = ((".mlp.linear_1.", ".mlp.0."), (".mlp.linear_2.", ".mlp.3."))
_COUNTER = "num_batches_tracked"


def load_imagenet(
    backbone: ResNet | RegNet | ConvNeXt | Swin | ViT, weights: str | Path, *, progress: bool = True
) -> LoadReport:
    """Load a classifier of torchvision into a backbone of the same architecture.

    Everything the backbone shares with the classifier must be there and fit. The classifier's
    last layers, stages that the backbone ends before, and step counters of frozen batch norms
    are left out; offsets of deformable convolutions, norms of the outputs and relative positions
    of a ViT, which no classifier has, stay as they are. These weights expect RGB, mean (123.675,
    116.28, 103.53), std (58.395, 57.12, 57.375).

    Args:
        backbone: overwritten. For a pyramid give its `bottom_up`.
        weights: a name that `torchvision.models.get_weight` knows, such as
            "ResNet50_Weights.IMAGENET1K_V2", or a file with a state dict (.pth, .safetensors).
        progress: whether torchvision shows a bar while downloading.
    Returns:
        What was loaded, what stayed (in `skipped`), and what of the file was not needed.
    Raises:
        CheckpointError: unknown name, failed download, unreadable file, or weights of another
            architecture: a table of what differs, nothing loaded.
        MissingDependencyError: a name without torchvision.
    """
    _check_kind(backbone)
    if isinstance(weights, Path) or weights.endswith(_FILE_SUFFIXES):
        content = read_archive(Path(weights))
        inner = content.get("state_dict", content.get("model", content))
        given = as_tensors(inner, source=str(weights))
    else:
        given = _download(weights, progress=progress)
    given = {_new_name(key): value for key, value in given.items()}
    names = published_names(backbone, TORCHVISION_TRUNKS)
    own = backbone.state_dict()
    added = {ours for ours in own if _ADDED.search(ours)}
    ignored = [key for key in given if _not_needed(key, backbone, names)]
    fitting = {key: value for key, value in given.items() if key not in ignored}
    fitting |= _counters(own, names, given) | {names[ours]: own[ours] for ours in added}
    report = load_weights(backbone, fitting, source=str(weights), names=names)
    notes = [f"{len(added)} tensors that no classifier has stay as they were"] if added else []
    return attrs.evolve(
        report,
        loaded=tuple(ours for ours in report.loaded if ours not in added),
        ignored=tuple(ignored),
        notes=tuple(notes),
    )


def _check_kind(backbone: nn.Module) -> None:
    if not isinstance(backbone, ResNet | RegNet | ConvNeXt | Swin | ViT):
        hint = "; give it `bottom_up`" if hasattr(backbone, "bottom_up") else ""
        raise CheckpointError(
            "load_imagenet: expected a ResNet, RegNet, ConvNeXt, Swin or ViT, got "
            f"{type(backbone).__name__}{hint}"
        )
    for name, block in backbone.named_modules():
        inner = isinstance(block, BottleneckBlock | DeformBottleneckBlock)
        # All shapes would fit, and every number come out a little wrong.
        if inner and block.conv1.stride != (1, 1):
            raise CheckpointError(
                f"load_imagenet: {name} has its stride in the first 1x1, torchvision's ResNets "
                "in the 3x3; build the backbone with stride_in_1x1=False"
            )


def _new_name(key: str) -> str:
    for old, new in _OLD_NAMES:
        key = key.replace(old, new)
    return key


def _not_needed(key: str, backbone: nn.Module, names: Mapping[str, str]) -> bool:
    """Whether a tensor of the classifier has no counterpart by design."""
    if key in names.values():
        return False
    if _NOT_TRUNK.search(key):
        return True
    if key.endswith(_COUNTER) and key.replace(_COUNTER, "running_mean") in names.values():
        return True
    return _is_beyond(key, names)


def _is_beyond(key: str, names: Mapping[str, str]) -> bool:
    """Whether it belongs to a stage after the last one of the backbone."""
    pattern = r"^(layer|features\.|trunk_output\.block)(\d+)"
    match = re.match(pattern, key)
    if match is None:
        return False
    stages = [re.match(pattern, name) for name in names.values()]
    return int(match[2]) > max(
        (int(stage[2]) for stage in stages if stage and stage[1] == match[1]), default=10**9
    )


def _counters(
    own: Mapping[str, Tensor], names: Mapping[str, str], given: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Step counters of batch norms, which old files lack: they are no weights."""
    return {
        names[ours]: torch.zeros_like(value)
        for ours, value in own.items()
        if ours.endswith(_COUNTER) and names[ours] not in given
    }


def _download(name: str, *, progress: bool) -> dict[str, Tensor]:
    try:
        import torchvision  # noqa: PLC0415 - optional: only names of weights need it
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        raise MissingDependencyError(
            f"load_imagenet: torchvision knows where {name!r} is, and could not be imported "
            f"({error}); install it, or give a file"
        ) from error
    try:
        weights = torchvision.models.get_weight(name)
    except (ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"load_imagenet: expected a file ({', '.join(_FILE_SUFFIXES)}) or a name of "
            f"torchvision such as 'ResNet50_Weights.IMAGENET1K_V2', got {name!r}: {error}"
        ) from error
    try:
        state = weights.get_state_dict(progress=progress, check_hash=True)
    # OSError: no network, no disk; RuntimeError: the checksum differs
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"{name}: could not be downloaded from {weights.url}: {error}"
        ) from error
    return as_tensors(state, source=name)
