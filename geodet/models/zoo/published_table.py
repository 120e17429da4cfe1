"""What is told of a published checkpoint, and how the tables of them are written."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import attrs
from torch import nn

__all__ = ["PublishedCheckpoint", "published"]

_SERVER = "https://dl.fbaipublicfiles.com/detectron2"
_LICENCE = "CC BY-SA 3.0"


@attrs.frozen(kw_only=True)
class PublishedCheckpoint:
    """One file of weights of Detectron2.

    Args:
        name: of the architecture and the schedule; what `zoo.load` takes.
        architecture: makes the model that it fits.
        url: of the file.
        md5_start: the first digits of its MD5, which its name ends in.
        dataset: that it was trained and measured on.
        metrics: by name, such as "box_ap"; percent, on the validation set.
        licence: of the weights.
    """

    name: str
    architecture: Callable[[], nn.Module]
    url: str
    md5_start: str
    dataset: str
    metrics: Mapping[str, float]
    licence: str = _LICENCE


# Architecture, schedule, path of the file with "/model_final_" shortened to "/", figures.
_Row: TypeAlias = tuple[Callable[[], nn.Module], str, str, *tuple[float, ...]]


def published(
    dataset: str, folder: str, metrics: Sequence[str], rows: Sequence[_Row]
) -> list[PublishedCheckpoint]:
    """Checkpoints of one folder of the server, measured alike."""
    return [_checkpoint(dataset, folder, metrics, row) for row in rows]


def _checkpoint(
    dataset: str, folder: str, metrics: Sequence[str], row: _Row
) -> PublishedCheckpoint:
    architecture, schedule, path, *figures = row
    place, _, file = path.rpartition("/")
    file = file if "_" in file else f"model_final_{file}"
    return PublishedCheckpoint(
        name="_".join(word for word in (architecture.__name__, schedule) if word),
        architecture=architecture,
        url=f"{_SERVER}/{folder}/{place}/{file}.pkl",
        md5_start=file.rpartition("_")[2],
        dataset=dataset,
        metrics=MappingProxyType(dict(zip(metrics, figures, strict=True))),
    )
