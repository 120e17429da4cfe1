"""How a detector trains the heads that look into its regions, and fills their columns.

One-stage and two-stage detectors alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from geodet.errors import DtypeError
from geodet.models.box_kinds import AnyBoxKind
from geodet.models.heads import RegionHead, Regions, SampledRois, rois_from_boxes
from geodet.structures import Instances, Keypoints, Masks

__all__ = [
    "fill_columns",
    "region_losses",
    "region_outputs",
    "regions_of",
    "with_region_columns",
]

ColumnT = TypeVar("ColumnT", Masks, Keypoints)


def region_losses(
    head: RegionHead[ColumnT],
    features: Mapping[str, Tensor],
    sampled: SampledRois,
    truth: Sequence[ColumnT | None],
    *,
    num_classes: int,
    maps: Tensor | None = None,
) -> dict[str, Tensor]:
    """Losses of a head on the foreground of sampled regions.

    Args:
        head: what trains.
        features: name -> [b, c, h, w].
        sampled: r regions, images in ascending order.
        truth: per image the head's column of the targets, or None.
        num_classes: label of background.
        maps: [r, ...] of the box head, for a head without pooler.
    Empty: no foreground gives losses of 0 with gradients of 0.
    """
    rows = torch.nonzero(sampled.labels < num_classes).flatten()
    foreground = sampled.select(rows)
    regions = Regions(
        features=features,
        rois=foreground.rois,
        labels=foreground.labels,
        maps=None if maps is None or head.pooler is not None else maps[rows],
    )
    return head.losses(regions, truth, foreground.target_indices)


def regions_of(
    instances: Sequence[Instances], features: Mapping[str, Tensor], kind: AnyBoxKind
) -> Regions:
    """Boxes and labels of a batch as regions, on the device of the features.

    Args:
        instances: per image boxes and labels.
        features: name -> [b, c, h, w].
        kind: of the boxes.
    Raises:
        DtypeError: boxes of another kind, or no labels; names the image.
    Empty: images without rows add no regions.
    """
    device = next(iter(features.values())).device
    boxes, labels = [], []
    for position, table in enumerate(instances):
        name = f"instances[{position}]"
        boxes.append(kind.unwrap(table.boxes, name=f"{name}.boxes").to(device, torch.float32))
        if table.labels is None:
            raise DtypeError(f"{name}.labels: expected [{len(table)}] int64, got None")
        labels.append(table.labels.to(device))
    return Regions(features=features, rois=rois_from_boxes(boxes), labels=torch.cat(labels))


def region_outputs(
    heads: Mapping[str, RegionHead[Any]], regions: Regions, instances: Sequence[Instances]
) -> list[dict[str, Tensor]]:
    """What heads say of boxes, before it becomes a column; what averages over views of an image.

    Args:
        heads: column of Instances -> the head that fills it.
        regions: of the `instances`, in order; with maps, if a head has no pooler.
        instances: per image n boxes.
    Returns:
        Per image, column -> [n, ...] as the head's `predict` has it.
    """
    counts = [len(table) for table in instances]
    predicted = {name: head.predict(regions).split(counts) for name, head in heads.items()}
    return [{name: rows[i] for name, rows in predicted.items()} for i in range(len(counts))]


def with_region_columns(
    instances: Instances, heads: Mapping[str, RegionHead[Any]], outputs: Mapping[str, Tensor]
) -> Instances:
    """Add the column of each head to the boxes of an image.

    Args:
        instances: n boxes.
        heads: column of Instances -> the head that fills it.
        outputs: column -> [n, ...], one image's entry of `region_outputs`.
    Raises:
        DtypeError: there are no boxes.
    Empty: n = 0 gives columns without rows.
    """
    boxes, size = instances.boxes, instances.image_size
    if boxes is None:
        raise DtypeError("instances.boxes: expected the boxes that the outputs belong to, got None")
    columns = {name: head.column(outputs[name], boxes, size) for name, head in heads.items()}
    return instances.with_(**columns)


def fill_columns(
    instances: Sequence[Instances], regions: Regions, heads: Mapping[str, RegionHead[Any]]
) -> list[Instances]:
    """The instances with a column of each head; arguments as in `region_outputs`."""
    outputs = region_outputs(heads, regions, instances)
    return [
        with_region_columns(table, heads, each)
        for table, each in zip(instances, outputs, strict=True)
    ]
