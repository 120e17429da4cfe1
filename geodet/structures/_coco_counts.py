"""Run lengths as COCO's files and tools write them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from geodet import ops
from geodet.errors import DtypeError, InvalidValueError, ShapeError
from geodet.structures import _ragged
from geodet.structures.image_size import ImageSize


def read_records(
    records: Sequence[Mapping[str, Any]], image_size: ImageSize | None
) -> tuple[Tensor, Tensor, ImageSize]:
    """Return counts, offsets and the image size of masks as `RleMasks.from_coco` takes them."""
    sizes = [ImageSize(*(int(side) for side in record["size"])) for record in records]
    if image_size is None:
        if not sizes:
            raise ShapeError("from_coco: expected image_size when there are no masks")
        image_size = sizes[0]
    for row, size in enumerate(sizes):
        if size != image_size:
            raise ShapeError(f"masks row {row}: expected masks of {image_size}, got {size}")
    parts = [_read_counts(row, record["counts"]) for row, record in enumerate(records)]
    lengths = torch.tensor([len(part) for part in parts], dtype=torch.int64)
    counts = torch.cat([torch.zeros(0, dtype=torch.int32), *parts])
    return counts, _ragged.from_lengths(lengths), image_size


def _read_counts(row: int, counts: object) -> Tensor:
    """Run lengths of one mask from COCO's text or a list."""
    if isinstance(counts, str | bytes):
        try:
            return ops.rle_from_strings([counts])[0]
        except ValueError as error:  # the operator knows the character, only we know the row
            raise InvalidValueError(f"masks row {row}: {error}") from error
    if not isinstance(counts, list | tuple):
        raise DtypeError(
            f"masks row {row}: expected counts as str, bytes or a list, got {type(counts).__name__}"
        )
    for count in counts:
        if not isinstance(count, int) or not 0 <= count < 2**31:
            raise InvalidValueError(
                f"masks row {row}: expected run lengths as whole numbers of at least 0, "
                f"got {count!r}"
            )
    return torch.tensor(counts, dtype=torch.int32)
