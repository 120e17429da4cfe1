"""Ground-truth masks as a mask head is trained on them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from geodet.models.box_kinds import UPRIGHT, AnyBoxKind
from geodet.structures import Masks

__all__ = ["mask_targets"]


def mask_targets(
    masks: Sequence[Masks | None],
    indices: Tensor,
    rois: Tensor,
    side: int,
    *,
    kind: AnyBoxKind = UPRIGHT,
) -> Tensor:
    """Ground-truth masks inside regions.

    Args:
        masks: of each image; None for one without objects.
        indices: [r] row of each region's mask in its image.
        rois: [r, 1 + k] image index and box; images in ascending order.
        side: cells of a target along both sides.
        kind: of the boxes.
    Returns:
        [r, side, side] bool on the device of `rois`.
    Empty: r = 0 gives r = 0.
    """
    targets = [torch.zeros((0, side, side), dtype=torch.bool, device=rois.device)]
    images = rois[:, 0].long()
    for i, image_masks in enumerate(masks):
        rows = torch.nonzero(images == i).flatten()
        if len(rows) == 0 or image_masks is None:
            continue
        device = image_masks.device
        boxes = kind.wrap(rois[rows, 1:].to(device))
        crops = image_masks[indices[rows].to(device)].crop_and_resize(boxes, side)
        targets.append(crops.to(rois.device))
    return torch.cat(targets)
