"""How a detector trains the heads that look into its regions, and fills their columns.

One-stage and two-stage detectors alike.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from geodet.errors import DtypeError
from geodet.models.box_kinds import AnyBoxKind
from geodet.models.heads import RegionHead, Regions, SampledRois, rois_from_boxes
from geodet.structures import Instances, Keypoints, Masks

__all__ = ["fill_columns", "region_column", "region_losses", "regions_of"]

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


def region_column(
    head: RegionHead[ColumnT], regions: Regions, instances: Sequence[Instances]
) -> list[ColumnT]:
    """What a head predicts for boxes, as one column per image.

    Args:
        head: what predicts.
        regions: of the `instances`, in order; with maps, if the head has no pooler.
        instances: per image boxes.
    Empty: images without rows get columns without rows.
    """
    predicted = head.predict(regions).split([len(table) for table in instances])
    return [
        head.column(rows, table.boxes, table.image_size)
        for rows, table in zip(predicted, instances, strict=True)
        if table.boxes is not None
    ]


def fill_columns(
    instances: Sequence[Instances],
    regions: Regions,
    mask_head: RegionHead[Masks] | None,
    keypoint_head: RegionHead[Keypoints] | None,
) -> list[Instances]:
    """The instances with a column of each head that is there; arguments as in `region_column`."""
    filled = list(instances)
    if mask_head is not None:
        masks = region_column(mask_head, regions, filled)
        filled = [table.with_(masks=rows) for table, rows in zip(filled, masks, strict=True)]
    if keypoint_head is not None:
        points = region_column(keypoint_head, regions, filled)
        filled = [table.with_(keypoints=rows) for table, rows in zip(filled, points, strict=True)]
    return filled
