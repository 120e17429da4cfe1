"""Weights of torchvision's detectors into models of ours."""

import re
from collections.abc import Mapping
from pathlib import Path

import attrs
from torch import Tensor, nn

from geodet.errors import CheckpointError
from geodet.models.published.names import published_names, without_rules
from geodet.models.published.torchvision_detectors import TORCHVISION, rows_of_torchvision
from geodet.models.published.unsaved import COUNTER, unsaved_tensors
from geodet.weights import LoadReport, as_tensors, load_weights, read_archive

__all__ = ["load_torchvision"]


def load_torchvision(
    model: nn.Module, source: Path | Mapping[str, Tensor], *, partial: bool = False
) -> LoadReport:
    """Load weights of torchvision's Faster, Mask or Keypoint R-CNN or RetinaNet.

    Args:
        model: of the families in `geodet.models.detectors.torchvision_families`.
        source: a file of torch.save or safetensors, or a state dict.
        partial: load what fits and list the rest.
    Returns:
        What was loaded, what was not, and what the file has that no model needs.
    Raises:
        CheckpointError: the file is unsafe or damaged, or names or shapes differ: one table by
            part of the architecture, in both sides' names.
    """
    name = str(source) if isinstance(source, Path) else "state dict"
    content = read_archive(source) if isinstance(source, Path) else source
    found = {
        _present_name(key): value
        for key, value in as_tensors(content.get("model", content), source=name).items()
    }
    names = published_names(model, TORCHVISION)
    for ours, change in rows_of_torchvision(model).items():
        if names.get(ours) in found:
            found[names[ours]] = change(found[names[ours]])
    if not found.keys() & set(names.values()):
        raise CheckpointError(
            f"{name}: none of its {len(found)} names, such as {next(iter(found), 'none')}, is one "
            f"of the model's, such as {next(iter(names.values()))}"
        )
    places = set(names.values())
    ignored = tuple(key for key in found if key.endswith(COUNTER) and key not in places)
    given = {key: value for key, value in found.items() if key not in ignored}
    kept = unsaved_tensors(model, names, given)
    given |= kept
    missing = [ours for ours, key in names.items() if key not in given]
    strangers = without_rules(model, missing, TORCHVISION) if given.keys() - places else []
    notes = [f"no rule translates the names in {', '.join(strangers)}"] if strangers else []
    report = load_weights(model, given, source=name, partial=partial, names=names, notes=notes)
    loaded = tuple(ours for ours in report.loaded if names[ours] not in kept)
    return attrs.evolve(report, loaded=loaded, ignored=ignored)


# Names before torchvision 0.13, which its first published weights still have.
_FORMER = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^module\.", ""),
        (r"(fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$", r"\1.0.\2"),
        (r"^(rpn\.head\.conv)\.(weight|bias)$", r"\1.0.0.\2"),
    )
)
_FORMER_MASK = re.compile(r"^roi_heads\.mask_head\.mask_fcn(\d)\.")
_FORMER_TOWER = re.compile(
    r"^(head\.(?:classification|regression)_head\.conv)\.(\d)\.(weight|bias)$"
)


def _present_name(key: str) -> str:
    for pattern, replacement in _FORMER:
        key = pattern.sub(replacement, key)
    key = _FORMER_MASK.sub(lambda match: f"roi_heads.mask_head.{int(match[1]) - 1}.0.", key)
    return _FORMER_TOWER.sub(lambda match: f"{match[1]}.{int(match[2]) // 2}.0.{match[3]}", key)
