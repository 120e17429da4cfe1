"""Weights of a Detectron2 file into a model of ours."""

from collections.abc import Mapping
from pathlib import Path

import attrs
import torch
from torch import Tensor, nn

from geodet.errors import CheckpointError
from geodet.models.features import Backbone
from geodet.models.layers import FrozenBatchNorm2d
from geodet.models.preprocess import Preprocess
from geodet.models.published.detectron2.alignment import BackboneExtent, align
from geodet.models.published.detectron2.files import read_detectron2
from geodet.models.published.names import Rules, published_names, without_rules
from geodet.models.published.unsaved import COUNTER, unsaved_tensors
from geodet.weights import Difference, LoadReport, load_weights

__all__ = ["load_by_rules"]

_PIXELS = {"pixel_mean": "mean", "pixel_std": "std"}


def load_by_rules(model: nn.Module, path: Path, rules: Rules, *, partial: bool) -> LoadReport:
    """See `load_detectron2`, which knows the rules."""
    file, source, state = read_detectron2(path), str(path), model.state_dict()
    names = published_names(model, rules)
    aligned = align(names, state, file.tensors, by_suffix=file.by_suffix)
    if not aligned:
        raise CheckpointError(
            f"{source}: none of its {len(file.tensors)} names, such as {next(iter(file.tensors))}, "
            f"is one of the model's, such as {next(iter(names.values()))}"
        )
    taken = set(aligned.values())
    given = {names[ours]: file.tensors[key] for ours, key in aligned.items()}
    rest = {key: value for key, value in file.tensors.items() if key not in taken}
    notes = _compare_pixels(model, rest, source=source, partial=partial)
    filled = _norms_without_statistics(model, names, given)
    if filled:
        notes.append(f"{len(filled) // 2} frozen norms without statistics: mean 0, variance 1")
    given |= filled
    kept = unsaved_tensors(model, names, given)
    given |= kept
    unused = [key for key in rest if key in _PIXELS or key.endswith(COUNTER)]
    outside: dict[str, Tensor] = {}
    # A file of a whole detector has some of its whole names.
    whole = any(names[ours] == key for ours, key in aligned.items())
    if file.by_suffix and (not whole or isinstance(model, Backbone)):
        extent = BackboneExtent.of((names[ours], key) for ours, key in aligned.items())
        unused += [key for key in rest if not extent.covers(key)]
        outside = {
            ours: value
            for ours, value in state.items()
            if names[ours] not in given and not extent.lacks(names[ours])
        }
        notes.append(f"{source} holds a backbone; everything else stays as it was")
    given |= {names[ours]: value for ours, value in outside.items()}
    given |= {key: value for key, value in rest.items() if key not in unused}
    strangers = without_rules(model, [o for o in names if names[o] not in given], rules)
    if strangers and not given.keys() <= set(names.values()):
        notes.append(f"no rule translates the names in {', '.join(strangers)}")
    report = load_weights(model, given, source=source, partial=partial, names=names, notes=notes)
    return attrs.evolve(
        report,
        loaded=tuple(
            name for name in report.loaded if name not in outside and names[name] not in kept
        ),
        skipped=(*report.skipped, *(_lacking(o, names[o], v) for o, v in outside.items())),
        ignored=(*file.ignored, *unused),
    )


def _compare_pixels(
    model: nn.Module, rest: Mapping[str, Tensor], *, source: str, partial: bool
) -> list[str]:
    """Old files hold the mean and deviation of pixels; another model than theirs has others."""
    preprocess = next((part for part in model.modules() if isinstance(part, Preprocess)), None)
    notes = []
    for key, own in _PIXELS.items():
        if preprocess is None or key not in rest:
            continue
        ours, theirs = getattr(preprocess, own).flatten().cpu(), rest[key].flatten().float()
        if ours.shape == theirs.shape and torch.allclose(ours, theirs, atol=1e-3):
            continue
        notes.append(
            f"{source}: {key} is {[round(x, 3) for x in theirs.tolist()]}, Preprocess has "
            f"{own}={[round(x, 3) for x in ours.tolist()]}"
        )
    if notes and not partial:
        raise CheckpointError(
            "; ".join([*notes, "build the model with the file's, nothing was loaded"])
        )
    return notes


def _norms_without_statistics(
    model: nn.Module, names: Mapping[str, str], given: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Mean 0 and variance 1 for the affine channels of Caffe2, which have scale and bias alone."""
    filled = {}
    for name, part in model.named_modules():
        if isinstance(part, FrozenBatchNorm2d) and names[f"{name}.weight"] in given:
            mean, var = names[f"{name}.running_mean"], names[f"{name}.running_var"]
            if mean not in given and var not in given:
                filled[mean] = torch.zeros_like(part.running_mean)
                filled[var] = torch.ones_like(part.running_var)
    return filled


def _lacking(name: str, file_name: str, value: Tensor) -> Difference:
    return Difference(name=name, file_name=file_name, expected=tuple(value.shape), found=None)
