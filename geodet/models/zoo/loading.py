"""Published checkpoints by name: fetched once, checked, and loaded into their model."""

import difflib
from pathlib import Path

from torch import nn

from geodet.errors import CheckpointError
from geodet.models.published import load_detectron2
from geodet.models.zoo.published import PUBLISHED, PublishedCheckpoint
from geodet.weights import Progress, download

__all__ = ["default_cache", "fetch", "load"]


def default_cache() -> Path:
    """Folder that files are kept in when no other is given: ~/.cache/geodet/checkpoints."""
    return Path.home() / ".cache" / "geodet" / "checkpoints"


def load(name: str, *, cache: Path | None = None, progress: Progress | None = None) -> nn.Module:
    """The model of a published checkpoint, with its weights, set to evaluation.

    Args:
        name: of `PUBLISHED`, such as "mask_rcnn_r50_fpn_3x".
        cache: folder of files; None is `default_cache()`.
        progress: called with the bytes that are there and the bytes in all.
    Raises:
        CheckpointError: an unknown name; no network and no file in the cache, with what to do;
            a wrong checksum; or a file that does not fit.
    """
    checkpoint = _published(name)
    path = fetch(name, cache=cache, progress=progress)
    model = checkpoint.architecture()
    load_detectron2(model, path)
    return model.eval()


def fetch(name: str, *, cache: Path | None = None, progress: Progress | None = None) -> Path:
    """The file of a published checkpoint, downloaded unless the cache has it.

    Args: as in `load`.
    Returns:
        Its path: CACHE/NAME/FILE, where a file fetched by hand can be put as well.
    Raises:
        CheckpointError: as in `load`.
    """
    checkpoint = _published(name)
    folder = (default_cache() if cache is None else cache) / name
    return download(checkpoint.url, folder, md5_start=checkpoint.md5_start, progress=progress)


def _published(name: str) -> PublishedCheckpoint:
    if name not in PUBLISHED:
        near = difflib.get_close_matches(name, PUBLISHED, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise CheckpointError(f"no published checkpoint is called {name!r}{hint}")
    return PUBLISHED[name]
